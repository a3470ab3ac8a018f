package sched

import (
	"maps"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// explain collects why nodes were ruled out for a group.
type explain struct {
	metric   api.AllocMetric
	eligible map[string]bool // by computed class
	escaped  bool
	short    []string // by node: what a feasible node lacks
}

func newExplain(c *checker) *explain {
	return &explain{
		metric:   api.AllocMetric{NodePool: poolName(c.job.NodePool), NodesAvailable: map[string]int{}},
		eligible: map[string]bool{}, escaped: c.escapes(),
	}
}

// look counts a node and reports whether it is to be considered.
func (e *explain) look(c *checker, n *api.Node) bool {
	if !c.inPool(n) {
		return false
	}
	e.metric.NodesInPool++
	if !n.Ready() || !c.inDatacenter(n) {
		return false
	}
	e.metric.NodesAvailable[n.Datacenter]++
	e.metric.NodesEvaluated++
	if n.ComputedClass != "" {
		e.eligible[n.ComputedClass] = c.class(n) == ""
	}
	return true
}

func increment(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key]++
}

// filtered counts a node that can't run the group.
func (e *explain) filtered(n *api.Node, why string) {
	filterNode(&e.metric, n, why)
}

func filterNode(m *api.AllocMetric, n *api.Node, why string) {
	m.NodesFiltered++
	increment(&m.ConstraintFiltered, why)
	if n.NodeClass != "" {
		increment(&m.ClassFiltered, n.NodeClass)
	}
}

// now returns the metric with what nodes lack at this point.
func (e *explain) now(f *field) *api.AllocMetric {
	m := e.metric
	m.ConstraintFiltered, m.ClassFiltered = maps.Clone(m.ConstraintFiltered), maps.Clone(m.ClassFiltered)
	for i, why := range e.short {
		switch why {
		case "":
		case fit.DimCPU, fit.DimMemory, fit.DimDisk, fit.DimAllocs, fit.DimCores, fit.DimPorts:
			m.NodesExhausted++
			increment(&m.DimensionExhausted, why)
			if class := f.nodes[i].NodeClass; class != "" {
				increment(&m.ClassExhausted, class)
			}
		default: // distinct hosts or property
			filterNode(&m, f.nodes[i], why)
		}
	}
	if m.NodesExhausted > 0 {
		m.ResourcesExhausted = map[string]*api.Resources{}
		for _, t := range f.check.group.Tasks {
			if t.Resources != nil {
				m.ResourcesExhausted[t.Name] = t.Resources
			}
		}
	}
	return &m
}

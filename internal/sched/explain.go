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
	verdicts []verdictOfKind
}

// verdictOfKind is what holds for all nodes of a kind, and how many there are.
type verdictOfKind struct {
	node      *api.Node // one of them, nil before the first
	pool      bool
	dc        bool
	why       string // "" for a kind that suits
	inPool    int
	evaluated int
	filtered  int
}

func newExplain(c *checker) *explain {
	return &explain{
		metric:   api.AllocMetric{NodePool: poolName(c.job.NodePool), NodesAvailable: map[string]int{}},
		eligible: map[string]bool{}, escaped: c.escapes(),
	}
}

func (e *explain) begin(kinds int) { e.verdicts = make([]verdictOfKind, kinds) }

// look counts a node and reports whether it can run the group.
func (e *explain) look(c *checker, n *api.Node, kind int32) bool {
	v := &e.verdicts[kind]
	if v.node == nil {
		v.node, v.pool, v.dc = n, c.inPool(n), c.inDatacenter(n)
		if v.pool && v.dc {
			v.why = c.class(n)
		}
	}
	if !v.pool {
		return false
	}
	v.inPool++
	if !v.dc || !n.Ready() {
		return false
	}
	v.evaluated++
	switch {
	case v.why != "":
		v.filtered++
		return false
	case c.plain():
		return true
	}
	if why := c.reject(n); why != "" {
		filterNode(&e.metric, n, why)
		return false
	}
	return true
}

// sum adds up what was counted by kind.
func (e *explain) sum() {
	m := &e.metric
	for i := range e.verdicts {
		v := &e.verdicts[i]
		m.NodesInPool += v.inPool
		if v.evaluated == 0 {
			continue
		}
		m.NodesEvaluated += v.evaluated
		m.NodesAvailable[v.node.Datacenter] += v.evaluated
		if class := v.node.ComputedClass; class != "" {
			e.eligible[class] = e.eligible[class] || v.why == ""
		}
		if v.filtered == 0 {
			continue
		}
		m.NodesFiltered += v.filtered
		add(&m.ConstraintFiltered, v.why, v.filtered)
		if class := v.node.NodeClass; class != "" {
			add(&m.ClassFiltered, class, v.filtered)
		}
	}
}

func increment(m *map[string]int, key string) { add(m, key, 1) }

func add(m *map[string]int, key string, n int) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key] += n
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
	for i, why := range f.short {
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

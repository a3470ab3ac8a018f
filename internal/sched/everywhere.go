package sched

import (
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// placeEverywhere places a group of a system job on every node that suits and
// has none yet.
func (m *maker) placeEverywhere(e *everywhere) {
	start := m.now()
	f := m.field(m.w.Job, e.group)
	f.affinity = newAffinities(m.w.Job, e.group)
	f.evaluate(nil)
	metrics := f.explain.now(f)
	out := &api.PlanGroup{TaskGroup: e.group.Name, Resources: f.need.resources, Metrics: metrics}
	exhausted := make([]string, len(m.nodes)) // only of nodes that miss their allocation
	var miss failure
	asks := 0
	place := func(i int32, a *ask) {
		asks++
		if why := m.overQuota(f, a); why != nil {
			miss.quota(why)
			return
		}
		freed := m.freedBy(a)
		if freed != nil {
			m.remove(i, freed.usage)
		}
		got := m.placeOn(f, i, a)
		if got == nil {
			if freed != nil {
				m.add(i, freed.usage)
			}
			exhausted[i] = f.lacks(i, f.need)
			if exhausted[i] == "" {
				exhausted[i] = fit.DimPorts
			}
			miss.nodes++
			return
		}
		m.enter(a, got, freed)
		out.Allocs = append(out.Allocs, got.Placement)
	}
	for _, a := range e.asks {
		if i, ok := m.index[a.previous.NodeID]; ok && f.feasible[i] {
			place(i, a)
		}
	}
	for i, node := range m.nodes {
		if _, has := e.skip[node.ID]; has || !f.feasible[i] {
			continue
		}
		m.w.update(e.group.Name).Place++
		place(int32(i), &ask{job: m.w.Job, group: e.group, previous: e.prev[node.ID]})
	}
	if asks == 0 {
		return
	}
	metrics.AllocationTime = api.Duration(m.now().Sub(start) / time.Duration(asks))
	if len(out.Allocs) > 0 {
		m.plan.Placements = append(m.plan.Placements, out)
	}
	copy(f.short, exhausted)
	m.fail(f, &miss, metrics.AllocationTime)
}

// placeOn places an ask on one node, displacing others if it may.
func (m *maker) placeOn(f *field, i int32, a *ask) *found {
	if m.shortWithPorts(f, i) != "" {
		if !m.mayPreempt() {
			return nil
		}
		victims := m.victims(f, i)
		if victims == nil {
			return nil
		}
		return m.evict(f, a, m.scoreWithout(f, i, victims), victims)
	}
	c, ok := f.score(i)
	if !ok {
		return nil
	}
	got := m.grant(f, a, i)
	if got != nil {
		got.Scores = f.meta([]scored{{candidate: c, score: f.normal(&c)}})
	}
	return got
}

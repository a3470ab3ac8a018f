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
	asks, failures := 0, 0
	place := func(i int32, a *ask) {
		asks++
		freed := m.releaseAlloc(i, a)
		p, taken := m.placeOn(f, i, a)
		if p == nil {
			if freed != nil {
				m.add(i, freed)
			}
			exhausted[i] = f.lacks(i, f.need)
			if exhausted[i] == "" {
				exhausted[i] = fit.DimPorts
			}
			failures++
			return
		}
		if a.stop != nil {
			m.plan.Stops = append(m.plan.Stops, a.stop)
		}
		m.add(i, taken)
		m.deltas = append(m.deltas, delta{p.ID, p.NodeID, taken})
		out.Allocs = append(out.Allocs, p)
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
	if failures > 0 {
		copy(f.short, exhausted)
		m.fail(f, failures, metrics.AllocationTime)
	}
}

// releaseAlloc takes what an ask replaces off its node and returns its usage.
func (m *maker) releaseAlloc(i int32, a *ask) *fit.Usage {
	if a.stop == nil {
		return nil
	}
	u := fit.Sum(a.previous.AllocatedResources)
	m.remove(i, u)
	return u
}

// placeOn places an ask on one node, displacing others if it may.
func (m *maker) placeOn(f *field, i int32, a *ask) (*api.Placement, *fit.Usage) {
	if m.shortWithPorts(f, i) != "" {
		if !m.mayPreempt() {
			return nil, nil
		}
		victims := m.victims(f, i)
		if victims == nil {
			return nil, nil
		}
		return m.evict(f, a, m.scoreWithout(f, i, victims), victims)
	}
	c, ok := f.score(i)
	if !ok {
		return nil, nil
	}
	p := m.placement(a, i)
	taken, ok := f.need.grant(p, m.nodes[i], &m.caps[i], m.used[i], m.portSeed())
	if !ok {
		return nil, nil
	}
	p.Scores = f.meta([]scored{{candidate: c, score: f.normal(&c)}})
	return p, taken
}

package sched

import (
	"cmp"
	"maps"
	"slices"
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
	var byAlloc map[string]*resident // those that constraints count
	if f.check.distinctHosts != amongNone || len(f.check.properties) > 0 {
		byAlloc = m.settled()
		f.evaluate(slices.Collect(maps.Values(byAlloc)))
	} else {
		f.evaluate(nil)
	}
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
		var old *resident
		if a.stop != nil && byAlloc[a.stop.ID] != nil {
			old = byAlloc[a.stop.ID]
			f.count(old, -1)
		}
		got := m.placeOn(f, i, a)
		if got == nil {
			if freed != nil {
				m.add(i, freed.usage)
			}
			if old != nil {
				f.count(old, 1)
			}
			exhausted[i] = cmp.Or(f.clash(i), f.lacks(i, f.need))
			if exhausted[i] == "" {
				exhausted[i] = fit.DimPorts
			}
			miss.nodes++
			return
		}
		m.enter(a, got, freed)
		if byAlloc != nil {
			f.count(&resident{node: i, group: e.group.Name}, 1)
		}
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

// settled returns the allocations of the job that stay and those that this
// plan places, by ID.
func (m *maker) settled() map[string]*resident {
	out := map[string]*resident{}
	for a := range m.st.AllocsByJob(m.w.Eval.Namespace, m.w.Eval.JobID) {
		if i, ok := m.index[a.NodeID]; ok && !a.Terminal() && !m.stopping[a.ID] {
			out[a.ID] = &resident{node: i, group: a.TaskGroup, alloc: a}
		}
	}
	for _, g := range m.plan.Placements {
		for _, p := range g.Allocs {
			out[p.ID] = &resident{node: m.index[p.NodeID], group: g.TaskGroup}
		}
	}
	return out
}

// placeOn places an ask on one node, displacing others if it may.
func (m *maker) placeOn(f *field, i int32, a *ask) *found {
	if f.clash(i) != "" {
		return nil
	}
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

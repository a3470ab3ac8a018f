package sched

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

const (
	// preemptionGap is how much lower the priority of a victim's job must be.
	preemptionGap = 10
	// crowdPenalty is what a victim costs beyond its group's migrate limit.
	crowdPenalty = 50
)

// mayPreempt reports whether the job's type may displace others.
func (m *maker) mayPreempt() bool {
	c := m.config.PreemptionConfig
	switch m.w.Job.Type {
	case api.JobTypeSystem:
		return c.SystemSchedulerEnabled
	case api.JobTypeSysBatch:
		return c.SysBatchSchedulerEnabled
	case api.JobTypeBatch:
		return c.BatchSchedulerEnabled
	}
	return c.ServiceSchedulerEnabled
}

// victim is an allocation that may be displaced.
type victim struct {
	a     *api.Allocation
	usage *fit.Usage
}

// displace makes room for an ask on the node where it costs least.
func (m *maker) displace(f *field, a *ask) *found {
	var best []victim
	var chosen scored
	for i := range f.nodes {
		if why := f.short[i]; !f.feasible[i] || why == "" || f.clash(int32(i)) != "" || m.besideItself(a, int32(i)) != "" {
			continue
		}
		victims := m.victims(f, int32(i))
		if victims == nil {
			continue
		}
		s := m.scoreWithout(f, int32(i), victims)
		if best == nil || s.before(&chosen) {
			best, chosen = victims, s
		}
	}
	if best == nil {
		return nil
	}
	return m.evict(f, a, chosen, best)
}

// scoreWithout scores a node as if victims were gone.
func (m *maker) scoreWithout(f *field, i int32, victims []victim) scored {
	used := m.used[i]
	for _, v := range victims {
		m.remove(i, v.usage)
	}
	c, _ := f.score(i)
	m.used[i] = used
	f.short[i] = f.lacks(i, f.need)
	c.sum += preemptionScore(victims)
	c.terms++
	return scored{candidate: c, score: f.normal(&c)}
}

// preemptionScore is near 1 for victims of low priority and falls with it.
func preemptionScore(victims []victim) float64 {
	sum, most := 0.0, 0.0
	for _, v := range victims {
		p := float64(v.a.Job.Priority)
		sum, most = sum+p, max(most, p)
	}
	if most == 0 {
		return 1
	}
	return 1 / (1 + math.Exp(0.0048*(most+sum/most-2048)))
}

// evict displaces victims and places the ask, which starts when they have
// ended.
func (m *maker) evict(f *field, a *ask, on scored, victims []victim) *found {
	i := on.node
	before := m.used[i]
	for _, v := range victims {
		m.remove(i, v.usage)
	}
	got := m.grant(f, a, i)
	if got != nil {
		got.Scores = f.meta([]scored{on})
	}
	m.used[i] = before
	if got == nil {
		return nil
	}
	p := got.Placement
	p.Scores[0].Scores.Set(api.ScorePreemption, preemptionScore(victims))
	for _, v := range victims {
		m.stopping[v.a.ID] = true
		m.preempted[v.a.Job.Key()] = v.a.Job
		m.evicted = append(m.evicted, v.a)
		p.Preempts = append(p.Preempts, v.a.ID)
		got.endsFor = append(got.endsFor, v.a)
		m.plan.Stops = append(m.plan.Stops, &api.PlanStop{ID: v.a.ID, DesiredStatus: api.AllocDesiredEvict, PreemptedBy: p.ID})
	}
	m.w.update(a.group.Name).Preemptions += uint64(len(victims))
	return got
}

// victims returns what must go from a node to make room, or nil. It takes
// those of the lowest priority first, among them what comes nearest to the
// need, and in the end leaves out whom it can do without.
func (m *maker) victims(f *field, i int32) []victim {
	var may []victim
	m.findEnding()
	for a := range m.st.AllocsByNode(m.nodes[i].ID) {
		if a.Terminal() || m.stopping[a.ID] || m.ending[a.ID] || a.Job == nil || a.Job.Priority > m.w.Job.Priority-preemptionGap {
			continue
		}
		if a.Namespace == m.w.Eval.Namespace && a.JobID == m.w.Eval.JobID {
			continue
		}
		may = append(may, victim{a, fit.Sum(a.AllocatedResources)})
	}
	before := m.used[i]
	defer func() { m.used[i] = before }()
	taken := map[change]int{} // victims per group
	var chosen []victim
	for m.shortWithPorts(f, i) != "" {
		if len(may) == 0 {
			return nil
		}
		at := m.cheapest(f, i, may, taken)
		v := may[at]
		may = slices.Delete(may, at, at+1)
		taken[change{v.a.Job, v.a.TaskGroup}]++
		m.remove(i, v.usage)
		chosen = append(chosen, v)
	}
	for k := len(chosen) - 1; k >= 0 && len(chosen) > 1; k-- {
		m.add(i, chosen[k].usage)
		if m.shortWithPorts(f, i) == "" {
			chosen = slices.Delete(chosen, k, k+1)
		} else {
			m.remove(i, chosen[k].usage)
		}
	}
	return chosen
}

// findEnding finds what stops with plans in flight: it can't be displaced any
// more.
func (m *maker) findEnding() {
	if m.ending != nil {
		return
	}
	m.ending = maps.Clone(m.promised)
	for _, fl := range m.flights {
		for _, s := range fl.stops {
			m.ending[s.ID] = m.ending[s.ID] || s.DesiredStatus != ""
		}
	}
}

// shortWithPorts is short, with the dynamic ports as well.
func (m *maker) shortWithPorts(f *field, i int32) string {
	if why := f.lacks(i, f.need); why != "" || f.need.ports.Empty() {
		return why
	}
	if _, ok := f.need.ports.Offer(m.nodes[i], &m.caps[i], m.used[i], m.seed); !ok {
		return fit.DimPorts
	}
	return ""
}

// cheapest returns the place of the next victim.
func (m *maker) cheapest(f *field, i int32, may []victim, taken map[change]int) int {
	cost := func(v victim) float64 {
		d := m.distance(f, i, v.usage)
		limit := 1
		if g := v.a.Group(); g != nil && g.Migrate != nil && g.Migrate.MaxParallel != nil {
			limit = *g.Migrate.MaxParallel
		}
		if over := taken[change{v.a.Job, v.a.TaskGroup}] + 1 - limit; over > 0 {
			d += crowdPenalty * float64(over)
		}
		return d
	}
	best := 0
	for k := 1; k < len(may); k++ {
		if c := cmp.Compare(may[k].a.Job.Priority, may[best].a.Job.Priority); c < 0 || c == 0 && cost(may[k]) < cost(may[best]) {
			best = k
		}
	}
	return best
}

// distance is how far a usage is from what the node lacks.
func (m *maker) distance(f *field, i int32, u *fit.Usage) float64 {
	c, used := &m.caps[i], m.used[i]
	sum := 0.0
	for _, x := range [3][2]int64{
		{used.CPU + f.need.cpu(c) - c.CPU, u.CPU},
		{used.MemoryMB + f.need.MemoryMB - c.MemoryMB, u.MemoryMB},
		{used.DiskMB + f.need.DiskMB - c.DiskMB, u.DiskMB},
	} {
		if x[0] > 0 {
			d := float64(x[0]-x[1]) / float64(x[0])
			sum += d * d
		}
	}
	if f.need.ports != nil && !f.need.ports.PortsFree(c, used) && f.need.ports.PortsFree(c, used.Minus(u)) {
		return 0 // it holds the port
	}
	return math.Sqrt(sum)
}

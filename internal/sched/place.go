package sched

import (
	"hash/fnv"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// Placer chooses nodes. It is for one goroutine. It remembers the plans that
// it made until they are in the state, so that two plans in flight never take
// the same room.
type Placer struct {
	fleet   fleet
	scratch scratch
	flights []*flight
}

// flight is a plan on its way into the state.
type flight struct {
	evalID string
	deltas []delta // of what is not in the state yet, in the order of the plan
	landed bool    // index is known
	index  uint64
}

// delta is what one placement takes.
type delta struct {
	allocID string
	node    string
	usage   *fit.Usage
}

// NewPlacer returns a Placer that knows of no plans.
func NewPlacer() *Placer { return &Placer{} }

// Committed notes that the plan of an evaluation is in every state from index
// on. With an index of 0 it never came into the log.
func (p *Placer) Committed(evalID string, index uint64) {
	for _, fl := range p.flights {
		if fl.evalID == evalID && !fl.landed {
			fl.landed, fl.index = true, index
		}
	}
}

// InFlight returns how many plans are not known to be in the state.
func (p *Placer) InFlight() int { return len(p.flights) }

// overlay adds the plans in flight to what a state shows. A plan comes into
// the state part by part and in order, so what is there already is a prefix.
func (p *Placer) overlay(st State) {
	kept := p.flights[:0]
	for _, fl := range p.flights {
		if fl.landed && fl.index <= st.Index() {
			continue
		}
		for len(fl.deltas) > 0 && st.Alloc(fl.deltas[0].allocID) != nil {
			fl.deltas = fl.deltas[1:]
		}
		for _, d := range fl.deltas {
			if i, ok := p.fleet.index[d.node]; ok {
				p.fleet.add(i, d.usage)
			}
		}
		kept = append(kept, fl)
	}
	clear(p.flights[len(kept):])
	p.flights = kept
}

// Place chooses nodes for w on the newest state. now is read to tell how long
// it took; newID makes IDs of allocations and evaluations. The plan counts as
// in flight until Committed.
func (p *Placer) Place(st State, w *Work, now func() time.Time, newID func() string) *api.Plan {
	p.fleet.sync(st)
	p.overlay(st)
	m := &maker{
		fleet: &p.fleet, scratch: &p.scratch, st: st, w: w, now: now, newID: newID, config: st.SchedulerConfig(), seed: seedOf(w.Eval.ID),
		stopping: map[string]bool{}, byAlloc: map[string]*resident{}, failed: map[string]*api.AllocMetric{}, eligible: map[string]bool{}, preempted: map[api.NamespacedID]*api.Job{},
		plan: &api.Plan{
			EvalID: w.Eval.ID, Job: w.Job, InPlace: w.inPlace, Followups: w.followups, Evals: w.evals,
			Deployment: w.deployment, DeploymentUpdates: w.updates,
		},
	}
	m.begin()
	for from := 0; from < len(w.asks); {
		to := from + 1
		for to < len(w.asks) && w.asks[to].job == w.asks[from].job && w.asks[to].group == w.asks[from].group {
			to++
		}
		m.placeGroup(w.asks[from:to])
		from = to
	}
	for _, e := range w.everywhere {
		m.placeEverywhere(e)
	}
	m.finish()
	if len(m.deltas) > 0 {
		p.flights = append(p.flights, &flight{evalID: w.Eval.ID, deltas: m.deltas})
	}
	return m.plan
}

// seedOf makes a number of an evaluation's ID.
func seedOf(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return fit.Mix(h.Sum64())
}

// maker makes one plan.
type maker struct {
	*fleet
	*scratch
	st     State
	w      *Work
	now    func() time.Time
	newID  func() string
	config *api.SchedulerConfiguration
	seed   uint64
	plan   *api.Plan

	residents []*resident          // allocations of the job that run, or will
	byAlloc   map[string]*resident // those that an ask may replace
	stopping  map[string]bool
	deltas    []delta
	failed    map[string]*api.AllocMetric // by group
	eligible  map[string]bool             // by computed class, of groups that failed
	escaped   bool
	preempted map[api.NamespacedID]*api.Job // jobs that lost allocations
	evicted   []*api.Allocation
	list      []scored // scratch
}

// begin takes the work's stops off the nodes.
func (m *maker) begin() {
	for _, s := range m.w.stops {
		m.plan.Stops = append(m.plan.Stops, s)
		a := m.st.Alloc(s.ID)
		if a == nil || a.Terminal() || s.DesiredStatus == "" && s.ClientStatus != api.AllocClientLost {
			continue
		}
		m.stopping[a.ID] = true
		if i, ok := m.index[a.NodeID]; ok {
			m.remove(i, fit.Sum(a.AllocatedResources))
		}
	}
	if len(m.w.asks) == 0 {
		return
	}
	for a := range m.st.AllocsByJob(m.w.Eval.Namespace, m.w.Eval.JobID) {
		if i, ok := m.index[a.NodeID]; ok && !a.Terminal() && !m.stopping[a.ID] {
			r := &resident{node: i, group: a.TaskGroup, alloc: a}
			m.residents, m.byAlloc[a.ID] = append(m.residents, r), r
		}
	}
}

// placeGroup places asks of one group and version.
func (m *maker) placeGroup(asks []*ask) {
	start := m.now()
	job, g := asks[0].job, asks[0].group
	f := m.field(job, g)
	f.spreads, f.affinity = newSpreads(job, g), newAffinities(job, g)
	f.evaluate(m.residents)
	metrics := f.explain.now(f)
	var out *api.PlanGroup
	failures, hopeless := 0, false
	for _, a := range asks {
		freed := m.release(f, a)
		p, taken := m.choose(f, a, hopeless && freed == nil)
		if p == nil {
			m.restore(f, freed)
			hopeless = true
			failures++
			continue
		}
		if out == nil || out.DeploymentID != a.deployment {
			out = m.newGroup(a, f.need.resources, metrics)
		}
		out.Allocs = append(out.Allocs, p)
		m.commit(f, a, p, taken)
		hopeless = hopeless && freed == nil
	}
	took := api.Duration(m.now().Sub(start) / time.Duration(len(asks)))
	metrics.AllocationTime = took
	if failures > 0 {
		m.fail(f, failures, took)
	}
}

// field starts the nodes of a group.
func (m *maker) field(job *api.Job, g *api.TaskGroup) *field {
	check := newChecker(job, g)
	return &field{
		fleet: m.fleet, scratch: m.scratch, check: check, explain: newExplain(check),
		need:    needOf(g, check.ports, m.config.MemoryOversubscriptionEnabled),
		uniform: m.config.SchedulerAlgorithm == api.AlgorithmSpread, seed: m.seed,
	}
}

func (m *maker) newGroup(a *ask, resources *api.AllocatedResources, metrics *api.AllocMetric) *api.PlanGroup {
	g := &api.PlanGroup{TaskGroup: a.group.Name, DeploymentID: a.deployment, Resources: resources, Metrics: metrics}
	if a.job != m.w.Job {
		g.Job = a.job
	}
	m.plan.Placements = append(m.plan.Placements, g)
	return g
}

// release takes what an ask replaces off its node, and returns it.
func (m *maker) release(f *field, a *ask) *resident {
	if a.stop == nil || m.byAlloc[a.stop.ID] == nil {
		return nil
	}
	r := m.byAlloc[a.stop.ID]
	r.gone = true
	r.usage = fit.Sum(r.alloc.AllocatedResources)
	m.remove(r.node, r.usage)
	f.change(r, -1)
	return r
}

// restore undoes release.
func (m *maker) restore(f *field, r *resident) {
	if r != nil {
		r.gone = false
		m.add(r.node, r.usage)
		f.change(r, 1)
	}
}

// change notes by more allocations like r and brings the queues up to date.
func (f *field) change(r *resident, by int) {
	f.count(r, by)
	if f.spreads != nil {
		f.spreads.settle()
	}
	if by < 0 && len(f.check.properties) > 0 { // any node may have become free
		for i := range f.nodes {
			if f.feasible[i] {
				f.enter(int32(i), true)
			}
		}
		return
	}
	if f.feasible[r.node] {
		f.enter(r.node, true)
	}
}

// choose finds a node for an ask. It returns nil when there is none; with
// hopeless it does not try to displace others.
func (m *maker) choose(f *field, a *ask, hopeless bool) (*api.Placement, *fit.Usage) {
	if p, taken := m.stay(f, a); p != nil {
		return p, taken
	}
	for {
		m.list = f.rank(a, m.list[:0])
		if len(m.list) == 0 {
			if hopeless || !m.mayPreempt() {
				return nil, nil
			}
			return m.displace(f, a)
		}
		i := m.list[0].node
		why := ""
		if len(f.check.properties) > 0 {
			why = f.clash(i)
		}
		if why == "" {
			p := m.placement(a, i)
			if taken, ok := f.need.grant(p, m.nodes[i], &m.caps[i], m.used[i], m.portSeed()); ok {
				p.Scores = f.meta(m.list)
				return p, taken
			}
			why = fit.DimPorts
		}
		f.leave(i)
		f.short[i] = why
	}
}

// stay tries the node of the predecessor first when its disk is to be kept.
func (m *maker) stay(f *field, a *ask) (*api.Placement, *fit.Usage) {
	if a.previous == nil || a.group.EphemeralDisk == nil || !a.group.EphemeralDisk.Sticky {
		return nil, nil
	}
	i, ok := m.index[a.previous.NodeID]
	if !ok || !f.feasible[i] {
		return nil, nil
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

func (m *maker) placement(a *ask, i int32) *api.Placement {
	p := &api.Placement{
		ID: m.newID(), Index: a.index, NodeID: m.nodes[i].ID, NodeName: m.nodes[i].Name,
		Tracker: a.tracker, Canary: a.canary,
	}
	if a.previous != nil {
		p.Previous = a.previous.ID
	}
	return p
}

// portSeed differs from placement to placement.
func (m *maker) portSeed() uint64 { return fit.Mix(m.seed + uint64(len(m.deltas))) }

// commit enters a placement.
func (m *maker) commit(f *field, a *ask, p *api.Placement, taken *fit.Usage) {
	if a.stop != nil {
		m.plan.Stops = append(m.plan.Stops, a.stop)
		m.stopping[a.stop.ID] = true
	}
	i := m.index[p.NodeID]
	m.add(i, taken)
	m.deltas = append(m.deltas, delta{p.ID, p.NodeID, taken})
	r := &resident{node: i, group: a.group.Name}
	m.residents = append(m.residents, r)
	f.change(r, 1)
}

// fail notes allocations of a group that found no node.
func (m *maker) fail(f *field, n int, took api.Duration) {
	metric := f.explain.now(f)
	metric.AllocationTime = took
	metric.CoalescedFailures = n - 1
	name := f.check.group.Name
	if old := m.failed[name]; old != nil {
		metric.CoalescedFailures += old.CoalescedFailures + 1
	}
	m.failed[name] = metric
	m.escaped = m.escaped || f.explain.escaped
	for class, ok := range f.explain.eligible {
		m.eligible[class] = m.eligible[class] || ok
	}
}

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
	fleet    fleet
	scratch  scratch
	flights  []*flight
	promised map[string]bool // allocations that end for plans in flight
}

// flight is a plan on its way into the state.
type flight struct {
	evalID    string
	namespace string
	deltas    []delta // of what is not in the state yet, in the order of the plan
	stops     []*api.PlanStop
	landed    bool // index is known
	index     uint64
}

// delta is what one placement takes on its node, beyond what those hold that
// end for it.
type delta struct {
	allocID string
	node    string
	demand  *fit.Usage
	endsFor []*api.Allocation
	charge  api.Charge // of its quota
}

// now returns what a delta adds to its node's usage as long as those who end
// for it hold what they have in st.
func (d *delta) now(st State) *fit.Usage {
	if len(d.endsFor) == 0 {
		return d.demand
	}
	held := &fit.Usage{}
	for _, a := range d.endsFor {
		if a := st.Alloc(a.ID); a != nil && !a.ClientTerminal() {
			held = held.With(a.AllocatedResources)
		}
	}
	return d.demand.Beyond(held)
}

// NewPlacer returns a Placer that knows of no plans.
func NewPlacer() *Placer { return &Placer{promised: map[string]bool{}} }

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
	clear(p.promised)
	for _, fl := range p.flights {
		if fl.landed && fl.index <= st.Index() {
			continue
		}
		for len(fl.deltas) > 0 && st.Alloc(fl.deltas[0].allocID) != nil {
			fl.deltas = fl.deltas[1:]
		}
		for k := range fl.deltas {
			d := &fl.deltas[k]
			if i, ok := p.fleet.index[d.node]; ok {
				p.fleet.add(i, d.now(st))
			}
			for _, a := range d.endsFor {
				p.promised[a.ID] = true
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
		promised: p.promised, flights: p.flights, stopping: map[string]bool{}, byAlloc: map[string]*resident{}, failed: map[string]*api.AllocMetric{}, eligible: map[string]bool{}, preempted: map[api.NamespacedID]*api.Job{},
		plan: &api.Plan{
			EvalID: w.Eval.ID, Job: w.Job, InPlace: w.inPlace, Followups: w.followups, Evals: w.evals,
			Deployment: w.deployment, DeploymentUpdates: w.updates,
		},
	}
	m.quota = p.allowanceOf(st, w.Eval.Namespace)
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
	if len(m.deltas)+len(m.plan.Stops) > 0 {
		p.flights = append(p.flights, &flight{evalID: w.Eval.ID, namespace: w.Eval.Namespace, deltas: m.deltas, stops: m.plan.Stops})
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
	config *api.SchedulerConfiguration // the region's
	seed   uint64
	plan   *api.Plan

	residents  []*resident          // allocations of the job that run, or will
	byAlloc    map[string]*resident // those that an ask may replace
	stopping   map[string]bool
	promised   map[string]bool // end for plans in flight
	flights    []*flight
	ending     map[string]bool // stop with plans in flight; made when somebody is to be displaced
	deltas     []delta
	failed     map[string]*api.AllocMetric // by group
	nodeless   bool                        // some allocation failed for want of a node
	quota      *allowance
	overQuotas bool            // some allocation failed for want of quota
	eligible   map[string]bool // by computed class, of groups that failed
	escaped    bool
	preempted  map[api.NamespacedID]*api.Job // jobs that lost allocations
	evicted    []*api.Allocation
	list       []scored // scratch
}

// begin notes the work's stops. They leave no room: what is told to stop holds
// what it has until its node has reported its end.
func (m *maker) begin() {
	for _, s := range m.w.stops {
		m.plan.Stops = append(m.plan.Stops, s)
		if s.DesiredStatus != "" || s.ClientStatus == api.AllocClientLost {
			m.stopped(s.ID)
			m.stopping[s.ID] = true
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
	var miss failure
	hopeless := false
	for _, a := range asks {
		if why := m.overQuota(f, a); why != nil {
			miss.quota(why)
			continue
		}
		freed := m.release(f, a)
		got := m.choose(f, a, hopeless && freed == nil)
		if got == nil {
			m.restore(f, freed)
			hopeless = true
			miss.nodes++
			continue
		}
		if out == nil || out.DeploymentID != a.deployment {
			out = m.newGroup(a, f.need.resources, metrics)
		}
		out.Allocs = append(out.Allocs, got.Placement)
		m.commit(f, a, got, freed)
		hopeless = hopeless && freed == nil
	}
	took := api.Duration(m.now().Sub(start) / time.Duration(len(asks)))
	metrics.AllocationTime = took
	m.fail(f, &miss, took)
}

// field starts the nodes of a group.
func (m *maker) field(job *api.Job, g *api.TaskGroup) *field {
	check := newChecker(job, g)
	config := m.st.NodePool(job.NodePool).In(m.config)
	return &field{
		fleet: m.fleet, scratch: m.scratch, check: check, explain: newExplain(check),
		need:    needOf(g, check.ports, config.MemoryOversubscriptionEnabled),
		uniform: config.SchedulerAlgorithm == api.AlgorithmSpread, seed: m.seed,
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

// found is a node for an ask.
type found struct {
	*api.Placement
	node    int32
	demand  *fit.Usage
	endsFor []*api.Allocation // on this node: they end before it starts
	charge  api.Charge
}

// freed is what an ask's predecessor holds on its node. While the ask looks for
// a node it is free there: a replacement waits on the same node for the end of
// its predecessor.
type freed struct {
	a        *api.Allocation
	node     int32
	usage    *fit.Usage
	resident *resident // nil when the predecessor was stopped before
}

// release frees what an ask's predecessor holds, nil when it holds nothing or
// what it holds is promised to another.
func (m *maker) release(f *field, a *ask) *freed {
	r := m.freedBy(a)
	if r == nil {
		return nil
	}
	m.remove(r.node, r.usage)
	if r.resident != nil {
		r.resident.gone = true
		f.change(r.resident, -1)
	} else if f.feasible[r.node] {
		f.enter(r.node, true)
	}
	return r
}

func (m *maker) freedBy(a *ask) *freed {
	old := a.previous
	if old == nil || old.ClientTerminal() || old.PreemptedByAllocation != "" || old.NextAllocation != "" || m.promised[old.ID] {
		return nil
	}
	i, ok := m.index[old.NodeID]
	if !ok || a.stop == nil && !m.stopping[old.ID] && !old.ServerTerminal() {
		return nil
	}
	r := &freed{a: old, node: i, usage: fit.Sum(old.AllocatedResources)}
	if a.stop != nil {
		r.resident = m.byAlloc[a.stop.ID]
	}
	return r
}

// restore undoes release.
func (m *maker) restore(f *field, r *freed) {
	if r == nil {
		return
	}
	m.add(r.node, r.usage)
	if r.resident != nil {
		r.resident.gone = false
		f.change(r.resident, 1)
	} else if f.feasible[r.node] {
		f.enter(r.node, true)
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
func (m *maker) choose(f *field, a *ask, hopeless bool) *found {
	if got := m.stay(f, a); got != nil {
		return got
	}
	for {
		m.list = f.rank(a, m.list[:0])
		if len(m.list) == 0 {
			if hopeless || !m.mayPreempt() {
				return nil
			}
			return m.displace(f, a)
		}
		i := m.list[0].node
		why := m.besideItself(a, i)
		if why == "" && len(f.check.properties) > 0 {
			why = f.clash(i)
		}
		if why == "" {
			if got := m.grant(f, a, i); got != nil {
				got.Scores = f.meta(m.list)
				return got
			}
			why = fit.DimPorts
		}
		f.leave(i)
		f.short[i] = why
		a.refused = append(a.refused, i)
	}
}

// goesOn is why an ask can't have the node of its predecessor.
const goesOn = "predecessor still runs"

// besideItself returns goesOn for the node of a predecessor that nobody stops,
// which came back after it was out of touch, and "" for other nodes.
func (m *maker) besideItself(a *ask, i int32) string {
	old := a.previous
	if old == nil || old.Terminal() || a.stop != nil || m.stopping[old.ID] || old.NodeID != m.nodes[i].ID {
		return ""
	}
	return goesOn
}

// grant places an ask on a node that has room. It returns nil when the node's
// ports are used up.
func (m *maker) grant(f *field, a *ask, i int32) *found {
	p := m.placement(a, i)
	taken, ok := f.need.grant(p, m.nodes[i], &m.caps[i], m.used[i], m.portSeed())
	if !ok {
		return nil
	}
	return &found{Placement: p, node: i, demand: taken, charge: f.need.charge()}
}

// stay tries the node of the predecessor first when its disk is to be kept.
func (m *maker) stay(f *field, a *ask) *found {
	if a.previous == nil || a.group.EphemeralDisk == nil || !a.group.EphemeralDisk.Sticky {
		return nil
	}
	i, ok := m.index[a.previous.NodeID]
	if !ok || !f.feasible[i] || m.besideItself(a, i) != "" {
		return nil
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
func (m *maker) commit(f *field, a *ask, got *found, r *freed) {
	m.enter(a, got, r)
	if r != nil && r.node != got.node && f.feasible[r.node] {
		f.enter(r.node, true)
	}
	n := &resident{node: got.node, group: a.group.Name}
	m.residents = append(m.residents, n)
	f.change(n, 1)
}

// enter notes what a placement takes, and gives back what was freed for it.
func (m *maker) enter(a *ask, got *found, r *freed) {
	if a.stop != nil {
		m.plan.Stops = append(m.plan.Stops, a.stop)
		m.stopped(a.stop.ID)
		m.stopping[a.stop.ID] = true
	}
	if r != nil {
		m.add(r.node, r.usage)
		if r.node == got.node {
			got.endsFor = append(got.endsFor, r.a)
		}
	}
	held := &fit.Usage{}
	for _, old := range got.endsFor {
		held = held.With(old.AllocatedResources)
	}
	m.add(got.node, got.demand.Beyond(held))
	m.deltas = append(m.deltas, delta{got.ID, got.NodeID, got.demand, got.endsFor, got.charge})
	m.quota.take(got.charge)
}

// failure is what became of the allocations of a group that were not placed.
type failure struct {
	nodes  int // for want of a node
	beyond int // for want of quota
	why    []string
}

// quota notes an allocation that its quota has no room for.
func (x *failure) quota(why []string) { x.beyond, x.why = x.beyond+1, why }

// fail notes allocations of a group that were not placed, if there are any.
func (m *maker) fail(f *field, miss *failure, took api.Duration) {
	n := miss.nodes + miss.beyond
	if n == 0 {
		return
	}
	metric := f.explain.now(f)
	metric.AllocationTime = took
	metric.CoalescedFailures = n - 1
	metric.QuotaExhausted = miss.why
	name := f.check.group.Name
	if old := m.failed[name]; old != nil {
		metric.CoalescedFailures += old.CoalescedFailures + 1
	}
	m.failed[name] = metric
	m.overQuotas = m.overQuotas || miss.beyond > 0
	if miss.nodes == 0 {
		return // other nodes would not help
	}
	m.nodeless = true
	m.escaped = m.escaped || f.explain.escaped
	for class, ok := range f.explain.eligible {
		m.eligible[class] = m.eligible[class] || ok
	}
}

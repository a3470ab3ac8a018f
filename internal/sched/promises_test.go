package sched_test

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// plan decides an evaluation and checks the plan against the state on which it
// was made.
func (h *history) plan(e *api.Evaluation) *api.Plan {
	if h.fault.amnesia {
		h.placer = sched.NewPlacer()
	}
	ids, again := h.ids, h.placer.InFlight() == 0 && h.repeat
	h.alone[e.ID] = h.placer.InFlight() == 0 || h.fault.amnesia
	p := h.decide(e)
	if h.fault.twist != nil {
		h.fault.twist(h, p)
	}
	if again {
		after := h.ids
		h.ids = ids
		if h.fault.whim {
			e.ID = h.id()
		}
		st := h.state()
		second := sched.Plan(st, e, h.now, h.id)
		h.ids = after
		if h.fault.twist == nil && !reflect.DeepEqual(p, second) {
			h.t.Fatalf("job %s: the same question, another answer", e.JobID)
		}
	}
	h.note("%s: %d placed, stops %v, queued %v, in flight %d", e.JobID, len(placed(p)), shown(p.Stops), p.Eval.QueuedAllocations, h.placer.InFlight())
	h.disturbs(p, e)
	return p
}

// commitChecked applies a plan and looks at what it did. A further evaluation
// finds nothing to do.
func (h *history) commitChecked(e *api.Evaluation, p *api.Plan) {
	h.commit(p)
	h.suits(e, p)
	h.spreads(e, p)
	evicts := slices.ContainsFunc(p.Stops, func(s *api.PlanStop) bool { return s.PreemptedBy != "" })
	if !h.alone[e.ID] || evicts || len(p.Stops) > 0 && everywhere(kinds[e.JobID]) { // what a user stops there comes back with the next evaluation
		return
	}
	h.complete(e, p)
	again := h.eval(&api.Job{Namespace: "default", ID: e.JobID, Type: e.Type, Priority: e.Priority}, api.EvalTriggerNodeUpdate)
	second := h.decide(again)
	h.placer.Committed(again.ID, 0)
	if n := len(placed(second)); n+len(second.Stops)+len(second.InPlace) > 0 || second.Deployment != nil || len(second.Followups) > 0 {
		h.t.Fatalf("job %s: evaluated twice, it finds more to do: %d placements, stops %v, in place %v", e.JobID, n, shown(second.Stops), second.InPlace)
	}
}

func everywhere(kind string) bool { return kind == "system" || kind == "sysbatch" }

func shown(stops []*api.PlanStop) (out []string) {
	for _, s := range stops {
		out = append(out, fmt.Sprint(*s))
	}
	return out
}

// check lets nodes start what they may start, and looks at what runs.
func (h *history) check() {
	s := h.snap()
	var waiting []*api.Allocation
	at := make(map[string]*load, len(h.nodes))
	for _, id := range h.nodes {
		at[id] = &load{}
	}
	names, seconds := map[string]string{}, map[[3]string]string{}
	for a := range s.Allocs() {
		if !a.Terminal() {
			h.once(a, names, seconds)
		}
		switch {
		case a.ClientTerminal():
			if !h.fault.endsEarly {
				delete(h.runs, a.ID)
			}
		case h.runs[a.ID] == nil:
			waiting = append(waiting, a)
		}
	}
	for started := true; started; {
		started = false
		waiting = slices.DeleteFunc(waiting, func(a *api.Allocation) bool {
			if h.waits(a) && !h.fault.noWait {
				return false
			}
			h.runs[a.ID], started = a, true
			return true
		})
	}
	for id, a := range h.runs {
		at[a.NodeID].add(h.load(id))
	}
	for n, counted := range s.NodesUsage() {
		if why := at[n.ID].over(n); why != "" {
			h.t.Fatalf("node %s runs too much %s", n.Name, why)
		}
		c := fit.CapacityOf(n)
		if why := c.Short(counted); why != "" {
			h.t.Fatalf("node %s counts too much %s", n.Name, why)
		}
		if twice(counted.Ports) || twice(counted.Cores) {
			h.t.Fatalf("node %s counts a port or core twice: %v %v", n.Name, counted.Ports, counted.Cores)
		}
	}
}

func twice(list []uint16) bool {
	for i := range list {
		if i > 0 && list[i-1] == list[i] {
			return true
		}
	}
	return false
}

// once finds what runs twice.
func (h *history) once(a *api.Allocation, names map[string]string, seconds map[[3]string]string) {
	if a.DeploymentStatus.IsCanary() || a.ClientStatus == api.AllocClientUnknown || len(a.AllocStates) > 0 {
		return
	}
	switch kinds[a.JobID] {
	case "system", "sysbatch":
		key := [3]string{a.JobID, a.TaskGroup, a.NodeID}
		if seconds[key] != "" {
			h.t.Fatalf("node %s runs %s twice", a.NodeName, a.Name)
		}
		seconds[key] = a.ID
	default:
		if names[a.Name] != "" {
			h.t.Fatalf("%s runs twice: %s and %s", a.Name, names[a.Name], a.ID)
		}
		names[a.Name] = a.ID
	}
}

func (h *history) load(id string) *load {
	l := h.loads[id]
	if l == nil {
		got, _ := loadOf(h.snap().Alloc(id))
		l = &got
		h.loads[id] = l
	}
	return l
}

// waits reports whether an allocation waits on its node for the end of others.
func (h *history) waits(a *api.Allocation) bool {
	for _, id := range append(slices.Clip(a.PreemptedAllocations), a.PreviousAllocation) {
		if id == "" {
			continue
		}
		if old := h.snap().Alloc(id); old != nil && old.NodeID == a.NodeID && !old.ClientTerminal() {
			return true
		}
	}
	return false
}

// counted returns what allocations hold on each node by the state's own rows.
func (h *history) counted() map[string]*load {
	at := map[string]*load{}
	for _, id := range h.nodes {
		at[id] = &load{}
	}
	for a := range h.snap().Allocs() {
		if !a.ClientTerminal() {
			at[a.NodeID].add(h.load(a.ID))
		}
	}
	return at
}

// suits checks that what was placed may run where it is.
func (h *history) suits(e *api.Evaluation, p *api.Plan) {
	s := h.snap()
	all := placed(p)
	h.placed += len(all)
	if len(all) == 0 {
		return
	}
	type place struct{ group, node string }
	hosts, racks := map[place]int{}, map[place]int{}
	for a := range s.AllocsByJob("default", e.JobID) {
		if !a.Terminal() {
			n := s.Node(a.NodeID)
			for _, g := range []string{a.TaskGroup, ""} {
				hosts[place{g, n.ID}]++
				racks[place{g, n.Meta["rack"]}]++
			}
		}
	}
	for _, x := range all {
		a := s.Alloc(x.ID)
		n, g := s.Node(a.NodeID), a.Group()
		if !mayRun(a.Job, g, n) {
			h.t.Fatalf("%s is placed on a node that does not suit: %s", a.Name, n.Name)
		}
		for in, list := range map[string][]*api.Constraint{a.TaskGroup: g.Constraints, "": a.Job.Constraints} {
			for _, k := range list {
				switch {
				case a.Job.Version != s.Job("default", e.JobID).Version: // what comes beside it may have other constraints
				case k.Operand == api.OperandDistinctHosts && hosts[place{in, n.ID}] > 1:
					h.t.Fatalf("%s shares %s with others although hosts are distinct", a.Name, n.Name)
				case k.Operand == api.OperandDistinctProperty && (n.Meta["rack"] == "" || fmt.Sprint(racks[place{in, n.Meta["rack"]}]) > k.RTarget):
					h.t.Fatalf("%s is one of %d in rack %q, of which there may be %s", a.Name, racks[place{in, n.Meta["rack"]}], n.Meta["rack"], k.RTarget)
				}
			}
		}
		var most, may int64
		if _, most = loadOf(a); s.SchedulerConfig().MemoryOversubscriptionEnabled {
			may = int64(g.Tasks[0].Resources.MemoryMaxMB)
		}
		if most != may {
			h.t.Fatalf("%s gets memory_max %d, not %d", a.Name, most, may)
		}
		h.displaces(a)
	}
}

// displaces checks what an allocation displaced.
func (h *history) displaces(a *api.Allocation) {
	c := h.snap().SchedulerConfig().PreemptionConfig
	may := map[string]bool{"service": c.ServiceSchedulerEnabled, "batch": c.BatchSchedulerEnabled, "system": c.SystemSchedulerEnabled, "sysbatch": c.SysBatchSchedulerEnabled}
	for _, id := range a.PreemptedAllocations {
		v := h.snap().Alloc(id)
		switch {
		case !may[a.Job.Type]:
			h.t.Fatalf("%s displaces %s, which a %s job may not", a.Name, v.Name, a.Job.Type)
		case v.Job.Priority > h.snap().Job("default", a.JobID).Priority-10:
			h.t.Fatalf("%s of priority %d displaces %s of %d", a.Name, a.Job.Priority, v.Name, v.Job.Priority)
		case v.DesiredStatus != api.AllocDesiredEvict || v.PreemptedByAllocation != a.ID || v.NodeID != a.NodeID:
			h.t.Fatalf("%s displaces %s, which is %s by %q on %s", a.Name, v.Name, v.DesiredStatus, v.PreemptedByAllocation, v.NodeName)
		}
	}
}

// disturbs checks that a plan stops nothing without a reason.
func (h *history) disturbs(p *api.Plan, e *api.Evaluation) {
	s := h.snap()
	j := s.Job("default", e.JobID)
	if j.Stopped() {
		return
	}
	surplus, needless := map[string]int{}, map[string]*api.Allocation{}
	counted := false
	for _, x := range p.Stops {
		a := s.Alloc(x.ID)
		g := j.Group(a.TaskGroup)
		n := s.Node(a.NodeID)
		switch {
		case x.PreemptedBy != "" || x.DesiredStatus == "" || a.JobID != e.JobID || a.Terminal() || g == nil:
			continue
		case n.Status != api.NodeReady || a.DesiredTransition.ShouldMigrate() || a.DesiredTransition.ShouldReschedule():
			continue
		case a.DeploymentStatus.IsCanary() || a.ClientStatus == api.AllocClientUnknown || len(a.AllocStates) > 0:
			continue
		case shape(a.Job, a.Group()) != shape(j, g):
			continue
		}
		if !counted {
			counted = true
			for a := range s.AllocsByJob("default", e.JobID) {
				if !a.Terminal() || a.ClientStatus == api.AllocClientComplete {
					surplus[a.TaskGroup]++
				}
			}
			for _, g := range j.TaskGroups {
				surplus[g.Name] -= *g.Count
			}
		}
		surplus[a.TaskGroup]--
		needless[a.TaskGroup] = a
	}
	for name, a := range needless {
		if surplus[name] < 0 && !everywhere(kinds[e.JobID]) {
			h.t.Fatalf("%s is stopped although nothing about it changed", a.Name)
		}
	}
}

// complete checks that what waits for room finds none, and that nothing is
// missing that does not wait.
func (h *history) complete(e *api.Evaluation, p *api.Plan) {
	s := h.snap()
	j := s.Job("default", e.JobID)
	if j.Stopped() {
		return
	}
	var at map[string]*load
	for _, g := range j.TaskGroups {
		queued, metric := p.Eval.QueuedAllocations[g.Name], p.Eval.FailedTGAllocs[g.Name]
		if queued > 0 != (metric != nil) || metric != nil && metric.CoalescedFailures+1 != queued {
			h.t.Fatalf("%s.%s: %d wait for room, explained: %+v", e.JobID, g.Name, queued, metric)
		}
		if metric != nil && metric.NodesFiltered+metric.NodesExhausted > metric.NodesEvaluated {
			h.t.Fatalf("%s.%s: more nodes have a reason than were looked at: %+v", e.JobID, g.Name, metric)
		}
		if queued == 0 || distinct(j, g) || g.Update != nil && g.Update.Canary != nil && *g.Update.Canary > 0 { // an earlier version may wait

			continue
		}
		if at == nil {
			at = h.counted()
		}
		has := map[string]bool{}
		for a := range s.AllocsByJob("default", e.JobID) {
			if a.TaskGroup == g.Name && (!a.Terminal() || kinds[e.JobID] == "sysbatch" || !a.ClientTerminal()) {
				has[a.NodeID] = true
			}
		}
		each := everywhere(kinds[e.JobID])
		for n := range s.Nodes() {
			if mayRun(j, g, n) && at[n.ID].fitsOn(n, g) && !(each && has[n.ID]) {
				if each || !h.returned(e.JobID, n.ID) {
					h.t.Fatalf("%s.%s: %d wait for room, which node %s has", e.JobID, g.Name, queued, n.Name)
				}
			}
		}
	}
}

// returned reports whether an allocation of a job on a node was out of touch.
func (h *history) returned(id, node string) bool {
	for a := range h.snap().AllocsByJob("default", id) {
		if a.NodeID == node && len(a.AllocStates) > 0 {
			return true
		}
	}
	return false
}

func distinct(j *api.Job, g *api.TaskGroup) bool {
	return slices.ContainsFunc(slices.Concat(j.Constraints, g.Constraints), func(k *api.Constraint) bool {
		return strings.HasPrefix(k.Operand, "distinct")
	})
}

// spreads checks the distribution of a job that was placed at once, where
// nothing but the spread decides: all values have room for all of them.
func (h *history) spreads(e *api.Evaluation, p *api.Plan) {
	s := h.snap()
	j := s.Job("default", e.JobID)
	for _, pg := range p.Placements {
		g := j.Group(pg.TaskGroup)
		if j.Stopped() || g == nil || len(g.Spreads) == 0 || distinct(j, g) || len(pg.Allocs) != *g.Count || len(g.Affinities) > 0 {
			continue
		}
		racks, room := map[string]int{}, map[string]bool{}
		at := h.counted()
		for n := range s.Nodes() {
			if r := n.Meta["rack"]; mayRun(j, g, n) && r != "" {
				racks[r] += 0
				room[r] = room[r] || at[n.ID].fitsOn(n, g)
			}
		}
		simple := true
		for a := range s.AllocsByJob("default", e.JobID) {
			if a.TaskGroup == g.Name {
				racks[s.Node(a.NodeID).Meta["rack"]]++
				simple = simple && !a.Terminal() && a.PreviousAllocation == ""
			}
		}
		for r := range racks {
			simple = simple && room[r]
		}
		if !simple || len(racks) < 2 {
			continue
		}
		want := func(string) float64 { return float64(*g.Count) / float64(len(racks)) }
		if targets := g.Spreads[0].SpreadTarget; len(targets) > 0 {
			wanted := map[string]float64{}
			for _, t := range targets {
				if _, ok := racks[t.Value]; !ok {
					simple = false
				}
				wanted[t.Value] = float64(t.Percent) * float64(*g.Count) / 100
			}
			want = func(r string) float64 { return wanted[r] }
		}
		for _, r := range slices.Sorted(maps.Keys(racks)) {
			if off := math.Abs(float64(racks[r]) - want(r)); simple && off > 1 {
				h.t.Fatalf("%s.%s: rack %s has %d of %d, %.1f are wanted: %v", e.JobID, g.Name, r, racks[r], *g.Count, want(r), racks)
			}
		}
	}
}

// satisfied checks that a job has what it wants, or waits with a reason.
func (h *history) satisfied(id string) {
	j := h.jobs[id]
	live := h.live(id)
	if j == nil {
		if len(live) > 0 {
			h.t.Fatalf("job %s is stopped, %d run", id, len(live))
		}
		return
	}
	p := h.again(j)
	version := h.snap().Job("default", id).Version
	each := everywhere(j.Type)
	for _, g := range j.TaskGroups {
		run, done := 0, map[string]bool{}
		for _, a := range live {
			if a.TaskGroup == g.Name && !a.DeploymentStatus.IsCanary() {
				run++
			}
		}
		for a := range h.snap().AllocsByJob("default", id) {
			ended := a.ClientStatus == api.AllocClientComplete && !a.DesiredTransition.ShouldMigrate() || a.ClientStatus == api.AllocClientFailed || a.DesiredTransition.ShouldReschedule()
			if a.TaskGroup == g.Name && j.Type == "batch" && a.Terminal() && ended && a.NextAllocation == "" && a.Job.Version == version {
				done[a.Name] = true // it succeeded, or its attempts are used up
			}
		}
		queued, want := p.Eval.QueuedAllocations[g.Name], *g.Count
		if d := h.snap().LatestDeployment("default", id); d != nil && d.Active() && d.TaskGroups[g.Name] != nil && d.TaskGroups[g.Name].DesiredCanaries > 0 && !d.TaskGroups[g.Name].Promoted {
			continue // canaries wait for room, and the others for them
		}
		if !each && (run > want || run+min(len(done), want)+queued < want) {
			h.t.Fatalf("%s.%s: %d run, %d are done, %d wait, %d are wanted", id, g.Name, run, len(done), queued, want)
		}
		if each {
			h.onEveryNode(j, g, queued)
		}
	}
	if j.Type != "service" || len(p.Eval.FailedTGAllocs) > 0 {
		return
	}
	for _, a := range live {
		if a.Job.Version != version {
			h.t.Fatalf("%s still runs version %d of %d", a.Name, a.Job.Version, version)
		}
	}
}

// onEveryNode checks that a system job misses no node that suits.
func (h *history) onEveryNode(j *api.Job, g *api.TaskGroup, queued int) {
	has := map[string]bool{}
	for a := range h.snap().AllocsByJob("default", j.ID) {
		if a.TaskGroup == g.Name && (!a.Terminal() || j.Type == "sysbatch" || a.DesiredTransition.ShouldMigrate()) {
			has[a.NodeID] = true
		}
	}
	missing := 0
	for n := range h.snap().Nodes() {
		if mayRun(j, g, n) && !has[n.ID] {
			missing++
		}
	}
	if missing > queued {
		h.t.Fatalf("%s.%s misses %d nodes, %d wait", j.ID, g.Name, missing, queued)
	}
}

// state is what the scheduler sees.
func (w *world) state() sched.State {
	if w.view != nil {
		return w.view(w.snap())
	}
	return w.snap()
}

// try applies a command that may be refused.
func (w *world) try(cmd store.Command) { _, _ = w.propose(cmd) }

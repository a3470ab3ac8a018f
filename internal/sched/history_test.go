package sched_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"pgregory.net/rapid"
)

// A history is what happens to a cluster: jobs come, change and go, nodes fail
// and return, allocations fail, end, move and become well, in any order, and
// several evaluations are decided before the first of their plans is in the
// state. promises_test.go says what holds all the time.
type history struct {
	*world
	fault  *fault
	nodes  []string // IDs
	jobs   map[string]*api.Job
	loads  map[string]*load           // of allocations, by ID
	runs   map[string]*api.Allocation // what takes room on its node, by ID
	repeat bool                       // decide everything twice
	placed int
	alone  map[string]bool      // evaluations that were decided with no plan in flight
	note   func(string, ...any) // tells the story of a history that fails
}

// kinds are the jobs of a history.
var kinds = map[string]string{"s1": "service", "s2": "service", "b1": "batch", "y1": "system", "z1": "sysbatch"}

var jobIDs = slices.Sorted(maps.Keys(kinds))

// size bounds a history.
type size struct{ minNodes, maxNodes, minEvents, maxEvents int }

var (
	small = size{1, 4, 10, 40} // full most of the time, quickly understood when it fails
	large = size{20, 200, 10, 14}
)

// play plays a history and returns it. What is wrong ends it.
func play(t *rapid.T, on tb, sz size, f *fault) *history {
	h := &history{
		world: newWorld(on), fault: f, jobs: map[string]*api.Job{}, loads: map[string]*load{}, runs: map[string]*api.Allocation{}, alone: map[string]bool{},
		repeat: oneIn(t, 8, "decide twice"), note: t.Logf,
	}
	h.direct = true
	if f.view != nil {
		h.view = f.view
	}
	cfg := *h.snap().SchedulerConfig()
	on3 := func(label string) bool { return oneIn(t, 3, label) }
	cfg.MemoryOversubscriptionEnabled = on3("oversubscription")
	if on3("spread algorithm") {
		cfg.SchedulerAlgorithm = api.AlgorithmSpread
	}
	preempt := rapid.Bool().Draw(t, "preemption")
	cfg.PreemptionConfig = api.PreemptionConfig{SystemSchedulerEnabled: preempt, SysBatchSchedulerEnabled: on3("sysbatch preempts"), ServiceSchedulerEnabled: on3("service preempts"), BatchSchedulerEnabled: on3("batch preempts")}
	h.apply(&store.SetSchedulerConfig{Config: &cfg})
	h.apply(&store.UpsertNodePools{Pools: []*api.NodePool{{Name: "other"}}})
	var nodeKinds []func(*api.Node)
	for range rapid.IntRange(1, 3).Draw(t, "kinds") {
		nodeKinds = append(nodeKinds, drawKind(t))
	}
	for range rapid.IntRange(sz.minNodes, sz.maxNodes).Draw(t, "nodes") {
		h.newNode(t, nodeKinds)
	}
	for k := range rapid.IntRange(sz.minEvents, sz.maxEvents).Draw(t, "events") {
		if k == 0 {
			h.register(t)
		} else {
			h.event(t, nodeKinds)
		}
		h.check()
	}
	return h
}

func (h *history) newNode(t *rapid.T, nodeKinds []func(*api.Node)) {
	n := h.node(sampled(t, "kind", nodeKinds...), func(n *api.Node) {
		if r := rapid.IntRange(0, 4).Draw(t, "rack"); r < 4 {
			n.Meta = map[string]string{"rack": fmt.Sprint("r", r)}
		}
		n.Attributes = maps.Clone(n.Attributes)
		n.Attributes["unique.number"] = fmt.Sprint(len(h.nodes))
	})
	h.nodes = append(h.nodes, n.ID)
}

// event lets one thing happen and evaluates what it concerns.
func (h *history) event(t *rapid.T, nodeKinds []func(*api.Node)) {
	switch rapid.IntRange(0, 15).Draw(t, "event") {
	case 0, 1, 2:
		h.register(t)
	case 3:
		h.resize(t)
	case 4:
		h.stopJob(t)
	case 5, 6:
		h.changeNodes(t)
	case 7:
		h.newNode(t, nodeKinds)
		h.evaluate(t, jobIDs)
	case 8:
		h.some(t, h.running, func(a *api.Allocation) {
			h.over("failed", a)
			if rapid.Bool().Draw(t, "retry") {
				transition(h.world, a, api.DesiredTransition{Reschedule: ptr(true)})
			}
		})
	case 9:
		h.some(t, h.running, func(a *api.Allocation) { h.over("complete", a) })
	case 10:
		h.some(t, func(a *api.Allocation) bool { return !a.Terminal() && h.reachable(a) }, func(a *api.Allocation) {
			transition(h.world, a, api.DesiredTransition{Migrate: ptr(true), Reschedule: ptr(rapid.Bool().Draw(t, "reschedule"))})
		})
	case 11, 12:
		h.some(t, h.stopping, func(a *api.Allocation) { h.over("complete", a) })
	case 13:
		h.some(t, h.running, func(a *api.Allocation) {
			h.report("running", ptr(!oneIn(t, 8, "unhealthy")), a)
		})
	case 14:
		h.promote()
		h.evaluate(t, jobIDs)
	case 15:
		h.pass(sampled(t, "time", time.Second, time.Minute, time.Hour))
		h.evaluate(t, jobIDs)
	}
}

func (h *history) register(t *rapid.T) {
	id := sampled(t, "job", jobIDs...)
	h.jobs[id] = drawJob(t, id, kinds[id], len(h.nodes))
	h.world.register(h.jobs[id])
	h.evaluate(t, []string{id})
}

// resize changes what does not concern allocations that run.
func (h *history) resize(t *rapid.T) {
	id := sampled(t, "job", jobIDs...)
	old := h.jobs[id]
	if old == nil {
		return
	}
	j := old.Copy()
	j.Priority = sampled(t, "priority", 20, 50, 80)
	if kinds[id] == "service" || kinds[id] == "batch" {
		n := *j.TaskGroups[0].Count
		j.TaskGroups[0].Count = ptr(sampled(t, "count", n, n+1, n+len(h.nodes)/2, n/2))
	}
	h.jobs[id] = j
	h.world.register(j)
	h.evaluate(t, []string{id})
}

func (h *history) stopJob(t *rapid.T) {
	id := sampled(t, "job", jobIDs...)
	if h.jobs[id] == nil {
		return
	}
	h.apply(&store.DeregisterJob{Namespace: "default", JobID: id, Purge: rapid.Bool().Draw(t, "purge")})
	h.evaluate(t, []string{id})
	delete(h.jobs, id)
}

func (h *history) changeNodes(t *rapid.T) {
	for range rapid.IntRange(1, 3).Draw(t, "nodes") {
		n := h.snap().Node(sampled(t, "node", h.nodes...))
		switch status := sampled(t, "status", api.NodeReady, api.NodeReady, api.NodeDown, api.NodeDisconnected, "ineligible"); status {
		case "ineligible":
			h.apply(&store.UpdateNodeEligibility{NodeID: n.ID, Eligibility: api.NodeIneligible, Now: h.time.UnixNano()})
		default:
			h.apply(&store.UpdateNodeEligibility{NodeID: n.ID, Eligibility: api.NodeEligible, Now: h.time.UnixNano()})
			h.status(n, status)
		}
	}
	h.evaluate(t, jobIDs)
}

func (h *history) reachable(a *api.Allocation) bool {
	n := h.snap().Node(a.NodeID)
	return n != nil && n.Status == api.NodeReady
}

func (h *history) running(a *api.Allocation) bool {
	return h.runs[a.ID] != nil && !a.Terminal() && h.reachable(a)
}

func (h *history) stopping(a *api.Allocation) bool {
	return a.ServerTerminal() && !a.ClientTerminal() && (h.runs[a.ID] != nil || h.fault.heirsFirst) && h.reachable(a)
}

// some does something to one, a few or most of the allocations for which ok
// holds.
func (h *history) some(t *rapid.T, ok func(*api.Allocation) bool, do func(*api.Allocation)) {
	var all []*api.Allocation
	for a := range h.snap().Allocs() {
		if ok(a) {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return
	}
	touched := map[string]bool{}
	step := sampled(t, "share", len(all), len(all), 5, 2)
	for i := rapid.IntRange(0, len(all)-1).Draw(t, "alloc"); i < len(all); i += step {
		do(all[i])
		touched[all[i].JobID] = true
	}
	h.evaluate(t, slices.Sorted(maps.Keys(touched)))
	if oneIn(t, 2, "wake") {
		h.evaluate(t, jobIDs) // as blocked evaluations do
	}
}

func (h *history) over(status string, a *api.Allocation) {
	if !h.fault.endsEarly {
		delete(h.runs, a.ID)
	}
	h.report(status, nil, a)
}

func (h *history) promote() {
	for _, id := range jobIDs {
		if d := h.snap().LatestDeployment("default", id); d != nil && d.Active() {
			h.try(&store.PromoteDeployment{DeploymentID: d.ID, Now: h.time.UnixNano()})
		}
	}
}

// evaluate evaluates jobs: one after the other, or all on one state. It looks
// at what the plans made necessary as well.
func (h *history) evaluate(t *rapid.T, ids []string) {
	var evals []*api.Evaluation
	for _, id := range ids {
		if j := h.jobs[id]; j != nil {
			evals = append(evals, h.eval(j, api.EvalTriggerNodeUpdate))
		}
	}
	together := len(evals) > 1 && rapid.Bool().Draw(t, "together")
	for range 4 {
		var more []*api.Evaluation
		var plans []*api.Plan
		for _, e := range evals {
			p := h.plan(e)
			plans = append(plans, p)
			if !together {
				h.commitChecked(e, p)
			}
			for _, next := range p.Evals {
				if next.TriggeredBy == api.EvalTriggerPreemption {
					more = append(more, next)
				}
			}
		}
		for i, p := range plans {
			if together {
				h.commitChecked(evals[i], p)
			}
		}
		evals, together = more, false
	}
}

// quiet lets everything become well: all nodes are there, what was told to
// stop has stopped, what runs is healthy.
func (h *history) quiet(t *rapid.T) {
	for _, id := range h.nodes {
		h.apply(&store.UpdateNodeEligibility{NodeID: id, Eligibility: api.NodeEligible, Now: h.time.UnixNano()})
		h.status(h.snap().Node(id), api.NodeReady)
	}
	last, still := uint64(0), 0
	for range 200 {
		for a := range h.snap().Allocs() {
			switch {
			case a.ServerTerminal() && !a.ClientTerminal():
				h.over("complete", a)
			case h.runs[a.ID] != nil && !a.Terminal() && (a.ClientStatus != api.AllocClientRunning || a.DeploymentID != "" && !a.DeploymentStatus.IsHealthy()):
				h.report("running", ptr(true), a)
			case kinds[a.JobID] == "service" && a.ClientStatus == api.AllocClientFailed && !a.ServerTerminal() && a.NextAllocation == "" && !a.DesiredTransition.ShouldReschedule():
				transition(h.world, a, api.DesiredTransition{Reschedule: ptr(true)}) // as the deployment's watcher does
			}
		}
		h.promote()
		h.pass(time.Hour)
		h.evaluate(t, jobIDs)
		h.check()
		if h.allocIndex() != last {
			still = 0
		} else if still++; still > 3 { // no delay is longer
			break
		}
		last = h.allocIndex()
	}
	for _, id := range jobIDs {
		h.satisfied(id)
	}
}

// allocIndex grows with every change of an allocation.
func (h *history) allocIndex() (last uint64) {
	for a := range h.snap().Allocs() {
		last = max(last, a.ModifyIndex)
	}
	return last
}

package sched_test

import (
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

func TestCountUpAndDown(t *testing.T) {
	w := newWorld(t)
	w.nodes(3)
	w.run(w.register(job("a", "service", 3)))
	check(t, "placed", w.names("a"), "web[0] web[1] web[2]")
	p := w.again(job("a", "service", 3))
	check(t, "a satisfied job's placements", len(placed(p)), 0)
	check(t, "stops", len(p.Stops), 0)
	w.run(w.register(job("a", "service", 1)))
	check(t, "scaled down", w.names("a"), "web[0]")
	w.run(w.register(job("a", "service", 2)))
	check(t, "scaled up, lowest name", w.names("a"), "web[0] web[1]")
	w.apply(&store.DeregisterJob{Namespace: "default", JobID: "a"})
	w.again(job("a", "service", 2))
	check(t, "stopped", w.names("a"), "")
}

func TestUpdateInPlaceKeepsAllocations(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	w.run(w.register(job("a", "service", 2)))
	before := w.live("a")
	p := w.run(w.register(job("a", "service", 2, func(j *api.Job) { j.Priority = 70 })))
	check(t, "in place", len(p.InPlace), 2)
	after := w.live("a")
	for i := range after {
		check(t, "allocation", after[i].ID, before[i].ID)
		check(t, "version", after[i].Job.Version, 1)
	}
}

func newCommand(j *api.Job) { j.TaskGroups[0].Tasks[0].Config["command"] = "y" }

func rolling(n int) func(*api.Job) {
	return func(j *api.Job) { j.Update = &api.UpdateStrategy{MaxParallel: &n} }
}

func TestDestructiveUpdateAtOnceWithoutALimit(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	w.run(w.register(job("a", "service", 3)))
	old := w.live("a")
	p := w.run(w.register(job("a", "service", 3, newCommand)))
	check(t, "placed", len(placed(p)), 3)
	check(t, "deployment", p.Deployment, (*api.Deployment)(nil))
	check(t, "names", w.names("a"), "web[0] web[1] web[2]")
	for i, a := range w.live("a") {
		check(t, "predecessor", a.PreviousAllocation, old[i].ID)
		check(t, "successor", w.snap().Alloc(old[i].ID).NextAllocation, a.ID)
	}
}

func TestRollingUpdateWaitsForHealth(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	first := w.run(w.register(job("a", "service", 4, rolling(2))))
	if first.Deployment == nil {
		t.Fatal("no deployment for a first version")
	}
	w.report("running", ptr(true), w.live("a")...)
	w.apply(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: first.Deployment.ID, Status: api.DeploymentSuccessful}})
	next := job("a", "service", 4, rolling(2), newCommand)
	p := w.run(w.register(next))
	check(t, "first step", len(placed(p)), 2)
	if d := w.snap().LatestDeployment("default", "a"); d.ID == first.Deployment.ID || d.TaskGroups["web"].DesiredTotal != 4 || d.TaskGroups["web"].PlacedAllocs != 2 {
		t.Fatalf("deployment %+v", d.TaskGroups["web"])
	}
	check(t, "no health, no step", len(placed(w.again(next))), 0)
	var fresh []*api.Allocation
	for _, a := range w.live("a") {
		if a.Job.Version == 1 {
			fresh = append(fresh, a)
		}
	}
	w.report("running", ptr(true), fresh[0])
	check(t, "one healthy, one more", len(placed(w.again(next))), 1)
	w.apply(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: w.snap().LatestDeployment("default", "a").ID, Status: api.DeploymentPaused}})
	w.report("running", ptr(true), fresh[1])
	check(t, "paused", len(placed(w.again(next))), 0)
}

func TestNewVersionCancelsTheDeployment(t *testing.T) {
	w := newWorld(t)
	w.nodes(1)
	first := w.run(w.register(job("a", "service", 1, rolling(1))))
	w.run(w.register(job("a", "service", 1, rolling(1), newCommand)))
	check(t, "old deployment", w.snap().Deployment(first.Deployment.ID).Status, api.DeploymentCancelled)
	check(t, "new one", w.snap().LatestDeployment("default", "a").JobVersion, 1)
}

func TestCanariesAndPromotion(t *testing.T) {
	w := newWorld(t)
	nodes := w.nodes(3)
	canary := func(j *api.Job) { j.Update = &api.UpdateStrategy{MaxParallel: ptr(2), Canary: ptr(1)} }
	p := w.run(w.register(job("a", "service", 3, canary)))
	check(t, "no canaries at first", len(placed(p)), 3)
	w.report("running", ptr(true), w.live("a")...)
	w.apply(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: p.Deployment.ID, Status: api.DeploymentSuccessful}})

	next := job("a", "service", 3, canary, newCommand)
	p = w.run(w.register(next))
	check(t, "canaries", len(placed(p)), 1)
	check(t, "stops", len(p.Stops), 0)
	check(t, "name of the canary", w.names("a"), "web[0] web[0] web[1] web[2]")
	check(t, "repeated", len(placed(w.again(next))), 0)

	// What is lost meanwhile comes back in the old version.
	lost := w.live("a")[3]
	for _, n := range nodes {
		if n.ID == lost.NodeID {
			w.status(n, api.NodeDown)
		}
	}
	w.again(next)
	for _, a := range w.live("a") {
		if a.DeploymentStatus.IsCanary() {
			continue
		}
		check(t, "version of "+a.Name, a.Job.Version, 0)
	}
	d := w.snap().LatestDeployment("default", "a")
	var canaries []*api.Allocation
	for _, a := range w.live("a") {
		if a.DeploymentStatus.IsCanary() {
			canaries = append(canaries, a)
		}
	}
	w.report("running", ptr(true), canaries...)
	w.apply(&store.PromoteDeployment{DeploymentID: d.ID, Now: w.time.UnixNano()})
	p = w.again(next)
	check(t, "replaced beside the canary", len(placed(p)), 2)
	check(t, "names", w.names("a"), "web[0] web[1] web[2]")
}

func TestFailedDeploymentStopsItsCanaries(t *testing.T) {
	w := newWorld(t)
	w.nodes(3)
	canary := func(j *api.Job) { j.Update = &api.UpdateStrategy{MaxParallel: ptr(1), Canary: ptr(2)} }
	p := w.run(w.register(job("a", "service", 2, canary)))
	w.report("running", ptr(true), w.live("a")...)
	w.apply(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: p.Deployment.ID, Status: api.DeploymentSuccessful}})
	next := job("a", "service", 2, canary, newCommand)
	w.run(w.register(next))
	check(t, "with canaries", len(w.live("a")), 4)
	w.apply(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: w.snap().LatestDeployment("default", "a").ID, Status: api.DeploymentFailed}})
	w.again(next)
	check(t, "after the failure", w.names("a"), "web[0] web[1]")
	for _, a := range w.live("a") {
		check(t, "version", a.Job.Version, 0)
	}
}

func TestFailedAllocationsAreRescheduled(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	j := job("a", "service", 1, func(j *api.Job) {
		j.Reschedule = &api.ReschedulePolicy{Unlimited: ptr(true), Delay: ptr(api.Duration(10 * time.Second)), DelayFunction: "exponential", MaxDelay: ptr(api.Duration(time.Minute))}
	})
	w.run(w.register(j))
	first := w.live("a")[0]
	w.report("failed", nil, first)
	p := w.again(j)
	check(t, "not yet", len(placed(p)), 0)
	if len(p.Evals) != 1 || p.Evals[0].TriggeredBy != api.EvalTriggerReschedule || !p.Evals[0].WaitUntil.Equal(w.time.Add(10*time.Second)) {
		t.Fatalf("follow-up %+v", p.Evals)
	}
	check(t, "follow-up noted", w.snap().Alloc(first.ID).FollowupEvalID, p.Evals[0].ID)
	check(t, "no second follow-up", len(w.again(j).Evals), 0)

	w.pass(10 * time.Second)
	w.run(w.snap().Eval(p.Evals[0].ID))
	second := w.live("a")[0]
	check(t, "moved off the node", second.NodeID == first.NodeID, false)
	check(t, "events", len(second.RescheduleTracker.Events), 1)
	check(t, "delay", second.RescheduleTracker.Events[0].Delay, 10*time.Second)
	check(t, "old one", w.snap().Alloc(first.ID).DesiredStatus, "stop")
	check(t, "why", w.snap().Alloc(first.ID).DesiredDescription, api.AllocRescheduledFailed)

	w.report("failed", nil, second)
	p = w.again(j)
	check(t, "doubled delay", p.Evals[0].WaitUntil.Sub(w.time), 20*time.Second)
}

func TestBatch(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	j := job("a", "batch", 2)
	w.run(w.register(j))
	w.report("complete", nil, w.live("a")[0])
	check(t, "done is done", len(placed(w.again(j))), 0)
	failed := w.live("a")[0]
	w.report("failed", nil, failed)
	p := w.again(j)
	check(t, "delayed", len(p.Evals), 1)
	w.pass(5 * time.Second)
	w.again(j)
	check(t, "tried once more", len(w.live("a")), 1)
	w.report("failed", nil, w.live("a")[0])
	w.pass(time.Minute)
	p = w.again(j)
	check(t, "attempts used up", len(placed(p))+len(p.Evals), 0)
	w.run(w.register(job("a", "batch", 2, newCommand)))
	check(t, "a new version runs all of it", len(w.live("a")), 2)
}

func transition(w *world, a *api.Allocation, tr api.DesiredTransition) {
	w.apply(&store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{a.ID: tr}, Now: w.time.UnixNano()})
}

func TestStoppedByUser(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	j := job("a", "service", 1)
	w.run(w.register(j))
	old := w.live("a")[0]
	transition(w, old, api.DesiredTransition{Migrate: ptr(true)})
	w.again(j)
	now := w.live("a")
	check(t, "replaced", len(now), 1)
	check(t, "linked", now[0].PreviousAllocation, old.ID)
	check(t, "name", now[0].Name, "a.web[0]")
	check(t, "why", w.snap().Alloc(old.ID).DesiredDescription, api.AllocMigrating)
}

func TestBatchStoppedToBeRescheduled(t *testing.T) {
	w := newWorld(t)
	w.nodes(1)
	j := job("a", "batch", 1)
	w.run(w.register(j))
	old := w.live("a")[0]
	transition(w, old, api.DesiredTransition{Migrate: ptr(true), Reschedule: ptr(true)})
	p := w.again(j)
	check(t, "stopped", len(w.live("a")), 0)
	check(t, "waits", len(p.Evals), 1)
	check(t, "noted", w.snap().Alloc(old.ID).FollowupEvalID, p.Evals[0].ID)
	check(t, "still waits", len(placed(w.again(j))), 0)
	w.pass(10 * time.Second)
	w.run(w.snap().Eval(p.Evals[0].ID))
	check(t, "back", len(w.live("a")), 1)
	check(t, "linked", w.live("a")[0].PreviousAllocation, old.ID)
}

func TestLostNode(t *testing.T) {
	w := newWorld(t)
	nodes := w.nodes(2)
	j := job("a", "service", 2, func(j *api.Job) { j.Constraints = []*api.Constraint{{Operand: api.OperandDistinctHosts}} })
	w.run(w.register(j))
	w.status(nodes[0], api.NodeDown)
	p := w.again(j)
	check(t, "nowhere to go", p.Eval.QueuedAllocations["web"], 1)
	check(t, "why", p.Eval.FailedTGAllocs["web"].ConstraintFiltered[api.OperandDistinctHosts], 1)
	check(t, "lost", w.snap().Summary("default", "a").Summary["web"].Lost, 1)
	check(t, "one left", len(w.live("a")), 1)
	w.node()
	w.run(w.snap().Eval(p.Eval.BlockedEval))
	check(t, "back", w.names("a"), "web[0] web[1]")
	check(t, "unblocked", w.snap().Eval(p.Eval.BlockedEval).Status, api.EvalStatusComplete)
}

func TestDisconnectedNode(t *testing.T) {
	for _, tc := range []struct {
		reconcile string
		original  bool
	}{{"keep_original", true}, {"keep_replacement", false}, {"longest_running", true}} {
		t.Run(tc.reconcile, func(t *testing.T) {
			w := newWorld(t)
			w.nodes(2)
			j := job("a", "service", 1, func(j *api.Job) {
				j.TaskGroups[0].Disconnect = &api.DisconnectStrategy{LostAfter: ptr(api.Duration(time.Hour)), Reconcile: tc.reconcile}
			})
			w.run(w.register(j))
			old := w.live("a")[0]
			w.report("running", nil, old)
			node := w.snap().Node(old.NodeID)
			w.status(node, api.NodeDisconnected)
			p := w.again(j)
			check(t, "timeout", p.Evals[0].WaitUntil.Sub(w.time), time.Hour)
			check(t, "unknown", w.snap().Alloc(old.ID).ClientStatus, api.AllocClientUnknown)
			check(t, "replaced", len(w.live("a")), 2)
			check(t, "once", len(placed(w.again(j))), 0)
			w.pass(time.Minute)
			for _, a := range w.live("a") {
				if a.ID != old.ID {
					w.report("running", nil, a)
				}
			}
			w.status(node, api.NodeReady)
			w.report("running", nil, old) // as it ran all the time
			w.apply(&store.UpdateAllocs{NodeID: old.NodeID, Now: w.time.UnixNano(), Updates: []*api.AllocUpdate{{
				ID: old.ID, ClientStatus: "running", TaskStates: map[string]*api.TaskState{"main": {StartedAt: w.time.Add(-time.Hour)}},
			}}})
			w.again(j)
			check(t, "one stays", len(w.live("a")), 1)
			check(t, "the original", w.live("a")[0].ID == old.ID, tc.original)
		})
	}
}

func TestDisconnectedForTooLong(t *testing.T) {
	w := newWorld(t)
	w.nodes(1)
	j := job("a", "service", 1, func(j *api.Job) {
		j.TaskGroups[0].Disconnect = &api.DisconnectStrategy{LostAfter: ptr(api.Duration(time.Hour)), Replace: ptr(false)}
	})
	w.run(w.register(j))
	old := w.live("a")[0]
	w.report("running", nil, old)
	w.status(w.snap().Node(old.NodeID), api.NodeDisconnected)
	p := w.again(j)
	check(t, "not replaced", p.Eval.QueuedAllocations["web"], 0)
	w.pass(time.Hour)
	w.node()
	w.again(j)
	check(t, "still unknown: it is not to be replaced", w.snap().Alloc(old.ID).ClientStatus, api.AllocClientUnknown)
}

func TestNothingIsPlacedWhereItMayNot(t *testing.T) {
	for name, edit := range map[string]func(*api.Node){
		"ineligible":     func(n *api.Node) { n.SchedulingEligibility = api.NodeIneligible },
		"down":           func(n *api.Node) { n.Status = api.NodeDown },
		"other pool":     func(n *api.Node) { n.NodePool = "gpu" },
		"other place":    func(n *api.Node) { n.Datacenter = "eu1" },
		"no driver":      func(n *api.Node) { n.Drivers = nil },
		"sick driver":    func(n *api.Node) { n.Drivers["raw_exec"].Healthy = false },
		"wrong kernel":   func(n *api.Node) { n.Attributes["kernel.name"] = "windows" },
		"too small":      func(n *api.Node) { n.NodeResources.Memory.MemoryMB = 32 },
		"without volume": func(n *api.Node) { n.HostVolumes = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.node(func(n *api.Node) { n.HostVolumes = map[string]*api.HostVolumeInfo{"data": {}} }, edit)
			p := w.run(w.register(job("a", "service", 2, func(j *api.Job) {
				j.Datacenters = []string{"dc*"}
				j.Constraints = []*api.Constraint{{LTarget: "${attr.kernel.name}", Operand: "=", RTarget: "linux"}}
				j.TaskGroups[0].Volumes = map[string]*api.VolumeRequest{"v": {Type: "host", Source: "data"}}
			})))
			check(t, "placed", len(placed(p)), 0)
			m := p.Eval.FailedTGAllocs["web"]
			if m == nil || m.CoalescedFailures != 1 {
				t.Fatalf("metric %+v", m)
			}
			if m.NodesEvaluated > 0 && m.NodesFiltered+m.NodesExhausted != m.NodesEvaluated {
				t.Errorf("nodes without a reason: %+v", m)
			}
			b := w.snap().Eval(p.Eval.BlockedEval)
			check(t, "blocked", b.Status, api.EvalStatusBlocked)
			check(t, "queued", w.snap().Summary("default", "a").Summary["web"].Queued, 2)
		})
	}
}

func TestWhatHasAReplacementIsNotReplacedAgain(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	two := func(n int) *api.Job {
		return job("a", "service", n, func(j *api.Job) {
			j.TaskGroups[0].Disconnect = &api.DisconnectStrategy{LostAfter: ptr(api.Duration(time.Hour))}
		})
	}
	w.run(w.register(two(1)))
	old := w.live("a")[0]
	w.report("running", nil, old)
	w.status(w.snap().Node(old.NodeID), api.NodeDisconnected)
	w.again(two(1))
	p := w.run(w.register(two(2)))
	check(t, "placed", len(placed(p)), 1)
	check(t, "name", placed(p)[0].Index, 1)
	check(t, "predecessor", placed(p)[0].Previous, "")
}

// A group that its node stops by itself is not replaced before that has
// happened, and one whose node is back is waited for.
func TestStopOnClientAfter(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	j := job("a", "service", 1, func(j *api.Job) {
		j.TaskGroups[0].Disconnect = &api.DisconnectStrategy{StopOnClientAfter: ptr(api.Duration(time.Minute))}
	})
	w.run(w.register(j))
	old := w.live("a")[0]
	w.report("running", nil, old)
	node := w.snap().Node(old.NodeID)
	w.status(node, api.NodeDown)
	p := w.again(j)
	check(t, "unknown", w.snap().Alloc(old.ID).ClientStatus, api.AllocClientUnknown)
	check(t, "not replaced yet", len(placed(p)), 0)
	check(t, "looked at again", p.Evals[0].WaitUntil.Sub(w.time), time.Minute)
	w.status(node, api.NodeReady)
	check(t, "nor when the node is back and has not spoken", len(placed(w.again(j))), 0)
	w.status(node, api.NodeDown)
	w.pass(time.Minute)
	check(t, "replaced when its time is over", len(placed(w.run(w.snap().Eval(p.Evals[0].ID)))), 1)
	check(t, "lost", w.snap().Alloc(old.ID).ClientStatus, api.AllocClientLost)
}

package sched_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"pgregory.net/rapid"
)

// Whatever happens to nodes, jobs and allocations, and in whatever order: no
// node is over its capacity, no name runs twice, nothing new runs where it may
// not, and once all is quiet every job has what it wants or waits for room
// with a reason.
func TestAnythingCanHappen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 4).Draw(t, "nodes") {
			w.node(func(n *api.Node) { n.NodeResources.Memory.MemoryMB = 640 })
		}
		h := &history{world: w, t: t, jobs: map[string]*api.Job{}}
		t.Repeat(map[string]func(*rapid.T){
			"register": h.register, "stop": h.stop, "node": h.changeNode, "new node": h.newNode, "fail": h.fail,
			"complete": h.complete, "migrate": h.migrate, "healthy": h.healthy, "time": h.timePasses, "": h.check,
		})
		h.quiet(t)
	})
}

type history struct {
	*world
	t    *rapid.T
	jobs map[string]*api.Job
}

func (h *history) register(t *rapid.T) {
	id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "job")
	kind := map[string]string{"a": "service", "b": rapid.SampledFrom([]string{"batch"}).Draw(t, "type")}[id]
	j := job(id, kind, rapid.IntRange(0, 9).Draw(t, "count"), func(j *api.Job) {
		j.TaskGroups[0].Tasks[0].Config["command"] = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "command")
		j.TaskGroups[0].Tasks[0].Resources.MemoryMB = rapid.SampledFrom([]int{64, 128}).Draw(t, "memory")
		if kind == "service" {
			j.Update = &api.UpdateStrategy{MaxParallel: ptr(rapid.IntRange(0, 3).Draw(t, "max_parallel")), Canary: ptr(rapid.IntRange(0, 2).Draw(t, "canaries"))}
		}
		if rapid.Bool().Draw(t, "disconnect") {
			j.TaskGroups[0].Disconnect = &api.DisconnectStrategy{LostAfter: ptr(api.Duration(time.Minute))}
		}
	})
	h.jobs[id] = j
	h.run(h.world.register(j))
}

func (h *history) evaluateAll() {
	for _, j := range []string{"a", "b"} {
		if job := h.jobs[j]; job != nil {
			h.again(job)
		}
	}
}

func (h *history) stop(t *rapid.T) {
	for id := range h.jobs {
		h.apply(&store.DeregisterJob{Namespace: "default", JobID: id, Purge: rapid.Bool().Draw(t, "purge")})
		h.again(h.jobs[id])
		delete(h.jobs, id)
		return
	}
}

func (h *history) anyNode(t *rapid.T) *api.Node {
	var all []*api.Node
	for n := range h.snap().Nodes() {
		all = append(all, n)
	}
	return rapid.SampledFrom(all).Draw(t, "node")
}

func (h *history) changeNode(t *rapid.T) {
	h.status(h.anyNode(t), rapid.SampledFrom([]string{api.NodeReady, api.NodeReady, api.NodeDown, api.NodeDisconnected}).Draw(t, "status"))
	h.evaluateAll()
}

func (h *history) newNode(t *rapid.T) {
	if h.snap().NodeCount() < 8 {
		h.node(func(n *api.Node) { n.NodeResources.Memory.MemoryMB = 640 })
		h.evaluateAll()
	}
}

// anyLive picks an allocation that its node can still report of.
func (h *history) anyLive(t *rapid.T) *api.Allocation {
	var all []*api.Allocation
	for _, id := range []string{"a", "b"} {
		for _, a := range h.live(id) {
			if n := h.snap().Node(a.NodeID); n != nil && n.Status == api.NodeReady {
				all = append(all, a)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return rapid.SampledFrom(all).Draw(t, "alloc")
}

func (h *history) with(t *rapid.T, do func(*api.Allocation)) {
	if a := h.anyLive(t); a != nil {
		do(a)
		h.evaluateAll()
	}
}

func (h *history) fail(t *rapid.T) {
	h.with(t, func(a *api.Allocation) {
		h.report("failed", nil, a)
		if rapid.Bool().Draw(t, "retry") {
			transition(h.world, a, api.DesiredTransition{Reschedule: ptr(true)})
		}
	})
}

func (h *history) complete(t *rapid.T) {
	h.with(t, func(a *api.Allocation) { h.report("complete", nil, a) })
}

func (h *history) healthy(t *rapid.T) {
	h.with(t, func(a *api.Allocation) { h.report("running", ptr(true), a) })
}

func (h *history) migrate(t *rapid.T) {
	h.with(t, func(a *api.Allocation) {
		transition(h.world, a, api.DesiredTransition{Migrate: ptr(true), Reschedule: ptr(rapid.Bool().Draw(t, "reschedule"))})
	})
}

func (h *history) timePasses(t *rapid.T) {
	h.pass(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "time"))
	h.evaluateAll()
}

func (h *history) check(t *rapid.T) {
	s := h.snap()
	for n, u := range s.NodesUsage() {
		if u.MemoryMB > n.NodeResources.Memory.MemoryMB {
			t.Fatalf("node %s uses %d MiB", n.Name, u.MemoryMB)
		}
	}
	names := map[string]string{}
	for _, id := range []string{"a", "b"} {
		for _, a := range h.live(id) {
			if a.DeploymentStatus.IsCanary() || a.ClientStatus == api.AllocClientUnknown || len(a.AllocStates) > 0 {
				continue
			}
			if names[a.Name] != "" {
				t.Fatalf("%s runs twice: %s and %s", a.Name, names[a.Name], a.ID)
			}
			names[a.Name] = a.ID
		}
	}
}

// quiet lets everything become well and checks that all jobs have what they
// want.
func (h *history) quiet(t *rapid.T) {
	for n := range h.snap().Nodes() {
		h.status(n, api.NodeReady)
	}
	for range 30 {
		for _, id := range []string{"a", "b"} {
			h.report("running", ptr(true), h.live(id)...)
		}
		for a := range h.snap().AllocsByJob("default", "a") {
			if a.ClientStatus == api.AllocClientFailed && !a.ServerTerminal() && a.NextAllocation == "" {
				transition(h.world, a, api.DesiredTransition{Reschedule: ptr(true)}) // as the deployment's watcher does
			}
		}
		if d := h.snap().LatestDeployment("default", "a"); d != nil && d.Active() {
			_, _ = h.log.Propose(t.Context(), &store.PromoteDeployment{DeploymentID: d.ID, Now: h.time.UnixNano()})
		}
		h.pass(time.Hour)
		h.evaluateAll()
		h.check(t)
	}
	for _, id := range []string{"a", "b"} {
		j := h.jobs[id]
		if j == nil {
			if n := len(h.live(id)); n > 0 {
				t.Fatalf("job %s is stopped, %d run", id, n)
			}
			continue
		}
		h.satisfied(t, id, j)
	}
}

func (h *history) satisfied(t *rapid.T, id string, j *api.Job) {
	plan := h.again(j)
	live, done := len(h.live(id)), 0
	for a := range h.snap().AllocsByJob("default", id) {
		ended := a.ClientStatus == api.AllocClientComplete && !a.DesiredTransition.ShouldMigrate() || a.ClientStatus == api.AllocClientFailed || a.DesiredTransition.ShouldReschedule()
		if j.Type == "batch" && a.Terminal() && ended && a.NextAllocation == "" && a.Job.Version == h.snap().Job("default", id).Version {
			done++ // it succeeded, or its attempts are used up
		}
	}
	queued := plan.Eval.QueuedAllocations["web"]
	want := *j.TaskGroups[0].Count
	if live > want || live+min(done, want)+queued < want {
		t.Fatalf("job %s: %d run, %d are done, %d wait, %d are wanted", id, live, done, queued, want)
	}
	if queued > 0 && plan.Eval.FailedTGAllocs["web"] == nil {
		t.Fatalf("job %s: %d wait for no reason", id, queued)
	}
	if queued == 0 && j.Type == "service" {
		for _, a := range h.live(id) {
			if v := h.snap().Job("default", id).Version; a.Job.Version != v {
				t.Fatalf("%s still runs version %d of %d: %s", a.Name, a.Job.Version, v, fmt.Sprint(plan.Annotations))
			}
		}
		if len(placed(plan))+len(plan.Stops)+len(plan.InPlace) > 0 {
			t.Fatalf("job %s is satisfied, and its plan is not empty: %+v", id, plan)
		}
	}
}

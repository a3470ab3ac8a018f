package drain

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// world is a store with two nodes; time is that of the bubble.
type world struct {
	t *testing.T
	*storetest.Proposer
	nodes [2]string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, Proposer: storetest.New()}
	for i := range w.nodes {
		w.nodes[i] = api.NewID()
		w.do(&store.RegisterNode{Node: &api.Node{
			ID: w.nodes[i], Name: fmt.Sprint("n", i), Status: api.NodeReady, Datacenter: "dc1",
			NodeResources: &api.NodeResources{Cpu: api.NodeCPU{CpuShares: 1000}, Memory: api.NodeMemory{MemoryMB: 1000}, Disk: api.NodeDisk{DiskMB: 100000}},
		}, Now: now()})
	}
	return w
}

func now() int64 { return time.Now().UnixNano() }

func (w *world) do(c store.Command) {
	w.t.Helper()
	if _, err := w.Propose(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
}

// job registers a job with one group of count allocations, all on node 0.
func (w *world) job(id, kind string, count int, m *api.MigrateStrategy) {
	w.t.Helper()
	j := &api.Job{ID: id, Namespace: "default", Type: kind, TaskGroups: []*api.TaskGroup{{
		Name: "g", Count: &count, Migrate: m, Tasks: []*api.Task{{Name: "t", Driver: "raw_exec"}},
	}}}
	j.Canonicalize()
	w.do(&store.RegisterJob{Job: j, Now: now()})
	for i := range count {
		w.place(id, i, 0)
	}
}

func (w *world) place(job string, index, node int) {
	w.t.Helper()
	id := api.NewID()
	w.do(&store.ApplyPlan{Now: now(), Plan: &api.Plan{Job: w.Store.Snapshot().Job("default", job), Placements: []*api.PlanGroup{
		{TaskGroup: "g", Resources: &api.AllocatedResources{}, Allocs: []*api.Placement{{ID: id, Index: index, NodeID: w.nodes[node]}}},
	}}})
	w.report(id, api.AllocClientRunning)
}

func (w *world) report(id, status string) {
	w.t.Helper()
	a := w.Store.Snapshot().Alloc(id)
	w.do(&store.UpdateAllocs{NodeID: a.NodeID, Now: now(), Updates: []*api.AllocUpdate{{
		ID: id, ClientStatus: status, TaskStates: map[string]*api.TaskState{"t": {State: api.TaskStateRunning, StartedAt: time.Now()}},
	}}})
}

// moving tells how many allocations of each job are asked to move and run.
func (w *world) moving() string {
	synctest.Wait()
	n := map[string]int{}
	for a := range w.Store.Snapshot().Allocs() {
		if a.DesiredTransition.ShouldMigrate() && !a.ClientTerminal() {
			n[a.JobID]++
		}
	}
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(n), "map["), "]")
}

// moved has what was asked to move end, and with replace start on node 1.
func (w *world) moved(replace bool) {
	for a := range w.Store.Snapshot().Allocs() {
		if a.DesiredTransition.ShouldMigrate() && !a.ClientTerminal() {
			w.do(&store.ApplyPlan{Now: now(), Plan: &api.Plan{Stops: []*api.PlanStop{{ID: a.ID, DesiredStatus: api.AllocDesiredStop}}}})
			w.report(a.ID, api.AllocClientComplete)
			if replace {
				w.place(a.JobID, a.Index(), 1)
			}
		}
	}
}

func (w *world) drain(spec api.DrainSpec) {
	w.do(&store.UpdateNodeDrain{NodeID: w.nodes[0], Strategy: spec.Strategy(time.Now()), Meta: map[string]string{"why": "test"}, Now: now()})
}

func (w *world) node() *api.Node {
	synctest.Wait()
	return w.Store.Snapshot().Node(w.nodes[0])
}

func (w *world) want(what, want string) {
	w.t.Helper()
	if got := w.moving(); got != want {
		w.t.Fatalf("%s: %q move, want %q", what, got, want)
	}
}

func run(t *testing.T, story func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = New(Config{Store: w.Store, Proposer: w, Now: time.Now, NewID: api.NewID, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
		})
		synctest.Wait()
		story(w)
		cancel()
		wg.Wait()
	})
}

func migrateBlock(parallel int, healthy, deadline time.Duration) *api.MigrateStrategy {
	h, d := api.Duration(healthy), api.Duration(deadline)
	return &api.MigrateStrategy{MaxParallel: &parallel, HealthCheck: "task_states", MinHealthyTime: &h, HealthyDeadline: &d}
}

// Services go as their migrate blocks let them, batch jobs when the deadline
// comes, system jobs last; and what happened is told.
func TestDrainInOrder(t *testing.T) {
	run(t, func(w *world) {
		w.job("web", "service", 3, migrateBlock(2, 10*time.Second, 5*time.Minute))
		w.job("sum", "batch", 1, nil)
		w.job("log", "system", 1, nil)
		time.Sleep(time.Minute)
		w.want("before", "")
		w.drain(api.DrainSpec{Deadline: api.Duration(time.Hour)})
		w.want("the first two", "web:2")
		w.moved(true)
		w.want("their replacements have not settled", "")
		time.Sleep(9 * time.Second)
		w.want("still not", "")
		time.Sleep(time.Second)
		w.want("the last one", "web:1")
		w.moved(true)
		time.Sleep(30 * time.Minute)
		w.want("batch jobs may end by themselves", "")
		time.Sleep(30 * time.Minute)
		w.want("but not after the deadline, when all goes", "log:1 sum:1")
		w.moved(false)
		n := w.node()
		if n.DrainStrategy != nil || n.Drain || n.SchedulingEligibility != api.NodeIneligible {
			t.Errorf("drain %+v, eligibility %s", n.DrainStrategy, n.SchedulingEligibility)
		}
		if d := n.LastDrain; d == nil || d.Status != api.DrainComplete || d.Meta["why"] != "test" || d.UpdatedAt.Sub(d.StartedAt) < time.Hour {
			t.Errorf("last drain %+v", d)
		}
		var told []string
		for _, e := range n.Events {
			if e.Subsystem == "Drain" {
				told = append(told, e.Message)
			}
		}
		if got := strings.Join(told, "; "); got != "Node drain strategy set; Node drain complete" {
			t.Errorf("events %q", got)
		}
		for e := range w.Store.Snapshot().EvalsOpen() {
			if e.TriggeredBy != api.EvalTriggerNodeDrain || e.NodeID != n.ID {
				t.Errorf("evaluation %+v", e)
			}
		}
	})
}

func TestSystemJobsGoLast(t *testing.T) {
	run(t, func(w *world) {
		w.job("sum", "batch", 1, nil)
		w.job("log", "system", 1, nil)
		w.drain(api.DrainSpec{})
		w.want("a batch job without deadline", "")
		time.Sleep(24 * time.Hour)
		w.want("is never moved", "")
		for a := range w.Store.Snapshot().AllocsByJob("default", "sum") {
			w.report(a.ID, api.AllocClientComplete)
		}
		w.want("nothing else is left", "log:1")
	})
}

func TestDrainAtOnce(t *testing.T) {
	run(t, func(w *world) {
		w.job("web", "service", 3, migrateBlock(1, 10*time.Second, 5*time.Minute))
		w.job("sum", "batch", 2, nil)
		w.job("log", "system", 1, nil)
		w.drain(api.DrainSpec{Deadline: api.DrainForce, IgnoreSystemJobs: true})
		w.want("all but system jobs", "sum:2 web:3")
		w.moved(false)
		if n := w.node(); n.DrainStrategy != nil {
			t.Error("system jobs that are left alone hold up the drain")
		}
	})
}

// A replacement that never does well holds up a drain for its healthy_deadline
// and no longer; so does a group that misses allocations.
func TestHealthyDeadline(t *testing.T) {
	run(t, func(w *world) {
		w.job("web", "service", 2, migrateBlock(1, 10*time.Second, 5*time.Minute))
		time.Sleep(time.Minute)
		w.drain(api.DrainSpec{Deadline: api.Duration(time.Hour)})
		w.want("the first", "web:1")
		w.moved(true)
		for a := range w.Store.Snapshot().AllocsByNode(w.nodes[1]) {
			w.report(a.ID, api.AllocClientPending)
		}
		time.Sleep(5*time.Minute - time.Second)
		w.want("its replacement does not run", "")
		time.Sleep(time.Second)
		w.want("its time is over", "web:1")
	})
}

// Several nodes are drained together: a group gives what it can spare once.
func TestGroupOnSeveralDrainedNodes(t *testing.T) {
	run(t, func(w *world) {
		w.job("web", "service", 2, migrateBlock(1, time.Second, time.Minute))
		time.Sleep(time.Minute)
		strategy := api.DrainSpec{Deadline: api.Duration(time.Hour)}.Strategy(time.Now())
		w.place("web", 2, 1)
		time.Sleep(time.Minute)
		for _, id := range w.nodes {
			w.do(&store.UpdateNodeDrain{NodeID: id, Strategy: strategy, Now: now()})
		}
		w.want("one more than its count runs", "web:2")
	})
}

func TestDrainIsEnded(t *testing.T) {
	run(t, func(w *world) {
		w.job("sum", "batch", 1, nil)
		w.drain(api.DrainSpec{Deadline: api.Duration(time.Hour)})
		w.do(&store.UpdateNodeDrain{NodeID: w.nodes[0], MarkEligible: true, Now: now()})
		time.Sleep(2 * time.Hour)
		w.want("after the deadline of a drain that was ended", "")
		if n := w.node(); n.LastDrain.Status != api.DrainCanceled || n.SchedulingEligibility != api.NodeEligible {
			t.Errorf("last drain %+v, eligibility %s", n.LastDrain, n.SchedulingEligibility)
		}
	})
}

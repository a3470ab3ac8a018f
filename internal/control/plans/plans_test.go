package plans_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/control/evals"
	"github.com/drover-org/drover/internal/control/plans"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a store with both loops over it, as on a leader.
type world struct {
	*storetest.Proposer
	t *testing.T
}

// start runs the loops until the test ends. hook, if any, sees every command
// first and may refuse it.
func start(t *testing.T, hook func(store.Command) error) *world {
	w := &world{storetest.New(), t}
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	p := plans.New(plans.Config{Store: w.Store, Proposer: proposer{w.Proposer, hook}, Now: time.Now, NewID: api.NewID, Log: log})
	e := evals.New(evals.Config{Store: w.Store, Proposer: proposer{w.Proposer, hook}, Planner: p, Now: time.Now, NewID: api.NewID, Log: log})
	done := make(chan error, 2)
	go func() { done <- p.Run(ctx) }()
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

type proposer struct {
	store.Proposer
	hook func(store.Command) error
}

func (p proposer) Propose(ctx context.Context, c store.Command) (store.Result, error) {
	if p.hook != nil {
		if err := p.hook(c); err != nil {
			return store.Result{}, err
		}
	}
	return p.Proposer.Propose(ctx, c)
}

func (w *world) do(c store.Command) {
	w.t.Helper()
	if _, err := w.Propose(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) node(mhz int64) *api.Node {
	n := &api.Node{
		ID: api.NewID(), SecretID: api.NewID(), Name: "n", Datacenter: "dc1", NodePool: "default", Status: api.NodeReady, ComputedClass: "c",
		Drivers:       map[string]*api.DriverInfo{"mock_driver": {Detected: true, Healthy: true}},
		NodeResources: &api.NodeResources{Cpu: api.NodeCPU{CpuShares: mhz}, Memory: api.NodeMemory{MemoryMB: 1 << 20}, Disk: api.NodeDisk{DiskMB: 1 << 20}},
	}
	w.do(&store.RegisterNode{Node: n})
	return n
}

func (w *world) job(id string, count, mhz int) *api.Evaluation {
	j := &api.Job{ID: id, TaskGroups: []*api.TaskGroup{{
		Name: "g", Count: &count,
		Tasks: []*api.Task{{Name: "t", Driver: "mock_driver", Resources: &api.Resources{CPU: mhz, MemoryMB: 10}}},
	}}}
	j.Canonicalize()
	e := &api.Evaluation{ID: api.NewID(), Namespace: "default", JobID: id, Type: j.Type, Priority: 50, TriggeredBy: api.EvalTriggerJobRegister, Status: api.EvalStatusPending}
	w.do(&store.RegisterJob{Job: j, Eval: e})
	return e
}

// until waits for the state to be as ok says.
func (w *world) until(what string, ok func(*store.Snapshot) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	w.Store.Block(ctx, 1, []store.Key{store.KeyEvals(), store.KeyAllocs()}, func(s *store.Snapshot) uint64 {
		if ok(s) {
			return 2
		}
		return 0
	})
	if ctx.Err() != nil {
		w.t.Fatalf("never: %s", what)
	}
}

func evalIs(id, status string) func(*store.Snapshot) bool {
	return func(s *store.Snapshot) bool { e := s.Eval(id); return e != nil && e.Status == status }
}

func TestManyJobsAtOnceNeverConflict(t *testing.T) {
	w := start(t, nil)
	for range 5 {
		w.node(1000)
	}
	var es []*api.Evaluation
	for i := range 50 {
		es = append(es, w.job(fmt.Sprint("j", i), 2, 50)) // exactly full
	}
	for _, e := range es {
		w.until("a placed job", evalIs(e.ID, api.EvalStatusComplete))
	}
	for _, c := range w.Log() {
		if p, ok := c.(*store.ApplyPlan); ok && len(p.Plan.Eval.FailedTGAllocs) > 0 {
			t.Errorf("a plan found no room: %+v", p.Plan.Eval)
		}
	}
	for n, u := range w.Store.Snapshot().NodesUsage() {
		if u.CPU != 1000 {
			t.Errorf("node %s uses %d", n.ID, u.CPU)
		}
	}
}

func TestBlockedUntilANodeHasRoom(t *testing.T) {
	w := start(t, nil)
	w.node(100)
	first := w.job("first", 1, 100)
	w.until("the first job placed", evalIs(first.ID, api.EvalStatusComplete))
	e := w.job("second", 1, 100)
	w.until("the second job evaluated", evalIs(e.ID, api.EvalStatusComplete))
	blocked := w.Store.Snapshot().Eval(e.ID).BlockedEval
	if got := w.Store.Snapshot().Eval(blocked); got == nil || got.Status != api.EvalStatusBlocked {
		t.Fatalf("no blocked evaluation: %+v", got)
	}
	w.do(&store.DeregisterJob{Namespace: "default", JobID: "first", Eval: &api.Evaluation{
		ID: api.NewID(), Namespace: "default", JobID: "first", Type: "service", TriggeredBy: api.EvalTriggerJobDeregister, Status: api.EvalStatusPending,
	}})
	var old *api.Allocation
	w.until("the first job told to stop", func(s *store.Snapshot) bool {
		old = slices.Collect(s.AllocsByJob("default", "first"))[0]
		return old.ServerTerminal()
	})
	if got := w.Store.Snapshot().Eval(blocked); got.Status != api.EvalStatusBlocked {
		t.Errorf("the second job did not wait for the end of the first: %+v", got)
	}
	w.do(&store.UpdateAllocs{NodeID: old.NodeID, Updates: []*api.AllocUpdate{{ID: old.ID, ClientStatus: api.AllocClientComplete}}})
	w.until("the blocked evaluation done", evalIs(blocked, api.EvalStatusComplete))
	if n := len(slices.Collect(w.Store.Snapshot().AllocsByJob("default", "second"))); n != 1 {
		t.Errorf("%d allocations", n)
	}
}

func TestOlderEvaluationsOfAJobAreCancelled(t *testing.T) {
	gate := make(chan struct{})
	w := start(t, func(c store.Command) error {
		if p, ok := c.(*store.ApplyPlan); ok && p.Plan.Eval != nil && p.Plan.Eval.JobID == "a" {
			<-gate
		}
		return nil
	})
	w.node(1000)
	first := w.job("a", 1, 10)
	var later []*api.Evaluation
	for range 3 {
		later = append(later, w.job("a", 1, 10))
	}
	close(gate)
	last := later[len(later)-1]
	w.until("the last evaluation done", evalIs(last.ID, api.EvalStatusComplete))
	s := w.Store.Snapshot()
	if got := s.Eval(first.ID).Status; got != api.EvalStatusComplete && got != api.EvalStatusCanceled {
		t.Errorf("the first is %s", got)
	}
	for _, e := range later[:2] {
		if got := s.Eval(e.ID).Status; got == api.EvalStatusPending {
			t.Errorf("an older evaluation is still %s", got)
		}
	}
	if n := len(slices.Collect(s.AllocsByJob("default", "a"))); n != 1 {
		t.Errorf("%d allocations", n)
	}
}

// A large plan goes in parts; the outcome comes last.
func TestLargePlanGoesInParts(t *testing.T) {
	w := start(t, nil)
	w.node(1 << 40)
	e := w.job("big", 2500, 1)
	w.until("the job placed", evalIs(e.ID, api.EvalStatusComplete))
	var parts []int
	for i, c := range w.Log() {
		p, ok := c.(*store.ApplyPlan)
		if !ok {
			continue
		}
		b, err := store.EncodeCommand(c)
		if err != nil || len(b) > 256<<10 {
			t.Errorf("entry %d has %d bytes (%v)", i, len(b), err)
		}
		n := 0
		for _, g := range p.Plan.Placements {
			n += len(g.Allocs)
		}
		if parts = append(parts, n); p.Plan.Eval != nil && len(parts) < 3 {
			t.Error("the outcome came before the last part")
		}
	}
	if len(parts) != 3 || parts[0]+parts[1]+parts[2] != 2500 {
		t.Errorf("parts %v", parts)
	}
}

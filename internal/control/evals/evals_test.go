package evals_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/control/evals"
	"github.com/drover-org/drover/internal/control/plans"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is moved by tests only; it wakes who waits for a time that has come.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []timer
}

type timer struct {
	at time.Time
	c  chan time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- c.now
	} else {
		c.timers = append(c.timers, timer{c.now.Add(d), ch})
	}
	return ch
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	kept := c.timers[:0]
	for _, t := range c.timers {
		if t.at.After(c.now) {
			kept = append(kept, t)
		} else {
			t.c <- c.now
		}
	}
	c.timers = kept
}

// leader runs the loops over a store of its own.
type leader struct {
	t     *testing.T
	log   *storetest.Proposer
	clock *clock
}

// gate lets a test fail or reject proposals.
type gate struct {
	*storetest.Proposer
	mu   sync.Mutex
	fail func(store.Command) error
}

func (g *gate) Propose(ctx context.Context, c store.Command) (store.Result, error) {
	g.mu.Lock()
	fail := g.fail
	g.mu.Unlock()
	if fail != nil {
		if err := fail(c); err != nil {
			return store.Result{}, err
		}
	}
	return g.Proposer.Propose(ctx, c)
}

func start(t *testing.T, fail func(store.Command) error, wrap func(evals.Planner) evals.Planner) *leader {
	l := &leader{t: t, log: storetest.New(), clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	g := &gate{Proposer: l.log, fail: fail}
	log := slog.New(slog.DiscardHandler)
	placer := plans.New(plans.Config{Store: l.log.Store, Proposer: g, Now: l.clock.Now, NewID: api.NewID, Log: log})
	var planner evals.Planner = placer
	if wrap != nil {
		planner = wrap(placer)
	}
	loop := evals.New(evals.Config{Store: l.log.Store, Proposer: g, Planner: planner, Now: l.clock.Now, After: l.clock.After, NewID: api.NewID, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = placer.Run(ctx) })
	wg.Go(func() { _ = loop.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return l
}

func (l *leader) apply(c store.Command) {
	l.t.Helper()
	if _, err := l.log.Propose(context.Background(), c); err != nil {
		l.t.Fatal(err)
	}
}

// until waits for a state.
func (l *leader) until(what string, ok func(*store.Snapshot) bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		w := l.log.Store.Watch(store.KeyEvals(), store.KeyAllocs())
		if ok(l.log.Store.Snapshot()) {
			w.Close()
			return
		}
		select {
		case <-w.C():
		case <-ctx.Done():
			w.Close()
			for e := range l.log.Store.Snapshot().Evals() {
				l.t.Logf("%+v", e)
			}
			l.t.Fatal("never: " + what)
		}
	}
}

func (l *leader) node(memory int64) *api.Node {
	n := &api.Node{
		ID: api.NewID(), Name: "n", Datacenter: "dc1", NodePool: "default", Status: api.NodeReady, SchedulingEligibility: api.NodeEligible, ComputedClass: "c",
		NodeResources: &api.NodeResources{Cpu: api.NodeCPU{CpuShares: 100000}, Memory: api.NodeMemory{MemoryMB: memory}, Disk: api.NodeDisk{DiskMB: 1000000}},
		Drivers:       map[string]*api.DriverInfo{"d": {Detected: true, Healthy: true}},
	}
	l.apply(&store.RegisterNode{Node: n})
	return n
}

func job(id string, count int) *api.Job {
	zero := 0
	j := &api.Job{ID: id, Type: "service", Update: &api.UpdateStrategy{MaxParallel: &zero}, TaskGroups: []*api.TaskGroup{{
		Name: "g", Count: &count, Tasks: []*api.Task{{Name: "t", Driver: "d", Resources: &api.Resources{CPU: 10, MemoryMB: 100}}},
	}}}
	j.Canonicalize()
	return j
}

func (l *leader) register(j *api.Job) string {
	e := &api.Evaluation{ID: api.NewID(), Namespace: "default", JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: api.EvalTriggerJobRegister, Status: api.EvalStatusPending}
	l.apply(&store.RegisterJob{Job: j, Eval: e})
	return e.ID
}

func live(s *store.Snapshot, id string) (out []*api.Allocation) {
	for a := range s.AllocsByJob("default", id) {
		if !a.Terminal() {
			out = append(out, a)
		}
	}
	return out
}

func open(s *store.Snapshot) (n int) {
	for e := range s.EvalsOpen() {
		if e.Status == api.EvalStatusPending {
			n++
		}
	}
	return n
}

func TestManyJobsArePlacedAndNothingIsOverCapacity(t *testing.T) {
	l := start(t, nil, nil)
	for range 20 {
		l.node(8000)
	}
	for i := range 60 {
		l.register(job(fmt.Sprint("j", i), 30)) // room for 1,600 of 1,800
	}
	l.until("placed", func(s *store.Snapshot) bool { return s.AllocCount() == 1600 && open(s) == 0 })
	s := l.log.Store.Snapshot()
	for n, u := range s.NodesUsage() {
		if u.MemoryMB > n.NodeResources.Memory.MemoryMB {
			t.Errorf("node %s uses %d MiB", n.ID, u.MemoryMB)
		}
	}
	l.node(30000)
	l.until("the rest", func(s *store.Snapshot) bool { return s.AllocCount() == 1800 && open(s) == 0 })
	l.until("no blocked evaluation is left", func(s *store.Snapshot) bool {
		for range s.EvalsOpen() {
			return false
		}
		return true
	})
}

func TestPlansThatWereInFlightDoNotLeaveOthersBlocked(t *testing.T) {
	// The first plan of job a never comes into the log while b, which finds no
	// room beside it, blocks.
	release := make(chan struct{})
	var once sync.Once
	l := start(t, func(c store.Command) error {
		p, ok := c.(*store.ApplyPlan)
		if !ok || p.Plan.Job == nil || p.Plan.Job.ID != "a" {
			return nil
		}
		var err error
		once.Do(func() { <-release; err = errors.New("no quorum") })
		return err
	}, nil)
	l.node(150)
	l.register(job("a", 1))
	l.until("dispatched", func(s *store.Snapshot) bool { return s.Job("default", "a") != nil })
	l.register(job("b", 1))
	l.until("one of them waits", func(s *store.Snapshot) bool {
		for e := range s.EvalsOpen() {
			if e.Status == api.EvalStatusBlocked {
				return true
			}
		}
		return len(live(s, "b")) == 1 // b came first
	})
	close(release)
	l.until("somebody took the room", func(s *store.Snapshot) bool { return s.AllocCount() == 1 })
}

func TestWaitingEvaluationsStartAtTheirTime(t *testing.T) {
	l := start(t, nil, nil)
	l.node(1000)
	l.register(job("a", 1))
	l.until("placed", func(s *store.Snapshot) bool { return len(live(s, "a")) == 1 && open(s) == 0 })
	a := live(l.log.Store.Snapshot(), "a")[0]
	e := &api.Evaluation{ID: api.NewID(), Namespace: "default", JobID: "a", Type: "service", Priority: 50, TriggeredBy: api.EvalTriggerAllocFailure, Status: api.EvalStatusPending}
	l.apply(&store.UpdateAllocs{NodeID: a.NodeID, Now: l.clock.Now().UnixNano(), Evals: []*api.Evaluation{e}, Updates: []*api.AllocUpdate{{
		ID: a.ID, ClientStatus: "failed", TaskStates: map[string]*api.TaskState{"t": {FinishedAt: l.clock.Now()}},
	}}})
	l.until("follow-up", func(s *store.Snapshot) bool { return s.Alloc(a.ID).FollowupEvalID != "" })
	l.until("only it is open", func(s *store.Snapshot) bool { return open(s) == 1 })
	follow := l.log.Store.Snapshot().Alloc(a.ID).FollowupEvalID
	if n := len(live(l.log.Store.Snapshot(), "a")); n != 0 {
		t.Fatalf("%d run before the time", n)
	}
	for range 40 { // the loop may not have set its timer yet
		l.clock.pass(time.Second)
	}
	// A change wakes a loop that looked at the clock just before it moved.
	l.node(10)
	l.apply(&store.UpsertEvals{})
	l.register(job("other", 1))
	l.until("replaced", func(s *store.Snapshot) bool {
		return len(live(s, "a")) == 1 && s.Eval(follow).Status == api.EvalStatusComplete
	})
}

func TestOneEvaluationAnswersForOlderOnesOfItsJob(t *testing.T) {
	hold := make(chan struct{})
	l := start(t, nil, func(p evals.Planner) evals.Planner { return held{p, hold} })
	l.node(10000)
	var ids []string
	for i := range 5 {
		ids = append(ids, l.register(job("a", i+1)))
	}
	close(hold)
	l.until("done", func(s *store.Snapshot) bool { return len(live(s, "a")) == 5 && open(s) == 0 })
	s := l.log.Store.Snapshot()
	if got := s.Eval(ids[4]).Status; got != api.EvalStatusComplete {
		t.Errorf("the last one is %s", got)
	}
	for _, id := range ids[1:4] {
		if got := s.Eval(id).Status; got != api.EvalStatusCanceled && got != api.EvalStatusComplete {
			t.Errorf("an older one is %s", got)
		}
	}
}

// held holds every plan until a channel is closed.
type held struct {
	evals.Planner
	until chan struct{}
}

func (h held) Submit(ctx context.Context, w *sched.Work, cancel []*api.Evaluation) (bool, error) {
	<-h.until
	return h.Planner.Submit(ctx, w, cancel)
}

func TestGivesUpAfterThreeAttempts(t *testing.T) {
	l := start(t, func(c store.Command) error {
		if _, ok := c.(*store.ApplyPlan); ok {
			return errors.New("broken")
		}
		return nil
	}, nil)
	id := l.register(job("a", 1))
	done := make(chan struct{})
	go func() { // time passes until the loop has given up
		for {
			select {
			case <-done:
				return
			default:
				l.clock.pass(time.Second)
			}
		}
	}()
	l.until("failed", func(s *store.Snapshot) bool { return s.Eval(id).Status == api.EvalStatusFailed })
	close(done)
	next := l.log.Store.Snapshot().Eval(l.log.Store.Snapshot().Eval(id).NextEval)
	if next.TriggeredBy != api.EvalTriggerFailedFollowUp || next.PreviousEval != id || next.WaitUntil.IsZero() {
		t.Errorf("follow-up %+v", next)
	}
}

// noting notes in which order jobs are planned.
type noting struct {
	evals.Planner
	mu    *sync.Mutex
	order *[]string
}

func (n noting) Submit(ctx context.Context, w *sched.Work, cancel []*api.Evaluation) (bool, error) {
	n.mu.Lock()
	*n.order = append(*n.order, w.Eval.Namespace)
	n.mu.Unlock()
	return n.Planner.Submit(ctx, w, cancel)
}

// A namespace with thousands of jobs does not make the single job of another
// one wait for more than two lots of what is looked at together.
func TestAFloodHoldsUpNoOtherNamespace(t *testing.T) {
	const flood, together = 3000, 2 * 256
	var mu sync.Mutex
	var order []string
	l := start(t, nil, func(p evals.Planner) evals.Planner { return noting{p, &mu, &order} })
	l.apply(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "flood"}, {Name: "quiet"}}})
	l.apply(&store.SetSchedulerConfig{Config: &api.SchedulerConfiguration{PauseEvalBroker: true}})
	register := func(ns, id string) {
		j := job(id, 0)
		j.Namespace = ns
		e := &api.Evaluation{ID: api.NewID(), Namespace: ns, JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: api.EvalTriggerJobRegister, Status: api.EvalStatusPending}
		l.apply(&store.RegisterJob{Job: j, Eval: e})
	}
	for i := range flood {
		register("flood", fmt.Sprintf("job-%d", i))
	}
	register("quiet", "one")
	l.apply(&store.SetSchedulerConfig{Config: &api.SchedulerConfiguration{}})
	l.until("all are planned", func(s *store.Snapshot) bool { return open(s) == 0 })
	mu.Lock()
	defer mu.Unlock()
	at := slices.Index(order, "quiet")
	if at < 0 || at >= together {
		t.Errorf("the other namespace's job was number %d of %d", at, len(order))
	}
}

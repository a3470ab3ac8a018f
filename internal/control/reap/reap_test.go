package reap

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

func id(i int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", i) }

// world is a store to which things happen at a time of our choice.
type world struct {
	t *testing.T
	*storetest.Proposer
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t, storetest.New(), time.Unix(1_700_000_000, 0)}
	w.node(1)
	return w
}

func (w *world) do(c store.Command) {
	w.t.Helper()
	if _, err := w.Propose(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) node(i int) {
	w.do(&store.RegisterNode{Now: w.now.UnixNano(), Node: &api.Node{
		ID: id(i), Name: fmt.Sprint("n", i), Status: api.NodeReady, Datacenter: "dc1", NodeResources: &api.NodeResources{},
	}})
}

// run registers a job and places allocations of it on node 1; evaluation 1000
// + first brought them.
func (w *world) run(kind, name string, first, count int, change func(*api.Job)) {
	job := &api.Job{ID: name, Namespace: "default", Type: kind, SubmitTime: w.now.UnixNano(), TaskGroups: []*api.TaskGroup{{Name: "g", Tasks: []*api.Task{{Name: "t"}}}}}
	job.Canonicalize()
	if change != nil {
		change(job)
	}
	now := w.now.UnixNano()
	eval := &api.Evaluation{ID: id(1000 + first), Namespace: "default", JobID: name, Type: kind, Status: api.EvalStatusPending, CreateTime: now, ModifyTime: now}
	w.do(&store.RegisterJob{Job: job, Eval: eval, Now: now})
	group := &api.PlanGroup{TaskGroup: "g", Resources: &api.AllocatedResources{}, Metrics: &api.AllocMetric{}}
	for i := range count {
		group.Allocs = append(group.Allocs, &api.Placement{ID: id(first + i), NodeID: id(1), NodeName: "n1", Index: i})
	}
	done := *eval
	done.Status = api.EvalStatusComplete
	w.do(&store.ApplyPlan{Now: now, Plan: &api.Plan{EvalID: eval.ID, Job: w.Store.Snapshot().Job("default", name), Placements: []*api.PlanGroup{group}, Eval: &done}})
}

func (w *world) report(alloc int, status string) {
	w.do(&store.UpdateAllocs{NodeID: id(1), Now: w.now.UnixNano(), Updates: []*api.AllocUpdate{{ID: id(alloc), ClientStatus: status}}})
}

func (w *world) stop(name string) {
	w.do(&store.DeregisterJob{Namespace: "default", JobID: name, Now: w.now.UnixNano()})
}

func (w *world) found(age Thresholds) store.Reap { return find(w.Store.Snapshot(), w.now, age) }

func (w *world) expect(what string, age Thresholds, want store.Reap) {
	w.t.Helper()
	got := w.found(age)
	for _, list := range []*[]string{&got.Allocs, &got.Evals, &got.Nodes, &got.Deployments} {
		slices.Sort(*list)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s: %s", what, diff)
	}
}

func TestBatchJobGoesAsAWhole(t *testing.T) {
	w := newWorld(t)
	w.run(api.JobTypeBatch, "b", 1, 2, nil)
	w.report(1, api.AllocClientComplete)
	w.expect("half of it runs", Thresholds{}, store.Reap{})
	w.report(2, api.AllocClientComplete)
	if s := w.Store.Snapshot().Job("default", "b").Status; s != api.JobStatusDead {
		t.Fatalf("job is %s", s)
	}
	whole := store.Reap{Jobs: []api.NamespacedID{{ID: "b", Namespace: "default"}}, Allocs: []string{id(1), id(2)}, Evals: []string{id(1001)}}
	w.expect("asked for", Thresholds{}, whole)
	w.expect("fresh", DefaultThresholds(), store.Reap{})
	w.now = w.now.Add(24*time.Hour - 1)
	w.expect("almost old", DefaultThresholds(), store.Reap{})
	w.now = w.now.Add(1)
	w.expect("old", DefaultThresholds(), whole)
}

func TestServiceKeepsWhatTheSchedulerNeeds(t *testing.T) {
	w := newWorld(t)
	w.run(api.JobTypeService, "unlimited", 1, 1, nil)
	w.run(api.JobTypeService, "limited", 2, 1, func(j *api.Job) {
		j.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(1), Interval: new(api.Duration(3 * time.Hour)), Unlimited: new(false)}
	})
	w.run(api.JobTypeService, "never", 3, 1, func(j *api.Job) {
		j.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)}
	})
	for i, name := range []string{"unlimited", "limited", "never"} {
		w.report(1+i, api.AllocClientFailed)
		// The evaluation that would place a successor waits, so the job lives.
		w.do(&store.UpsertEvals{Now: w.now.UnixNano(), Evals: []*api.Evaluation{{
			ID: id(2000 + i), Namespace: "default", JobID: name, Type: api.JobTypeService, Status: api.EvalStatusBlocked,
		}}})
	}
	w.now = w.now.Add(time.Hour)
	got := w.found(DefaultThresholds())
	if !slices.Equal(got.Allocs, []string{id(3)}) {
		t.Fatalf("after an hour: %v", got.Allocs)
	}
	w.now = w.now.Add(2 * time.Hour)
	got = w.found(DefaultThresholds())
	if !slices.Equal(got.Allocs, []string{id(2), id(3)}) {
		t.Fatalf("after the policy's interval: %v", got.Allocs)
	}
	if slices.Contains(got.Evals, id(1001)) {
		t.Fatal("an evaluation goes before its allocation")
	}
}

func TestStoppedOnALostNode(t *testing.T) {
	w := newWorld(t)
	w.run(api.JobTypeService, "s", 1, 1, nil)
	w.report(1, api.AllocClientRunning)
	w.stop("s")
	now := w.now.UnixNano()
	w.do(&store.ApplyPlan{Now: now, Plan: &api.Plan{EvalID: id(1001), Stops: []*api.PlanStop{{ID: id(1), DesiredStatus: api.AllocDesiredStop}}}})
	if got := w.found(Thresholds{}); len(got.Allocs)+len(got.Jobs) != 0 {
		t.Fatalf("it still runs on its node: %+v", got)
	}
	w.report(1, api.AllocClientComplete)
	if got := w.found(Thresholds{}); len(got.Allocs) != 1 || len(got.Jobs) != 1 {
		t.Fatalf("it is over: %+v", got)
	}
}

func TestParentsAndTaggedVersionsStay(t *testing.T) {
	w := newWorld(t)
	w.run(api.JobTypeBatch, "parent", 1, 0, func(j *api.Job) { j.ParameterizedJob = &api.ParameterizedConfig{} })
	w.run(api.JobTypeBatch, "tagged", 2, 0, func(j *api.Job) { j.VersionTag = &api.JobVersionTag{Name: "gold"} })
	w.stop("tagged")
	w.now = w.now.Add(1000 * time.Hour)
	if got := w.found(DefaultThresholds()); len(got.Jobs) != 0 {
		t.Fatalf("%+v", got.Jobs)
	}
}

func TestNodeGoesWhenEmpty(t *testing.T) {
	w := newWorld(t)
	w.node(2)
	w.run(api.JobTypeService, "s", 1, 1, nil)
	for i := range 2 {
		w.do(&store.UpdateNodeStatus{NodeID: id(1 + i), Status: api.NodeDown, Now: w.now.UnixNano()})
	}
	w.now = w.now.Add(24*time.Hour - time.Second)
	w.expect("not long enough", DefaultThresholds(), store.Reap{})
	w.now = w.now.Add(time.Second)
	got := w.found(DefaultThresholds())
	if !slices.Equal(got.Nodes, []string{id(2)}) {
		t.Fatalf("%v; node 1 still has an allocation", got.Nodes)
	}
}

func TestSplitIsCompleteBoundedAndJobsLead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOf(rapid.StringN(1, 3, -1))
		whole := store.Reap{Evals: ids.Draw(t, "evals"), Allocs: ids.Draw(t, "allocs"), Deployments: ids.Draw(t, "deployments"), Nodes: ids.Draw(t, "nodes")}
		for _, name := range ids.Draw(t, "jobs") {
			whole.Jobs = append(whole.Jobs, api.NamespacedID{ID: name})
		}
		limit := rapid.IntRange(1, 7).Draw(t, "limit")
		var sum store.Reap
		for _, c := range split(whole, limit) {
			n := len(c.Jobs) + len(c.Evals) + len(c.Allocs) + len(c.Deployments) + len(c.Nodes)
			if n == 0 || n > limit {
				t.Fatalf("a command of %d", n)
			}
			if len(c.Jobs) > 0 && len(sum.Allocs) > 0 {
				t.Fatal("a job after allocations")
			}
			sum.Jobs, sum.Evals, sum.Allocs = append(sum.Jobs, c.Jobs...), append(sum.Evals, c.Evals...), append(sum.Allocs, c.Allocs...)
			sum.Deployments, sum.Nodes = append(sum.Deployments, c.Deployments...), append(sum.Nodes, c.Nodes...)
		}
		if fmt.Sprint(sum) != fmt.Sprint(whole) {
			t.Fatalf("%v became %v", whole, sum)
		}
	})
}

func TestRunAndCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.now = time.Now()
		w.run(api.JobTypeBatch, "b", 1, 1, nil)
		w.report(1, api.AllocClientComplete)
		r := New(Config{Store: w.Store, Proposer: w, Log: slog.New(slog.DiscardHandler), Now: time.Now, Thresholds: DefaultThresholds()})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.Run(ctx) })
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if w.Store.Snapshot().Job("default", "b") == nil {
			t.Fatal("gone too early")
		}
		if err := r.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := w.Store.Snapshot()
		if s.Job("default", "b") != nil || s.Alloc(id(1)) != nil || s.Eval(id(1001)) != nil {
			t.Fatal("left after it was asked for")
		}
		w.now = time.Now()
		w.run(api.JobTypeBatch, "b", 2, 1, nil)
		w.report(2, api.AllocClientComplete)
		time.Sleep(24*time.Hour + DefaultInterval)
		synctest.Wait()
		if w.Store.Snapshot().Job("default", "b") != nil {
			t.Fatal("Run left it")
		}
		cancel()
		wg.Wait()
	})
}

func TestExpiredTokensGo(t *testing.T) {
	w := newWorld(t)
	hour := w.now.Add(time.Hour)
	for accessor, expires := range map[string]*time.Time{"lasting": nil, "short": &hour} {
		w.do(&store.UpsertACLToken{Token: &store.ACLToken{Hash: []byte(accessor), Token: &api.ACLToken{AccessorID: accessor, ExpirationTime: expires}}})
	}
	w.do(&store.AddOneTimeToken{Now: w.now.UnixNano(), Token: &store.OneTimeToken{Hash: []byte("o"), ExpiresAt: w.now.Add(10 * time.Minute)}})
	r := New(Config{Store: w.Store, Proposer: w, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now }})
	state := func(at time.Duration, tokens, oneTime int) {
		t.Helper()
		w.now = time.Unix(1_700_000_000, 0).Add(at)
		if err := r.reap(t.Context(), DefaultThresholds()); err != nil {
			t.Fatal(err)
		}
		got := len(slices.Collect(w.Store.Snapshot().ACLTokens()))
		if waiting := len(slices.Collect(w.Store.Snapshot().OneTimeTokens())); got != tokens || waiting != oneTime {
			t.Errorf("after %v: %d tokens, %d one-time tokens", at, got, waiting)
		}
	}
	state(10*time.Minute-1, 2, 1)
	state(10*time.Minute, 2, 0)
	state(2*time.Hour-1, 2, 0)
	state(2*time.Hour, 1, 0)
	before := len(w.Log())
	state(3*time.Hour, 1, 0)
	if len(w.Log()) != before {
		t.Error("a round without work reaches the log")
	}
}

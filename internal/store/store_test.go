package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const now = int64(1_700_000_000_000_000_000)

func testJob(id string) *api.Job {
	return &api.Job{
		Region: "global", Namespace: "default", ID: id, Name: id, Type: api.JobTypeService, Priority: 50,
		Datacenters: []string{"*"}, NodePool: "default",
		TaskGroups: []*api.TaskGroup{{
			Name: "web", Count: new(2),
			Tasks: []*api.Task{{Name: "main", Driver: "mock_driver", Resources: &api.Resources{CPU: 100, MemoryMB: 64}}},
		}},
	}
}

func testNode() *api.Node {
	return &api.Node{
		ID: api.NewID(), SecretID: api.NewID(), Name: "n", Datacenter: "dc1", NodePool: "default", Status: api.NodeReady,
		Attributes: map[string]string{}, Drivers: map[string]*api.DriverInfo{"mock_driver": {Detected: true, Healthy: true}},
		NodeResources: &api.NodeResources{
			Cpu: api.NodeCPU{CpuShares: 4000}, Memory: api.NodeMemory{MemoryMB: 8192}, Disk: api.NodeDisk{DiskMB: 100000},
			MinDynamicPort: 20000, MaxDynamicPort: 32000,
		},
	}
}

func testEval(j *api.Job) *api.Evaluation {
	return &api.Evaluation{
		ID: api.NewID(), Namespace: j.Namespace, JobID: j.ID, Priority: 50, Type: j.Type,
		TriggeredBy: api.EvalTriggerJobRegister, Status: api.EvalStatusPending,
	}
}

func testPlan(j *api.Job, eval *api.Evaluation, nodes ...*api.Node) *api.Plan {
	done := eval.Copy()
	done.Status = api.EvalStatusComplete
	done.QueuedAllocations = map[string]int{"web": 0}
	g := &api.PlanGroup{
		TaskGroup: "web",
		Resources: &api.AllocatedResources{
			Tasks:  map[string]*api.AllocatedTaskResources{"main": {Cpu: api.AllocatedCPU{CpuShares: 100}, Memory: api.AllocatedMemory{MemoryMB: 64}}},
			Shared: api.AllocatedSharedResources{DiskMB: 300},
		},
		Metrics: &api.AllocMetric{NodesEvaluated: len(nodes), NodesAvailable: map[string]int{"dc1": len(nodes)}},
	}
	for i, n := range nodes {
		s := &api.NodeScoreMeta{NodeID: n.ID, NormScore: 0.5}
		s.Scores.Set(api.ScoreBinPack, 0.25)
		g.Allocs = append(g.Allocs, &api.Placement{ID: api.NewID(), Index: i, NodeID: n.ID, NodeName: n.Name, Scores: []*api.NodeScoreMeta{s}})
	}
	return &api.Plan{EvalID: eval.ID, Job: j, Placements: []*api.PlanGroup{g}, Eval: done}
}

type world struct {
	*storetest.Proposer
	t testing.TB
}

func newWorld(t testing.TB) *world { return &world{storetest.New(), t} }

func (w *world) do(cmd store.Command) store.Result {
	w.t.Helper()
	r, err := w.Propose(context.Background(), cmd)
	if err != nil {
		w.t.Fatalf("%T: %v", cmd, err)
	}
	return r
}

// running registers a job and a node for each of its two allocations and
// places them.
func (w *world) running(id string) (*api.Job, []*api.Allocation) {
	w.t.Helper()
	j := testJob(id)
	e := testEval(j)
	n1, n2 := testNode(), testNode()
	w.do(&store.RegisterNode{Node: n1, Now: now})
	w.do(&store.RegisterNode{Node: n2, Now: now})
	w.do(&store.RegisterJob{Job: j, Eval: e, Now: now})
	j = w.Store.Snapshot().Job("default", id)
	r := w.do(&store.ApplyPlan{Plan: testPlan(j, e, n1, n2), Now: now})
	if res := r.Value.(*store.PlanResult); len(res.Rejected) != 0 || res.Stale {
		w.t.Fatalf("plan not applied whole: %+v", res)
	}
	return j, slices.Collect(w.Store.Snapshot().AllocsByJob("default", id))
}

func TestJobGoesFromPendingToRunningToDead(t *testing.T) {
	w := newWorld(t)
	status := func() string { return w.Store.Snapshot().Job("default", "a").Status }
	j := testJob("a")
	e := testEval(j)
	n := testNode()
	w.do(&store.RegisterNode{Node: n, Now: now})
	w.do(&store.RegisterJob{Job: j, Eval: e, Now: now})
	if got := status(); got != api.JobStatusPending {
		t.Fatalf("registered job is %s", got)
	}
	w.do(&store.ApplyPlan{Plan: testPlan(w.Store.Snapshot().Job("default", "a"), e, n), Now: now})
	if got := status(); got != api.JobStatusRunning {
		t.Fatalf("placed job is %s", got)
	}
	a := slices.Collect(w.Store.Snapshot().AllocsByJob("default", "a"))[0]
	if a.Name != "a.web[0]" || a.NodeName != "n" || a.CreateTime != now || a.AllocModifyIndex != a.CreateIndex {
		t.Fatalf("allocation is wrong: %+v", a)
	}
	w.do(&store.UpdateAllocs{NodeID: n.ID, Now: now + 5, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: api.AllocClientRunning}}})
	if g := w.Store.Snapshot().Summary("default", "a").Summary["web"]; g.Running != 1 || g.Starting != 0 {
		t.Fatalf("summary is wrong: %+v", g)
	}
	if u := w.Store.Snapshot().Usage(n.ID); reflect.DeepEqual(u, w.Store.Snapshot().Usage(api.NewID())) {
		t.Fatal("a running allocation uses nothing")
	}
	w.do(&store.UpdateAllocs{NodeID: n.ID, Now: now + 9, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: api.AllocClientComplete}}})
	if got := status(); got != api.JobStatusDead {
		t.Fatalf("finished job is %s", got)
	}
	b := w.Store.Snapshot().Alloc(a.ID)
	if b.AllocModifyIndex != a.AllocModifyIndex || b.ModifyIndex <= a.ModifyIndex || b.ModifyTime != now+9 {
		t.Fatalf("a report by the node moved the wrong indexes: %+v", b)
	}
}

func TestRefusedCommandChangesNothing(t *testing.T) {
	w := newWorld(t)
	j, allocs := w.running("a")
	before := dump(t, w.Store.Snapshot())
	for _, cmd := range []store.Command{
		&store.RegisterJob{Job: testJob("a"), Eval: testEval(j), Enforce: true, EnforceIndex: 1, Now: now},
		&store.RegisterJob{Job: testJob("a"), Eval: testEval(j), Enforce: true, Now: now},
		&store.RegisterJob{Job: testJob("b"), Eval: testEval(j), Enforce: true, EnforceIndex: 5, Now: now},
		&store.DeregisterJob{Namespace: "default", JobID: "none", Now: now},
		&store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{allocs[0].ID: {Migrate: new(true)}, "ffffffff-ffff-ffff-ffff-ffffffffffff": {}}, Now: now},
		&store.RegisterNode{Node: &api.Node{ID: "no-uuid"}, Now: now},
		&store.ScaleJob{Namespace: "default", JobID: "a", Group: "none", Now: now},
	} {
		_, err := w.Propose(context.Background(), cmd)
		var e *api.Error
		if !errors.As(err, &e) || e.Code == api.CodeInternal {
			t.Errorf("%T: %v is no refusal with a code", cmd, err)
		}
	}
	if diff := cmp.Diff(before, dump(t, w.Store.Snapshot())); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshotNeverChanges(t *testing.T) {
	w := newWorld(t)
	j, allocs := w.running("a")
	snap := w.Store.Snapshot()
	before := dump(t, snap)
	w.do(&store.RegisterJob{Job: testJob("a"), Eval: testEval(j), Now: now})
	w.do(&store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{allocs[0].ID: {Migrate: new(true)}}, Evals: []*api.Evaluation{testEval(j)}, Now: now})
	w.do(&store.DeregisterJob{Namespace: "default", JobID: "a", Purge: true, Now: now})
	if diff := cmp.Diff(before, dump(t, snap)); diff != "" {
		t.Error(diff)
	}
}

func TestPersistRestoreGivesEqualAnswers(t *testing.T) {
	w := newWorld(t)
	j, allocs := w.running("a")
	w.running("team/b")
	w.do(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "prod", Meta: map[string]string{"a": "b"}}, {Name: "default", Description: "ours"}}})
	w.do(&store.UpsertQuota{Quota: &api.QuotaSpec{Name: "q", Limits: []*api.QuotaLimit{{Region: "global", Hash: []byte("x"), RegionLimit: &api.QuotaResources{CPU: new(5000)}}}}})
	w.do(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "default", Quota: "q"}}})
	w.do(&store.UpsertNodePools{Pools: []*api.NodePool{{Name: "gpu", NodeIdentityTTL: api.TextDuration(time.Hour), SchedulerConfiguration: &api.NodePoolSchedulerConfiguration{SchedulerAlgorithm: "spread"}}}})
	w.do(&store.RegisterJob{Job: testJob("a"), Eval: testEval(j), Submission: &api.JobSubmission{Source: "job {}", Format: "hcl2"}, Now: now})
	w.do(&store.ScaleJob{Namespace: "default", JobID: "a", Group: "web", Count: new(5), Eval: testEval(j), Now: now})
	w.do(&store.UpdateAllocs{NodeID: allocs[0].NodeID, Now: now, Updates: []*api.AllocUpdate{{
		ID: allocs[0].ID, ClientStatus: api.AllocClientRunning,
		TaskStates: map[string]*api.TaskState{"main": {
			State: api.TaskStateRunning, StartedAt: time.Unix(1, 2).UTC(),
			Events: []*api.TaskEvent{api.NewTaskEvent(api.EventTerminated, time.Unix(3, 4), api.DetailExitCode, "3")},
		}},
	}}})
	var buf bytes.Buffer
	if err := w.Store.Snapshot().Persist(&buf); err != nil {
		t.Fatal(err)
	}
	restored := store.New()
	if err := restored.Restore(bytes.NewReader(buf.Bytes())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dump(t, w.Store.Snapshot()), dump(t, restored.Snapshot())); diff != "" {
		t.Error(diff)
	}
	// What is derived is right as well: the next commands have the same effect.
	cmd := &store.UpdateAllocs{NodeID: allocs[0].NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: allocs[0].ID, ClientStatus: api.AllocClientComplete}}}
	for _, s := range []*store.Store{w.Store, restored} {
		if _, err := s.Apply(s.Snapshot().Index()+1, cmd); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(dump(t, w.Store.Snapshot()), dump(t, restored.Snapshot())); diff != "" {
		t.Error(diff)
	}
	for n := range buf.Len() - 1 {
		if n%97 == 0 && store.New().Restore(bytes.NewReader(buf.Bytes()[:n])) == nil {
			t.Fatalf("a file cut at byte %d of %d was taken for whole", n, buf.Len())
		}
	}
}

// A node that starts again reports all it has; what servers know already must
// not move an index, on a server that began with a snapshot as on others.
func TestReportOfNothingNewChangesNothing(t *testing.T) {
	w := newWorld(t)
	_, allocs := w.running("a")
	report := func(edit func(*api.AllocUpdate)) *store.UpdateAllocs {
		u := &api.AllocUpdate{
			ID: allocs[0].ID, ClientStatus: api.AllocClientRunning, NetworkStatus: &api.AllocNetworkStatus{Address: "10.0.0.1", DNS: &api.DNSConfig{Servers: []string{"10.0.0.2"}}},
			TaskStates: map[string]*api.TaskState{"main": {
				State: api.TaskStateRunning, StartedAt: time.Unix(1, 2).UTC(),
				Events: []*api.TaskEvent{api.NewTaskEvent(api.EventStarted, time.Unix(3, 4))},
			}},
		}
		if edit != nil {
			edit(u)
		}
		return &store.UpdateAllocs{NodeID: allocs[0].NodeID, Now: now + 1, Updates: []*api.AllocUpdate{u}}
	}
	w.do(report(nil))
	var buf bytes.Buffer
	if err := w.Store.Snapshot().Persist(&buf); err != nil {
		t.Fatal(err)
	}
	restored := store.New()
	if err := restored.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*store.Store{w.Store, restored} {
		apply := func(cmd store.Command) bool {
			before := s.Snapshot().Alloc(allocs[0].ID)
			if _, err := s.Apply(s.Snapshot().Index()+1, cmd); err != nil {
				t.Fatal(err)
			}
			return s.Snapshot().Alloc(allocs[0].ID).ModifyIndex != before.ModifyIndex
		}
		if apply(report(func(u *api.AllocUpdate) {
			u.TaskStates["main"].StartedAt = time.Unix(1, 2).In(time.FixedZone("", 3600))
			u.TaskStates["main"].Events[0].Details = map[string]string{}
			u.NetworkStatus.DNS.Options = []string{}
		})) {
			t.Error("the same report again is a change")
		}
		for name, edit := range map[string]func(*api.AllocUpdate){
			"restarts": func(u *api.AllocUpdate) { u.TaskStates["main"].Restarts++ },
			"event":    func(u *api.AllocUpdate) { u.TaskStates["main"].Events[0].Details = map[string]string{"k": "v"} },
			"task":     func(u *api.AllocUpdate) { u.TaskStates["side"] = &api.TaskState{} },
			"network":  func(u *api.AllocUpdate) { u.NetworkStatus.Address = "10.0.0.3" },
			"status":   func(u *api.AllocUpdate) { u.ClientStatus = api.AllocClientComplete },
		} {
			if !apply(report(edit)) {
				t.Errorf("a report with another %s is no change", name)
			}
			apply(report(nil))
		}
	}
}

func TestFailureAfterARolloutLeavesItsVerdict(t *testing.T) {
	w := newWorld(t)
	j, allocs := w.running("a")
	d := api.NewID()
	w.do(&store.ApplyPlan{Now: now, Plan: &api.Plan{
		EvalID: api.NewID(), Job: j, Deployment: &api.Deployment{
			ID: d, Namespace: "default", JobID: "a", JobVersion: j.Version, Status: api.DeploymentRunning,
			TaskGroups: map[string]*api.DeploymentState{"web": {DesiredTotal: 2}},
		},
		InPlace: []string{allocs[0].ID, allocs[1].ID},
	}})
	healthy := true
	report := func(a *api.Allocation, u api.AllocUpdate) {
		u.ID = a.ID
		w.do(&store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{&u}})
	}
	for _, a := range allocs {
		report(a, api.AllocUpdate{ClientStatus: api.AllocClientRunning, DeploymentHealthy: &healthy})
	}
	counts := func() [2]int {
		s := w.Store.Snapshot().Deployment(d).TaskGroups["web"]
		return [2]int{s.HealthyAllocs, s.UnhealthyAllocs}
	}
	report(allocs[0], api.AllocUpdate{ClientStatus: api.AllocClientFailed})
	if got := counts(); got != [2]int{1, 1} {
		t.Fatalf("during the rollout: healthy and unhealthy %v", got)
	}
	w.do(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: d, Status: api.DeploymentSuccessful}, Now: now})
	report(allocs[1], api.AllocUpdate{ClientStatus: api.AllocClientFailed})
	if got := counts(); got != [2]int{1, 1} {
		t.Errorf("after the rollout: healthy and unhealthy %v", got)
	}
	b := w.Store.Snapshot().Alloc(allocs[1].ID)
	if b.ClientStatus != api.AllocClientFailed || !b.DeploymentStatus.IsHealthy() {
		t.Errorf("the allocation is %s, health %+v", b.ClientStatus, b.DeploymentStatus)
	}
	report(allocs[1], api.AllocUpdate{ClientStatus: api.AllocClientFailed, DeploymentHealthy: &healthy})
	if a := w.Store.Snapshot().Alloc(allocs[1].ID); a.ModifyIndex != b.ModifyIndex {
		t.Error("the same report again is a change")
	}
}

// dump is everything a reader can ask for, as JSON.
func dump(t testing.TB, s *store.Snapshot) string {
	t.Helper()
	var nodes []*api.Node
	usage := map[string]string{}
	for n, u := range s.NodesUsage() {
		nodes = append(nodes, n)
		usage[n.ID] = fmt.Sprintf("%+v", *u)
	}
	jobs := map[string]any{}
	for j := range s.Jobs() {
		jobs[j.ID] = []any{s.JobVersions(j.Namespace, j.ID), s.Summary(j.Namespace, j.ID), s.ScalingEvents(j.Namespace, j.ID), s.Submission(j.Namespace, j.ID, 1),
			slices.Collect(s.EvalsByJob(j.Namespace, j.ID)), slices.Collect(s.AllocsByJob(j.Namespace, j.ID)), slices.Collect(s.DeploymentsByJob(j.Namespace, j.ID))}
	}
	tables := []uint64{s.TableIndex(store.TableJobs), s.TableIndex(store.TableAllocs), s.TableIndex(store.TableEvals), s.TableIndex(store.TableNodes)}
	b, err := json.MarshalIndent([]any{tables, jobs, slices.Collect(s.AllocsByCreate(false)), slices.Collect(s.Allocs()), slices.Collect(s.EvalsOpen()),
		slices.Collect(s.EvalsByCreate(true)), nodes, usage, slices.Collect(s.DeploymentsActive()), s.SchedulerConfig(), slices.Collect(s.Namespaces("", false)), slices.Collect(s.NodePools("", false)), slices.Collect(s.Quotas("", false)), slices.Collect(s.QuotaUsages("", false))}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A waiter that registers, reads and parks never misses a commit that comes
// after what it read.
func TestNoWakeUpIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{storetest.New(), t}
		writes := rapid.IntRange(1, 30).Draw(rt, "writes")
		waiters := rapid.IntRange(1, 8).Draw(rt, "waiters")
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for range waiters {
			wg.Go(func() {
				var seen uint64
				for versions := 0; versions < writes; {
					w.Store.Block(ctx, max(seen, 1), []store.Key{store.KeyJob("default", "a")}, func(s *store.Snapshot) uint64 {
						j := s.Job("default", "a")
						if j == nil {
							return 1
						}
						seen, versions = j.JobModifyIndex, int(j.Version)+1
						return j.JobModifyIndex
					})
					if ctx.Err() != nil {
						rt.Errorf("a waiter still parks after %d versions of %d", versions, writes)
						return
					}
				}
			})
		}
		for i := range writes {
			w.do(&store.RegisterJob{Job: testJob("a"), Now: now + int64(i)})
		}
		wg.Wait()
		if n := w.Store.Waiters(); n != 0 {
			rt.Errorf("%d keys are still waited for", n)
		}
	})
}

// Changes elsewhere wake nobody.
func TestUnrelatedChangesWakeNobody(t *testing.T) {
	w := newWorld(t)
	_, a := w.running("a")
	_, b := w.running("b")
	for _, k := range []store.Key{store.KeyAlloc(a[0].ID), store.KeyAllocsOfJob("default", "a"), store.KeyAllocsOfNode(a[0].NodeID), store.KeyJob("default", "a"), store.KeySummary("default", "a"), store.KeyNode(a[0].NodeID)} {
		watch := w.Store.Watch(k)
		w.do(&store.UpdateAllocs{NodeID: b[0].NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: b[0].ID, ClientStatus: api.AllocClientRunning}}})
		w.do(&store.RegisterJob{Job: testJob("c"), Now: now})
		select {
		case <-watch.C():
			t.Errorf("%v woke for changes of others", k)
		default:
		}
		watch.Close()
	}
	assigned := w.Store.Watch(store.KeyAssigned(a[0].NodeID))
	defer assigned.Close()
	watch := w.Store.Watch(store.KeyAllocsOfNode(a[0].NodeID))
	defer watch.Close()
	w.do(&store.UpdateAllocs{NodeID: a[0].NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: a[0].ID, ClientStatus: api.AllocClientRunning}}})
	select {
	case <-watch.C():
	default:
		t.Error("the node's own change did not wake its watch")
	}
	select {
	case <-assigned.C():
		t.Error("a node's own report comes back to it")
	default:
	}
	w.do(&store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{a[0].ID: {Migrate: new(true)}}, Now: now})
	select {
	case <-assigned.C():
	default:
		t.Error("what servers want did not wake the node")
	}
}

func TestPlacementOnUnreadyOrFullNodeIsReturned(t *testing.T) {
	w := newWorld(t)
	j := testJob("a")
	e := testEval(j)
	ready, down := testNode(), testNode()
	w.do(&store.RegisterNode{Node: ready, Now: now})
	w.do(&store.RegisterNode{Node: down, Now: now})
	w.do(&store.UpdateNodeStatus{NodeID: down.ID, Status: api.NodeDown, Now: now})
	w.do(&store.RegisterJob{Job: j, Eval: e, Now: now})
	p := testPlan(w.Store.Snapshot().Job("default", "a"), e, ready, down)
	res := w.do(&store.ApplyPlan{Plan: p, Now: now}).Value.(*store.PlanResult)
	if want := []string{p.Placements[0].Allocs[1].ID}; !slices.Equal(res.Rejected, want) {
		t.Fatalf("rejected %v, want %v", res.Rejected, want)
	}
	if got := w.Store.Snapshot().Eval(e.ID).Status; got != api.EvalStatusPending {
		t.Errorf("evaluation of a plan with rejections is %s", got)
	}
}

// The log budget: a placement costs at most 200 bytes.
func TestLogBytesPerPlacement(t *testing.T) {
	if per := logBytesPerPlacement(t, func(*api.Placement, int) {}); per > 200 {
		t.Errorf("a placement costs %d bytes of log", per)
	}
	if per := logBytesPerPlacement(t, func(p *api.Placement, i int) { givePort(p, 20_000+i) }); per > 260 {
		t.Errorf("a placement with a port costs %d bytes of log", per)
	}
}

func logBytesPerPlacement(t *testing.T, with func(*api.Placement, int)) int {
	j := testJob("a")
	e := testEval(j)
	var nodes []*api.Node
	for range 1000 {
		nodes = append(nodes, testNode())
	}
	p := testPlan(j, e, nodes...)
	for i, a := range p.Placements[0].Allocs {
		with(a, i)
		for k := range 4 {
			s := *p.Placements[0].Allocs[(i+k+1)%1000].Scores[0]
			a.Scores = append(a.Scores, &s)
		}
	}
	b, err := store.EncodeCommand(&store.ApplyPlan{Plan: p, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return len(b) / len(nodes)
}

func FuzzDecodeCommand(f *testing.F) {
	j := testJob("a")
	e := testEval(j)
	for _, c := range []store.Command{
		&store.ApplyPlan{Plan: testPlan(j, e, testNode()), Now: now},
		&store.UpdateAllocs{NodeID: api.NewID(), Updates: []*api.AllocUpdate{{ID: api.NewID(), ClientStatus: "running", TaskStates: map[string]*api.TaskState{"t": {State: "running"}}}}},
		&store.RegisterJob{Job: j, Eval: e},
	} {
		b, err := store.EncodeCommand(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := store.DecodeCommand(b)
		if err != nil {
			return
		}
		if _, err := store.EncodeCommand(c); err != nil {
			t.Errorf("what was decoded can't be encoded: %v", err)
		}
	})
}

// Ten thousand that wait for one allocation sleep through all that happens to
// others, and wake together for its own change, once.
func TestManyWaitersSleepThroughChurn(t *testing.T) {
	w := newWorld(t)
	_, a := w.running("a")
	_, b := w.running("b")
	watches := make([]*store.Watch, 10_000)
	for i := range watches {
		watches[i] = w.Store.Watch(store.KeyAlloc(a[0].ID))
		defer watches[i].Close()
	}
	awake := func() (n int) {
		for _, watch := range watches {
			select {
			case <-watch.C():
				n++
			default:
			}
		}
		return n
	}
	report := func(a *api.Allocation, restarts uint64) {
		w.do(&store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{{
			ID: a.ID, ClientStatus: api.AllocClientRunning, TaskStates: map[string]*api.TaskState{"main": {State: api.TaskStateRunning, Restarts: restarts}},
		}}})
	}
	for i := range uint64(200) {
		report(b[0], i+1)
	}
	if n := awake(); n != 0 || w.Store.Waiters() != 1 {
		t.Errorf("%d of %d woke for changes of others; %d keys are waited for", n, len(watches), w.Store.Waiters())
	}
	report(a[0], 1)
	if n := awake(); n != len(watches) || w.Store.Waiters() != 0 {
		t.Errorf("%d of %d woke for their own change; %d keys are waited for", n, len(watches), w.Store.Waiters())
	}
}

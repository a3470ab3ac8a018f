package rollout

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// region is a store in which evaluations are carried out at once, and the
// loop's rounds are run by the test.
type region struct {
	t      *testing.T
	log    *storetest.Proposer
	loop   *Loop
	placer *sched.Placer
	time   time.Time
}

func newRegion(t *testing.T) *region {
	r := &region{t: t, log: storetest.New(), placer: sched.NewPlacer(), time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.loop = New(Config{Store: r.log.Store, Proposer: r.log, Now: r.now, NewID: api.NewID, Log: slog.New(slog.DiscardHandler)})
	for range 3 {
		r.apply(&store.RegisterNode{Node: &api.Node{
			ID: api.NewID(), Name: "n", Datacenter: "dc1", NodePool: "default", Status: api.NodeReady, SchedulingEligibility: api.NodeEligible,
			NodeResources: &api.NodeResources{Cpu: api.NodeCPU{CpuShares: 4000}, Memory: api.NodeMemory{MemoryMB: 4000}, Disk: api.NodeDisk{DiskMB: 100000}},
			Drivers:       map[string]*api.DriverInfo{"d": {Detected: true, Healthy: true}},
		}})
	}
	return r
}

func (r *region) now() time.Time        { return r.time }
func (r *region) snap() *store.Snapshot { return r.log.Store.Snapshot() }

func (r *region) apply(c store.Command) {
	r.t.Helper()
	if _, err := r.log.Propose(context.Background(), c); err != nil {
		r.t.Fatal(err)
	}
}

// settle runs rounds and evaluations until nothing changes, and returns when
// the loop wants to look again.
func (r *region) settle() (next time.Time) {
	r.t.Helper()
	for range 100 {
		before := r.snap().Index()
		next = r.loop.round(context.Background())
		for e := range r.snap().EvalsOpen() {
			if e.Status != api.EvalStatusPending || e.WaitUntil.After(r.time) {
				continue
			}
			plan := r.placer.Place(r.snap(), sched.Reconcile(r.snap(), e, r.time, api.NewID), r.now, api.NewID)
			r.apply(&store.ApplyPlan{Plan: plan, Now: r.time.UnixNano()})
			r.placer.Committed(e.ID, r.snap().Index())
		}
		if r.snap().Index() == before {
			return next
		}
	}
	r.t.Fatal("it never comes to rest")
	return next
}

func (r *region) register(count int, command string, update *api.UpdateStrategy) {
	r.t.Helper()
	j := &api.Job{ID: "a", Type: "service", Update: update, TaskGroups: []*api.TaskGroup{{
		Name: "g", Count: &count, Tasks: []*api.Task{{Name: "t", Driver: "d", Config: map[string]any{"command": command}}},
	}}}
	j.Canonicalize()
	r.apply(&store.RegisterJob{Job: j, Now: r.time.UnixNano(), Eval: &api.Evaluation{
		ID: api.NewID(), Namespace: "default", JobID: "a", Type: "service", Priority: 50, TriggeredBy: api.EvalTriggerJobRegister, Status: api.EvalStatusPending,
	}})
}

func (r *region) live(version int) (out []*api.Allocation) {
	for a := range r.snap().AllocsByJob("default", "a") {
		if !a.Terminal() && (version < 0 || a.Job.Version == uint64(version)) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *api.Allocation) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (r *region) report(status string, healthy *bool, allocs ...*api.Allocation) {
	r.t.Helper()
	for _, a := range allocs {
		r.apply(&store.UpdateAllocs{NodeID: a.NodeID, Now: r.time.UnixNano(), Updates: []*api.AllocUpdate{{
			ID: a.ID, ClientStatus: status, DeploymentHealthy: healthy, HealthTimestamp: r.time,
			TaskStates: map[string]*api.TaskState{"t": {FinishedAt: r.time}},
		}}})
	}
}

func (r *region) deployment() *api.Deployment { return r.snap().LatestDeployment("default", "a") }

func (r *region) want(what string, got, want any) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

var yes = true

func ptr[T any](v T) *T { return &v }

// stable registers a version and makes it stable.
func (r *region) stable(update *api.UpdateStrategy) {
	r.t.Helper()
	r.register(4, "one", update)
	r.settle()
	r.report("running", &yes, r.live(-1)...)
	r.settle()
	r.want("first deployment", r.deployment().Status, api.DeploymentSuccessful)
	r.want("stable", r.snap().Job("default", "a").Stable, true)
}

func TestRollsBatchByBatchToTheEnd(t *testing.T) {
	r := newRegion(t)
	update := &api.UpdateStrategy{MaxParallel: ptr(2)}
	r.stable(update)
	r.register(4, "two", update)
	r.settle()
	r.want("first batch", len(r.live(1)), 2)
	r.report("running", &yes, r.live(1)...)
	r.settle()
	r.want("second batch", len(r.live(1)), 4)
	r.want("goes on", r.deployment().Status, api.DeploymentRunning)
	r.report("running", &yes, r.live(1)...)
	r.settle()
	r.want("status", r.deployment().Status, api.DeploymentSuccessful)
	r.want("old ones", len(r.live(0)), 0)
}

func TestFailsWithoutProgressAndGoesBack(t *testing.T) {
	r := newRegion(t)
	update := &api.UpdateStrategy{MaxParallel: ptr(2), AutoRevert: &yes, ProgressDeadline: ptr(api.Duration(10 * time.Minute))}
	r.stable(update)
	r.register(4, "two", update)
	next := r.settle()
	r.want("looks again at the deadline", next.Sub(r.time), 10*time.Minute)
	failed := r.deployment().ID
	r.time = next
	r.settle()
	r.want("status", r.snap().Deployment(failed).Status, api.DeploymentFailed)
	r.want("text", r.snap().Deployment(failed).StatusDescription, "Failed due to progress deadline - rolling back to job version 0")
	r.want("version", r.snap().Job("default", "a").Version, uint64(2))
	r.want("spec", r.snap().Job("default", "a").TaskGroups[0].Tasks[0].Config["command"], "one")
	for range 5 {
		r.report("running", &yes, r.live(2)...)
		r.settle()
	}
	r.want("the old spec runs again", len(r.live(2)), 4)
	r.want("and succeeds", r.deployment().Status, api.DeploymentSuccessful)
}

func TestProgressMovesTheDeadline(t *testing.T) {
	r := newRegion(t)
	update := &api.UpdateStrategy{MaxParallel: ptr(1), ProgressDeadline: ptr(api.Duration(10 * time.Minute))}
	r.register(2, "one", update)
	r.settle()
	r.time = r.time.Add(9 * time.Minute)
	r.report("running", &yes, r.live(0)[0])
	next := r.settle()
	r.want("moved", next.Sub(r.time), 10*time.Minute)
	r.time = r.time.Add(9 * time.Minute)
	r.settle()
	r.want("still runs", r.deployment().Status, api.DeploymentRunning)
	r.time = next
	r.settle()
	r.want("failed", r.deployment().Status, api.DeploymentFailed)
}

func TestFailedAllocationIsReplacedByItsPolicy(t *testing.T) {
	r := newRegion(t)
	r.register(1, "one", &api.UpdateStrategy{MaxParallel: ptr(1)})
	r.settle()
	first := r.live(0)[0]
	r.report("failed", nil, first)
	r.settle()
	r.want("counted", r.deployment().TaskGroups["g"].UnhealthyAllocs, 1)
	r.want("waits for its delay", len(r.live(0)), 0)
	r.want("follow-up", r.snap().Alloc(first.ID).FollowupEvalID != "", true)
	r.time = r.time.Add(31 * time.Second)
	r.settle()
	r.want("replaced", len(r.live(0)), 1)
	r.report("running", &yes, r.live(0)...)
	r.settle()
	r.want("status", r.deployment().Status, api.DeploymentSuccessful)
}

func TestWithoutADeadlineTheFirstFailureEndsIt(t *testing.T) {
	r := newRegion(t)
	r.register(2, "one", &api.UpdateStrategy{MaxParallel: ptr(1), ProgressDeadline: ptr(api.Duration(0))})
	r.settle()
	r.report("failed", nil, r.live(0)[0])
	r.settle()
	r.want("status", r.deployment().Status, api.DeploymentFailed)
	r.want("text", r.deployment().StatusDescription, textUnhealthy)
}

func TestPromotesByItself(t *testing.T) {
	r := newRegion(t)
	update := &api.UpdateStrategy{MaxParallel: ptr(4), Canary: ptr(1), AutoPromote: &yes}
	r.stable(update)
	r.register(4, "two", update)
	r.settle()
	r.want("one canary", len(r.live(1)), 1)
	r.want("old ones", len(r.live(0)), 4)
	r.report("running", &yes, r.live(1)...)
	r.settle()
	r.want("promoted", r.deployment().TaskGroups["g"].Promoted, true)
	r.want("all new", len(r.live(1)), 4)
	r.report("running", &yes, r.live(1)...)
	r.settle()
	r.want("status", r.deployment().Status, api.DeploymentSuccessful)
}

func TestWaitsForAPersonToPromote(t *testing.T) {
	r := newRegion(t)
	update := &api.UpdateStrategy{MaxParallel: ptr(4), Canary: ptr(1)}
	r.stable(update)
	r.register(4, "two", update)
	r.settle()
	r.report("running", &yes, r.live(1)...)
	next := r.settle()
	r.want("no deadline while it waits", next.IsZero(), true)
	r.time = r.time.Add(24 * time.Hour)
	r.settle()
	r.want("still runs", r.deployment().Status, api.DeploymentRunning)
	r.want("nobody promoted it", len(r.live(1)), 1)
}

func TestALostAllocationDoesNotCountAsHealthy(t *testing.T) {
	r := newRegion(t)
	r.register(2, "one", &api.UpdateStrategy{MaxParallel: ptr(1)})
	r.settle()
	a := r.live(0)[0]
	r.report("running", &yes, a)
	r.apply(&store.UpdateNodeStatus{NodeID: a.NodeID, Status: api.NodeDown, Evals: []*api.Evaluation{{
		ID: api.NewID(), Namespace: "default", JobID: "a", Type: "service", Priority: 50, Status: api.EvalStatusPending,
	}}})
	r.settle()
	fresh := r.live(0)
	r.report("running", &yes, fresh[0])
	r.settle()
	r.want("healthy by the counts, not in fact", r.deployment().Status, api.DeploymentRunning)
	r.report("running", &yes, fresh...)
	r.settle()
	r.want("status", r.deployment().Status, api.DeploymentSuccessful)
}

func TestALostAllocationHasToBeReplacedInTime(t *testing.T) {
	r := newRegion(t)
	r.register(2, "one", &api.UpdateStrategy{MaxParallel: ptr(1), ProgressDeadline: ptr(api.Duration(10 * time.Minute))})
	r.settle()
	first, second := r.live(0)[0], r.live(0)[1]
	r.report("running", &yes, first)
	r.settle()
	r.time = r.time.Add(8 * time.Minute)
	r.apply(&store.TransitionAllocs{Now: r.time.UnixNano(), Transitions: map[string]api.DesiredTransition{first.ID: {Migrate: &yes}}, Evals: []*api.Evaluation{{
		ID: api.NewID(), Namespace: "default", JobID: "a", Type: "service", Priority: 50, Status: api.EvalStatusPending,
	}}})
	r.settle()
	r.report("complete", nil, first)
	r.time = r.time.Add(-7 * time.Minute)
	r.report("running", &yes, second) // its progress is older than the loss
	r.time = r.time.Add(7 * time.Minute)
	next := r.settle()
	r.want("looks again when the replacement's time is up", next.Sub(r.time), 10*time.Minute)
	r.time = next
	r.settle()
	r.want("status", r.deployment().Status, api.DeploymentFailed)
}

func TestAPauseDoesNotUseUpTheDeadline(t *testing.T) {
	r := newRegion(t)
	r.register(2, "one", &api.UpdateStrategy{MaxParallel: ptr(1), ProgressDeadline: ptr(api.Duration(10 * time.Minute))})
	r.settle()
	status := func(s string) {
		r.apply(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: r.deployment().ID, Status: s}, Now: r.time.UnixNano()})
	}
	status(api.DeploymentPaused)
	r.want("no deadline", r.settle().IsZero(), true)
	r.time = r.time.Add(time.Hour)
	status(api.DeploymentRunning)
	next := r.settle()
	r.want("status", r.deployment().Status, api.DeploymentRunning)
	r.want("deadline", next.Sub(r.time), 10*time.Minute)
}

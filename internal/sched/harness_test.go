package sched_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// tb is what the harness needs of *testing.T, *testing.B and *rapid.T.
type tb interface {
	Helper()
	Fatalf(string, ...any)
	Fatal(...any)
}

// world is a store with a placer and a clock that only tests move.
type world struct {
	t      tb
	log    *storetest.Proposer
	placer *sched.Placer
	time   time.Time
	ids    uint64
	view   func(*store.Snapshot) sched.State // what the scheduler sees, if it is wrong
	direct bool                              // apply commands as they are, not decoded from the log
	index  uint64                            // with direct
}

func newWorld(t tb) *world {
	return &world{t: t, log: storetest.New(), placer: sched.NewPlacer(), time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (w *world) now() time.Time        { return w.time }
func (w *world) snap() *store.Snapshot { return w.log.Store.Snapshot() }
func (w *world) pass(d time.Duration)  { w.time = w.time.Add(d) }

// id returns the next of a fixed series of IDs.
func (w *world) id() string {
	w.ids++
	h := fnv.New128a()
	fmt.Fprint(h, w.ids)
	var id api.ID
	h.Sum(id[:0])
	return id.String()
}

func (w *world) apply(cmd store.Command) store.Result {
	w.t.Helper()
	res, err := w.propose(cmd)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) propose(cmd store.Command) (store.Result, error) {
	if !w.direct {
		return w.log.Propose(context.Background(), cmd)
	}
	w.index = max(w.index, 9) + 1
	value, err := w.log.Store.Apply(w.index, cmd)
	return store.Result{Index: w.index, Value: value}, err
}

func (w *world) node(edit ...func(*api.Node)) *api.Node {
	w.t.Helper()
	n := &api.Node{
		ID: w.id(), Name: fmt.Sprintf("node-%d", w.ids), Datacenter: "dc1", NodePool: "default", Status: api.NodeReady,
		SchedulingEligibility: api.NodeEligible, Attributes: map[string]string{"kernel.name": "linux"}, Meta: map[string]string{},
		NodeResources: &api.NodeResources{
			Cpu:    api.NodeCPU{CpuShares: 4000, TotalCpuCores: 4, ReservableCpuCores: []uint16{0, 1, 2, 3}},
			Memory: api.NodeMemory{MemoryMB: 8192}, Disk: api.NodeDisk{DiskMB: 100000},
		},
		Drivers: map[string]*api.DriverInfo{"raw_exec": {Detected: true, Healthy: true}},
	}
	for _, e := range edit {
		e(n)
	}
	n.ComputedClass = fmt.Sprint(n.Datacenter, n.NodeClass, n.NodePool, n.Attributes, n.Meta, len(n.Drivers))
	w.apply(&store.RegisterNode{Node: n, Now: w.time.UnixNano()})
	return n
}

func (w *world) nodes(n int, edit ...func(*api.Node)) (out []*api.Node) {
	for range n {
		out = append(out, w.node(edit...))
	}
	return out
}

func rack(name string) func(*api.Node) { return func(n *api.Node) { n.Meta["rack"] = name } }

func ptr[T any](v T) *T { return &v }

func job(id, kind string, count int, edit ...func(*api.Job)) *api.Job {
	j := &api.Job{
		ID: id, Type: kind,
		TaskGroups: []*api.TaskGroup{{
			Name: "web", Count: &count,
			Tasks: []*api.Task{{Name: "main", Driver: "raw_exec", Config: map[string]any{"command": "x"}, Resources: &api.Resources{CPU: 100, MemoryMB: 64}}},
		}},
	}
	if kind == api.JobTypeService {
		j.Update = &api.UpdateStrategy{MaxParallel: ptr(0)}
	}
	for _, e := range edit {
		e(j)
	}
	j.Canonicalize()
	return j
}

// register makes j current and returns its evaluation.
func (w *world) register(j *api.Job) *api.Evaluation {
	w.t.Helper()
	e := w.eval(j, api.EvalTriggerJobRegister)
	w.apply(&store.RegisterJob{Job: j, Eval: e, Now: w.time.UnixNano()})
	return w.snap().Eval(e.ID)
}

func (w *world) eval(j *api.Job, trigger string) *api.Evaluation {
	return &api.Evaluation{
		ID: w.id(), Namespace: j.Namespace, JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: trigger, Status: api.EvalStatusPending,
	}
}

// decide makes a plan and does not apply it.
func (w *world) decide(e *api.Evaluation) *api.Plan {
	w.t.Helper()
	st := w.state()
	return w.placer.Place(st, sched.Reconcile(st, e, w.time, w.id), w.now, w.id)
}

// commit applies a plan.
func (w *world) commit(p *api.Plan) {
	w.t.Helper()
	var res store.Result
	for _, part := range byVersion(p) {
		res = w.apply(&store.ApplyPlan{Plan: part, Now: w.time.UnixNano()})
		if r := res.Value.(*store.PlanResult); len(r.Rejected) > 0 || r.Stale {
			w.t.Fatalf("rejected: %+v", r)
		}
	}
	w.placer.Committed(p.EvalID, res.Index)
}

// byVersion takes a plan apart into one for each job version.
func byVersion(p *api.Plan) []*api.Plan {
	c := *p
	c.Placements = nil
	parts := []*api.Plan{&c}
	for _, g := range p.Placements {
		if g.Job == nil {
			c.Placements = append(c.Placements, g)
			continue
		}
		parts = append(parts, &api.Plan{EvalID: p.EvalID, Job: g.Job, Placements: []*api.PlanGroup{g}})
	}
	return parts
}

// run evaluates a job and applies the plan.
func (w *world) run(e *api.Evaluation) *api.Plan {
	w.t.Helper()
	p := w.decide(e)
	w.commit(p)
	return p
}

func (w *world) again(j *api.Job) *api.Plan {
	w.t.Helper()
	return w.run(w.eval(j, api.EvalTriggerNodeUpdate))
}

// live returns the allocations of a job that are not terminal, by name.
func (w *world) live(id string) []*api.Allocation {
	var out []*api.Allocation
	for a := range w.snap().AllocsByJob("default", id) {
		if !a.Terminal() {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *api.Allocation) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (w *world) names(id string) string {
	var out []string
	for _, a := range w.live(id) {
		out = append(out, strings.TrimPrefix(a.Name, id+"."))
	}
	return strings.Join(out, " ")
}

// report sends a node's report of allocations.
func (w *world) report(status string, healthy *bool, allocs ...*api.Allocation) {
	w.t.Helper()
	for _, a := range allocs {
		w.apply(&store.UpdateAllocs{NodeID: a.NodeID, Now: w.time.UnixNano(), Updates: []*api.AllocUpdate{{
			ID: a.ID, ClientStatus: status, DeploymentHealthy: healthy, HealthTimestamp: w.time,
			TaskStates: map[string]*api.TaskState{"main": {StartedAt: w.time.Add(-time.Minute), FinishedAt: w.time}},
		}}})
	}
}

func (w *world) status(n *api.Node, status string) {
	w.t.Helper()
	w.apply(&store.UpdateNodeStatus{NodeID: n.ID, Status: status, Now: w.time.UnixNano()})
}

func placed(p *api.Plan) (out []*api.Placement) {
	for _, g := range p.Placements {
		out = append(out, g.Allocs...)
	}
	return out
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

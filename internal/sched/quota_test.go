package sched_test

import (
	"slices"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
	"pgregory.net/rapid"
)

func quota(name string, limit api.QuotaResources) *store.UpsertQuota {
	q := &api.QuotaSpec{Name: name, Limits: []*api.QuotaLimit{{RegionLimit: &limit}}}
	q.Canonicalize("global")
	return &store.UpsertQuota{Quota: q}
}

func under(namespace, quota string) *store.UpsertNamespaces {
	return &store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: namespace, Quota: quota}}}
}

func in(namespace string) func(*api.Job) { return func(j *api.Job) { j.Namespace = namespace } }

// What a quota has no room for waits, says why, and is placed when there is.
func TestQuotaExhausted(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	w.apply(quota("small", api.QuotaResources{MemoryMB: ptr(150), CPU: ptr(0), Cores: ptr(3)}))
	w.apply(under("a", "small"))
	w.apply(under("b", "small"))
	w.run(w.register(job("one", "service", 1, in("a"))))
	plan := w.run(w.register(job("two", "service", 3, in("b"))))
	e := w.snap().Eval(plan.EvalID)
	m := e.FailedTGAllocs["web"]
	check(t, "quota", e.QuotaLimitReached, "small")
	check(t, "why", m.QuotaExhausted, []string{`memory: 64 MiB needed, 22 of 150 are left in quota "small"`})
	check(t, "not placed", m.CoalescedFailures+1, 2)
	blocked := w.snap().Eval(e.BlockedEval)
	check(t, "blocked by", blocked.QuotaLimitReached, "small")
	if blocked.ClassEligibility != nil {
		t.Errorf("nodes would help: %v", blocked.ClassEligibility)
	}
	since := w.snap().Index()
	w.apply(quota("small", api.QuotaResources{MemoryMB: ptr(200)}))
	if w.snap().QuotaFreed("small") <= since {
		t.Error("a quota that was raised wakes nobody")
	}
	w.run(blocked)
	check(t, "woken", w.snap().Eval(blocked.ID).Status, api.EvalStatusBlocked)
	check(t, "left", w.snap().Eval(blocked.ID).FailedTGAllocs["web"].CoalescedFailures, 0)
	w.apply(under("b", ""))
	w.run(w.snap().Eval(blocked.ID))
	done := w.snap().Eval(blocked.ID)
	check(t, "without a quota", done.Status+done.QuotaLimitReached, api.EvalStatusComplete)
	_, used := w.snap().QuotaOf("a")
	check(t, "used", used, api.Charge{CPU: 100, MemoryMB: 64, MemoryMaxMB: 64, Allocations: 1})
}

// A full quota does not stop what replaces as much as it takes, and reserved
// cores count as cores.
func TestQuotaOfUpdates(t *testing.T) {
	w := newWorld(t)
	w.nodes(3)
	w.apply(quota("q", api.QuotaResources{Cores: ptr(2), CPU: ptr(-1), Allocations: ptr(2)}))
	w.apply(under("a", "q"))
	cores := func(command string) func(*api.Job) {
		return func(j *api.Job) {
			j.Namespace = "a"
			j.TaskGroups[0].Tasks[0].Config["command"] = command
			j.TaskGroups[0].Tasks[0].Resources = &api.Resources{Cores: 1, MemoryMB: 64}
		}
	}
	w.run(w.register(job("one", "service", 2, cores("x"))))
	plan := w.run(w.register(job("one", "service", 2, cores("y"))))
	if len(placed(plan)) != 2 {
		t.Errorf("%d were replaced: %+v", len(placed(plan)), w.snap().Eval(plan.EvalID).FailedTGAllocs["web"])
	}
	plan = w.run(w.register(job("two", "service", 1, cores("x"))))
	check(t, "why", w.snap().Eval(plan.EvalID).FailedTGAllocs["web"].QuotaExhausted, []string{
		`cores: 1 needed, 0 of 2 are left in quota "q"`, `allocations: 1 needed, 0 of 2 are left in quota "q"`,
	})
	two := w.snap().Job("a", "two")
	check(t, "explained", len(sched.Why(w.snap(), two, two.TaskGroups[0], nil, 0).QuotaExhausted), 2)
	plan = w.run(w.register(job("sys", "system", 1, cores("x"))))
	if len(placed(plan)) != 0 || w.snap().Eval(plan.EvalID).QuotaLimitReached != "q" {
		t.Errorf("a system job got %d", len(placed(plan)))
	}
}

// Whatever several namespaces do at once, with plans in flight: nothing is
// placed beyond a quota, what is counted is what runs, and plans are not
// rejected for it while nobody changes quotas.
func TestQuotasHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.nodes(rapid.IntRange(1, 6).Draw(t, "nodes"))
		spaces := []string{"a", "b", "c", "default"}
		limit := func() api.QuotaResources {
			var l api.QuotaResources
			for _, d := range []struct {
				field **int
				most  int
			}{{&l.CPU, 1500}, {&l.MemoryMB, 1200}, {&l.Allocations, 12}, {&l.MemoryMaxMB, 1200}, {&l.Cores, 6}} {
				if rapid.Bool().Draw(t, "bounded") {
					*d.field = ptr(rapid.IntRange(-1, d.most).Draw(t, "limit"))
				}
			}
			return l
		}
		w.apply(quota("q1", limit()))
		w.apply(quota("q2", limit()))
		for _, s := range spaces[:3] {
			w.apply(under(s, rapid.SampledFrom([]string{"q1", "q1", "q2", ""}).Draw(t, "under")))
		}
		type inFlight struct {
			plan  *api.Plan
			epoch int
		}
		var flying []inFlight
		epoch := 0 // counts changes of quotas
		land := func() {
			if len(flying) == 0 {
				return
			}
			f := flying[0]
			flying = flying[1:]
			before := usedOf(w)
			var res store.Result
			for _, part := range byVersion(f.plan) {
				res = w.apply(&store.ApplyPlan{Plan: part, Now: w.time.UnixNano()})
				if r := res.Value.(*store.PlanResult); len(r.Rejected) > 0 && f.epoch == epoch {
					t.Fatalf("rejected %v", r.Rejected)
				}
			}
			w.placer.Committed(f.plan.EvalID, res.Index)
			for name, used := range usedOf(w) {
				if why := w.snap().Quota(name).Limit().Exceeds(api.Charge{}, used); why != nil {
					more := used.Minus(before[name])
					for _, over := range w.snap().Quota(name).Limit().Exceeds(before[name], more) {
						t.Fatalf("quota %s is exceeded: %s", name, over)
					}
				}
			}
		}
		for range rapid.IntRange(10, 40).Draw(t, "steps") {
			space := rapid.SampledFrom(spaces).Draw(t, "namespace")
			id := rapid.SampledFrom([]string{"j1", "j2", "j3"}).Draw(t, "job")
			busy := slices.ContainsFunc(flying, func(f inFlight) bool {
				return f.plan.Job != nil && f.plan.Job.Namespace == space && f.plan.Job.ID == id
			})
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1, 2, 3:
				if busy {
					continue // one evaluation of a job at a time
				}
				kind := map[string]string{"j1": "service", "j2": "batch", "j3": "system"}[id]
				j := job(id, kind, rapid.IntRange(0, 8).Draw(t, "count"), in(space), func(j *api.Job) {
					r := &api.Resources{CPU: rapid.IntRange(1, 3).Draw(t, "cpu") * 50, MemoryMB: rapid.IntRange(1, 3).Draw(t, "memory") * 40}
					if rapid.IntRange(0, 4).Draw(t, "cores") == 0 {
						r.CPU, r.Cores = 0, 1
					}
					j.TaskGroups[0].Tasks[0].Resources = r
				})
				flying = append(flying, inFlight{w.decide(w.register(j)), epoch})
			case 4, 5, 6:
				land()
			case 7:
				for a := range w.snap().Allocs() {
					if a.Namespace == space && a.JobID == id && !a.ClientTerminal() {
						w.report(api.AllocClientComplete, nil, a)
						break
					}
				}
			case 8:
				epoch++
				w.apply(quota(rapid.SampledFrom([]string{"q1", "q2"}).Draw(t, "quota"), limit()))
			case 9:
				epoch++
				w.apply(under(space, rapid.SampledFrom([]string{"q1", "q2", ""}).Draw(t, "moved")))
			}
			checkUsage(t, w)
		}
		for len(flying) > 0 {
			land()
			checkUsage(t, w)
		}
	})
}

func usedOf(w *world) map[string]api.Charge {
	out := map[string]api.Charge{}
	for n := range w.snap().Namespaces("", false) {
		if q, used := w.snap().QuotaOf(n.Name); q != nil {
			out[q.Name] = used
		}
	}
	return out
}

// checkUsage adds up again what is counted.
func checkUsage(t *rapid.T, w *world) {
	want := map[string]api.Charge{}
	for a := range w.snap().Allocs() {
		if n := w.snap().Namespace(a.Namespace); n.Quota != "" && !a.Terminal() {
			want[n.Quota] = want[n.Quota].Plus(fit.Charge(a.AllocatedResources))
		}
	}
	jobs := map[string]int{}
	for j := range w.snap().Jobs() {
		if n := w.snap().Namespace(j.Namespace); n.Quota != "" && j.Status != api.JobStatusDead {
			jobs[n.Quota]++
		}
	}
	for name, used := range usedOf(w) {
		if used != want[name] {
			t.Fatalf("quota %s: %+v is counted, %+v runs", name, used, want[name])
		}
		for _, u := range w.snap().QuotaUsage(name).Used {
			if *u.RegionLimit.Jobs != jobs[name] {
				t.Fatalf("quota %s: %d jobs are counted, %d are there", name, *u.RegionLimit.Jobs, jobs[name])
			}
		}
	}
}

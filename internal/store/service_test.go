package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func serves(a *api.Allocation, name string, tags ...string) *api.AllocService {
	return &api.AllocService{ID: api.RegistrationID(a.ID, "main", name, "http"), Name: name, Tags: tags, Address: "10.0.0.1", Port: 8080}
}

func runningReport(a *api.Allocation, list ...*api.AllocService) *store.UpdateAllocs {
	return &store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: api.AllocClientRunning, Services: list}}}
}

func shown(s *store.Snapshot) []string {
	out := []string{}
	for r := range s.Services(api.AllNamespaces) {
		out = append(out, r.ID)
	}
	return out
}

// What a node reports is shown from that command on, and gone in the command
// that wants the allocation to end, whoever gives it.
func TestServicesAreShownWhileTheyAreWanted(t *testing.T) {
	stop := func(w *world, a *api.Allocation) store.Command {
		return &store.ApplyPlan{Plan: &api.Plan{Stops: []*api.PlanStop{{ID: a.ID, DesiredStatus: api.AllocDesiredStop}}}, Now: now}
	}
	status := func(s string) func(*world, *api.Allocation) store.Command {
		return func(_ *world, a *api.Allocation) store.Command {
			return &store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: s, Services: []*api.AllocService{serves(a, "web")}}}}
		}
	}
	for name, end := range map[string]func(*world, *api.Allocation) store.Command{
		"stopped": stop,
		"lost": func(_ *world, a *api.Allocation) store.Command {
			return &store.ApplyPlan{Plan: &api.Plan{Stops: []*api.PlanStop{{ID: a.ID, ClientStatus: api.AllocClientLost}}}, Now: now}
		},
		"unknown": func(_ *world, a *api.Allocation) store.Command {
			return &store.ApplyPlan{Plan: &api.Plan{Stops: []*api.PlanStop{{ID: a.ID, ClientStatus: api.AllocClientUnknown}}}, Now: now}
		},
		"failed":   status(api.AllocClientFailed),
		"complete": status(api.AllocClientComplete),
		"nothing served": func(_ *world, a *api.Allocation) store.Command {
			return runningReport(a)
		},
		"job stopped": func(*world, *api.Allocation) store.Command {
			return &store.DeregisterJob{Namespace: "default", JobID: "a", Now: now}
		},
		"job purged": func(*world, *api.Allocation) store.Command {
			return &store.DeregisterJob{Namespace: "default", JobID: "a", Purge: true, NoShutdownDelay: true, Now: now}
		},
		"node down": func(_ *world, a *api.Allocation) store.Command {
			return &store.UpdateNodeStatus{NodeID: a.NodeID, Status: api.NodeDown, Now: now}
		},
		"node deleted": func(_ *world, a *api.Allocation) store.Command {
			return &store.DeleteNode{NodeID: a.NodeID, Now: now}
		},
		"deleted by hand": func(_ *world, a *api.Allocation) store.Command {
			return &store.DeleteService{Namespace: "default", Name: "web", ID: serves(a, "web").ID}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, allocs := w.running("a")
			a := allocs[0]
			w.do(runningReport(a, serves(a, "web", "v1")))
			if got := shown(w.Store.Snapshot()); len(got) != 1 {
				t.Fatalf("shown: %q", got)
			}
			watch := w.Store.Watch(store.KeyService("default", "web"))
			defer watch.Close()
			other := w.Store.Watch(store.KeyService("default", "db"), store.KeyServicesOfAlloc(allocs[1].ID))
			defer other.Close()
			w.do(end(w, w.Store.Snapshot().Alloc(a.ID)))
			if got := shown(w.Store.Snapshot()); len(got) != 0 {
				t.Fatalf("still shown: %q", got)
			}
			select {
			case <-watch.C():
			default:
				t.Fatal("nobody was told")
			}
			select {
			case <-other.C():
				t.Fatal("readers of other services were told")
			default:
			}
		})
	}
}

func TestServicesComeBack(t *testing.T) {
	w := newWorld(t)
	j, allocs := w.running("a")
	a := allocs[0]
	w.do(runningReport(a, serves(a, "web")))
	for _, c := range []struct{ off, on store.Command }{
		{&store.UpdateNodeStatus{NodeID: a.NodeID, Status: api.NodeDown, Now: now}, &store.UpdateNodeStatus{NodeID: a.NodeID, Status: api.NodeReady, Now: now}},
		{&store.DeregisterJob{Namespace: "default", JobID: "a", Now: now}, &store.RegisterJob{Job: j, Now: now}},
	} {
		w.do(c.off)
		if got := shown(w.Store.Snapshot()); len(got) != 0 {
			t.Fatalf("%T: still shown: %q", c.off, got)
		}
		w.do(c.on)
		if got := shown(w.Store.Snapshot()); len(got) != 1 {
			t.Fatalf("%T: not shown again", c.on)
		}
	}
	// Deleted by hand it stays away however often the same is reported.
	w.do(&store.DeleteService{Namespace: "default", Name: "web", ID: serves(a, "web").ID})
	w.do(&store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: api.AllocClientRunning, ClientDescription: "news", Services: []*api.AllocService{serves(a, "web")}}}})
	if got := shown(w.Store.Snapshot()); len(got) != 0 {
		t.Fatalf("shown after it was deleted: %q", got)
	}
	w.do(runningReport(a))
	w.do(runningReport(a, serves(a, "web")))
	if got := shown(w.Store.Snapshot()); len(got) != 1 {
		t.Fatal("not shown although it was registered anew")
	}
}

func TestCanaryTagsEndWithThePromotion(t *testing.T) {
	w := newWorld(t)
	j := testJob("a")
	n := testNode()
	e := testEval(j)
	w.do(&store.RegisterNode{Node: n, Now: now})
	w.do(&store.RegisterJob{Job: j, Eval: e, Now: now})
	j = w.Store.Snapshot().Job("default", "a")
	plan := testPlan(j, e, n)
	plan.Deployment = &api.Deployment{ID: api.NewID(), Namespace: "default", JobID: "a", JobCreateIndex: j.CreateIndex, Status: api.DeploymentRunning,
		TaskGroups: map[string]*api.DeploymentState{"web": {DesiredCanaries: 1, DesiredTotal: 1}}}
	plan.Placements[0].DeploymentID = plan.Deployment.ID
	plan.Placements[0].Allocs[0].Canary = true
	w.do(&store.ApplyPlan{Plan: plan, Now: now})
	a := w.Store.Snapshot().Alloc(plan.Placements[0].Allocs[0].ID)
	s := serves(a, "web", "live")
	s.CanaryTags = []string{"canary"}
	u := runningReport(a, s)
	u.Updates[0].DeploymentHealthy = new(true)
	w.do(u)
	tags := func() []string { return w.Store.Snapshot().ServicesOfAlloc(a.ID)[0].Tags }
	if got := tags(); !slices.Equal(got, []string{"canary"}) {
		t.Fatalf("tags of a canary: %q", got)
	}
	w.do(&store.PromoteDeployment{DeploymentID: plan.Deployment.ID, Now: now})
	if got := tags(); !slices.Equal(got, []string{"live"}) {
		t.Fatalf("tags after the promotion: %q", got)
	}
}

// Over random histories the catalogue shows exactly what was reported last of
// what is to run and within reach, its indexes agree, and a restored store
// shows the same, byte for byte.
func TestCatalogueEqualsReports(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		jobs := map[string]*api.Job{}
		var allocs []*api.Allocation
		for _, id := range []string{"a", "b"} {
			j, list := w.running(id)
			jobs[id] = j
			allocs = append(allocs, list...)
		}
		reports := map[string][]*api.AllocService{}
		hidden := map[string]bool{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			a := rapid.SampledFrom(allocs).Draw(rt, "alloc")
			cur := w.Store.Snapshot().Alloc(a.ID)
			switch rapid.IntRange(0, 7).Draw(rt, "action") {
			case 0, 1, 2:
				var list []*api.AllocService
				for _, name := range []string{"web", "db", "log"} {
					if rapid.Bool().Draw(rt, name) {
						list = append(list, serves(a, name, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "tag")))
					}
				}
				status := rapid.SampledFrom([]string{api.AllocClientRunning, api.AllocClientRunning, api.AllocClientPending}).Draw(rt, "status")
				if cur.ClientTerminal() {
					status = cur.ClientStatus
				}
				w.do(&store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: status, Services: list}}})
				if !cur.ServerTerminal() {
					for id := range hidden {
						if !slices.ContainsFunc(list, func(s *api.AllocService) bool { return s.ID == id }) || !containsEqual(reports[a.ID], list, id) {
							if slices.ContainsFunc(reports[a.ID], func(s *api.AllocService) bool { return s.ID == id }) {
								delete(hidden, id)
							}
						}
					}
					reports[a.ID] = list
				}
			case 3:
				stop := &api.PlanStop{ID: a.ID, DesiredStatus: rapid.SampledFrom([]string{"", api.AllocDesiredStop, api.AllocDesiredEvict}).Draw(rt, "desired"),
					ClientStatus: rapid.SampledFrom([]string{"", api.AllocClientLost, api.AllocClientUnknown}).Draw(rt, "client")}
				w.do(&store.ApplyPlan{Plan: &api.Plan{Stops: []*api.PlanStop{stop}}, Now: now})
			case 4:
				w.do(&store.UpdateNodeStatus{NodeID: a.NodeID, Now: now,
					Status: rapid.SampledFrom([]string{api.NodeReady, api.NodeDown, api.NodeDisconnected}).Draw(rt, "node")})
			case 5:
				w.do(&store.DeregisterJob{Namespace: "default", JobID: a.JobID, Now: now})
			case 6:
				w.do(&store.RegisterJob{Job: jobs[a.JobID], Now: now})
			case 7:
				if rows := w.Store.Snapshot().ServicesOfAlloc(a.ID); len(rows) > 0 {
					w.do(&store.DeleteService{Namespace: "default", Name: rows[0].ServiceName, ID: rows[0].ID})
					hidden[rows[0].ID] = true
				}
			}
		}
		snap := w.Store.Snapshot()
		want := map[string]string{}
		for _, a := range allocs {
			a = snap.Alloc(a.ID)
			if a.Terminal() || a.ClientStatus == api.AllocClientUnknown || snap.Job("default", a.JobID).Stop || snap.Node(a.NodeID).Status != api.NodeReady {
				continue
			}
			for _, s := range reports[a.ID] {
				if !hidden[s.ID] {
					want[s.ID] = fmt.Sprint(s.Name, s.Tags, a.JobID)
				}
			}
		}
		got, byJob, byAlloc, byName := map[string]string{}, 0, 0, 0
		for r := range snap.Services(api.AllNamespaces) {
			got[r.ID] = fmt.Sprint(r.ServiceName, r.Tags, r.JobID)
		}
		for id := range jobs {
			byJob += len(slices.Collect(snap.ServicesOfJob("default", id)))
		}
		for _, a := range allocs {
			byAlloc += len(snap.ServicesOfAlloc(a.ID))
		}
		for _, name := range []string{"web", "db", "log"} {
			byName += len(slices.Collect(snap.Service("default", name)))
		}
		if !maps.Equal(got, want) {
			rt.Fatalf("shown (-) and reported (+):\n%s", cmp.Diff(got, want))
		}
		if n := len(got); byJob != n || byAlloc != n || byName != n || snap.ServiceCount() != n {
			rt.Fatalf("%d registrations, by job %d, by allocation %d, by name %d", n, byJob, byAlloc, byName)
		}
		var file bytes.Buffer
		if err := snap.Persist(&file); err != nil {
			rt.Fatal(err)
		}
		restored := store.New()
		if err := restored.Restore(bytes.NewReader(file.Bytes())); err != nil {
			rt.Fatal(err)
		}
		if a, b := catalogue(snap), catalogue(restored.Snapshot()); a != b {
			rt.Fatalf("restored:\n%s", cmp.Diff(a, b))
		}
		var again bytes.Buffer
		if err := restored.Snapshot().Persist(&again); err != nil || !bytes.Equal(file.Bytes(), again.Bytes()) {
			rt.Fatal("a restored state is written differently", err)
		}
	})
}

// containsEqual reports whether the service of an ID is the same in two lists.
func containsEqual(a, b []*api.AllocService, id string) bool {
	for _, s := range a {
		if s.ID == id {
			return slices.ContainsFunc(b, s.Equal)
		}
	}
	return false
}

func catalogue(s *store.Snapshot) string {
	b, _ := json.Marshal(slices.Collect(s.Services(api.AllNamespaces)))
	return string(b)
}

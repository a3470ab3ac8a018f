package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

func (w *world) names(from string, reverse bool) string {
	var out []string
	for n := range w.Store.Snapshot().Namespaces(from, reverse) {
		out = append(out, n.Name)
	}
	return strings.Join(out, " ")
}

func TestNamespacesLiveAndDie(t *testing.T) {
	w := newWorld(t)
	if got := w.names("", false); got != "default" {
		t.Fatalf("the first namespaces are %s", got)
	}
	w.do(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "prod"}, {Name: "dev"}, {Name: "default", Description: "ours"}}})
	if got := w.names("", false) + "|" + w.names("dev", false) + "|" + w.names("", true) + "|" + w.names("dev", true); got !=
		"default dev prod|dev prod|prod dev default|dev default" {
		t.Error(got)
	}
	before := w.Store.Snapshot().Namespace("prod")
	w.do(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "prod", CreateIndex: 3}}})
	if got := w.Store.Snapshot().Namespace("prod"); got != before {
		t.Errorf("what says nothing new changed %+v to %+v", before, got)
	}
	w.do(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "prod", Description: "x"}}})
	if got := w.Store.Snapshot().Namespace("prod"); got.CreateIndex != before.CreateIndex || got.ModifyIndex != w.Store.Snapshot().Index() || got.Description != "x" {
		t.Errorf("changed to %+v", got)
	}
	for name, code := range map[string]api.Code{"default": api.CodeInvalid, "none": api.CodeNotFound} {
		if _, err := w.Propose(t.Context(), &store.DeleteNamespaces{Names: []string{"dev", name}}); api.ErrorCode(err) != code {
			t.Errorf("delete %s: %v", name, err)
		}
	}
	if got := w.names("", false); got != "default dev prod" {
		t.Errorf("a refused deletion left %s", got)
	}
	w.do(&store.DeleteNamespaces{Names: []string{"dev", "prod"}})
	if got := w.names("", false); got != "default" {
		t.Errorf("left are %s", got)
	}
}

// A namespace outlives all that runs in it, also what outlived its job, and
// nothing begins in one that is gone.
func TestNamespaceWithWorkIsKept(t *testing.T) {
	w := newWorld(t)
	refused := func(cmd store.Command, code api.Code, parts ...string) {
		t.Helper()
		_, err := w.Propose(t.Context(), cmd)
		if api.ErrorCode(err) != code || slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(err.Error(), p) }) {
			t.Errorf("%T: %v, want %s %q", cmd, err, code, parts)
		}
	}
	job := testJob("web")
	job.Namespace = "prod"
	refused(&store.RegisterJob{Job: job, Now: now}, api.CodeInvalid, `namespace "prod" does not exist`)
	w.do(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "prod"}, {Name: "pro"}, {Name: "prod2"}}})

	node := testNode()
	w.do(&store.RegisterNode{Node: node, Now: now})
	eval := testEval(job)
	w.do(&store.RegisterJob{Job: job, Eval: eval, Now: now})
	del := &store.DeleteNamespaces{Names: []string{"prod"}}
	refused(del, api.CodeConflict, `"prod"`, "non-terminal jobs", "web")
	w.do(&store.DeleteNamespaces{Names: []string{"pro", "prod2"}}) // its neighbours are not concerned

	plan := testPlan(w.Store.Snapshot().Job("prod", "web"), eval, node)
	w.do(&store.ApplyPlan{Plan: plan, Now: now})
	id := plan.Placements[0].Allocs[0].ID
	w.do(&store.DeregisterJob{Namespace: "prod", JobID: "web", Purge: true, Now: now})
	refused(del, api.CodeConflict, "non-terminal allocations", id)
	w.do(&store.UpdateAllocs{NodeID: node.ID, Now: now, Updates: []*api.AllocUpdate{{ID: id, ClientStatus: api.AllocClientComplete}}})
	w.do(del)
	refused(&store.ScaleJob{Namespace: "prod", JobID: "web", Group: "web", Now: now}, api.CodeInvalid, "does not exist")
}

func TestNamespaceWatches(t *testing.T) {
	w := newWorld(t)
	w.do(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "prod"}, {Name: "dev"}}})
	job := testJob("web")
	job.Namespace = "prod"
	woken := func(cmd store.Command, keys ...store.Key) (out []bool) {
		var watches []*store.Watch
		for _, k := range keys {
			watches = append(watches, w.Store.Watch(k))
		}
		w.do(cmd)
		for _, watch := range watches {
			select {
			case <-watch.C():
				out = append(out, true)
			default:
				out = append(out, false)
			}
			watch.Close()
		}
		return out
	}
	if got := woken(&store.RegisterJob{Job: job, Eval: testEval(job), Now: now}, store.KeyJobsOfNamespace("prod"), store.KeyEvalsOfNamespace("prod"),
		store.KeyJobsOfNamespace("dev"), store.KeyEvalsOfNamespace("dev"), store.KeyNamespaces()); !slices.Equal(got, []bool{true, true, false, false, false}) {
		t.Errorf("a registration woke %v", got)
	}
	if got := woken(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "dev", Description: "x"}}}, store.KeyNamespaces(),
		store.KeyNamespace("dev"), store.KeyNamespace("prod")); !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("a change woke %v", got)
	}
	if got := woken(&store.DeleteNamespaces{Names: []string{"dev"}}, store.KeyNamespaces(), store.KeyNamespace("dev"),
		store.KeyNamespace("prod")); !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("a deletion woke %v", got)
	}
}

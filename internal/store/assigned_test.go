package store_test

import (
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// A node's watcher finds what changed since it last looked without looking at
// everything, and learns when that is not possible.
func TestAssignedSince(t *testing.T) {
	w := newWorld(t)
	if _, ok := w.Store.Snapshot().AssignedSince(api.NewID(), 0); ok {
		t.Error("a node that is not there is known")
	}
	_, as := w.running("a")
	a := as[0]
	snap := w.Store.Snapshot()
	if _, ok := snap.AssignedSince(a.NodeID, 0); ok {
		t.Error("what was before the node registered is known")
	}
	since := func(index uint64) []api.ID {
		t.Helper()
		ids, ok := w.Store.Snapshot().AssignedSince(a.NodeID, index)
		if !ok {
			t.Fatalf("what changed after %d is not known", index)
		}
		return ids
	}
	placed := a.CreateIndex
	if ids := since(placed - 1); len(ids) != 1 || ids[0].String() != a.ID {
		t.Errorf("placed: %v", ids)
	}
	if ids := since(placed); len(ids) != 0 {
		t.Errorf("nothing changed since: %v", ids)
	}
	w.do(&store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: api.AllocClientRunning}}})
	if ids := since(placed); len(ids) != 0 {
		t.Errorf("a node's own report: %v", ids)
	}
	migrate := func() {
		w.do(&store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{a.ID: {Migrate: new(true)}}, Now: now})
	}
	migrate()
	migrate()
	if ids := since(placed); len(ids) != 1 || ids[0].String() != a.ID {
		t.Errorf("changed twice: %v", ids)
	}
	before := w.Store.Snapshot()
	seen := before.Index()
	for range 300 {
		migrate()
	}
	if _, ok := w.Store.Snapshot().AssignedSince(a.NodeID, seen); ok {
		t.Error("a row remembers without bound")
	}
	if ids := since(w.Store.Snapshot().Index() - 50); len(ids) != 1 {
		t.Errorf("of late: %v", ids)
	}
	if ids, ok := before.AssignedSince(a.NodeID, placed); !ok || len(ids) != 1 {
		t.Errorf("an older snapshot changed: %v, %t", ids, ok)
	}
	w.do(&store.UpdateAllocs{NodeID: a.NodeID, Now: now, Updates: []*api.AllocUpdate{{ID: a.ID, ClientStatus: api.AllocClientComplete}}})
	w.do(&store.Reap{Allocs: []string{a.ID}})
	if ids := since(w.Store.Snapshot().Index() - 1); len(ids) != 1 || w.Store.Snapshot().AllocByID(ids[0]) != nil {
		t.Errorf("deleted: %v", ids)
	}
}

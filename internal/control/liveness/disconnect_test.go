package liveness

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// A silent node is disconnected for as long as the most patient of its
// allocations allows, and then down; a new leader counts on from where the old
// one was.
func TestSilentNodeIsDisconnectedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		register(t, p, 1)
		place(t, p, "short", time.Minute, api.AllocClientRunning)
		place(t, p, "long", 10*time.Minute, api.AllocClientRunning)
		place(t, p, "pending", time.Hour, api.AllocClientPending)
		status := func() string { synctest.Wait(); return p.Store.Snapshot().Node(id(1)).Status }
		lead(t, p, p, func(l *Liveness) {
			_, _ = l.Beat(id(1))
			time.Sleep(25 * time.Second)
			if s := status(); s != api.NodeDisconnected {
				t.Fatalf("a silent node is %s", s)
			}
			n := 0
			for range p.Store.Snapshot().EvalsOpen() {
				n++
			}
			if n != 3 {
				t.Errorf("%d evaluations, want one of each job", n)
			}
			time.Sleep(5 * time.Minute)
			if s := status(); s != api.NodeDisconnected {
				t.Fatalf("within lost_after it is %s", s)
			}
		})
		lead(t, p, p, func(l *Liveness) {
			time.Sleep(4*time.Minute + 50*time.Second)
			if s := status(); s != api.NodeDisconnected {
				t.Fatalf("under a new leader, within lost_after, it is %s", s)
			}
			time.Sleep(10 * time.Second)
			if s := status(); s != api.NodeDown {
				t.Fatalf("after lost_after it is %s", s)
			}
		})
	})
}

// place puts an allocation of a job of its own on node 1.
func place(t *testing.T, p *storetest.Proposer, name string, lostAfter time.Duration, status string) {
	t.Helper()
	d := api.Duration(lostAfter)
	job := &api.Job{ID: name, Namespace: "default", Type: api.JobTypeService, TaskGroups: []*api.TaskGroup{{
		Name: "g", Disconnect: &api.DisconnectStrategy{LostAfter: &d}, Tasks: []*api.Task{{Name: "t", Driver: "raw_exec"}},
	}}}
	job.Canonicalize()
	alloc := api.NewID()
	do := func(c store.Command) {
		t.Helper()
		if _, err := p.Propose(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	do(&store.RegisterJob{Job: job, Now: 1})
	do(&store.ApplyPlan{Now: 1, Plan: &api.Plan{Job: p.Store.Snapshot().Job("default", name), Placements: []*api.PlanGroup{
		{TaskGroup: "g", Allocs: []*api.Placement{{ID: alloc, NodeID: id(1)}}},
	}}})
	do(&store.UpdateAllocs{NodeID: id(1), Updates: []*api.AllocUpdate{{ID: alloc, ClientStatus: status}}, Now: 1})
	if p.Store.Snapshot().Alloc(alloc) == nil {
		t.Fatal("not placed")
	}
}

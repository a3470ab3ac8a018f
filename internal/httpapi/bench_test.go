package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// discard is a response nobody reads.
type discard struct {
	h http.Header
	n int64
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.n += int64(len(p)); return len(p), nil }

// BenchmarkListAllocs lists 10,000 allocations with two events each.
func BenchmarkListAllocs(b *testing.B) {
	log := storetest.New()
	w := &world{store: log.Store, log: log}
	w.build(b)
	propose := func(cmd store.Command) {
		b.Helper()
		if _, err := log.Propose(b.Context(), cmd); err != nil {
			b.Fatal(err)
		}
	}
	job := &api.Job{ID: "web", Namespace: "default", Type: "service", TaskGroups: []*api.TaskGroup{{Name: "cache"}}}
	job.Canonicalize()
	propose(&store.RegisterJob{Job: job})
	job = log.Store.Snapshot().Job("default", "web")
	var updates []*api.AllocUpdate
	g := &api.PlanGroup{TaskGroup: "cache", Resources: &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{"redis": {}}}}
	for i := range 10_000 {
		id := api.NewID()
		g.Allocs = append(g.Allocs, &api.Placement{ID: id, Index: i, NodeID: nodeID, NodeName: "node-fb"})
		updates = append(updates, &api.AllocUpdate{ID: id, ClientStatus: "running", TaskStates: map[string]*api.TaskState{"redis": {
			State: "running", StartedAt: start, Events: []*api.TaskEvent{api.NewTaskEvent(api.EventReceived, start), api.NewTaskEvent(api.EventStarted, start)},
		}}})
	}
	propose(&store.ApplyPlan{Plan: &api.Plan{EvalID: noID, Job: job, Placements: []*api.PlanGroup{g}}, Now: 1})
	propose(&store.UpdateAllocs{NodeID: nodeID, Updates: updates, Now: 2})

	for name, accept := range map[string]string{"plain": "", "gzip": "gzip"} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/v1/allocations", nil)
			r.Host = "localhost"
			r.Header.Set("Accept-Encoding", accept)
			b.ReportAllocs()
			var sent int64
			for b.Loop() {
				d := &discard{h: http.Header{}}
				w.h.ServeHTTP(d, r)
				sent = d.n
			}
			b.SetBytes(sent)
		})
	}
}

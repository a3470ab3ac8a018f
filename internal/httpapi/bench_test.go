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

// load adds n running allocations of a job, with two events each, and returns
// a report of each that changes it.
func (w *world) load(t testing.TB, ns string, n int) []*api.AllocUpdate {
	t.Helper()
	propose := func(cmd store.Command) {
		t.Helper()
		if _, err := w.log.Propose(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	job := &api.Job{ID: "web", Namespace: ns, Type: "service", TaskGroups: []*api.TaskGroup{{Name: "cache"}}}
	job.Canonicalize()
	propose(&store.RegisterJob{Job: job})
	job = w.store.Snapshot().Job(ns, "web")
	var updates, again []*api.AllocUpdate
	g := &api.PlanGroup{TaskGroup: "cache", Resources: &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{"redis": {}}}}
	for i := range n {
		id := api.NewID()
		g.Allocs = append(g.Allocs, &api.Placement{ID: id, Index: i, NodeID: nodeID, NodeName: "node-fb"})
		report := func(restarts uint64) *api.AllocUpdate {
			return &api.AllocUpdate{ID: id, ClientStatus: "running", TaskStates: map[string]*api.TaskState{"redis": {
				State: "running", StartedAt: start, Restarts: restarts,
				Events: []*api.TaskEvent{api.NewTaskEvent(api.EventReceived, start), api.NewTaskEvent(api.EventStarted, start)},
			}}}
		}
		updates, again = append(updates, report(0)), append(again, report(1))
	}
	propose(&store.ApplyPlan{Plan: &api.Plan{EvalID: noID, Job: job, Placements: []*api.PlanGroup{g}}, Now: 1})
	propose(&store.UpdateAllocs{NodeID: nodeID, Updates: updates, Now: 2})
	return again
}

// BenchmarkListAllocs lists 10,000 allocations: as they are, and each time
// after one of them changed.
func BenchmarkListAllocs(b *testing.B) {
	log := storetest.New()
	w := &world{store: log.Store, log: log}
	w.build(b)
	changes := w.load(b, "default", 10_000)
	for _, c := range []struct {
		name, accept string
		changing     bool
	}{{"plain", "", false}, {"gzip", "gzip", false}, {"changing/plain", "", true}, {"changing/gzip", "gzip", true}} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/v1/allocations", nil)
			r.Host = "localhost"
			r.Header.Set("Accept-Encoding", c.accept)
			b.ReportAllocs()
			var sent int64
			for i := 0; b.Loop(); i++ {
				if c.changing {
					u := changes[i%len(changes)]
					u.TaskStates["redis"].Restarts = uint64(i)
					if _, err := log.Propose(b.Context(), &store.UpdateAllocs{NodeID: nodeID, Updates: []*api.AllocUpdate{u}, Now: 3}); err != nil {
						b.Fatal(err)
					}
				}
				d := &discard{h: http.Header{}}
				w.h.ServeHTTP(d, r)
				sent = d.n
			}
			b.SetBytes(sent)
		})
	}
}

// BenchmarkSmallReads reads one allocation and lists one by its prefix, as
// they are and after each change.
func BenchmarkSmallReads(b *testing.B) {
	log := storetest.New()
	w := &world{store: log.Store, log: log}
	w.build(b)
	u := w.load(b, "default", 1000)[500]
	for _, c := range []struct {
		name, target string
		changing     bool
	}{
		{"read", "/v1/allocation/" + u.ID, false}, {"prefix", "/v1/allocations?prefix=" + u.ID[:8], false},
		{"changing/read", "/v1/allocation/" + u.ID, true}, {"changing/prefix", "/v1/allocations?prefix=" + u.ID[:8], true},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", c.target, nil)
			r.Host = "127.0.0.1:4646"
			r.Header.Set("Accept-Encoding", "gzip")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if c.changing {
					b.StopTimer()
					u.TaskStates["redis"].Restarts = uint64(i + 5)
					if _, err := log.Propose(b.Context(), &store.UpdateAllocs{NodeID: nodeID, Updates: []*api.AllocUpdate{u}, Now: 3}); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				w.h.ServeHTTP(&discard{h: http.Header{}}, r)
			}
		})
	}
}

// What a small read costs in heap allocations, beside net/http's own. The
// bounds are what has been reached, and alarms.
func TestSmallReadsAllocateLittle(t *testing.T) {
	w := newWorld(t)
	id := w.load(t, "default", 100)[50].ID
	for target, most := range map[string]float64{"/v1/allocation/" + id: 17, "/v1/allocations?prefix=" + id[:8]: 48, "/v1/allocations?per_page=50": 40} {
		r := httptest.NewRequest("GET", target, nil)
		r.Host = "127.0.0.1:4646"
		d := &discard{h: http.Header{}}
		if n := testing.AllocsPerRun(100, func() { clear(d.h); w.h.ServeHTTP(d, r) }); n > most {
			t.Errorf("%s: %v allocations, the bound is %v", target, n, most)
		}
	}
}

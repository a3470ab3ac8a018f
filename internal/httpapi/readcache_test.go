package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/web"
)

// afresh returns a handler that has kept nothing, over a state that was written
// and read again, so that it shares nothing with the world's either.
func (w *world) afresh() http.Handler {
	w.t.Helper()
	var saved bytes.Buffer
	if err := w.store.Snapshot().Persist(&saved); err != nil {
		w.t.Fatal(err)
	}
	state := store.New()
	if err := state.Restore(&saved); err != nil {
		w.t.Fatal(err)
	}
	cfg := w.config
	cfg.Server = server.New(server.Config{
		Store: state, Proposer: w.log, Cluster: w, Liveness: w, Collector: w, Authorizer: w, Region: "global", Keyring: w.keys,
		Drivers: []string{"raw_exec", "docker"}, Log: quiet, Now: func() time.Time { return start }, NewID: w.newID,
	})
	return web.Serve(web.Config{Log: quiet, Now: time.Now, Guard: &web.Guard{Loopback: true}}, httpapi.New(cfg))
}

// bytesOf returns an answer as a client sees it: status, index, next token and
// the body as it was before compression.
func bytesOf(t *testing.T, h http.Handler, target, accept string) string {
	t.Helper()
	r, rec := httptest.NewRequest("GET", strings.ReplaceAll(target, " ", "+"), nil), httptest.NewRecorder()
	r.Host = "localhost"
	r.Header.Set("Accept-Encoding", accept)
	h.ServeHTTP(rec, r)
	var body io.Reader = rec.Body
	switch coding := rec.Header().Get("Content-Encoding"); {
	case coding == "gzip" && accept == "gzip":
		gz, err := gzip.NewReader(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = gz
	case coding != "":
		t.Fatalf("%s is encoded as %q for who accepts %q", target, coding, accept)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("%s, %q: %v", target, accept, err)
	}
	return fmt.Sprintf("%d %s %s\n%s", rec.Code, rec.Header().Get("X-Nomad-Index"), rec.Header().Get("X-Nomad-NextToken"), text)
}

// What is put together from segments, verdicts and answers that were kept is,
// byte for byte, what a server gives that has kept nothing, in all variants
// and after any changes.
func TestKeptReadsAreFresh(t *testing.T) {
	const seeds, rounds = 3, 12
	for seed := range uint64(seeds) {
		w := newWorld(t)
		w.register(otherID)
		w.propose(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "other"}}})
		c := &churn{w: w, rng: rand.New(rand.NewPCG(seed, 5)), name: "a", namespaces: []string{"default", "other"}, jobs: []string{"web", "db"}, nodes: []string{nodeID, otherID}}
		for _, ns := range c.namespaces {
			for _, id := range c.jobs {
				w.propose(&store.RegisterJob{Job: churnJob(ns, id, 1), Now: 1})
				for range 3 {
					plan := &api.Plan{EvalID: c.id(), Job: w.store.Snapshot().Job(ns, id), Placements: []*api.PlanGroup{{
						TaskGroup: "cache", Resources: &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{"redis": {Cpu: api.AllocatedCPU{CpuShares: 1}}}},
						Metrics: &api.AllocMetric{NodesEvaluated: 2, NodesAvailable: map[string]int{"dc1": 2}},
					}}}
					for i := range 30 + c.rng.IntN(50) {
						id := c.id()
						c.allocs = append(c.allocs, id)
						plan.Placements[0].Allocs = append(plan.Placements[0].Allocs, &api.Placement{ID: id, Index: i, NodeID: c.nodes[i%2], NodeName: "n<&>\u2028"})
					}
					w.propose(&store.ApplyPlan{Plan: plan, Now: 2})
				}
			}
		}
		targets := []string{"/v1/allocation/" + c.allocs[7], "/v1/allocation/" + c.allocs[300], "/v1/job/web/allocations", "/v1/node/" + nodeID + "/allocations"}
		for _, form := range []string{"", "task_states=false", "resources=true", "resources=true&task_states=false"} {
			for _, choice := range []string{"", "namespace=*", "namespace=other", `filter=ClientStatus == "running"`, `namespace=*&filter=JobID != "web"`, "per_page=100", "namespace=*&per_page=70&next_token=", "reverse=true", "prefix=61"} {
				targets = append(targets, "/v1/allocations?"+strings.Trim(choice+"&"+form, "&"))
			}
		}
		for round := range rounds {
			for range c.rng.IntN(12) {
				c.step()
			}
			fresh := w.afresh()
			for _, target := range targets {
				if base, ok := strings.CutSuffix(target, "next_token="); ok { // the page after the first
					first := strings.SplitN(bytesOf(t, w.h, base, ""), "\n", 2)[0]
					target += first[strings.LastIndex(first, " ")+1:]
				}
				want := bytesOf(t, fresh, target, "")
				for _, accept := range []string{"", "gzip", "gzip"} {
					if got := bytesOf(t, w.h, target, accept); got != want {
						at := 0
						for at < min(len(got), len(want)) && got[at] == want[at] {
							at++
						}
						from := max(0, at-80)
						t.Fatalf("seed %d, round %d: %s, %q: from byte %d\n%.300s\nfresh:\n%.300s", seed, round, target, accept, at, got[from:], want[from:])
					}
				}
			}
		}
	}
}

package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/link"
	"github.com/drover-org/drover/internal/store"
)

// blocked sends a blocking query and returns a function that tells whether it
// has been answered, and the answer's index.
func (w *world) blocked(ctx context.Context, target string, index uint64) func() (bool, uint64, int) {
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	r := httptest.NewRequest("GET", target+sep+"index="+strconv.FormatUint(index, 10), nil).WithContext(ctx)
	r.Host = "localhost"
	rec := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.h.ServeHTTP(rec, r)
	}()
	return func() (bool, uint64, int) {
		synctest.Wait()
		select {
		case <-done:
			n, _ := strconv.ParseUint(rec.Header().Get("X-Nomad-Index"), 10, 64)
			return true, n, rec.Code
		default:
			return false, 0, 0
		}
	}
}

// A blocking query returns for a change of what it reads and for no other.
func TestBlockingWakesForItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reg, other := w.run("web", 2), w.run("other", 1)
		ids := w.place("web", reg.EvalID, 2)
		index := w.store.Snapshot().Index()

		alloc := w.blocked(t.Context(), "/v1/allocation/"+ids[0], index)
		list := w.blocked(t.Context(), "/v1/allocations", index)
		elsewhere := w.blocked(t.Context(), "/v1/allocations?namespace=elsewhere", index)
		jobAllocs := w.blocked(t.Context(), "/v1/job/other/allocations", index)
		job := w.blocked(t.Context(), "/v1/job/web", index)
		node := w.blocked(t.Context(), "/v1/node/"+nodeID, index)
		for name, q := range map[string]func() (bool, uint64, int){"alloc": alloc, "list": list, "job": job} {
			if done, _, _ := q(); done {
				t.Errorf("%s did not block", name)
			}
		}

		w.report(ids[1], "pending")
		if done, _, _ := alloc(); done {
			t.Error("the read of an allocation woke for its sibling")
		}
		if done, at, _ := list(); !done || at <= index {
			t.Errorf("the list did not wake: %v at %d", done, at)
		}
		w.report(ids[0], "running")
		if done, at, code := alloc(); !done || at != w.store.Snapshot().Alloc(ids[0]).ModifyIndex || code != 200 {
			t.Errorf("the read of the allocation: %v at %d, %d", done, at, code)
		}
		for name, q := range map[string]func() (bool, uint64, int){"namespace": elsewhere, "other job's allocations": jobAllocs, "node": node} {
			if done, _, _ := q(); done {
				t.Errorf("%s woke for nothing", name)
			}
		}

		// A deletion wakes the reader of the object with a 404.
		w.place("other", other.EvalID, 1)
		if done, _, _ := jobAllocs(); !done {
			t.Error("the list of the job's allocations did not wake")
		}
		deleted := w.blocked(t.Context(), "/v1/allocation/"+ids[0], w.store.Snapshot().Alloc(ids[0]).ModifyIndex)
		w.report(ids[0], "complete")
		gone := w.blocked(t.Context(), "/v1/allocation/"+ids[0], w.store.Snapshot().Alloc(ids[0]).ModifyIndex)
		if done, _, _ := deleted(); !done {
			t.Error("the status change did not wake")
		}
		w.propose(&store.Reap{Allocs: []string{ids[0]}})
		if done, _, code := gone(); !done || code != 404 {
			t.Errorf("deletion: %v %d", done, code)
		}
	})
}

// A wait ends in time with the current data.
func TestBlockingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run("web", 1)
		q := w.blocked(t.Context(), "/v1/jobs?wait=10s", w.store.Snapshot().Index())
		if done, _, _ := q(); done {
			t.Fatal("did not block")
		}
		<-after(t, "10.7s")
		if done, at, code := q(); !done || code != 200 || at == 0 {
			t.Errorf("after the wait: %v %d at %d", done, code, at)
		}
		ctx, cancel := context.WithCancel(t.Context())
		q = w.blocked(ctx, "/v1/jobs", w.store.Snapshot().Index())
		cancel()
		if done, _, _ := q(); !done {
			t.Error("the waiter stayed after its caller had gone")
		}
		if n := w.store.Waiters(); n != 0 {
			t.Errorf("%d keys are still waited for", n)
		}
	})
}

// A full read shows every member that the sample of the API's documentation
// shows, with nothing left out.
func TestFullReadHasTheSampleMembers(t *testing.T) {
	w := newWorld(t)
	reg := w.run("example", 1)
	id := w.place("example", reg.EvalID, 1)[0]
	w.report(id, "running")
	var got map[string]any
	w.get("/v1/allocation/"+id, &got)
	for _, key := range strings.Fields(`ID EvalID Name NodeID PreviousAllocation NextAllocation RescheduleTracker JobID Job TaskGroup Resources
		SharedResources TaskResources Metrics DesiredStatus DesiredDescription ClientStatus ClientDescription TaskStates CreateIndex ModifyIndex
		AllocModifyIndex CreateTime ModifyTime AllocatedResources DeploymentID DeploymentStatus Namespace`) {
		if _, ok := got[key]; !ok {
			t.Errorf("no %s", key)
		}
	}
	metrics := got["Metrics"].(map[string]any)
	for _, key := range strings.Fields(`NodesEvaluated NodesFiltered NodesAvailable ClassFiltered ConstraintFiltered NodesExhausted ClassExhausted
		DimensionExhausted Scores AllocationTime CoalescedFailures ScoreMetaData`) {
		if _, ok := metrics[key]; !ok {
			t.Errorf("no Metrics.%s", key)
		}
	}
	if score := metrics["Scores"].(map[string]any)[nodeID+".binpack"]; score != 0.62 {
		t.Errorf("score %v", score)
	}
	task := got["TaskResources"].(map[string]any)["redis"].(map[string]any)
	total := got["Resources"].(map[string]any)
	if task["CPU"] != 100.0 || total["MemoryMB"] != 64.0 || total["DiskMB"] != 300.0 || got["SharedResources"].(map[string]any)["DiskMB"] != 300.0 {
		t.Errorf("resources: task %v total %v", task, total)
	}
	state := got["TaskStates"].(map[string]any)["redis"].(map[string]any)
	if state["FinishedAt"] != "0001-01-01T00:00:00Z" {
		t.Errorf("a time that is not set reads %v", state["FinishedAt"])
	}
	event := state["Events"].([]any)[0].(map[string]any)
	for _, key := range strings.Fields(`Type Time FailsTask RestartReason SetupError DriverError ExitCode Signal Message KillTimeout KillError KillReason
		StartDelay DownloadError ValidationError DiskLimit FailedSibling VaultError TaskSignalReason TaskSignal DriverMessage DisplayMessage Details`) {
		if _, ok := event[key]; !ok {
			t.Errorf("no %s in an event", key)
		}
	}
}

// Headers of a read, also when the object is missing.
func TestReadHeaders(t *testing.T) {
	w := newWorld(t)
	_, _, h := w.call("GET", "/v1/allocation/"+noID, "")
	if h.Get("X-Nomad-Index") == "" || h.Get("X-Nomad-Index") == "0" || h.Get("X-Nomad-KnownLeader") != "true" || h.Get("X-Nomad-LastContact") != "0" {
		t.Errorf("headers of a 404: %v", h)
	}
	if h.Get("Vary") != "Accept-Encoding" {
		t.Errorf("Vary: %q", h.Get("Vary"))
	}
	_, _, h = w.call("GET", "/v1/allocations?per_page=x", "")
	if h.Get("X-Nomad-Index") != "" {
		t.Errorf("a refused request has an index: %v", h)
	}
}

// No read shows a node's secret.
func TestSecretsStayInside(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{"/v1/nodes", "/v1/nodes?resources=true", "/v1/node/" + nodeID, "/v1/node/pool/default/nodes",
		"/v1/nodes?filter=SecretID==%22secret-of-" + nodeID + "%22"} {
		_, body, _ := w.call("GET", target, "")
		if strings.Contains(body, "secret-of") {
			t.Errorf("%s shows the secret", target)
		}
		if strings.Contains(target, "filter") && body != "[]" {
			t.Errorf("%s finds a node by its secret: %s", target, body)
		}
	}
}

func TestNodeLink(t *testing.T) {
	w := newWorld(t)
	before := w.store.Snapshot().Index()
	w.register(nodeID)
	if w.store.Snapshot().Index() != before {
		t.Error("a registration that says nothing new is in the log")
	}
	thief := testNode(nodeID)
	thief.SecretID = "another"
	if _, err := w.server.RegisterNode(t.Context(), thief, ""); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("another secret: %v", err)
	}
	if _, err := w.server.Heartbeat(t.Context(), noID); !api.IsNotFound(err) {
		t.Errorf("heartbeat of an unknown node: %v", err)
	}
	reg := w.run("web", 2)
	ids := w.place("web", reg.EvalID, 2)
	w.propose(&store.UpdateNodeStatus{NodeID: nodeID, Status: api.NodeDown, Now: 1})
	if _, err := w.server.Heartbeat(t.Context(), nodeID); api.ErrorCode(err) != api.CodeConflict {
		t.Errorf("heartbeat of a node that was given up: %v", err)
	}
	w.register(nodeID)
	if _, err := w.server.Heartbeat(t.Context(), nodeID); err != nil || w.store.Snapshot().Node(nodeID).Status != api.NodeReady {
		t.Errorf("heartbeat of a node that came back: %v", err)
	}

	// Reports of others' allocations are passed over; a failure has the job
	// evaluated once.
	evals := func() int { return len(slices.Collect(w.store.Snapshot().EvalsByJob("default", "web"))) }
	n := evals()
	fail := []*api.AllocUpdate{{ID: ids[0], ClientStatus: "failed"}, {ID: ids[1], ClientStatus: "failed"}}
	if err := w.server.UpdateAllocs(t.Context(), otherID, fail); err != nil || w.store.Snapshot().Alloc(ids[0]).ClientStatus != "pending" {
		t.Errorf("another node's report counted: %v", err)
	}
	if err := w.server.UpdateAllocs(t.Context(), nodeID, []*api.AllocUpdate{{ID: ids[0], ClientStatus: "fine"}}); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("an unknown status: %v", err)
	}
	if err := w.server.UpdateAllocs(t.Context(), nodeID, fail); err != nil {
		t.Fatal(err)
	}
	if got := evals(); got != n+1 {
		t.Errorf("two failures made %d evaluations", got-n)
	}
	index := w.store.Snapshot().Index()
	if err := w.server.UpdateAllocs(t.Context(), nodeID, fail); err != nil || w.store.Snapshot().Index() != index {
		t.Errorf("a report that says nothing new is in the log: %v", err)
	}
}

// A node gets all of its allocations first, then only what servers change.
func TestWatchNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reg := w.run("web", 3)
		ids := w.place("web", reg.EvalID, 2)
		var got []link.Assignment
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- w.server.WatchNode(ctx, nodeID, func(a link.Assignment) error { got = append(got, a); return nil })
		}()
		last := func() link.Assignment { synctest.Wait(); return got[len(got)-1] }

		first := last()
		if !first.Full || len(first.Allocs) != 2 || first.Allocs[0].Job == nil || first.Allocs[0].Metrics != nil {
			t.Errorf("first: %+v", first)
		}
		w.report(ids[0], "running") // its own words do not come back
		w.run("other", 1)
		if last(); len(got) != 1 {
			t.Errorf("%d assignments for what is not news to the node", len(got))
		}
		more := w.place("web", reg.EvalID, 1)
		if a := last(); a.Full || len(a.Allocs) != 1 || a.Allocs[0].ID != more[0] {
			t.Errorf("placement: %+v", a)
		}
		w.send("POST", "/v1/allocation/"+ids[0]+"/stop", "", nil)
		if a := last(); len(a.Allocs) != 1 || a.Allocs[0].ID != ids[0] || !a.Allocs[0].DesiredTransition.ShouldMigrate() {
			t.Errorf("stop: %+v", a)
		}
		w.report(ids[0], "complete")
		w.propose(&store.Reap{Allocs: []string{ids[0]}})
		if a := last(); len(a.Allocs) != 0 || !slices.Equal(a.Gone, ids[:1]) {
			t.Errorf("deletion: %+v", a)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// Rights: an object that the caller may not see looks like a missing one, and
// lists over all namespaces hold back what is not allowed.
func TestHiddenLooksMissing(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 1)
	id := w.place("web", reg.EvalID, 1)[0]
	w.deny = map[api.Capability]bool{api.CapReadJob: true, api.CapListJobs: true, api.CapAllocLifecycle: true, api.CapNodeRead: true}
	for target, want := range map[string]string{
		"/v1/allocation/" + id:         "404 alloc not found",
		"/v1/evaluation/" + reg.EvalID: "404 eval not found",
		"/v1/allocations":              "403 Permission denied",
		"/v1/allocations?namespace=*":  "200 []",
		"/v1/jobs?namespace=*":         "200 []",
		"/v1/job/web":                  "403 Permission denied",
		"/v1/nodes":                    "403 Permission denied",
		"/v1/evaluations?namespace=*":  "200 []",
	} {
		status, body, _ := w.call("GET", target, "")
		if got := strconv.Itoa(status) + " " + body; got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	if status, body, _ := w.call("POST", "/v1/allocation/"+id+"/stop", ""); status != 404 || body != "allocation not found" {
		t.Errorf("stop: %d %s", status, body)
	}
	var found api.SearchResponse
	w.send("POST", "/v1/search", `{"Prefix":"","Context":"all"}`, &found)
	for _, c := range slices.Sorted(maps.Keys(found.Matches)) {
		if c != "namespaces" && c != "node_pools" && len(found.Matches[c]) > 0 {
			t.Errorf("search shows %s %v", c, found.Matches[c])
		}
	}
}

// A pure node has nobody to ask about rights: even for its own allocations a
// server answers.
func TestPureNode(t *testing.T) {
	w := newWorld(t)
	var asked []string
	cfg := w.config
	cfg.Server = nil
	cfg.Forward = roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.RequestURI()+" "+r.Header.Get("X-Nomad-Token"))
		if r.URL.Path == "/v1/acl/explain" {
			return textResponse(r, `{"Allowed": false, "Summary": "server says no"}`), nil
		}
		return textResponse(r, "server"), nil
	})
	w.serve(cfg)
	for target, want := range map[string]string{
		"/v1/client/fs/ls/" + noID: "server", "/v1/client/stats": "server", "/v1/agent/self": "server", "/v1/agent/health?type=client": `{"client"`,
		"/v1/client/fs/ls/" + otherID: "server", "/v1/jobs?prefix=x": "server", "/v1/client/stats?node_id=" + otherID: "server",
	} {
		if _, body, _ := w.call("GET", target, "", "X-Nomad-Token", "tok"); !strings.HasPrefix(body, want) {
			t.Errorf("%s: %s", target, body)
		}
	}
	if !slices.Contains(asked, "/v1/client/stats?node_id="+nodeID+" tok") || !slices.Contains(asked, "/v1/acl/explain tok") || !slices.Contains(asked, "/v1/jobs?prefix=x tok") {
		t.Errorf("the server was asked %q", asked)
	}
}

func TestListIsOneArray(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 50)
	ids := w.place("web", reg.EvalID, 50)
	var list []*api.AllocListStub
	w.get("/v1/allocations?pretty", &list)
	var got []string
	for _, a := range list {
		got = append(got, a.ID)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("got %d allocations out of order", len(got))
	}
	_, body, _ := w.call("GET", "/v1/allocations", "")
	if !json.Valid([]byte(body)) {
		t.Error("not JSON")
	}
}

// Who waits for a job's versions learns of a mark on an older one.
func TestVersionsWakeForAMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run("web", 1)
		w.run("web", 2)
		var v api.JobVersionsResponse
		h := w.get("/v1/job/web/versions?diffs=true", &v)
		if len(v.Versions) != 2 || v.Versions[0].Version != 1 || len(v.Diffs) != 1 || v.Diffs[0].Type != api.DiffEdited {
			t.Fatalf("%d versions, %d diffs", len(v.Versions), len(v.Diffs))
		}
		index, err := strconv.ParseUint(h.Get("X-Nomad-Index"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		q := w.blocked(t.Context(), "/v1/job/web/versions", index)
		if done, _, _ := q(); done {
			t.Fatal("did not block")
		}
		w.send("POST", "/v1/job/web/stable", `{"JobVersion":0,"Stable":true}`, nil)
		if done, _, _ := q(); !done {
			t.Error("did not wake")
		}
	})
}

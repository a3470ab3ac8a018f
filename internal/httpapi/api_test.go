package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/control/evals"
	"github.com/drover-org/drover/internal/events"
	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/keyring"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
	"github.com/drover-org/drover/internal/web"
	"github.com/prometheus/client_golang/prometheus"
)

var quiet = slog.New(slog.DiscardHandler)

// world is the whole server side over a plain store: a log that applies at
// once, one node that is registered, and the HTTP handler.
type world struct {
	t      *testing.T
	store  *store.Store
	server *server.Server
	h      http.Handler
	node   *fakeNode
	config httpapi.Config
	gc     int
	deny   map[api.Capability]bool
	may    func(token string, c api.Capability) error // nil: by deny
	rights atomic.Pointer[chan struct{}]              // closed when they change; nil: never
	sees   func(token, namespace string) bool         // nil: everything
	hidden map[string]bool                            // namespaces in which nothing is allowed

	log  *storetest.Proposer
	ring *events.Ring
	auth server.Authorizer
	keys *keyring.Ring

	mu  sync.Mutex
	ids int // guarded by mu
}

func (w *world) propose(cmd store.Command) store.Result {
	w.t.Helper()
	res, err := w.log.Propose(w.t.Context(), cmd)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) CheckRead(context.Context, bool) error { return nil }
func (w *world) RemoveServer(_ context.Context, id string) error {
	return api.Errorf(api.CodeInvalid, "server %s is the only one: without it there is no log", id)
}
func (w *world) Transfer(context.Context, string) error { return nil }
func (w *world) Restore(_ context.Context, _ uint64, state io.Reader, _ int64) error {
	return w.store.Restore(state)
}
func (w *world) Leader() string             { return "127.0.0.1:4647" }
func (w *world) LastContact() time.Duration { return 0 }
func (w *world) ID() string                 { return "s1" }
func (w *world) Position() api.LogPosition  { return api.LogPosition{Term: 2, Index: 7, Since: start} }
func (w *world) Servers() []*api.RaftServer {
	return []*api.RaftServer{{ID: "s1", Node: "s1.global", Address: "127.0.0.1:4647", Leader: true, Voter: true}}
}
func (w *world) Members() []*api.AgentMember {
	return []*api.AgentMember{{Name: "s1.global", Status: "alive", Tags: map[string]string{"id": "s1"}}}
}
func (w *world) Beat(string) (time.Duration, error) { return 10 * time.Second, nil }
func (w *world) Gone(string)                        {}
func (w *world) Collect(context.Context) error      { w.gc++; return nil }

// newID returns IDs in order, so that tests can say which.
func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("%08x-0000-0000-0000-000000000000", w.ids)
}

var start = time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, change ...func(*httpapi.Config)) *world {
	return newWorldWith(t, nil, nil, change...)
}

// newWorldWith is newWorld with event streams and an Authorizer of the test's
// own; either may be nil.
func newWorldWith(t *testing.T, ring *events.Ring, auth server.Authorizer, change ...func(*httpapi.Config)) *world {
	log := storetest.New()
	w := &world{t: t, store: log.Store, log: log, ring: ring, auth: auth}
	if ring != nil {
		if _, err := w.store.Apply(1, &store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "other"}, {Name: "secret"}}}); err != nil {
			t.Fatal(err)
		}
		w.store.PublishTo(ring)
	}
	if auth == nil {
		w.auth = w
	}
	w.build(t, change...)
	return w
}

// build makes the server and its handler and registers the node.
func (w *world) build(t testing.TB, change ...func(*httpapi.Config)) {
	t.Helper()
	own, err := keyring.NewServerKey()
	if err != nil {
		t.Fatal(err)
	}
	w.keys = keyring.NewRing(own, nil, w.store, func() time.Time { return start })
	w.server = server.New(server.Config{
		Workers: evals.NewWorkers(func() time.Time { return start }, api.NewID), Introduction: server.Introduction{DefaultTTL: time.Minute, MaxTTL: time.Hour},
		Store: w.store, Proposer: w.log, Cluster: w, Liveness: w, Collector: w, Authorizer: w.auth, Events: w.ring, Region: "global", Keyring: w.keys,
		Drivers: []string{"raw_exec", "docker"}, Log: quiet, Now: func() time.Time { return start }, NewID: w.newID,
	})
	w.node = &fakeNode{id: nodeID}
	cfg := httpapi.Config{
		Log: quiet, Now: func() time.Time { return start }, Agent: fakeAgent{}, Metrics: prometheus.NewRegistry(), Server: w.server, Node: w.node,
		NodeConnected: func(context.Context, string) bool { return false },
	}
	for _, f := range change {
		f(&cfg)
	}
	w.serve(cfg)
	if _, err := w.server.RegisterNode(t.Context(), testNode(nodeID), ""); err != nil {
		t.Fatal(err)
	}
}

func (w *world) serve(cfg httpapi.Config) {
	w.config = cfg
	w.h = web.Serve(web.Config{Log: quiet, Now: time.Now, Guard: &web.Guard{Loopback: true}}, httpapi.New(cfg))
}

// Authorize allows all but what a test denies.
func (w *world) Authorize(_ context.Context, token string, c api.Capability, namespace string) error {
	if w.may != nil {
		return w.may(token, c)
	}
	if w.deny[c] || w.hidden[namespace] || w.sees != nil && !w.sees(token, namespace) {
		return &api.Error{Code: api.CodeForbidden, Message: "Permission denied"}
	}
	return nil
}

func (w *world) Caller(_ context.Context, token string) (*api.Caller, error) {
	if token == "" {
		return &api.Caller{Kind: api.CallerAnonymous}, nil
	}
	return &api.Caller{Kind: api.CallerClient, Name: "owner of " + token}, nil
}

func (w *world) Changed(context.Context, string) <-chan struct{} {
	if c := w.rights.Load(); c != nil {
		return *c
	}
	return nil
}

const (
	nodeID  = "fb2170a8-257d-3c64-b14d-bc06cc94e34c"
	otherID = "ab2170a8-257d-3c64-b14d-bc06cc94e34c"
	noID    = "00000000-1111-2222-3333-444444444444"
)

func testNode(id string) *api.Node {
	return &api.Node{
		ID: id, SecretID: "secret-of-" + id, Name: "node-" + id[:2], Datacenter: "dc1", HTTPAddr: "127.0.0.1:4646",
		Attributes: map[string]string{"os.name": "debian", "nomad.version": "0.1.0", "unique.hostname": id},
		NodeResources: &api.NodeResources{
			Cpu: api.NodeCPU{CpuShares: 100_000}, Memory: api.NodeMemory{MemoryMB: 100_000}, Disk: api.NodeDisk{DiskMB: 1_000_000},
			MinDynamicPort: 20000, MaxDynamicPort: 32000,
		},
		Drivers: map[string]*api.DriverInfo{"raw_exec": {Detected: true, Healthy: true}},
	}
}

func (w *world) register(id string) {
	w.t.Helper()
	if _, err := w.server.RegisterNode(w.t.Context(), testNode(id), ""); err != nil {
		w.t.Fatal(err)
	}
}

// fakeNode says which request it got.
type fakeNode struct {
	id string
	h  http.Handler // nil: says which request it got
}

func (n *fakeNode) NodeID() string { return n.id }
func (n *fakeNode) Handler() http.Handler {
	if n.h != nil {
		return n.h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "node %s: %s %s token=%q", n.id, r.Method, r.URL.RequestURI(), web.Token(r))
	})
}

type fakeAgent struct{}

func (fakeAgent) Self() *api.AgentSelf {
	return &api.AgentSelf{Config: map[string]any{"Region": "global"}, Member: api.AgentMember{Name: "s1.global", Tags: map[string]string{"dc": "dc1"}}, Stats: map[string]map[string]string{}}
}
func (fakeAgent) Health() *api.AgentHealth {
	return &api.AgentHealth{Client: &api.PartHealth{Ok: true, Message: "ok"}, Server: &api.PartHealth{Ok: false, Message: "no leader"}}
}
func (fakeAgent) Region() string            { return "global" }
func (fakeAgent) Servers() ([]string, bool) { return []string{"127.0.0.1:4647"}, true }

// call sends a request and returns status, body and headers.
func (w *world) call(method, target, body string, header ...string) (int, string, http.Header) {
	w.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:4646"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	b, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Code, string(b), rec.Result().Header
}

// get decodes a 200 answer into out and returns the headers.
func (w *world) get(target string, out any) http.Header {
	w.t.Helper()
	return w.send(http.MethodGet, target, "", out)
}

func (w *world) send(method, target, body string, out any) http.Header {
	w.t.Helper()
	status, text, h := w.call(method, target, body)
	if status != 200 {
		w.t.Fatalf("%s %s: %d %s", method, target, status, text)
	}
	if out == nil {
		return h
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		w.t.Fatalf("%s %s: %v in %s", method, target, err, text)
	}
	return h
}

const jobJSON = `{"ID":"%s","Datacenters":["dc1"],"Type":"service","TaskGroups":[{"Name":"cache","Count":%d,"Tasks":[{"Name":"redis","Driver":"raw_exec","Config":{"command":"/bin/sleep","args":["1000"]},"Resources":{"CPU":100,"MemoryMB":64}}]}]}`

func jobBody(id string, count int) string {
	return `{"Job":` + fmt.Sprintf(jobJSON, id, count) + `}`
}

func (w *world) run(id string, count int) *api.JobRegisterResponse {
	w.t.Helper()
	var res api.JobRegisterResponse
	w.send("POST", "/v1/jobs", jobBody(id, count), &res)
	return &res
}

// place puts n allocations of a job's first group on the node, one command
// each, and returns their IDs.
func (w *world) place(jobID, evalID string, n int) []string {
	w.t.Helper()
	return w.placeIn("", jobID, evalID, n)
}

// placeIn is place as a part of a deployment.
func (w *world) placeIn(deployment, jobID, evalID string, n int) []string {
	w.t.Helper()
	var ids []string
	for i := range n {
		job := w.store.Snapshot().Job("default", jobID)
		id := w.newID()
		res := w.propose(&store.ApplyPlan{Now: start.UnixNano(), Plan: &api.Plan{EvalID: evalID, Job: job, Placements: []*api.PlanGroup{{
			TaskGroup: "cache", DeploymentID: deployment,
			Resources: &api.AllocatedResources{
				Tasks: map[string]*api.AllocatedTaskResources{"redis": {
					Cpu: api.AllocatedCPU{CpuShares: 100}, Memory: api.AllocatedMemory{MemoryMB: 64},
				}},
				Shared: api.AllocatedSharedResources{DiskMB: 300},
			},
			Metrics: &api.AllocMetric{NodesEvaluated: 1, NodesAvailable: map[string]int{"dc1": 1}},
			Allocs: []*api.Placement{{ID: id, Index: i, NodeID: nodeID, NodeName: "node-fb", Scores: []*api.NodeScoreMeta{
				{NodeID: nodeID, Scores: scores(api.ScoreBinPack, 0.62), NormScore: 0.62},
			}}},
		}}}})
		if r, ok := res.Value.(*store.PlanResult); !ok || len(r.Rejected) > 0 || r.Stale {
			w.t.Fatalf("placement was not taken: %+v", res.Value)
		}
		ids = append(ids, id)
	}
	return ids
}

func scores(name string, v float64) (s api.ScoreSet) {
	s.Set(name, v)
	return s
}

func (w *world) report(id, status string) {
	w.t.Helper()
	err := w.server.UpdateAllocs(w.t.Context(), nodeID, []*api.AllocUpdate{{ID: id, ClientStatus: status, TaskStates: map[string]*api.TaskState{
		"redis": {State: status, StartedAt: start, Events: []*api.TaskEvent{api.NewTaskEvent(api.EventReceived, start)}},
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func textResponse(r *http.Request, text string) *http.Response {
	return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}
}

// connected connects every node through transport.
func connected(transport func(string) http.RoundTripper) func(*httpapi.Config) {
	return func(c *httpapi.Config) {
		c.NodeTransport = transport
		c.NodeConnected = func(context.Context, string) bool { return true }
	}
}

// after returns a channel that is closed after a time of the test's clock.
func after(t *testing.T, d string) <-chan time.Time {
	t.Helper()
	wait, err := time.ParseDuration(d)
	if err != nil {
		t.Fatal(err)
	}
	return time.After(wait)
}

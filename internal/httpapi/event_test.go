package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/store"
)

// rights is an Authorizer of one token whose rights a test changes.
type rights struct {
	mu      sync.Mutex
	may     map[string]bool // capability, or capability@namespace
	changed chan struct{}
}

func newRights(may ...string) *rights {
	r := &rights{may: map[string]bool{}, changed: make(chan struct{})}
	for _, m := range may {
		r.may[m] = true
	}
	return r
}

func (r *rights) Authorize(_ context.Context, _ string, c api.Capability, ns string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.may[string(c)] || r.may[string(c)+"@"+ns] {
		return nil
	}
	return &api.Error{Code: api.CodeForbidden, Message: "Permission denied"}
}

func (r *rights) Caller(context.Context, string) (*api.Caller, error) { return &api.Caller{}, nil }

func (r *rights) Changed(context.Context, string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

func (r *rights) set(may ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.may = newRights(may...).may
	close(r.changed)
	r.changed = make(chan struct{})
}

// eventWorld serves a world with a ring on a real connection.
type eventWorld struct {
	*world
	url   string
	ticks chan time.Time
}

func newEventWorld(t *testing.T, r *rights, batches int) *eventWorld {
	w := &eventWorld{ticks: make(chan time.Time)}
	ring := events.New(events.Config{Batches: batches, Bytes: 1 << 30, EncodedBytes: 1 << 20})
	w.world = newWorldWith(t, ring, r, func(c *httpapi.Config) {
		c.After = func(time.Duration) <-chan time.Time { return w.ticks }
	})
	srv := httptest.NewServer(w.h)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

type stream struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
}

func (w *eventWorld) open(query string, header ...string) *stream {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url+"/v1/event/stream"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	return &stream{w.t, resp, bufio.NewReader(resp.Body)}
}

// line returns the next line; of events "index: Topic Type Key, …".
func (s *stream) line() string {
	s.t.Helper()
	text, err := s.in.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	text = strings.TrimSuffix(text, "\n")
	var e api.Events
	if json.Unmarshal([]byte(strings.TrimPrefix(text, "data: ")), &e) != nil || e.Index == 0 {
		return text
	}
	var list []string
	for _, ev := range e.Events {
		list = append(list, fmt.Sprintf("%s %s %s", ev.Topic, ev.Type, ev.Key))
	}
	if e.Gap != nil {
		list = append(list, fmt.Sprintf("gap %d-%d", e.Gap.From, e.Gap.To))
	}
	return fmt.Sprintf("%d: %s", e.Index, strings.Join(list, ", "))
}

func (s *stream) want(lines ...string) {
	s.t.Helper()
	for _, want := range lines {
		if got := s.line(); got != want {
			s.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func (w *eventWorld) job(ns, id string) uint64 {
	w.t.Helper()
	return w.propose(&store.RegisterJob{Job: &api.Job{Namespace: ns, ID: id, Name: id, Type: "service", Region: "global"}, Now: 1}).Index
}

func TestEventStream(t *testing.T) {
	w := newEventWorld(t, newRights("management"), 100) // index 10: the node
	all := w.open("")
	if ct := all.resp.Header.Get("Content-Type"); all.resp.StatusCode != 200 || ct != "application/json" || all.resp.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("head: %d %v", all.resp.StatusCode, all.resp.Header)
	}
	all.want("{}", "10: Node NodeRegistration "+nodeID)
	w.ticks <- start
	all.want("{}")

	w.job("default", "a") // 11
	w.job("default", "b") // 12
	w.job("other", "c")   // 13
	all.want("11: Job JobRegistered a", "12: Job JobRegistered b")
	w.open("?namespace=*&topic=Job&index=12").want("{}", "12: Job JobRegistered b", "13: Job JobRegistered c")
	w.open("?namespace=other").want("{}", "10: Node NodeRegistration "+nodeID, "13: Job JobRegistered c")
	w.open("?topic=Job:b&topic=Job:a").want("{}", "11: Job JobRegistered a", "12: Job JobRegistered b")
	w.open("?topic=Job:b&topic=Job:*&topic=*:b&index=11").want("{}", "11: Job JobRegistered a", "12: Job JobRegistered b")
	w.open("?topic=*:b").want("{}", "12: Job JobRegistered b")
}

func TestEventStreamRefuses(t *testing.T) {
	r := newRights("read-job@default", "node:read")
	w := newEventWorld(t, r, 100)
	for _, tt := range []struct {
		query  string
		status int
		text   string
	}{
		{"?topic=Job", 200, ""},
		{"?topic=Job&namespace=other", 403, "Permission denied"},
		{"", 403, "Permission denied"},
		{"?topic=*:x", 403, "Permission denied"},
		{"?topic=ACLToken", 403, "Permission denied"},
		{"?topic=Operator", 403, "Permission denied"},
		{"?topic=Node", 200, ""},
		{"?topic=Job&topic=Variable", 403, "Permission denied"},
		{"?topic=Jobs", 400, `Invalid topic query "Jobs"`},
		{"?topic=", 400, `Invalid topic query ""`},
		{"?topic=Job:", 400, `Invalid topic query "Job:"`},
		{"?topic=:x", 400, `Invalid topic query ":x"`},
		{"?topic=Evaluation:::*", 400, `Invalid key value pair "Evaluation:::*"`},
		{"?topic=Job&index=-1", 400, `Invalid index "-1"`},
		{"?topic=Job&index=x", 400, `Invalid index "x"`},
		{"?topic=Job&region=mars", 400, `No path to region "mars"`},
		{strings.Repeat("&topic=Job", 300), 400, "more than the 256"},
	} {
		query := tt.query
		if strings.HasPrefix(query, "&") {
			query = "?" + query[1:]
		}
		s := w.open(query)
		if s.resp.StatusCode != tt.status {
			t.Errorf("%.40s: status %d, want %d", tt.query, s.resp.StatusCode, tt.status)
		}
		if tt.status != 200 {
			if body, _ := io.ReadAll(s.resp.Body); !strings.Contains(string(body), tt.text) {
				t.Errorf("%.40s: %s", tt.query, body)
			}
		}
	}
}

// With namespace=* a caller sees the namespaces he may read and no other, and
// a change of his rights counts at once.
func TestEventStreamFollowsRights(t *testing.T) {
	r := newRights("read-job@default")
	w := newEventWorld(t, r, 100)
	s := w.open("?topic=Job&namespace=*")
	s.want("{}")
	w.job("secret", "hidden") // 11
	w.job("default", "a")     // 12
	s.want("12: Job JobRegistered a")
	r.set("read-job@default", "read-job@secret")
	w.job("secret", "shown") // 13, or the filter of before hides it
	w.job("default", "b")    // 14
	for got := s.line(); got != "14: Job JobRegistered b"; got = s.line() {
		if got != "13: Job JobRegistered shown" {
			t.Fatal(got)
		}
	}
	r.set("node:read")
	s.want("EOF")
}

func TestEventStreamTellsOfGaps(t *testing.T) {
	w := newEventWorld(t, newRights("management"), 2)
	for i := range 5 {
		w.job("default", fmt.Sprint(i)) // 11 to 15
	}
	w.open("?index=12").want("{}", "13: gap 12-13", "14: Job JobRegistered 3", "15: Job JobRegistered 4")
	w.open("?index=99").want("{}", "15: gap 16-15")
	w.open("").want("{}", "14: Job JobRegistered 3")
	now := w.open("?index=now")
	now.want("{}")
	w.job("default", "new")
	now.want("16: Job JobRegistered new")
}

func TestEventStreamForBrowsers(t *testing.T) {
	w := newEventWorld(t, newRights("management"), 2)
	w.job("default", "a") // 11
	s := w.open("?topic=Job", "Accept", "text/event-stream")
	if ct := s.resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("content type %q", ct)
	}
	s.want(":", "", "id: 11", "11: Job JobRegistered a", "")
	w.propose(&store.UpdateNodeEligibility{NodeID: nodeID, Eligibility: api.NodeIneligible}) // 12: not shown
	w.ticks <- start
	for got := s.line(); got != "id: 12"; got = s.line() { // the tick may come before the commit was seen
		if got != "" && got != "id: 11" {
			t.Fatal(got)
		}
	}
	w.job("default", "b") // 13
	w.job("default", "c") // 14
	again := w.open("?topic=Job&index=1", "Accept", "text/event-stream", "Last-Event-ID", "13")
	again.want(":", "", "id: 14", "14: Job JobRegistered c", "")
	w.open("?topic=Job", "Accept", "text/event-stream", "Last-Event-ID", "10").want(":", "", "event: gap", "id: 12", "12: gap 11-12", "", "id: 13")
	if s := w.open("", "Accept", "text/event-stream", "Last-Event-ID", "x"); s.resp.StatusCode != 400 {
		t.Errorf("a bad Last-Event-ID: %d", s.resp.StatusCode)
	}
}

func TestEventStreamSwitchedOff(t *testing.T) {
	w := newWorld(t)
	if status, body, _ := w.call("GET", "/v1/event/stream", ""); status != 501 || !strings.Contains(body, "enable_event_broker") {
		t.Errorf("%d %s", status, body)
	}
}

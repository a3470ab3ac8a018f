package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

// fake is an agent whose answers a test sets. A read with an index blocks
// until the test changes something.
type fake struct {
	t   *testing.T
	url string

	mu      sync.Mutex // guards what follows
	index   uint64
	changed chan struct{}
	answers map[string]any // by path, of GET; a func is called with the request
	writes  map[string]func(body []byte) any
	logs    map[string]string // "alloc/task/kind" → everything written so far
	closed  map[string]bool   // logs whose follow has ended
}

func newFake(t *testing.T) *fake {
	f := &fake{
		t: t, index: 10, changed: make(chan struct{}), answers: map[string]any{}, writes: map[string]func([]byte) any{},
		logs: map[string]string{}, closed: map[string]bool{},
	}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

// set changes answers; all waiting reads see it.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.index++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/v1/client/fs/logs/"); ok {
		f.serveLogs(w, r, rest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method != http.MethodGet {
		act := f.writes[r.Method+" "+path]
		if act == nil {
			http.Error(w, "unexpected "+r.Method+" "+path, 404)
			return
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		f.answer(w, r, act(body.Bytes()))
		return
	}
	since, _ := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	for since >= f.index {
		if !f.wait(r) {
			return
		}
	}
	a, ok := f.answers[path]
	if !ok {
		http.Error(w, "nothing at "+path, 404)
		return
	}
	f.answer(w, r, a)
}

// wait lets go of the lock until something changes.
func (f *fake) wait(r *http.Request) bool {
	ch := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-ch:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, a any) {
	if fn, ok := a.(func(*http.Request) any); ok {
		a = fn(r)
	}
	if err, ok := a.(*api.Error); ok {
		http.Error(w, err.Message, err.Code.Status())
		return
	}
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(f.index, 10))
	_ = json.NewEncoder(w).Encode(a)
}

func (f *fake) serveLogs(w http.ResponseWriter, r *http.Request, alloc string) {
	q := r.URL.Query()
	key := alloc + "/" + q.Get("task") + "/" + q.Get("type")
	offset, _ := strconv.Atoi(q.Get("offset"))
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.logs[key]; !ok && q.Get("type") == "stdout" {
		http.Error(w, "not started", 404)
		return
	}
	at := offset
	if q.Get("origin") == "end" {
		at = max(0, len(f.logs[key])-offset)
	}
	enc := json.NewEncoder(w)
	for {
		if text := f.logs[key]; at < len(text) {
			_ = enc.Encode(api.StreamFrame{Offset: int64(at), Data: []byte(text[at:]), File: "f"})
			w.(http.Flusher).Flush()
			at = len(text)
		}
		if q.Get("follow") != "true" || f.closed[key] || !f.wait(r) {
			return
		}
	}
}

// buffer collects output and can be waited on.
type buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
	more chan struct{}
}

func newBuffer() *buffer { return &buffer{more: make(chan struct{}, 1)} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// waitFor returns when text has been written.
func (b *buffer) waitFor(t *testing.T, text string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !strings.Contains(b.String(), text) {
		select {
		case <-b.more:
		case <-limit:
			t.Fatalf("waited for %q in\n%s", text, b.String())
		}
	}
}

// result is what a command line did.
type result struct {
	code     int
	out, err string
}

func (f *fake) run(args ...string) result {
	f.t.Helper()
	out, errs := newBuffer(), newBuffer()
	code := f.start(out, errs, args...)
	return result{<-code, out.String(), errs.String()}
}

// start runs a command line beside the test.
func (f *fake) start(out, errs *buffer, args ...string) <-chan int {
	code := make(chan int, 1)
	go func() {
		code <- Run(f.t.Context(), args, Stdio{In: strings.NewReader(""), Out: out, Err: errs, Env: []string{"NOMAD_ADDR=" + f.url}})
	}()
	return code
}

func (r result) want(t *testing.T, code int, out ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.out, r.err)
	}
	for _, text := range out {
		if !strings.Contains(r.out, text) {
			t.Errorf("no %q in stdout:\n%s\nstderr:\n%s", text, r.out, r.err)
		}
	}
}

func (r result) wantErr(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.err, text) {
			t.Errorf("no %q in stderr:\n%s", text, r.err)
		}
	}
}

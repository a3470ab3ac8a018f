package diag_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/diag"
)

func newProcess(t *testing.T) http.Handler {
	t.Helper()
	tee, log, _ := newTee()
	return diag.Process{Log: log, Tee: tee, ID: func() string { return "one" }, Dirs: []string{t.TempDir()}}.Handler()
}

func get(ctx context.Context, h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/agent/"+path, nil))
	return w
}

func TestProfiles(t *testing.T) {
	h := newProcess(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel() // who has gone waits for nothing, and what was taken until then is whole
	for path, want := range map[string]string{
		"pprof/goroutine":             "\x1f\x8b",
		"pprof/goroutine?debug=2":     "TestProfiles",
		"pprof/heap?gc=1&seconds=0":   "\x1f\x8b",
		"pprof/allocs?debug=1":        "heap profile:",
		"pprof/threadcreate?debug=1":  "threadcreate profile:",
		"pprof/block?debug=1":         "--- contention:",
		"pprof/mutex?debug=1":         "--- mutex:",
		"pprof/profile?seconds=300":   "\x1f\x8b",
		"pprof/trace?node_id=":        "go 1.",
		"pprof/cmdline?server_id=one": "diag.test",
	} {
		w := get(gone, h, path)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %.40q, want %q", path, w.Code, w.Body, want)
		}
		if text := strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain"); text != (strings.Contains(path, "debug") || strings.Contains(path, "cmdline")) {
			t.Errorf("%s is %s", path, w.Header().Get("Content-Type"))
		}
	}
}

func TestProfileRefusals(t *testing.T) {
	h := newProcess(t)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"pprof/nothing":             {http.StatusNotFound, `there is no profile "nothing"`},
		"pprof/profile?seconds=301": {http.StatusBadRequest, `"seconds" is "301"`},
		"pprof/heap?debug=3":        {http.StatusBadRequest, `"debug" is "3"`},
		"pprof/heap?gc=x":           {http.StatusBadRequest, `"gc" is "x"`},
	} {
		if w := get(t.Context(), h, path); w.Code != want.status || !strings.Contains(w.Body.String(), want.text) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// headWriter tells when the head of an answer is written, which is when its
// profile is being taken.
type headWriter struct {
	*httptest.ResponseRecorder
	begun chan struct{}
}

func (w *headWriter) Header() http.Header {
	select {
	case w.begun <- struct{}{}:
	default:
	}
	return w.ResponseRecorder.Header()
}

// One caller at a time takes a profile; the next is told, and so is nobody
// after the first has gone.
func TestOneProfileAtATime(t *testing.T) {
	h := newProcess(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := &headWriter{httptest.NewRecorder(), make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(first, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/agent/pprof/profile?seconds=300", nil))
	}()
	<-first.begun
	if w := get(ctx, h, "pprof/profile"); w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), `takes the profile "profile"`) || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(ctx, h, "pprof/heap"); w.Code != http.StatusOK {
		t.Errorf("another profile: %d %s", w.Code, w.Body)
	}
	cancel()
	<-done
	if w := get(ctx, h, "pprof/profile"); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

// The description of a machine holds nothing of the environment that might be
// secret, and no names of other machines.
func TestHost(t *testing.T) {
	t.Setenv("SOME_PASSWORD", "s3cret")
	t.Setenv("NOMAD_ADDR", "http://jo:s3cret@10.0.0.1:4646")
	t.Setenv("NOMAD_TOKEN", "s3cret")
	t.Setenv("TZ", "Europe/Vienna")
	w := get(t.Context(), newProcess(t), "host")
	var out api.HostDataResponse
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d := out.HostData
	if out.AgentID != "one" || d.OS == "" || len(d.Network) == 0 || len(d.Disk) != 1 || d.Hosts != "" {
		t.Errorf("%+v", out)
	}
	for name, want := range map[string]string{"SOME_PASSWORD": diag.Hidden, "NOMAD_ADDR": diag.Hidden, "NOMAD_TOKEN": diag.Hidden, "TZ": "Europe/Vienna"} {
		if d.Environment[name] != want {
			t.Errorf("%s is %q, want %q", name, d.Environment[name], want)
		}
	}
	if bytes.Contains(w.Body.Bytes(), []byte("s3cret")) {
		t.Errorf("a secret is told: %s", w.Body)
	}
}

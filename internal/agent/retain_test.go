package agent

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

// What is kept follows from the policy alone.
func TestRetentionPolicy(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	at := func(id, job string, failed bool, hours int, size int64) *retainedLogs {
		return &retainedLogs{ID: id, Namespace: "default", JobID: job, Failed: failed, EndedAt: now.Add(-time.Duration(hours) * time.Hour), Size: size}
	}
	list := []*retainedLogs{
		at("a", "web", false, 100, 10), at("b", "web", true, 90, 10), at("c", "web", true, 80, 10), at("d", "web", true, 70, 10),
		at("e", "web", false, 2, 10), at("f", "db", true, 200, 10), at("g", "db", false, 1, 10),
	}
	for name, c := range map[string]struct {
		p    LogRetention
		want string
	}{
		"all":                         {LogRetention{1000 * time.Hour, 1000, 0}, ""},
		"by age":                      {LogRetention{24 * time.Hour, 1000, 0}, "f a b c d"},
		"failed ones pinned":          {LogRetention{24 * time.Hour, 1000, 2}, "a b"},
		"by size":                     {LogRetention{1000 * time.Hour, 35, 0}, "f a b c"},
		"by size, pinned ones last":   {LogRetention{1000 * time.Hour, 35, 1}, "a b c e"},
		"size beats pins":             {LogRetention{1000 * time.Hour, 15, 1}, "a b c e g f"},
		"nothing":                     {LogRetention{0, 0, 9}, "a e g f b c d"},
		"age and size, exactly at it": {LogRetention{100 * time.Hour, 60, 0}, "f"},
	} {
		if got := strings.Join(c.p.expired(list, now), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := (LogRetention{KeepFailed: 1}).pinned(list); len(got) != 2 || !got["d"] || !got["f"] {
		t.Errorf("pinned %v", got)
	}
}

// Logs outlive the collection of their allocation and a restart of the agent;
// when servers forget the allocation nothing is left.
func TestRetainedLogs(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.LogRetention = LogRetention{MaxAge: time.Hour, MaxSize: 1 << 20, KeepFailed: 1}
	})
	a := w.alloc(map[string]any{"run_for": "1ms", "stdout_string": "what it said\n"})
	w.assign(a)
	w.untilStatus(a.ID, api.AllocClientComplete)
	if err := w.a.collectOne(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	if w.a.runner(a.ID) != nil {
		t.Fatal("it was not collected")
	}
	read := func(query string) string {
		t.Helper()
		resp, err := http.Get(w.server().URL + "/v1/client/fs/logs/" + a.ID + "?" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(b))
	}
	check := func() {
		t.Helper()
		for query, want := range map[string]string{
			"task=main&type=stdout&plain=true":                     "200 what it said\n",
			"task=main&type=stdout&plain=true&follow=true":         "200 what it said\n",
			"task=main&type=stdout&plain=true&origin=end&offset=5": "200 said\n",
			"task=x&type=stdout":                                   "400 unknown task name",
			"task=main&type=both":                                  "400 must provide log type",
		} {
			if got := read(query); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
	}
	check()
	w.reboot()
	check()
	w.a.Assign(true, nil, nil) // servers know of nothing
	w.untilForgotten(a.ID)
	if got := read("task=main&type=stdout"); !strings.HasPrefix(got, "404 ") {
		t.Errorf("after it was forgotten: %s", got)
	}
	if left, err := os.ReadDir(filepath.Join(w.dir, "alloc", ".retained")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// untilForgotten waits until the agent has acted on what servers forgot.
func (w *world) untilForgotten(id string) {
	w.t.Helper()
	for range 1000 {
		w.a.mu.RLock()
		known := w.a.collected[id] != nil
		w.a.mu.RUnlock()
		if !known {
			w.reboot() // waits for what goes on in the background
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("the allocation is not forgotten")
}

// The size holds while logs come, and a full disk takes what is kept.
func TestRetentionBounds(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.LogRetention = LogRetention{MaxAge: time.Hour, MaxSize: 250} })
	var ids []string
	for range 4 {
		a := w.alloc(map[string]any{"run_for": "1ms", "stdout_string": strings.Repeat("x", 100)})
		w.assign(a)
		w.untilStatus(a.ID, api.AllocClientComplete)
		if err := w.a.collectOne(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	var kept []string
	for _, l := range w.a.retained.list() {
		kept = append(kept, l.ID)
	}
	slices.Sort(kept)
	want := slices.Sorted(slices.Values(ids[2:]))
	if !slices.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	if !w.a.retained.shrink(10) || w.a.retained.shrink(10) || len(w.a.retained.list()) > 0 {
		t.Error("a full disk leaves logs")
	}
}

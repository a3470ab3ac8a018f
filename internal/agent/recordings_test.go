package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/asciicast"
)

// Recordings stay within their bounds: the oldest finished ones go, those that
// are being written stay, and an earlier agent's count.
func TestRecordings(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &Config{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Recording: Recording{
		Namespaces: []string{"prod-*"}, Dir: filepath.Join(t.TempDir(), "casts"), MaxAge: 24 * time.Hour, MaxSize: 10_000, MaxSession: 6_000,
	}}
	open := func() *recordings {
		x, err := openRecordings(c)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := open()
	begin := func() *asciicast.Recorder {
		now = now.Add(time.Hour)
		r, err := x.begin(x.name("alloc"), asciicast.Header{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	files := func() int {
		names, err := os.ReadDir(c.Recording.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	text := []byte(strings.Repeat("x", 3_000))
	first := begin()
	if err := first.Record(asciicast.Stdout, text); err != nil {
		t.Fatal(err)
	}
	second := begin()
	if err := second.Record(asciicast.Stdout, text); err != nil {
		t.Fatal(err)
	}
	if err := second.Record(asciicast.Stdout, text); err == nil { // over its own bound
		t.Error("a recording is longer than it may be")
	}
	if err := second.Close(); err == nil {
		t.Error("the recording that is not whole says nothing")
	}
	third := begin() // 3 + 3 + 3: the finished one goes for what comes
	for range 2 {
		if err := third.Record(asciicast.Stdout, text[:2_000]); err != nil {
			t.Fatal(err)
		}
	}
	if n := files(); n != 2 {
		t.Errorf("%d files, expected the two that are open", n)
	}
	if err := first.Record(asciicast.Stdout, text[:2_800]); err != nil { // 5.8 + 4
		t.Fatal(err)
	}
	if err := third.Record(asciicast.Stdout, text[:1_500]); err == nil {
		t.Error("open recordings together are larger than allowed")
	}
	_, _ = first.Close(), third.Close() // not whole

	x = open()
	if x.size < 9_000 || len(x.kept) != 2 {
		t.Errorf("%d bytes in %d files are known after a restart", x.size, len(x.kept))
	}
	now = now.Add(23 * time.Hour)
	x.enforce() // the first is 25 hours old
	if n := files(); n != 1 {
		t.Errorf("%d files after a day", n)
	}
	for _, tt := range []struct {
		p    Recording
		want bool
	}{
		{Recording{}, false}, {Recording{Namespaces: []string{"*"}}, true}, {Recording{Namespaces: []string{"dev", "pro*"}}, true},
		{Recording{Namespaces: []string{"*"}, Jobs: []string{"db"}}, false}, {Recording{Namespaces: []string{"*"}, Jobs: []string{"db", "w*b"}}, true},
		{Recording{Jobs: []string{"*"}}, false},
	} {
		if got := tt.p.covers(&api.Allocation{Namespace: "prod", JobID: "web"}); got != tt.want {
			t.Errorf("%+v: %v", tt.p, got)
		}
	}
}

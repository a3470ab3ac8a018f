package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func testConfig(t *testing.T) Config {
	return Config{
		Path: filepath.Join(t.TempDir(), "audit", "audit.json"), Mode: 0o600, Enforced: true, Chain: true,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start },
	}
}

// run opens a log and returns it with a function that ends it.
func run(t *testing.T, cfg Config) (*Log, func()) {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return l, end
}

func add(t *testing.T, l *Log, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := l.Append(&Record{Time: start, Stage: Complete, ID: id}); err != nil {
			t.Fatal(err)
		}
	}
}

// files returns the log's files in order.
func files(t *testing.T, path string) []string {
	t.Helper()
	names, err := (&file{cfg: &Config{Path: path}}).rotated()
	if err != nil {
		t.Fatal(err)
	}
	return append(names, path)
}

// check verifies the whole log and returns the IDs in it.
func check(t *testing.T, path string) (string, error) {
	t.Helper()
	var v Verifier
	var ids []string
	for _, name := range files(t, path) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.File(bytes.NewReader(b)); err != nil {
			return "", err
		}
		for line := range bytes.Lines(b) {
			var r Record
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			id := r.ID
			if r.Stage == Repaired {
				id = "repaired"
			}
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, " "), nil
}

func TestChainGoesOnOverRestarts(t *testing.T) {
	cfg := testConfig(t)
	for _, id := range []string{"a", "b", "c"} {
		l, end := run(t, cfg)
		add(t, l, id+"1", id+"2")
		end()
	}
	if got, err := check(t, cfg.Path); got != "a1 a2 b1 b2 c1 c2" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	info, err := os.Stat(cfg.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
	if first, _ := os.ReadFile(cfg.Path); !strings.Contains(string(first[:bytes.IndexByte(first, '\n')]), noHash) {
		t.Error("the first line does not begin the chain")
	}
}

// A crash leaves a torn line at any byte: it is removed, the log says so, and
// the chain is whole.
func TestTornLineIsRepaired(t *testing.T) {
	cfg := testConfig(t)
	l, end := run(t, cfg)
	add(t, l, "a", "b")
	end()
	whole, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.IndexByte(whole, '\n') + 1
	for cut := 0; cut < len(whole); cut += 3 {
		if err := os.WriteFile(cfg.Path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l, end := run(t, cfg)
		add(t, l, "c")
		end()
		want := "repaired c"
		switch {
		case cut == 0:
			want = "c"
		case cut == second:
			want = "a c"
		case cut > second:
			want = "a repaired c"
		}
		if got, err := check(t, cfg.Path); got != want || err != nil {
			t.Fatalf("cut at %d: %q %v, want %q", cut, got, err, want)
		}
	}
}

func TestRotation(t *testing.T) {
	cfg := testConfig(t)
	now := &clock{now: start}
	cfg.Now, cfg.RotateBytes, cfg.RotateAge, cfg.RotateMaxFiles = now.Now, 400, time.Hour, 3
	l, end := run(t, cfg)
	for i := range 20 {
		add(t, l, fmt.Sprint(i))
	}
	end()
	if n := len(files(t, cfg.Path)); n != 4 {
		t.Errorf("%d files, want 3 rotated and the current one", n)
	}
	if got, err := check(t, cfg.Path); !strings.HasSuffix(got, "17 18 19") || err != nil {
		t.Errorf("%q %v", got, err)
	}

	// By age, also of what an earlier process wrote; and with nothing but a
	// rotated file the chain still goes on.
	now.add(time.Hour)
	l, end = run(t, cfg)
	add(t, l, "late")
	end()
	if b, _ := os.ReadFile(cfg.Path); bytes.Count(b, []byte("\n")) != 1 {
		t.Errorf("an old file was written on: %s", b)
	}
	names := files(t, cfg.Path)
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	l, end = run(t, cfg)
	add(t, l, "after")
	end()
	if got, err := check(t, cfg.Path); !strings.HasSuffix(got, "19 after") || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestVerifyNamesTheFirstBrokenLine(t *testing.T) {
	cfg := testConfig(t)
	l, end := run(t, cfg)
	add(t, l, "a", "b", "c", "d")
	end()
	whole, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(whole), "\n"), "\n")
	join := func(l ...string) string { return strings.Join(l, "") }
	for name, tt := range map[string]struct {
		text string
		line int // 0: unbroken
	}{
		"as it is":           {string(whole), 0},
		"the beginning gone": {join(lines[1:]...), 0},
		"one changed":        {strings.Replace(string(whole), `"ID":"b"`, `"ID":"x"`, 1), 3},
		"one removed":        {join(lines[0], lines[1], lines[3]), 3},
		"one twice":          {join(lines[0], lines[1], lines[1], lines[2]), 3},
		"two swapped":        {join(lines[0], lines[2], lines[1], lines[3]), 2},
		"one put in":         {join(lines[0], `{"ID":"x"}`+"\n", lines[1]), 2},
		"no JSON":            {join(lines[0], "rubbish\n", lines[1]), 2},
		"torn":               {string(whole[:len(whole)-20]), 4},
	} {
		var v Verifier
		err := v.File(strings.NewReader(tt.text))
		var broken *BrokenError
		if errors.As(err, &broken); (tt.line == 0) != (err == nil) || broken != nil && broken.Line != tt.line {
			t.Errorf("%s: %v, want line %d", name, err, tt.line)
		}
	}
}

func TestConcurrentRecordsAreAllWritten(t *testing.T) {
	cfg := testConfig(t)
	l, end := run(t, cfg)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for k := range 20 {
				if err := l.Append(&Record{Time: start, ID: fmt.Sprint(i, "-", k)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	end()
	got, err := check(t, cfg.Path)
	if n := len(strings.Fields(strings.ReplaceAll(got, " -", "-"))); err != nil || l.Lines() != 640 || l.Lost() != 0 {
		t.Errorf("%d lines, %d counted, %d lost (%v)", n, l.Lines(), l.Lost(), err)
	}
	if err := l.Append(&Record{}); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// What can't be written is refused or counted, never passed over.
func TestFullDisk(t *testing.T) {
	for _, enforced := range []bool{true, false} {
		cfg := testConfig(t)
		cfg.Enforced = enforced
		l, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.file.f.Close(); err != nil { // every write fails from now on
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		err = l.Append(&Record{ID: "a"})
		cancel()
		<-done // closing fails as well, which is no matter here
		if (err != nil) != enforced || l.Lost() != 1 || l.Lines() != 0 {
			t.Errorf("enforced %v: %v, %d lost, %d written", enforced, err, l.Lost(), l.Lines())
		}
	}
}

func TestNotOurFile(t *testing.T) {
	cfg := testConfig(t)
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", cfg.Path); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(cfg); err == nil {
		t.Error("a symbolic link was followed")
		_ = l.file.close()
	}
}

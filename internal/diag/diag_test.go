package diag_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/diag"
)

// newTee returns a log at level warn, and what it writes.
func newTee() (*diag.Tee, *slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	t := diag.NewTee(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return t, slog.New(t), &out
}

func TestTheLogIsAsWithoutReaders(t *testing.T) {
	tee, log, out := newTee()
	reader := tee.Listen(diag.Options{Level: slog.LevelDebug})
	log.Info("for the reader")
	log.Warn("for both")
	reader.Close()
	if got := out.String(); strings.Contains(got, "for the reader") || !strings.Contains(got, "for both") {
		t.Errorf("the log has %q", got)
	}
	if log.Enabled(context.Background(), slog.LevelInfo) {
		t.Error("without readers the log's level holds again")
	}
	log.Warn("after")
	if got := string(reader.Take(nil)); strings.Count(got, "\n") != 2 {
		t.Errorf("the reader has %q", got)
	}
}

// A call that nobody wants to see allocates nothing.
func TestNoReaderNoCost(t *testing.T) {
	_, log, _ := newTee()
	if n := testing.AllocsPerRun(100, func() { log.Debug("unseen", "a", 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestForms(t *testing.T) {
	const at = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z `
	write := func(log *slog.Logger) {
		log.With("node", "n 1").WithGroup("g").Debug("moved", "from", 1)
	}
	for _, c := range []struct {
		name  string
		o     diag.Options
		write func(*slog.Logger)
		want  string // a regular expression; empty: nothing
	}{
		{"text", diag.Options{Level: slog.LevelDebug}, write, at + `\[DEBUG\] moved: node="n 1" g\.from=1\n$`},
		{"bare", diag.Options{Level: slog.LevelInfo}, func(l *slog.Logger) { l.Error("gone") }, at + `\[ERROR\] gone\n$`},
		{"level", diag.Options{Level: slog.LevelInfo}, write, ""},
		{"json", diag.Options{Level: slog.LevelDebug, JSON: true}, write, `^\{"time":"[^"]+","level":"DEBUG","msg":"moved","node":"n 1","g":\{"from":1\}\}\n$`},
		{"source", diag.Options{Level: slog.LevelDebug, Source: true}, write, `\[DEBUG\] moved: source=[^ ]+diag_test\.go:\d+ node=`},
		{"own keys", diag.Options{Level: slog.LevelInfo}, func(l *slog.Logger) { l.WithGroup("g").Info("x", "level", 5, "msg", "y") }, `g\.level=5 g\.msg=y\n$`},
		{"lines", diag.Options{Level: slog.LevelInfo}, func(l *slog.Logger) { l.Info("a\nb\x1b[2J") }, `\[INFO\] "a\\nb\\x1b\[2J"\n$`},
	} {
		tee, log, _ := newTee()
		reader := tee.Listen(c.o)
		c.write(log)
		got := string(reader.Take(nil))
		reader.Close()
		if c.want == "" && got != "" || !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s: %q is not like %s", c.name, got, c.want)
		}
	}
}

// What a slow reader misses is counted, and there are no gaps before that.
func TestSlowReaderIsTold(t *testing.T) {
	tee, log, _ := newTee()
	reader := tee.Listen(diag.Options{Level: slog.LevelInfo, JSON: true})
	defer reader.Close()
	const lines = 5000
	for i := range lines {
		log.Info(strings.Repeat("x", 100), "i", i)
	}
	scan := bufio.NewScanner(bytes.NewReader(reader.Take(nil)))
	seen := 0
	for scan.Scan() {
		var line struct {
			Level   string
			I       int
			Dropped int
		}
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		switch {
		case line.Dropped > 0:
			if line.Level != "WARN" || seen+line.Dropped != lines || seen == 0 || scan.Scan() {
				t.Errorf("after %d lines: %+v", seen, line)
			}
			return
		case line.I != seen:
			t.Fatalf("line %d comes where %d should", line.I, seen)
		}
		seen++
	}
	t.Error("no line says that some are missing")
}

// monitor opens a stream of the handler.
func monitor(t *testing.T, tee *diag.Tee, query string) *http.Response {
	t.Helper()
	srv := httptest.NewServer(diag.Process{Log: slog.New(slog.DiscardHandler), Tee: tee}.Beside(http.NotFoundHandler()))
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/v1/agent/monitor?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestMonitor(t *testing.T) {
	tee, log, _ := newTee()
	framed, plain := monitor(t, tee, "log_level=DEBUG"), monitor(t, tee, "plain=true")
	log.Debug("one")
	log.Info("two")
	var text string
	for dec := json.NewDecoder(framed.Body); !strings.Contains(text, "two"); {
		var f api.StreamFrame
		if err := dec.Decode(&f); err != nil {
			t.Fatal(err)
		}
		text += string(f.Data)
	}
	if !strings.Contains(text, "[DEBUG] one\n") || !strings.HasSuffix(text, "[INFO] two\n") {
		t.Errorf("framed: %q", text)
	}
	line, err := bufio.NewReader(plain.Body).ReadString('\n')
	if err != nil || !strings.HasSuffix(line, "[INFO] two\n") {
		t.Errorf("plain: %q %v", line, err)
	}
	if got := plain.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("plain: %s", got)
	}
}

func TestMonitorRefuses(t *testing.T) {
	tee, _, _ := newTee()
	for query, want := range map[string]string{
		"log_level=loud": `"loud" is not a level`,
		"log_json=maybe": `query parameter "log_json" is "maybe"`,
		"plain=2":        `query parameter "plain" is "2"`,
	} {
		resp := monitor(t, tee, query)
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s", query, resp.StatusCode, text)
		}
	}
	for tee.Listen(diag.Options{}) != nil {
	}
	if resp := monitor(t, tee, ""); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one reader too many: %d", resp.StatusCode)
	}
}

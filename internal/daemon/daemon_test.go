package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/config"
)

// agentUnderTest is a whole agent in this process.
type agentUnderTest struct {
	Info
	t    *testing.T
	stop func() error
}

// start runs an agent on free ports until the test ends.
func start(t *testing.T, c *config.Config, change func(*Config)) *agentUnderTest {
	t.Helper()
	c.Name = "test"
	c.Ports = config.Ports{}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan Info, 1)
	cfg := Config{Config: c, Ready: func(i Info) { ready <- i }}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, slog.New(slog.DiscardHandler)) }()
	a := &agentUnderTest{t: t, stop: sync.OnceValue(func() error {
		cancel()
		return <-done
	})}
	t.Cleanup(func() { _ = a.stop() })
	select {
	case a.Info = <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("the agent ended: %v", err)
	}
	return a
}

func (a *agentUnderTest) request(method, path string, body any) (int, string) {
	a.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, "http://"+a.HTTP+path, bytes.NewReader(b))
	if err != nil {
		a.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// wait asks until the answer holds text; the test's own timeout bounds it.
func (a *agentUnderTest) wait(path, text string) string {
	a.t.Helper()
	for a.t.Context().Err() == nil {
		if status, got := a.request("GET", path, nil); status == 200 && strings.Contains(got, text) {
			return got
		}
	}
	a.t.Fatalf("%s never held %s", path, text)
	return ""
}

func mockJob(id string, count int) map[string]any {
	return map[string]any{"Job": map[string]any{
		"ID": id, "Type": "service", "Datacenters": []string{"dc1"},
		"TaskGroups": []any{map[string]any{"Name": "g", "Count": count, "Tasks": []any{map[string]any{
			"Name": "t", "Driver": "mock_driver", "Config": map[string]any{"run_for": "1h"}, "Resources": map[string]any{"CPU": 10, "MemoryMB": 10},
		}}}},
	}}
}

func persistent(dir string) *config.Config {
	c := config.Default()
	c.DataDir, c.Server.Enabled = dir, true
	return c
}

func TestDevAgentRunsAJobAndLeavesNothing(t *testing.T) {
	level, reload := new(slog.LevelVar), make(chan *config.Config)
	a := start(t, config.Dev(), func(c *Config) { c.Level, c.Reload = level, reload })
	a.wait("/v1/agent/health", `"client":{"ok":true`)
	if status, text := a.request("POST", "/v1/jobs", mockJob("j", 2)); status != 200 {
		t.Fatal(status, text)
	}
	a.wait("/v1/job/j/summary", `"Running":2`)
	if status, text := a.request("GET", "/v1/agent/self", nil); status != 200 || !strings.Contains(text, `"leader":"true"`) || !strings.Contains(text, a.NodeID) {
		t.Fatal(status, text)
	}
	if status, text := a.request("GET", "/v1/metrics?format=prometheus", nil); status != 200 || !strings.Contains(text, "drover_server_nodes_connected 1") {
		t.Fatal(status, text)
	}

	for range 2 { // the first has been taken over when the second is taken
		again := config.Dev()
		again.LogLevel = "ERROR"
		reload <- again
	}
	if level.Level() != slog.LevelError {
		t.Errorf("level is %v after a reload", level.Level())
	}

	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(a.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary directory is left: %v", err)
	}
}

func TestRestartChangesNoAnswer(t *testing.T) {
	dir := t.TempDir()
	paths := []string{"/v1/jobs", "/v1/evaluations", "/v1/allocations", "/v1/job/j", "/v1/job/j/versions"}
	answers := func(a *agentUnderTest) (out []string) {
		a.wait("/v1/status/leader", "127.0.0.1")
		for _, p := range paths {
			_, text := a.request("GET", p, nil)
			out = append(out, text)
		}
		return out
	}
	a := start(t, persistent(dir), nil)
	a.wait("/v1/status/leader", "127.0.0.1")
	// Nothing is left to do for the job, so the next leader changes nothing.
	if status, text := a.request("POST", "/v1/jobs", mockJob("j", 0)); status != 200 {
		t.Fatal(status, text)
	}
	a.wait("/v1/evaluations", `"Status":"complete"`)
	before := answers(a)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	for i, after := range answers(start(t, persistent(dir), nil)) {
		if after != before[i] {
			t.Errorf("%s was\n%s\nand is\n%s", paths[i], before[i], after)
		}
	}
}

func TestNodeJoinsAndForwards(t *testing.T) {
	server := start(t, persistent(t.TempDir()), nil)
	c := config.Default()
	c.DataDir, c.Client.Enabled, c.Client.Servers = t.TempDir(), true, []string{server.RPC}
	node := start(t, c, nil)
	node.wait("/v1/nodes", node.NodeID) // answered by the server
	if status, text := node.request("POST", "/v1/jobs", mockJob("j", 2)); status != 200 {
		t.Fatal(status, text)
	}
	server.wait("/v1/job/j/summary", `"Running":2`)
	var allocs []api.AllocListStub
	if err := json.Unmarshal([]byte(server.wait("/v1/job/j/allocations", "running")), &allocs); err != nil {
		t.Fatal(err)
	}
	for _, a := range []*agentUnderTest{server, node} { // spliced to the node, and at home
		if status, text := a.request("GET", "/v1/client/fs/ls/"+allocs[0].ID+"?path=/", nil); status != 200 || !strings.Contains(text, `"alloc"`) {
			t.Fatal(status, text)
		}
	}
}

func TestSecondAgentIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, persistent(dir), nil)
	c := persistent(dir)
	c.Name, c.Ports = "test", config.Ports{}
	err := Run(t.Context(), Config{Config: c}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "in use by another agent") {
		t.Fatalf("got %v", err)
	}
}

func TestBadPluginsAreNamed(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for want, plugin := range map[string]map[string]config.Plugin{
		`plugin "podmann": there is no such driver`: {"podmann": {}},
		`enabledd`:          {"raw_exec": {Config: map[string]any{"enabledd": true}}},
		`allow_privilegedd`: {"docker": {Config: map[string]any{"allow_privilegedd": true}}},
		`has no options`:    {"mock_driver": {Config: map[string]any{"x": 1}}},
		`denied_host_uids`:  {"raw_exec": {Config: map[string]any{"denied_host_uids": "x"}}},
	} {
		c := config.Dev()
		c.Name, c.Ports, c.Plugins = "test", config.Ports{}, plugin
		if err := Run(t.Context(), Config{Config: c}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("an agent that did not start left %v (%v)", left, err)
	}
}

func TestPartsEndInReverse(t *testing.T) {
	var mu sync.Mutex
	var order []string
	at := func(name string, err error) part {
		return part{name, func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			order = append(order, name)
			return err
		}}
	}
	broken := errors.New("broken")
	failing := part{"failing", func(context.Context) error { return broken }}
	for name, test := range map[string]struct {
		parts []part
		want  error
	}{
		"asked":        {[]part{at("a", nil), at("b", context.Canceled), at("c", nil)}, nil},
		"one fails":    {[]part{at("a", nil), at("b", nil), failing, at("c", nil)}, broken},
		"fails at end": {[]part{at("a", nil), at("b", broken), at("c", nil)}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			order = nil
			ctx, cancel := context.WithCancel(t.Context())
			if name != "one fails" {
				cancel()
			}
			defer cancel()
			err := runParts(ctx, slog.New(slog.DiscardHandler), test.parts)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("got %v", err)
			}
			if got := fmt.Sprint(order); got != "[c b a]" {
				t.Errorf("ended in the order %s", got)
			}
		})
	}
}

func TestAdvertised(t *testing.T) {
	for _, test := range []struct{ configured, listens, want string }{
		{"", "127.0.0.1:4646", "127.0.0.1:4646"},
		{"10.0.0.1", "0.0.0.0:4646", "10.0.0.1:4646"},
		{"drover.example:80", "0.0.0.0:4646", "drover.example:80"},
	} {
		if got := advertised(test.configured, textAddr(test.listens)); got != test.want {
			t.Errorf("%s on %s: %s", test.configured, test.listens, got)
		}
	}
}

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }

package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// testNode marks the containers of this run of the tests.
var testNode = fmt.Sprintf("test-%d", os.Getpid())

const busybox = "busybox:local"

var engine = sync.OnceValue(func() error {
	for _, script := range []string{"dockerd", "test-images"} {
		if out, err := exec.Command(filepath.Join("..", "..", "scripts", script)).CombinedOutput(); err != nil {
			return fmt.Errorf("scripts/%s: %w: %s", script, err, out)
		}
	}
	return nil
})

// needEngine skips the test where there is no Engine, unless
// DROVER_TEST_REQUIRE_DOCKER says that there must be one.
func needEngine(t testing.TB) {
	t.Helper()
	if err := engine(); err != nil {
		if os.Getenv("DROVER_TEST_REQUIRE_DOCKER") != "" {
			t.Fatal(err)
		}
		t.Skipf("no Docker Engine: %v", err)
	}
}

// start returns a running driver and a function that ends it, as the end of
// an agent would.
func startDriver(t testing.TB, change ...func(*Config)) (*Driver, func()) {
	t.Helper()
	needEngine(t)
	cfg := DefaultConfig()
	cfg.NodeID = testNode
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	for _, c := range change {
		c(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := d.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	end := sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(end)
	return d, end
}

// reports collects what a task reports.
type reports struct {
	mu   sync.Mutex
	list []string
}

func (r *reports) add(message string, annotations map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, message)
}

func (r *reports) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.list, "\n")
}

// newTask makes the directories and configuration of a task. config is
// key, value, …
func newTask(t testing.TB, config map[string]any) (*driver.TaskConfig, *reports) {
	t.Helper()
	root := t.TempDir()
	cfg := &driver.TaskConfig{
		AllocID: api.NewID(), Task: "web", Namespace: "default", JobID: "job", JobName: "job", Group: "group", NodeID: testNode,
		Config:   config,
		Env:      map[string]string{"COLOUR": "green"},
		AllocDir: root, SharedDir: root + "/alloc", TaskDir: root + "/web", LocalDir: root + "/web/local",
		SecretsDir: root + "/web/secrets", LogDir: root + "/alloc/logs", StateDir: t.TempDir(),
		Logs:      driver.LogConfig{MaxFiles: 3, MaxFileSize: 10 << 20},
		Resources: &api.AllocatedTaskResources{Cpu: api.AllocatedCPU{CpuShares: 100}, Memory: api.AllocatedMemory{MemoryMB: 64}},
	}
	cfg.ID = cfg.AllocID + "/" + cfg.Task
	for _, dir := range []string{cfg.LogDir, cfg.LocalDir, cfg.SecretsDir} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	r := &reports{}
	cfg.Report = r.add
	return cfg, r
}

// shell is the configuration of a task that runs a script.
func shell(script string) map[string]any {
	return map[string]any{"image": busybox, "command": "/bin/sh", "args": []any{"-c", script}}
}

func with(config map[string]any, key string, value any) map[string]any {
	config[key] = value
	return config
}

// startTask starts a task that is destroyed when the test ends.
func startTask(t testing.TB, d *Driver, cfg *driver.TaskConfig) *task {
	t.Helper()
	started, err := d.Start(deadline(t), cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	result := started.(*task)
	t.Cleanup(func() { removeContainer(t, result.handle.Container) })
	return result
}

func removeContainer(t testing.TB, id string) {
	out, err := exec.Command("docker", "rm", "-f", "-v", id).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("No such container")) {
		t.Errorf("docker rm %s: %v: %s", id, err, out)
	}
}

// deadline bounds one step of a test.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func wait(t testing.TB, task driver.Task) *driver.ExitResult {
	t.Helper()
	result, err := task.Wait(deadline(t))
	if err != nil {
		t.Fatalf("Wait: %v", err)
	}
	return result
}

// logged returns all that is in a stream's files.
func logged(t testing.TB, cfg *driver.TaskConfig, stream string) string {
	t.Helper()
	var all strings.Builder
	for i := range 100 {
		b, err := os.ReadFile(filepath.Join(cfg.LogDir, fmt.Sprintf("%s.%s.%d", cfg.Task, stream, i)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// run starts a script, waits for its end and returns what it printed.
func run(t testing.TB, d *Driver, config map[string]any, change ...func(*driver.TaskConfig)) (stdout string, result *driver.ExitResult) {
	t.Helper()
	cfg, _ := newTask(t, config)
	for _, c := range change {
		c(cfg)
	}
	task := startTask(t, d, cfg)
	result = wait(t, task)
	if stderr := logged(t, cfg, "stderr"); stderr != "" {
		t.Logf("stderr: %s", stderr)
	}
	return logged(t, cfg, "stdout"), result
}

// until waits for a condition of the outside world.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	ctx := deadline(t)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !met() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not happen", what)
		case <-ticker.C:
		}
	}
}

func inspect(t testing.TB, d *Driver, id string) client.ContainerInspectResult {
	t.Helper()
	found, err := d.cli().ContainerInspect(deadline(t), id, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// fromJSON decodes a config block as it arrives over the API.
func fromJSON(t testing.TB, s string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

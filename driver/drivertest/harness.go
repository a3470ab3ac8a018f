package drivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// Harness tells the suite about a driver.
type Harness struct {
	// New makes a driver that can run tasks. Called again it is the driver of
	// a restarted agent: it must find what the one before left on the machine.
	// The suite calls Close on a driver that has it before it makes the next.
	New func(t testing.TB) driver.Driver

	// Config returns the config block of a task that does what p says.
	Config func(p Program) map[string]any

	// Unstartable is a valid config block whose task can never start; nil
	// leaves the test out.
	Unstartable map[string]any

	// Shell says that a program is real: p.Script is run by /bin/sh, and so
	// are the commands of Exec.
	Shell bool

	// Elapse lets time pass for the tasks; nil waits for real.
	Elapse func(d time.Duration)

	// Prepare may change what a task is given, such as its user; may be nil.
	Prepare func(t testing.TB, cfg *driver.TaskConfig)
}

// Program is what a task does: write, run on for a while, end.
type Program struct {
	Stdout, Stderr string        // written first
	Repeat         int           // how often Stdout is written; 0 is once
	RunFor         time.Duration // then
	Forever        bool          // instead: until it is stopped
	Deaf           bool          // ignores SIGINT, SIGTERM and SIGHUP
	ExitCode       int
	ExitSignal     string // ends itself with a signal, such as "KILL"
	Shell          string // instead of all this: a script, if Harness.Shell
}

// Script returns the program for /bin/sh -c.
func (p Program) Script() string {
	if p.Shell != "" {
		return p.Shell
	}
	var b strings.Builder
	if p.Deaf {
		b.WriteString("trap '' INT TERM HUP\n")
	}
	if p.Stdout != "" {
		fmt.Fprintf(&b, "i=0; while [ $i -lt %d ]; do printf %%s %s; i=$((i+1)); done\n", max(p.Repeat, 1), quote(p.Stdout))
	}
	if p.Stderr != "" {
		fmt.Fprintf(&b, "printf %%s %s >&2\n", quote(p.Stderr))
	}
	switch {
	case p.Forever && p.Deaf:
		b.WriteString("while :; do sleep 0.05; done\n")
	case p.Forever:
		// Process 1 of a container has no default actions.
		b.WriteString("trap 'exit 130' INT; trap 'exit 143' TERM; while :; do sleep 0.01; done\n")
	case p.RunFor > 0:
		fmt.Fprintf(&b, "sleep %.3f\n", p.RunFor.Seconds())
	}
	if p.ExitSignal != "" {
		fmt.Fprintf(&b, "kill -%s $$; sleep 10\n", p.ExitSignal)
	}
	fmt.Fprintf(&b, "exit %d\n", p.ExitCode)
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// patience bounds every wait for what must happen.
const patience = 30 * time.Second

// suite is one test's world: an allocation and a driver.
type suite struct {
	*testing.T
	h   Harness
	d   driver.Driver
	cfg *driver.TaskConfig // of the task "web"

	tasks []driver.Task // to be destroyed at the end
}

// begin makes a test's world.
func begin(t *testing.T, h Harness) *suite {
	s := &suite{T: t, h: h}
	s.cfg = s.alloc("web")
	s.d = h.New(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, task := range s.tasks {
			if err := task.Destroy(ctx); err != nil {
				s.Errorf("Destroy at the end: %v", err)
			}
		}
		closeDriver(s.d)
	})
	return s
}

func closeDriver(d driver.Driver) {
	if c, ok := d.(io.Closer); ok {
		_ = c.Close()
	}
}

// restart is what the tasks see of an agent's restart, and of what happens
// while there is none. Task values of before are dead with their agent.
func (s *suite) restart(meanwhile func()) {
	closeDriver(s.d)
	s.tasks = nil
	meanwhile()
	s.d = s.h.New(s.T)
}

// alloc makes the directories of an allocation with one task.
func (s *suite) alloc(task string) *driver.TaskConfig {
	s.Helper()
	var id [16]byte
	_, _ = rand.Read(id[:])
	h := hex.EncodeToString(id[:])
	allocID := h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	base := s.TempDir()
	cfg := &driver.TaskConfig{
		AllocID: allocID, Namespace: "default", JobID: "conformance", JobName: "conformance", Group: "group", NodeID: "node",
		Env:       map[string]string{"NOMAD_TASK_NAME": task, "CONFORMANCE": "yes", "PATH": "/usr/local/bin:/usr/bin:/bin"},
		AllocDir:  filepath.Join(base, "alloc-dir"),
		StateDir:  filepath.Join(base, "state"),
		Logs:      driver.LogConfig{MaxFiles: 10, MaxFileSize: 10 << 20},
		Resources: &api.AllocatedTaskResources{Cpu: api.AllocatedCPU{CpuShares: 100}, Memory: api.AllocatedMemory{MemoryMB: 64}},
		Report:    func(string, map[string]string) {},
	}
	cfg.SharedDir = filepath.Join(cfg.AllocDir, "alloc")
	cfg.LogDir = filepath.Join(cfg.SharedDir, "logs")
	for _, dir := range []string{cfg.LogDir, cfg.StateDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			s.Fatal(err)
		}
	}
	return s.task(cfg, task)
}

// task returns the config of another task of the same allocation.
func (s *suite) task(alloc *driver.TaskConfig, name string) *driver.TaskConfig {
	s.Helper()
	cfg := *alloc
	cfg.Task, cfg.ID = name, alloc.AllocID+"/"+name
	cfg.TaskDir = filepath.Join(cfg.AllocDir, name)
	cfg.LocalDir, cfg.SecretsDir = filepath.Join(cfg.TaskDir, "local"), filepath.Join(cfg.TaskDir, "secrets")
	for _, dir := range []string{cfg.LocalDir, cfg.SecretsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			s.Fatal(err)
		}
	}
	if s.h.Prepare != nil {
		s.h.Prepare(s.T, &cfg)
	}
	return &cfg
}

// context ends with the test, or when the test hangs.
func (s *suite) context() context.Context {
	ctx, cancel := context.WithTimeout(s.T.Context(), patience)
	s.Cleanup(cancel)
	return ctx
}

// start runs a program as the test's task, which is destroyed at the end.
func (s *suite) start(p Program) driver.Task {
	s.Helper()
	return s.startAs(s.cfg, p)
}

func (s *suite) startAs(cfg *driver.TaskConfig, p Program) driver.Task {
	s.Helper()
	cfg.Config = s.h.Config(p)
	task, err := s.d.Start(s.context(), cfg)
	if err != nil {
		s.Fatalf("Start: %v", err)
	}
	s.tasks = append(s.tasks, task)
	return task
}

func (s *suite) recover(h driver.Handle) driver.Task {
	s.Helper()
	task, err := s.d.Recover(s.context(), s.cfg, h)
	if err != nil {
		s.Fatalf("Recover: %v", err)
	}
	s.tasks = append(s.tasks, task)
	return task
}

func (s *suite) wait(task driver.Task) *driver.ExitResult {
	s.Helper()
	r, err := task.Wait(s.context())
	if err != nil {
		s.Fatalf("Wait: %v", err)
	}
	return r
}

func (s *suite) elapse(d time.Duration) {
	if s.h.Elapse != nil {
		s.h.Elapse(d)
		return
	}
	<-time.After(d)
}

// elapseUntil lets time pass until something is done.
func (s *suite) elapseUntil(d time.Duration, done <-chan error) error {
	s.Helper()
	deadline := time.After(patience)
	for {
		select {
		case err := <-done:
			return err
		case <-deadline:
			s.Fatal("it takes too long")
		default:
			s.elapse(d)
		}
	}
}

// log returns the files of a stream, oldest first.
func (s *suite) logFiles(cfg *driver.TaskConfig, stream string) []string {
	s.Helper()
	prefix := cfg.Task + "." + stream + "."
	entries, err := os.ReadDir(cfg.LogDir)
	if err != nil {
		s.Fatal(err)
	}
	var numbers []int
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), prefix); ok {
			n, err := strconv.Atoi(rest)
			if err != nil {
				s.Errorf("log file %s", e.Name())
				continue
			}
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	var files []string
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			s.Errorf("log files have numbers %v", numbers)
		}
		b, err := os.ReadFile(filepath.Join(cfg.LogDir, prefix+strconv.Itoa(n)))
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue // rotated away while we looked
			}
			s.Fatal(err)
		}
		files = append(files, string(b))
	}
	return files
}

func (s *suite) log(stream string) string {
	s.Helper()
	return strings.Join(s.logFiles(s.cfg, stream), "")
}

// ready waits until the task has written something.
func (s *suite) ready(want string) {
	s.Helper()
	deadline := time.After(patience)
	for !strings.Contains(s.log("stdout"), want) {
		select {
		case <-deadline:
			s.Fatalf("the task did not write %q but %q", want, s.log("stdout"))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// exec runs a script in a task.
func (s *suite) exec(task driver.Task, script string, stdin []byte) (out, errs []byte, r *driver.ExitResult) {
	s.Helper()
	return s.command(task, []string{"/bin/sh", "-c", script}, stdin)
}

func (s *suite) command(task driver.Task, argv []string, stdin []byte) (out, errs []byte, r *driver.ExitResult) {
	s.Helper()
	var stdout, stderr bytes.Buffer
	r, err := task.Exec(s.context(), &driver.ExecOptions{
		Command: argv, Stdin: bytes.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
	})
	if err != nil {
		s.Fatalf("Exec %q: %v", argv, err)
	}
	return stdout.Bytes(), stderr.Bytes(), r
}

package drivertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/driver"
)

// Run tests a driver.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name  string
		shell bool // needs Harness.Shell
		test  func(*suite)
	}{
		{"Fingerprint", false, fingerprint},
		{"Validate", false, validate},
		{"ExitCode", false, exitCode},
		{"ExitSignal", false, exitSignal},
		{"WaitIsShared", false, waitIsShared},
		{"WaitEndsWithItsContext", false, waitContext},
		{"StartFails", false, startFails},
		{"Signal", true, signals},
		{"BadSignal", false, badSignal},
		{"Stop", false, stop},
		{"StopEnded", false, stopEnded},
		{"StopDeaf", false, stopDeaf},
		{"StopContext", false, stopContext},
		{"Destroy", false, destroy},
		{"DestroyRunning", false, destroyRunning},
		{"StartAgain", false, startAgain},
		{"Recover", false, recoverRunning},
		{"RecoverEnded", false, recoverEnded},
		{"RecoverGone", false, recoverGone},
		{"Logs", false, logs},
		{"LogsRotate", false, logsRotate},
		{"LogsRotateNumbered", true, logsNumbered},
		{"LogsDisabled", false, logsDisabled},
		{"Environment", true, environment},
		{"Stats", false, stats},
		{"ConcurrentTasks", false, concurrentTasks},
		{"ConcurrentUse", false, concurrentUse},
		{"ExecStreams", true, execStreams},
		{"ExecExitCode", true, execExitCode},
		{"ExecNotFound", true, execNotFound},
		{"ExecHalfClose", true, execHalfClose},
		{"ExecWhole", true, execWhole},
		{"ExecBackground", true, execBackground},
		{"ExecTerminal", true, execTerminal},
		{"ExecContext", true, execContext},
		{"ExecEnded", false, execEnded},
	} {
		if c.shell && !h.Shell {
			continue // a promise about programs, to a driver that runs none
		}
		t.Run(c.name, func(t *testing.T) { c.test(begin(t, h)) })
	}
}

var forever = Program{Stdout: "ready\n", Forever: true}

func fingerprint(s *suite) {
	f := s.d.Fingerprint(s.context())
	if !f.Detected || !f.Healthy {
		s.Errorf("fingerprint %+v", f)
	}
	if s.d.Name() == "" || f.Attributes["driver."+s.d.Name()] == "" {
		s.Errorf("no attribute driver.%s in %v", s.d.Name(), f.Attributes)
	}
}

func validate(s *suite) {
	if err := s.d.Validate(s.h.Config(forever)); err != nil {
		s.Errorf("a valid config: %v", err)
	}
	config := s.h.Config(forever)
	config["no_such_field"] = true
	if err := s.d.Validate(config); err == nil || !strings.Contains(err.Error(), "no_such_field") {
		s.Errorf("an unknown field: %v", err)
	}
}

func exitCode(s *suite) {
	for _, code := range []int{0, 1, 77, 255} {
		task := s.startAs(s.alloc("web"), Program{ExitCode: code})
		r := s.wait(task)
		if r.ExitCode != code || r.Signal != 0 || r.OOMKilled || r.Successful() != (code == 0) {
			s.Errorf("exit code %d: %+v", code, r)
		}
		if r.EndedAt.IsZero() {
			s.Errorf("no time of the end: %+v", r)
		}
	}
}

func exitSignal(s *suite) {
	// Not every engine tells a signal from the code that a shell gives it.
	r := s.wait(s.start(Program{ExitSignal: "KILL"}))
	if !killed(r) || r.Successful() {
		s.Errorf("result %+v", r)
	}
}

func killed(r *driver.ExitResult) bool { return r.Signal == 9 || r.ExitCode == 137 }

func waitIsShared(s *suite) {
	task := s.start(forever)
	var wg sync.WaitGroup
	var results [5]*driver.ExitResult
	for i := range results {
		wg.Go(func() {
			r, err := task.Wait(s.context())
			if err != nil {
				s.Errorf("Wait: %v", err)
				return
			}
			results[i] = r
		})
	}
	s.stop(task)
	wg.Wait()
	for _, r := range append(results[:], s.wait(task)) {
		if r == nil || results[0] == nil || *r != *results[0] {
			s.Errorf("results differ: %+v and %+v", r, results[0])
		}
	}
}

func (s *suite) stop(task driver.Task) {
	s.Helper()
	if err := task.Stop(s.context(), "", patience); err != nil {
		s.Errorf("Stop: %v", err)
	}
}

func waitContext(s *suite) {
	task := s.start(forever)
	ctx, cancel := context.WithCancel(s.context())
	cancel()
	if _, err := task.Wait(ctx); !errors.Is(err, context.Canceled) {
		s.Errorf("Wait: %v", err)
	}
	s.stop(task)
	s.wait(task)
}

func startFails(s *suite) {
	if s.h.Unstartable == nil {
		s.Skip("the harness knows no such config")
	}
	s.cfg.Config = s.h.Unstartable
	task, err := s.d.Start(s.context(), s.cfg)
	if err == nil {
		s.tasks = append(s.tasks, task)
		s.Fatal("Start: no error")
	}
	if driver.Recoverable(err) {
		s.Errorf("an attempt would be repeated after: %v", err)
	}
	s.nothingLeft()
}

// nothingLeft checks the driver's directory.
func (s *suite) nothingLeft() {
	s.Helper()
	entries, err := os.ReadDir(s.cfg.StateDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Error(err)
	}
	for _, e := range entries {
		s.Errorf("left in the state directory: %s", e.Name())
	}
}

func signals(s *suite) {
	task := s.start(Program{Shell: `trap 'echo one' USR1; trap 'echo two; exit 5' USR2; echo ready; while :; do sleep 0.01; done`})
	s.ready("ready")
	if err := task.Signal(s.context(), "SIGUSR1"); err != nil {
		s.Fatal(err)
	}
	s.ready("one")
	if err := task.Signal(s.context(), "USR2"); err != nil {
		s.Fatal(err)
	}
	if r := s.wait(task); r.ExitCode != 5 {
		s.Errorf("result %+v", r)
	}
}

func badSignal(s *suite) {
	task := s.start(forever)
	if err := task.Signal(s.context(), "SIGNOTHING"); !errors.Is(err, driver.ErrBadSignal) {
		s.Errorf("an unknown signal: %v", err)
	}
	s.stop(task)
	if err := task.Signal(s.context(), "SIGUSR1"); !errors.Is(err, driver.ErrNotRunning) {
		s.Errorf("a signal to an ended task: %v", err)
	}
}

func stop(s *suite) {
	for _, signal := range []string{"", "SIGTERM"} {
		cfg := s.alloc("web")
		s.cfg = cfg
		task := s.startAs(cfg, forever)
		s.ready("ready")
		if err := task.Stop(s.context(), signal, patience); err != nil {
			s.Fatalf("Stop: %v", err)
		}
		if r := s.wait(task); killed(r) {
			s.Errorf("signal %q was not enough: %+v", signal, r)
		}
	}
}

func stopEnded(s *suite) {
	task := s.start(Program{ExitCode: 3})
	s.wait(task)
	if err := task.Stop(s.context(), "", time.Second); err != nil {
		s.Errorf("Stop: %v", err)
	}
	if r := s.wait(task); r.ExitCode != 3 {
		s.Errorf("result %+v", r)
	}
}

func stopDeaf(s *suite) {
	task := s.start(Program{Stdout: "ready\n", Forever: true, Deaf: true})
	s.ready("ready")
	const timeout = 50 * time.Millisecond
	done := make(chan error, 1)
	go func() { done <- task.Stop(s.context(), "SIGTERM", timeout) }()
	if err := s.elapseUntil(timeout, done); err != nil {
		s.Fatalf("Stop: %v", err)
	}
	if r := s.wait(task); !killed(r) {
		s.Errorf("result %+v", r)
	}
}

func stopContext(s *suite) {
	task := s.start(Program{Stdout: "ready\n", Forever: true, Deaf: true})
	s.ready("ready")
	ctx, cancel := context.WithCancel(s.context())
	done := make(chan error, 1)
	go func() { done <- task.Stop(ctx, "SIGTERM", time.Hour) }()
	cancel()
	<-done // an error or none; but the task is dead
	if r := s.wait(task); !killed(r) {
		s.Errorf("result %+v", r)
	}
}

func destroy(s *suite) {
	task := s.start(Program{ExitCode: 4})
	s.wait(task)
	handle := task.Handle()
	for range 2 {
		if err := task.Destroy(s.context()); err != nil {
			s.Fatalf("Destroy: %v", err)
		}
	}
	s.nothingLeft()
	if r := s.wait(task); r.ExitCode != 4 {
		s.Errorf("result after Destroy: %+v", r)
	}
	if _, err := s.d.Recover(s.context(), s.cfg, handle); !errors.Is(err, driver.ErrGone) {
		s.Errorf("Recover after Destroy: %v", err)
	}
	s.nothingLeft()
}

func destroyRunning(s *suite) {
	task := s.start(Program{Stdout: "ready\n", Forever: true, Deaf: true})
	s.ready("ready")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := task.Destroy(s.context()); err != nil {
				s.Errorf("Destroy: %v", err)
			}
		})
	}
	if r := s.wait(task); !killed(r) {
		s.Errorf("result %+v", r)
	}
	wg.Wait()
	s.nothingLeft()
}

func startAgain(s *suite) {
	first := s.start(Program{Stdout: "first\n"})
	s.wait(first)
	if err := first.Destroy(s.context()); err != nil {
		s.Fatal(err)
	}
	second := s.start(Program{Stdout: "second\n", ExitCode: 2})
	if r := s.wait(second); r.ExitCode != 2 {
		s.Errorf("result %+v", r)
	}
	if got := s.log("stdout"); got != "first\nsecond\n" {
		s.Errorf("log %q", got)
	}
	if err := first.Destroy(s.context()); err != nil {
		s.Errorf("Destroy of the first: %v", err)
	}
	if string(first.Handle()) == string(second.Handle()) {
		s.Error("both have the same handle")
	}
}

func recoverRunning(s *suite) {
	task := s.start(forever)
	s.ready("ready")
	handle := task.Handle()
	s.restart(func() {})
	again := s.recover(handle)
	if string(again.Handle()) != string(handle) {
		s.Errorf("handle %s, was %s", again.Handle(), handle)
	}
	s.stop(again)
	if r := s.wait(again); killed(r) {
		s.Errorf("result %+v", r)
	}
	if got := s.log("stdout"); got != "ready\n" {
		s.Errorf("log %q: was it started twice?", got)
	}
}

func recoverEnded(s *suite) {
	const soon = 100 * time.Millisecond
	task := s.start(Program{Stdout: "before\n", Stderr: "err\n", RunFor: soon, ExitCode: 6})
	s.ready("before")
	handle := task.Handle()
	s.restart(func() { s.elapse(4 * soon) })
	again := s.recover(handle)
	done := make(chan error, 1)
	go func() {
		_, err := again.Wait(s.context())
		done <- err
	}()
	if err := s.elapseUntil(soon, done); err != nil {
		s.Fatalf("Wait: %v", err)
	}
	if r := s.wait(again); r.ExitCode != 6 || r.EndedAt.IsZero() {
		s.Errorf("result %+v", r)
	}
	if out, errs := s.log("stdout"), s.log("stderr"); out != "before\n" || errs != "err\n" {
		s.Errorf("logs %q and %q", out, errs)
	}
	if err := again.Destroy(s.context()); err != nil {
		s.Errorf("Destroy: %v", err)
	}
	s.nothingLeft()
}

func recoverGone(s *suite) {
	task := s.start(Program{})
	s.wait(task)
	handle := task.Handle()
	if err := task.Destroy(s.context()); err != nil {
		s.Fatal(err)
	}
	s.restart(func() {})
	if _, err := s.d.Recover(s.context(), s.cfg, handle); !errors.Is(err, driver.ErrGone) {
		s.Errorf("Recover: %v", err)
	}
	if _, err := s.d.Recover(s.context(), s.cfg, driver.Handle("nonsense")); err == nil {
		s.Error("Recover took a handle that is none")
	}
}

func logs(s *suite) {
	task := s.start(Program{Stdout: "line\nno end", Stderr: "to stderr\n"})
	s.wait(task)
	if out, errs := s.log("stdout"), s.log("stderr"); out != "line\nno end" || errs != "to stderr\n" {
		s.Errorf("stdout %q, stderr %q", out, errs)
	}
}

func logsRotate(s *suite) {
	s.cfg.Logs = driver.LogConfig{MaxFiles: 3, MaxFileSize: 1000}
	line := "a line of some length, to be kept whole\n"
	s.wait(s.start(Program{Stdout: line, Repeat: 200}))
	s.checkRotated(strings.Repeat(line, 200))
}

func logsNumbered(s *suite) {
	s.cfg.Logs = driver.LogConfig{MaxFiles: 4, MaxFileSize: 10000}
	s.wait(s.start(Program{Shell: "seq 1 20000"}))
	var all strings.Builder
	for i := range 20000 {
		fmt.Fprintln(&all, i+1)
	}
	s.checkRotated(all.String())
}

// checkRotated checks the stdout files against all that was written.
func (s *suite) checkRotated(all string) {
	s.Helper()
	files := s.logFiles(s.cfg, "stdout")
	if len(files) != s.cfg.Logs.MaxFiles {
		s.Errorf("%d files, want %d", len(files), s.cfg.Logs.MaxFiles)
	}
	if !strings.HasSuffix(all, strings.Join(files, "")) {
		s.Error("the files are not the end of the output")
	}
	for i, f := range files {
		if !strings.HasSuffix(f, "\n") {
			s.Errorf("file %d ends within a line: %q", i, f[max(0, len(f)-50):])
		}
		if int64(len(f)) > 2*s.cfg.Logs.MaxFileSize {
			s.Errorf("file %d has %d bytes", i, len(f))
		}
	}
}

func logsDisabled(s *suite) {
	s.cfg.Logs.Disabled = true
	if r := s.wait(s.start(Program{Stdout: "x\n", Stderr: "y\n"})); r.ExitCode != 0 {
		s.Errorf("result %+v", r)
	}
	if files, _ := filepath.Glob(filepath.Join(s.cfg.LogDir, "*.std*")); len(files) > 0 {
		s.Errorf("files %v", files)
	}
}

func environment(s *suite) {
	s.wait(s.start(Program{Shell: `echo "$CONFORMANCE $NOMAD_TASK_NAME"`}))
	if got := s.log("stdout"); got != "yes web\n" {
		s.Errorf("log %q", got)
	}
}

func stats(s *suite) {
	task := s.start(forever)
	s.ready("ready")
	for range 2 {
		u, err := task.Stats(s.context())
		if err != nil {
			s.Fatalf("Stats: %v", err)
		}
		if u.Timestamp == 0 || u.ResourceUsage == nil || u.ResourceUsage.CpuStats == nil || u.ResourceUsage.MemoryStats == nil {
			s.Fatalf("usage %+v", u)
		}
		if len(u.ResourceUsage.CpuStats.Measured) == 0 || len(u.ResourceUsage.MemoryStats.Measured) == 0 {
			s.Error("nothing was measured")
		}
	}
	s.stop(task)
	if _, err := task.Stats(s.context()); err == nil {
		s.Error("Stats of an ended task")
	}
}

func concurrentTasks(s *suite) {
	var wg sync.WaitGroup
	for i := range 8 {
		cfg := s.task(s.cfg, fmt.Sprintf("task-%d", i))
		cfg.Config = s.h.Config(Program{Stdout: cfg.Task + "\n", ExitCode: i})
		wg.Go(func() {
			task, err := s.d.Start(s.context(), cfg)
			if err != nil {
				s.Errorf("Start: %v", err)
				return
			}
			if r, err := task.Wait(s.context()); err != nil || r.ExitCode != i {
				s.Errorf("task %d: %+v, %v", i, r, err)
			}
			if err := task.Destroy(s.context()); err != nil {
				s.Errorf("Destroy: %v", err)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		cfg := s.task(s.cfg, fmt.Sprintf("task-%d", i))
		if got := strings.Join(s.logFiles(cfg, "stdout"), ""); got != cfg.Task+"\n" {
			s.Errorf("log of %s: %q", cfg.Task, got)
		}
	}
	s.nothingLeft()
}

// concurrentUse is for the race detector, and for what a method must do while
// the task ends under it.
func concurrentUse(s *suite) {
	task := s.start(forever)
	s.ready("ready")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _, _ = task.Wait(s.context()) })
		wg.Go(func() { _, _ = task.Stats(s.context()) })
		wg.Go(func() { _ = task.Signal(s.context(), "SIGCONT") })
		wg.Go(func() { _ = task.Handle() })
	}
	wg.Go(func() {
		if err := task.Stop(s.context(), "SIGTERM", patience); err != nil {
			s.Errorf("Stop: %v", err)
		}
	})
	wg.Wait()
	if err := task.Destroy(s.context()); err != nil {
		s.Errorf("Destroy: %v", err)
	}
}

package fake_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/drivertest"
	"github.com/drover-org/drover/driver/fake"
)

func TestConformance(t *testing.T) {
	clock := fake.NewVirtualClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	drivertest.Run(t, drivertest.Harness{
		New: func(testing.TB) driver.Driver { return fake.New(fake.Config{Clock: clock}) },
		Config: func(p drivertest.Program) map[string]any {
			c := map[string]any{
				"stdout_string": p.Stdout, "stderr_string": p.Stderr, "stdout_repeat": p.Repeat,
				"run_for": p.RunFor.String(), "exit_code": p.ExitCode,
			}
			if p.Forever {
				c["run_for"] = "100000h"
			}
			if p.Deaf {
				c["kill_after"] = "100000h"
			}
			if p.ExitSignal == "KILL" {
				c["exit_signal"] = 9
			}
			return c
		},
		Unstartable: map[string]any{"start_error": "no"},
		Elapse:      clock.Advance,
	})
}

func config(t *testing.T, block map[string]any) *driver.TaskConfig {
	t.Helper()
	dir := t.TempDir()
	return &driver.TaskConfig{
		ID: "a/web", Task: "web", AllocDir: dir, LogDir: dir, StateDir: dir, Config: block,
		Logs:   driver.LogConfig{MaxFiles: 2, MaxFileSize: 1 << 20},
		Report: func(string, map[string]string) {},
	}
}

func start(t *testing.T, d *fake.Driver, cfg *driver.TaskConfig) driver.Task {
	t.Helper()
	task, err := d.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

var epoch = time.Unix(1000, 0)

func TestRunFor(t *testing.T) {
	clock := fake.NewVirtualClock(epoch)
	d := fake.New(fake.Config{Clock: clock})
	task := start(t, d, config(t, map[string]any{"run_for": "10s", "exit_code": 3, "exit_err_msg": "why"}))
	clock.Advance(10*time.Second - 1)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := task.Wait(over); err == nil {
		t.Fatalf("ended early: %+v", r)
	}
	clock.Advance(1)
	r, err := task.Wait(t.Context())
	if err != nil || r.ExitCode != 3 || r.Message != "why" || !r.EndedAt.Equal(epoch.Add(10*time.Second)) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestKillAfter(t *testing.T) {
	clock := fake.NewVirtualClock(epoch)
	d := fake.New(fake.Config{Clock: clock})
	task := start(t, d, config(t, map[string]any{"run_for": "100000h", "kill_after": "5s"}))
	stopped := make(chan error, 1)
	go func() { stopped <- task.Stop(t.Context(), "SIGTERM", time.Minute) }()
	for len(stopped) == 0 { // Stop may not have begun yet
		clock.Advance(5 * time.Second)
	}
	r, err := task.Wait(t.Context())
	if err != nil || r.Signal != 15 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRepeatedOutputSurvivesTheDriver(t *testing.T) {
	clock := fake.NewVirtualClock(epoch)
	cfg := config(t, map[string]any{"run_for": "1h", "stdout_string": "x\n", "stdout_repeat": 5, "stdout_repeat_duration": "1s"})
	d := fake.New(fake.Config{Clock: clock})
	task := start(t, d, cfg)
	clock.Advance(1500 * time.Millisecond)
	log := func() string {
		b, err := os.ReadFile(filepath.Join(cfg.LogDir, "web.stdout.0"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := log(); got != "x\nx\n" {
		t.Errorf("log %q", got)
	}
	handle := task.Handle()
	_ = d.Close()
	clock.Advance(time.Second)
	if got := log(); got != "x\nx\n" {
		t.Errorf("log %q without a driver", got)
	}
	again, err := fake.New(fake.Config{Clock: clock}).Recover(t.Context(), cfg, handle)
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if got := log(); got != strings.Repeat("x\n", 5) {
		t.Errorf("log %q", got)
	}
	if err := again.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartErrors(t *testing.T) {
	d := fake.New(fake.Config{})
	for _, recoverable := range []bool{false, true} {
		_, err := d.Start(t.Context(), config(t, map[string]any{"start_error": "boom", "start_error_recoverable": recoverable}))
		if err == nil || err.Error() != "boom" || driver.Recoverable(err) != recoverable {
			t.Errorf("recoverable %v: %v", recoverable, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Start(ctx, config(t, map[string]any{"start_block_for": "1h"})); !errors.Is(err, context.Canceled) {
		t.Errorf("blocked start: %v", err)
	}
}

func TestSignalError(t *testing.T) {
	task := start(t, fake.New(fake.Config{}), config(t, map[string]any{"run_for": "1h", "signal_error": "deaf"}))
	if err := task.Signal(t.Context(), "HUP"); err == nil || err.Error() != "deaf" {
		t.Errorf("error %v", err)
	}
	if err := task.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExec(t *testing.T) {
	d := fake.New(fake.Config{})
	for _, c := range []struct {
		block          map[string]any
		stdout, stderr string
		code           int
	}{
		{map[string]any{"run_for": "1h"}, "input", "", 0},
		{map[string]any{"run_for": "1h", "exec_command": []any{map[string]any{"stdout_string": "o", "stderr_string": "e", "exit_code": 4}}}, "o", "e", 4},
	} {
		task := start(t, d, config(t, c.block))
		var out, errs bytes.Buffer
		r, err := task.Exec(t.Context(), &driver.ExecOptions{Command: []string{"x"}, Stdin: strings.NewReader("input"), Stdout: &out, Stderr: &errs})
		if err != nil || r.ExitCode != c.code || out.String() != c.stdout || errs.String() != c.stderr {
			t.Errorf("%v: %+v, %v, %q, %q", c.block, r, err, &out, &errs)
		}
		if err := task.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

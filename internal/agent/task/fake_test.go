package task

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// scripted is a driver whose tasks end when the test says so.
type scripted struct {
	mu        sync.Mutex
	startErrs []error // of the next starts; nil starts
	configs   []*driver.TaskConfig
	tasks     []*scriptedTask
	recover   func(h driver.Handle) (driver.Task, error)
	bad       error // of Validate
}

func (d *scripted) Name() string { return "scripted" }
func (d *scripted) Capabilities() driver.Capabilities {
	return driver.Capabilities{Signals: true, Exec: true}
}
func (d *scripted) Fingerprint(context.Context) driver.Fingerprint {
	return driver.Fingerprint{Detected: true, Healthy: true}
}
func (d *scripted) Validate(map[string]any) error { return d.bad }

func (d *scripted) Start(_ context.Context, cfg *driver.TaskConfig) (driver.Task, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.startErrs) > 0 {
		err := d.startErrs[0]
		d.startErrs = d.startErrs[1:]
		if err != nil {
			return nil, err
		}
	}
	d.configs = append(d.configs, cfg)
	t := newScriptedTask()
	d.tasks = append(d.tasks, t)
	return t, nil
}

func (d *scripted) Recover(_ context.Context, _ *driver.TaskConfig, h driver.Handle) (driver.Task, error) {
	if d.recover == nil {
		return nil, driver.ErrGone
	}
	return d.recover(h)
}

func (d *scripted) last() *scriptedTask {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.tasks) == 0 {
		return nil
	}
	return d.tasks[len(d.tasks)-1]
}

func (d *scripted) starts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tasks)
}

type scriptedTask struct {
	mu        sync.Mutex
	ended     chan struct{}
	result    *driver.ExitResult
	stops     []string
	timeout   time.Duration
	destroyed bool
}

func newScriptedTask() *scriptedTask { return &scriptedTask{ended: make(chan struct{})} }

func (t *scriptedTask) end(r driver.ExitResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.result == nil {
		t.result = &r
		close(t.ended)
	}
}

func (t *scriptedTask) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result != nil
}

func (t *scriptedTask) Handle() driver.Handle { return driver.Handle("handle") }

func (t *scriptedTask) Wait(ctx context.Context) (*driver.ExitResult, error) {
	select {
	case <-t.ended:
		return t.result, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *scriptedTask) Signal(_ context.Context, s string) error {
	if s == "SIGBAD" {
		return driver.ErrBadSignal
	}
	if s == "SIGKILL" {
		t.end(driver.ExitResult{ExitCode: 137, Signal: 9})
	}
	return nil
}

func (t *scriptedTask) Stop(_ context.Context, signal string, timeout time.Duration) error {
	t.mu.Lock()
	t.stops, t.timeout = append(t.stops, signal), timeout
	t.mu.Unlock()
	t.end(driver.ExitResult{ExitCode: 143, Signal: 15})
	return nil
}

func (t *scriptedTask) Destroy(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.destroyed = true
	return nil
}

func (t *scriptedTask) Stats(context.Context) (*api.TaskResourceUsage, error) { return nil, nil }

func (t *scriptedTask) Exec(context.Context, *driver.ExecOptions) (*driver.ExitResult, error) {
	return nil, errors.New("not scripted")
}

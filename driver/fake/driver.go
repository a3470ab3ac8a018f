package fake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/taskconfig"
)

// Name is the driver's, in a task's Driver field.
const Name = "mock_driver"

// Config is the driver's.
type Config struct {
	Clock Clock // nil: SystemClock
}

// Driver is the mock_driver.
type Driver struct {
	clock Clock

	mu    sync.Mutex // guards tasks
	tasks map[*Task]bool
}

var _ driver.Driver = (*Driver)(nil)

// New returns a driver.
func New(cfg Config) *Driver {
	if cfg.Clock == nil {
		cfg.Clock = SystemClock{}
	}
	return &Driver{clock: cfg.Clock, tasks: map[*Task]bool{}}
}

// Close ends the driver's hold on its tasks, as the end of the agent does.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for t := range d.tasks {
		t.abandon()
	}
	d.tasks = map[*Task]bool{}
	return nil
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return Name }

// Capabilities implements driver.Driver.
func (d *Driver) Capabilities() driver.Capabilities {
	return driver.Capabilities{Signals: true, Exec: true, Isolated: true}
}

// Fingerprint implements driver.Driver.
func (d *Driver) Fingerprint(context.Context) driver.Fingerprint {
	return driver.Fingerprint{
		Detected: true, Healthy: true, Description: "Healthy", Attributes: map[string]string{"driver." + Name: "1"},
	}
}

// settings is a task's config block.
type settings struct {
	runFor, startBlockFor, killAfter time.Duration
	startError                       string
	startErrorRecoverable            bool
	signalError                      string
	exitCode, exitSignal             int
	exitMessage                      string
	stdout, stderr                   string
	repeat                           int
	repeatEvery                      time.Duration
	exec                             *execSettings
}

// execSettings is what a command of Exec does.
type execSettings struct {
	runFor         time.Duration
	exitCode       int
	stdout, stderr string
}

func parse(block map[string]any) (*settings, error) {
	r := taskconfig.New(Name, block)
	s := &settings{
		runFor:                r.Duration("run_for"),
		startBlockFor:         r.Duration("start_block_for"),
		killAfter:             r.Duration("kill_after"),
		startError:            r.String("start_error"),
		startErrorRecoverable: r.Bool("start_error_recoverable"),
		signalError:           r.String("signal_error"),
		exitCode:              int(r.Int("exit_code")),
		exitSignal:            int(r.Int("exit_signal")),
		exitMessage:           r.String("exit_err_msg"),
		stdout:                r.String("stdout_string"),
		stderr:                r.String("stderr_string"),
		repeat:                int(r.Int("stdout_repeat")),
		repeatEvery:           r.Duration("stdout_repeat_duration"),
	}
	if r.Has("exec_command") {
		var m map[string]any
		switch v := block["exec_command"].(type) {
		case map[string]any:
			m = v
		case []any:
			if len(v) == 1 {
				m, _ = v[0].(map[string]any)
			}
		case []map[string]any:
			if len(v) == 1 {
				m = v[0]
			}
		}
		if m == nil {
			r.Fail("exec_command", "must be one block")
			return s, r.Err()
		}
		x := taskconfig.New(Name, m)
		s.exec = &execSettings{
			runFor: x.Duration("run_for"), exitCode: int(x.Int("exit_code")),
			stdout: x.String("stdout_string"), stderr: x.String("stderr_string"),
		}
		if err := x.Err(); err != nil {
			return s, fmt.Errorf("exec_command: %w", err)
		}
	}
	return s, r.Err()
}

// Validate implements driver.Driver.
func (d *Driver) Validate(config map[string]any) error {
	_, err := parse(config)
	return err
}

// record is a task's file, and what its handle names.
type record struct {
	Run       string
	StartedAt time.Time
	Written   int                // times that stdout_string was
	Result    *driver.ExitResult // when it has ended
}

func recordPath(cfg *driver.TaskConfig) string {
	return filepath.Join(cfg.StateDir, "mock_driver."+filepath.Base(cfg.Task)+".json")
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, cfg *driver.TaskConfig) (driver.Task, error) {
	s, err := parse(cfg.Config)
	if err != nil {
		return nil, driver.Permanent(err)
	}
	if s.startBlockFor > 0 {
		passed := make(chan struct{})
		stop := d.clock.AfterFunc(s.startBlockFor, func() { close(passed) })
		defer stop()
		select {
		case <-passed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.startError != "" {
		err := errors.New(s.startError)
		if s.startErrorRecoverable {
			return nil, err
		}
		return nil, driver.Permanent(err)
	}
	t := d.task(cfg, s, record{Run: rand.Text(), StartedAt: d.clock.Now()})
	if err := t.save(); err != nil {
		return nil, fmt.Errorf("start task %s: %w", cfg.ID, err)
	}
	if err := t.openLogs(); err != nil {
		_ = os.Remove(recordPath(cfg))
		return nil, fmt.Errorf("start task %s: %w", cfg.ID, err)
	}
	t.write(t.logs[1], s.stderr)
	t.run()
	return t, nil
}

// Recover implements driver.Driver.
func (d *Driver) Recover(_ context.Context, cfg *driver.TaskConfig, h driver.Handle) (driver.Task, error) {
	var want record // empty: any run, of a Start that was cut off
	if len(h) > 0 {
		if err := json.Unmarshal(h, &want); err != nil {
			return nil, driver.Permanent(fmt.Errorf("handle of task %s: %w", cfg.ID, err))
		}
	}
	s, err := parse(cfg.Config)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(recordPath(cfg))
	if errors.Is(err, os.ErrNotExist) {
		return nil, driver.ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("recover task %s: %w", cfg.ID, err)
	}
	var have record
	if err := json.Unmarshal(b, &have); err != nil {
		return nil, fmt.Errorf("recover task %s: %w", cfg.ID, err)
	}
	if len(h) > 0 && have.Run != want.Run {
		return nil, driver.ErrGone
	}
	t := d.task(cfg, s, have)
	if have.Result != nil {
		close(t.done)
		return t, nil
	}
	if err := t.openLogs(); err != nil {
		return nil, fmt.Errorf("recover task %s: %w", cfg.ID, err)
	}
	t.run()
	return t, nil
}

func (d *Driver) task(cfg *driver.TaskConfig, s *settings, r record) *Task {
	t := &Task{d: d, cfg: cfg, settings: s, record: r, done: make(chan struct{})}
	d.mu.Lock()
	d.tasks[t] = true
	d.mu.Unlock()
	return t
}

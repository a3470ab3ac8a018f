package fake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/shim/rotate"
)

// Task is a pretended task.
type Task struct {
	d        *Driver
	cfg      *driver.TaskConfig
	settings *settings
	done     chan struct{} // closed when it has ended

	mu        sync.Mutex // guards what follows
	record    record
	logs      [2]*rotate.Writer // stdout, stderr; nil when disabled
	stops     []func()          // of what is to come
	abandoned bool              // the driver is gone: nothing happens any more
	destroyed bool
}

var _ driver.Task = (*Task)(nil)

// Handle implements driver.Task.
func (t *Task) Handle() driver.Handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := json.Marshal(record{Run: t.record.Run, StartedAt: t.record.StartedAt})
	if err != nil {
		panic(err) // a string and a time
	}
	return b
}

func (t *Task) save() error {
	b, err := json.Marshal(t.record)
	if err != nil {
		return err
	}
	path := recordPath(t.cfg)
	if err := os.WriteFile(path+".tmp", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func (t *Task) openLogs() error {
	if t.cfg.Logs.Disabled {
		return nil
	}
	for i, stream := range []string{".stdout.", ".stderr."} {
		root, err := os.OpenRoot(t.cfg.LogDir)
		if err != nil {
			return err
		}
		dir, err := root.Open(".")
		_ = root.Close()
		if err != nil {
			return err
		}
		if t.logs[i], err = rotate.Open(dir, t.cfg.Task+stream, t.cfg.Logs.MaxFiles, t.cfg.Logs.MaxFileSize); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) write(w *rotate.Writer, s string) {
	if w != nil {
		w.Put([]byte(s))
	}
}

// run plans what is to come, from now on.
func (t *Task) run() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.output()
	left := t.settings.runFor - t.d.clock.Now().Sub(t.record.StartedAt)
	code := t.settings.exitCode
	if t.settings.exitSignal > 0 {
		code = 128 + t.settings.exitSignal
	}
	result := driver.ExitResult{ExitCode: code, Signal: t.settings.exitSignal, Message: t.settings.exitMessage}
	if left <= 0 {
		result.EndedAt = t.record.StartedAt.Add(t.settings.runFor)
		t.end(result)
		return
	}
	t.later(left, func() { t.end(result) })
}

// output writes what is due and plans the rest.
func (t *Task) output() {
	s := t.settings
	total := max(s.repeat, 1)
	if s.stdout == "" {
		return
	}
	for t.record.Written < total {
		at := t.record.StartedAt.Add(time.Duration(t.record.Written) * s.repeatEvery)
		if wait := at.Sub(t.d.clock.Now()); wait > 0 {
			t.later(wait, t.output)
			break
		}
		t.write(t.logs[0], s.stdout)
		t.record.Written++
	}
	_ = t.save() // only an output may be repeated after a restart
}

// later calls f, with the lock held, unless the task ends before.
func (t *Task) later(d time.Duration, f func()) {
	t.stops = append(t.stops, t.d.clock.AfterFunc(d, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.record.Result == nil && !t.abandoned {
			f()
		}
	}))
}

func (t *Task) end(r driver.ExitResult) {
	if t.record.Result != nil || t.abandoned {
		return
	}
	if r.EndedAt.IsZero() {
		r.EndedAt = t.d.clock.Now()
	}
	t.record.Result = &r
	_ = t.save() // recovered, it ends again
	t.release()
	close(t.done)
}

func (t *Task) release() {
	for _, stop := range t.stops {
		stop()
	}
	t.stops = nil
	for i, w := range t.logs {
		if w != nil {
			w.Close()
			t.logs[i] = nil
		}
	}
}

// abandon is the end of the driver.
func (t *Task) abandon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.abandoned = true
	t.release()
}

// Wait implements driver.Task.
func (t *Task) Wait(ctx context.Context) (*driver.ExitResult, error) {
	select {
	case <-t.done:
		return t.result(), nil
	default:
	}
	select {
	case <-t.done:
		return t.result(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *Task) result() *driver.ExitResult {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record.Result
}

func signalNumber(name string) (syscall.Signal, error) {
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if sig := unix.SignalNum(upper); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("%w %q; use a name such as SIGHUP", driver.ErrBadSignal, name)
}

// Signal implements driver.Task.
func (t *Task) Signal(_ context.Context, name string) error {
	sig, err := signalNumber(name)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.record.Result != nil:
		return driver.ErrNotRunning
	case t.settings.signalError != "":
		return errors.New(t.settings.signalError)
	case sig == unix.SIGKILL:
		t.end(signalled(sig))
	}
	return nil
}

func signalled(sig syscall.Signal) driver.ExitResult {
	return driver.ExitResult{ExitCode: 128 + int(sig), Signal: int(sig)}
}

// Stop implements driver.Task. Each signal but SIGKILL ends the task after
// kill_after.
func (t *Task) Stop(ctx context.Context, signal string, timeout time.Duration) error {
	sig := syscall.Signal(unix.SIGINT)
	if signal != "" {
		var err error
		if sig, err = signalNumber(signal); err != nil {
			return err
		}
	}
	t.mu.Lock()
	switch {
	case t.record.Result != nil:
	case sig == unix.SIGKILL || timeout <= 0:
		t.end(signalled(unix.SIGKILL))
	case t.settings.killAfter == 0:
		t.end(signalled(sig))
	default:
		t.later(t.settings.killAfter, func() { t.end(signalled(sig)) })
		t.later(timeout, func() { t.end(signalled(unix.SIGKILL)) })
	}
	t.mu.Unlock()
	select {
	case <-t.done:
	case <-ctx.Done():
		t.kill()
	}
	return nil
}

func (t *Task) kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(signalled(unix.SIGKILL))
}

// Destroy implements driver.Task.
func (t *Task) Destroy(context.Context) error {
	t.kill()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.destroyed {
		return nil
	}
	// A later start may have taken the file.
	if b, err := os.ReadFile(recordPath(t.cfg)); err == nil {
		var have record
		if json.Unmarshal(b, &have) != nil || have.Run == t.record.Run {
			if err := os.Remove(recordPath(t.cfg)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("destroy task %s: %w", t.cfg.ID, err)
			}
		}
	}
	t.destroyed = true
	t.d.mu.Lock()
	delete(t.d.tasks, t)
	t.d.mu.Unlock()
	return nil
}

// The usage that every task has.
const (
	usedMemory  = 16 << 20 // bytes
	usedPercent = 1.5      // of a processor
	usedTicks   = 30       // MHz
)

// Stats implements driver.Task.
func (t *Task) Stats(context.Context) (*api.TaskResourceUsage, error) {
	if t.result() != nil {
		return nil, driver.ErrNotRunning
	}
	return &api.TaskResourceUsage{
		ResourceUsage: &api.ResourceUsage{
			MemoryStats: &api.MemoryStats{RSS: usedMemory, Usage: usedMemory, Measured: []string{"RSS", "Usage"}},
			CpuStats:    &api.CPUStats{Percent: usedPercent, TotalTicks: usedTicks, Measured: []string{"Percent", "Total Ticks"}},
		},
		Timestamp: t.d.clock.Now().UnixNano(),
	}, nil
}

// Exec implements driver.Task.
func (t *Task) Exec(ctx context.Context, opts *driver.ExecOptions) (*driver.ExitResult, error) {
	if t.result() != nil {
		return nil, driver.ErrNotRunning
	}
	x := t.settings.exec
	if x == nil {
		if opts.Stdin != nil && opts.Stdout != nil {
			if _, err := io.Copy(opts.Stdout, opts.Stdin); err != nil {
				return nil, fmt.Errorf("echo the input: %w", err)
			}
		}
		return &driver.ExitResult{EndedAt: t.d.clock.Now()}, nil
	}
	stderr := opts.Stderr
	if opts.TTY {
		stderr = opts.Stdout
	}
	for _, out := range []struct {
		w io.Writer
		s string
	}{{opts.Stdout, x.stdout}, {stderr, x.stderr}} {
		if out.w == nil || out.s == "" {
			continue
		}
		if _, err := io.WriteString(out.w, out.s); err != nil {
			return nil, fmt.Errorf("pass output on: %w", err)
		}
	}
	if x.runFor > 0 {
		passed := make(chan struct{})
		stop := t.d.clock.AfterFunc(x.runFor, func() { close(passed) })
		defer stop()
		select {
		case <-passed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.done:
			r := signalled(unix.SIGKILL)
			return &r, nil
		}
	}
	return &driver.ExitResult{ExitCode: x.exitCode, EndedAt: t.d.clock.Now()}, nil
}

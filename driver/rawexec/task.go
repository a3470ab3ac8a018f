package rawexec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/shim"
	"github.com/drover-org/drover/internal/shim/cgroup"
)

// politeSignal is what Stop sends when nothing else is asked for.
const politeSignal = unix.SIGINT

// Task is a running or ended command.
type Task struct {
	d         *Driver
	cfg       *driver.TaskConfig
	settings  *settings
	env       []string
	dir       string
	user      *shim.User
	handle    handle
	alloc     *allocSupervisor
	group     cgroup.Group
	startedAt time.Time
	usage     meter

	mu        sync.Mutex // guards what follows
	result    *driver.ExitResult
	destroyed bool

	destroying sync.Mutex // one Destroy at a time
}

var _ driver.Task = (*Task)(nil)

// Handle implements driver.Task.
func (t *Task) Handle() driver.Handle {
	b, err := json.Marshal(t.handle)
	if err != nil {
		panic(err) // three strings
	}
	return b
}

// Wait implements driver.Task.
func (t *Task) Wait(ctx context.Context) (*driver.ExitResult, error) {
	if r := t.ended(); r != nil {
		return r, nil
	}
	r, err := t.alloc.sup.Wait(ctx, t.handle.Task)
	if err != nil {
		if known := t.ended(); known != nil { // destroyed meanwhile
			return known, nil
		}
		return nil, err
	}
	return t.end(r), nil
}

func (t *Task) ended() *driver.ExitResult {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result
}

func (t *Task) end(r shim.Result) *driver.ExitResult {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.result == nil {
		t.result = exitResult(r)
	}
	return t.result
}

func exitResult(r shim.Result) *driver.ExitResult {
	return &driver.ExitResult{
		ExitCode: r.ExitCode, Signal: r.Signal, OOMKilled: r.OOMKilled, Message: r.Message, EndedAt: r.EndedAt,
	}
}

// Signal implements driver.Task.
func (t *Task) Signal(ctx context.Context, name string) error {
	sig, err := signalNumber(name)
	if err != nil {
		return err
	}
	if t.ended() != nil {
		return driver.ErrNotRunning
	}
	return translate(t.alloc.sup.Signal(ctx, t.handle.Task, sig))
}

// signalNumber knows signals by name, with or without SIG.
func signalNumber(name string) (unix.Signal, error) {
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if sig := unix.SignalNum(upper); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("%w %q; use a name such as SIGHUP", driver.ErrBadSignal, name)
}

// translate makes the contract's errors of the supervisor's.
func translate(err error) error {
	if errors.Is(err, shim.ErrNotRunning) || errors.Is(err, shim.ErrNoTask) {
		return driver.ErrNotRunning
	}
	return err
}

// Stop implements driver.Task.
func (t *Task) Stop(ctx context.Context, signal string, timeout time.Duration) error {
	sig := politeSignal
	if signal != "" {
		var err error
		if sig, err = signalNumber(signal); err != nil {
			return err
		}
	}
	if t.ended() != nil {
		return nil
	}
	err := t.alloc.sup.Stop(ctx, t.handle.Task, sig, timeout)
	if err != nil && t.ended() != nil {
		return nil
	}
	return err
}

// Destroy implements driver.Task.
func (t *Task) Destroy(ctx context.Context) error {
	t.destroying.Lock()
	defer t.destroying.Unlock()
	t.mu.Lock()
	done := t.destroyed
	t.mu.Unlock()
	if done {
		return nil
	}
	if t.ended() == nil { // keep the result for whoever asks later
		if err := t.alloc.sup.Stop(ctx, t.handle.Task, 0, 0); err != nil {
			return fmt.Errorf("destroy task %s: %w", t.cfg.ID, err)
		}
		if _, err := t.Wait(ctx); err != nil {
			return fmt.Errorf("destroy task %s: %w", t.cfg.ID, err)
		}
	}
	if err := t.remove(ctx); err != nil {
		return fmt.Errorf("destroy task %s: %w", t.cfg.ID, err)
	}
	if err := t.group.Remove(); err != nil {
		return fmt.Errorf("destroy task %s: %w", t.cfg.ID, err)
	}
	t.d.sups.release(ctx, t.alloc)
	t.mu.Lock()
	t.destroyed = true
	t.mu.Unlock()
	return nil
}

// remove makes the supervisor forget the task, unless a later start has taken
// its place.
func (t *Task) remove(ctx context.Context) error {
	tasks, err := t.alloc.sup.Tasks(ctx)
	if err != nil {
		return err
	}
	for _, known := range tasks {
		if known.ID == t.handle.Task && known.Run == t.handle.Run {
			_, err := t.alloc.sup.Remove(ctx, t.handle.Task)
			return err
		}
	}
	return nil
}

// Exec implements driver.Task.
func (t *Task) Exec(ctx context.Context, opts *driver.ExecOptions) (*driver.ExitResult, error) {
	if t.ended() != nil {
		return nil, driver.ErrNotRunning
	}
	path, err := find(opts.Command[0], t.dir, t.env)
	if err != nil {
		return refuse(opts, err)
	}
	cmd := shim.Command{
		Path: path, Argv: opts.Command, Env: t.env, Dir: t.dir, User: t.user, TTY: opts.TTY,
		Stdin: opts.Stdin, Stdout: opts.Stdout, Stderr: opts.Stderr,
	}
	if opts.TTY {
		if _, ok := lookup(cmd.Env, "TERM"); !ok {
			cmd.Env = append([]string{"TERM=xterm"}, cmd.Env...)
		}
		cmd.Resize = opts.Resize
	}
	r, err := t.alloc.sup.Exec(ctx, t.handle.Task, cmd)
	if err != nil {
		return nil, translate(err)
	}
	return exitResult(r), nil
}

// refuse answers for a command that can't be found or may not be run, as a
// shell does.
func refuse(opts *driver.ExecOptions, err error) (*driver.ExitResult, error) {
	code, reason := shim.CodeNotFound, "command not found"
	if errors.Is(err, os.ErrPermission) {
		code, reason = shim.CodeCannotRun, "permission denied"
	}
	out := opts.Stderr
	if opts.TTY {
		out = opts.Stdout
	}
	if out != nil {
		if _, err := io.WriteString(out, opts.Command[0]+": "+reason+"\n"); err != nil {
			return nil, fmt.Errorf("pass output on: %w", err)
		}
	}
	return &driver.ExitResult{ExitCode: code}, nil
}

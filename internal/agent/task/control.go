package task

import (
	"context"
	"errors"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// Order says why and how a task is killed.
type Order struct {
	Event  *api.TaskEvent // what led to it, nil: nothing to tell
	Reason string         // shown with the Killing event
	Hurry  bool           // without the task's shutdown delay
}

// Begin tells the task that its turn has come. Further calls do nothing.
func (t *Task) Begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		t.begun = true
		close(t.begin)
	}
}

// Kill ends the task and returns at once. Of several orders the first counts,
// except that Hurry may come later.
func (t *Task) Kill(o Order) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.kill:
	default:
		t.order, t.leaving = o, true
		close(t.kill)
	}
	if o.Hurry && !t.hurried {
		t.hurried = true
		close(t.hurry)
	}
}

// Destroy removes what a task that is dead, or that was left, still has on
// the machine. Run must have returned.
func (t *Task) Destroy(ctx context.Context) error {
	<-t.done
	if task := t.task(); task != nil {
		return task.Destroy(ctx)
	}
	return nil
}

type restart struct {
	reason  string
	failing bool       // it counts as a failure, under the restart policy
	done    chan error // of size 1
}

// RestartFailing ends a process that runs but does not work. What follows is
// decided by the restart policy, as after an end with an error. It does not
// wait, and does nothing when the task is being restarted already.
func (t *Task) RestartFailing(reason string) {
	if t.Serving() {
		select {
		case t.restart <- &restart{reason: reason, failing: true, done: make(chan error, 1)}:
		default:
		}
	}
}

// Note adds an event that somebody else has to tell of the task.
func (t *Task) Note(e *api.TaskEvent) {
	t.change(func(s *api.TaskState) { appendEvent(s, e) })
}

// Restart ends the process and starts another, whatever the restart policy
// says. It returns when the old process is gone.
func (t *Task) Restart(ctx context.Context, reason string) error {
	name := t.cfg.Task.Name
	if t.task() == nil {
		return notRunning(name)
	}
	r := &restart{reason: reason, done: make(chan error, 1)}
	select {
	case t.restart <- r:
	case <-t.done:
		return notRunning(name)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-t.done:
		select {
		case err := <-r.done:
			return err
		default:
			return notRunning(name)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refuseRestart answers a request that came when nothing ran.
func (t *Task) refuseRestart() {
	select {
	case r := <-t.restart:
		r.done <- notRunning(t.cfg.Task.Name)
	default:
	}
}

// Signal sends a signal to the running task.
func (t *Task) Signal(ctx context.Context, signal string) error {
	t.signals.Lock()
	defer t.signals.Unlock()
	name, task := t.cfg.Task.Name, t.task()
	if task == nil {
		return notRunning(name)
	}
	if !t.cfg.Driver.Capabilities().Signals {
		return api.Errorf(api.CodeUnsupported, "task %q: driver %s can't send signals", name, t.cfg.Driver.Name())
	}
	switch err := task.Signal(ctx, signal); {
	case errors.Is(err, driver.ErrBadSignal):
		return api.Errorf(api.CodeInvalid, "signal %q is unknown; use a name like SIGHUP", signal)
	case errors.Is(err, driver.ErrNotRunning):
		return notRunning(name)
	case err != nil:
		return err
	}
	t.event(api.EventSignaling, api.DetailSignal, signal)
	return nil
}

// Exec runs a command in the running task; see driver.Task.
func (t *Task) Exec(ctx context.Context, opts *driver.ExecOptions) (*driver.ExitResult, error) {
	task, err := t.Execable()
	if err != nil {
		return nil, err
	}
	result, err := task.Exec(ctx, opts)
	if errors.Is(err, driver.ErrNotRunning) {
		return nil, notRunning(t.cfg.Task.Name)
	}
	return result, err
}

// Execable returns the driver's task when commands can run in it.
func (t *Task) Execable() (driver.Task, error) {
	name, state, task := t.cfg.Task.Name, t.State(), t.task()
	switch {
	case task != nil && !t.cfg.Driver.Capabilities().Exec:
		return nil, api.Errorf(api.CodeUnsupported, "task %q: driver %s does not support exec", name, t.cfg.Driver.Name())
	case task != nil:
		return task, nil
	case state.StartedAt.IsZero() && state.State != api.TaskStateDead:
		return nil, api.Errorf(api.CodeNotFound, "task %q not started yet.", name)
	}
	return nil, api.Errorf(api.CodeNotFound, "task %q is not running.", name)
}

// Isolated reports whether the task's commands can't reach the host's files.
func (t *Task) Isolated() bool { return t.cfg.Driver != nil && t.cfg.Driver.Capabilities().Isolated }

// Stats returns the running task's usage, nil when it does not run.
func (t *Task) Stats(ctx context.Context) (*api.TaskResourceUsage, error) {
	task := t.task()
	if task == nil {
		return nil, nil
	}
	usage, err := task.Stats(ctx)
	if errors.Is(err, driver.ErrNotRunning) || errors.Is(err, driver.ErrGone) {
		return nil, nil
	}
	return usage, err
}

// Network returns the address the driver gave the task, nil if none.
func (t *Task) Network() *api.AllocNetworkStatus {
	if n, ok := t.task().(driver.Networked); ok {
		return n.Network()
	}
	return nil
}

// Serving reports whether the task runs and is to go on running: others may be
// sent to it.
func (t *Task) Serving() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.State == api.TaskStateRunning && !t.leaving
}

// leave notes that the process is about to end, or has.
func (t *Task) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = true
}

func notRunning(name string) error {
	return api.Errorf(api.CodeConflict, "Task %q is not running", name)
}

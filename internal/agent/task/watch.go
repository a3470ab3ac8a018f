package task

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// destroyTimeout bounds the removal of what an ended task leaves.
const destroyTimeout = 30 * time.Second

// exit is how a task ended, or why that can't be known.
type exit struct {
	result *driver.ExitResult
	err    error
}

// watch waits until the running task ends, is killed or is to be restarted.
func (t *Task) watch(ctx context.Context) (phase, time.Duration) {
	t.refuseRestart()
	defer t.refuseRestart()
	task := t.task()
	waitCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	exits := make(chan exit, 1)
	go func() {
		r, err := task.Wait(waitCtx)
		exits <- exit{r, err}
	}()
	var renewing sync.WaitGroup
	renewing.Go(func() { t.renewIdentities(waitCtx) })
	defer renewing.Wait()
	defer cancel()
	select {
	case e := <-exits:
		t.terminated(ctx, task, e)
		return t.conclude(outcome{success: e.result.Successful()})
	case r := <-t.restart:
		return t.doRestart(ctx, task, exits, r)
	case <-t.kill:
	case <-ctx.Done():
		if !t.cfg.KillWithAgent {
			return left, 0
		}
		t.Kill(Order{Reason: "the agent ends"})
	}
	t.terminate(ctx, task, exits)
	return ended, 0
}

// task returns the driver's task, nil when none runs.
func (t *Task) task() driver.Task {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running
}

// terminate kills the running task for good.
func (t *Task) terminate(ctx context.Context, task driver.Task, exits <-chan exit) {
	t.mu.Lock()
	order, spec := t.order, t.spec
	t.mu.Unlock()
	timeout := t.killTimeout(spec)
	details := []string{api.DetailKillTimeout, timeout.String()}
	if order.Reason != "" {
		details = append(details, api.DetailKillReason, order.Reason)
	}
	now := t.cfg.Now()
	t.change(func(s *api.TaskState) {
		if order.Event != nil {
			appendEvent(s, order.Event)
		}
		appendEvent(s, api.NewTaskEvent(api.EventKilling, now, details...))
	})
	e, ok := t.shutdownDelay(ctx, spec, exits)
	if !ok {
		e = t.stop(ctx, task, exits, spec.KillSignal, timeout)
	}
	t.terminated(ctx, task, e)
	t.change(func(s *api.TaskState) {
		killed := api.NewTaskEvent(api.EventKilled, t.cfg.Now())
		if e.err != nil {
			killed.Details = map[string]string{api.DetailKillError: e.err.Error()}
		}
		appendEvent(s, killed)
		s.State, s.FinishedAt = api.TaskStateDead, t.cfg.Now()
	})
}

// doRestart ends the running task and lets it start again at once, without
// counting against the policy.
func (t *Task) doRestart(ctx context.Context, task driver.Task, exits <-chan exit, r *restart) (phase, time.Duration) {
	t.mu.Lock()
	spec := t.spec
	t.leaving = true
	t.mu.Unlock()
	t.event(api.EventRestartSignaled, api.DetailRestartReason, r.reason)
	e, ok := t.shutdownDelay(ctx, spec, exits)
	if !ok {
		e = t.stop(ctx, task, exits, spec.KillSignal, t.killTimeout(spec))
	}
	t.terminated(ctx, task, e)
	select {
	case <-t.kill:
		r.done <- notRunning(spec.Name)
		return t.dieUnstarted(), 0
	default:
	}
	if r.failing {
		r.done <- nil
		return t.conclude(outcome{})
	}
	t.change(func(s *api.TaskState) { restarting(s, t.cfg.Now(), 0, r.reason) })
	r.done <- nil
	return preparing, 0
}

// stop ends the task politely, then by force.
func (t *Task) stop(ctx context.Context, task driver.Task, exits <-chan exit, signal string, timeout time.Duration) exit {
	// The end of the agent must not shorten what the task was promised, except
	// where tasks end with it: the driver then gets the rest of the timeout.
	err := task.Stop(context.WithoutCancel(ctx), signal, timeout)
	if err != nil {
		t.cfg.Log.Error("the driver can't stop a task", "alloc", t.cfg.Alloc.ID, "task", t.cfg.Task.Name, "error", err)
		select {
		case e := <-exits:
			return e
		default:
			return exit{err: err}
		}
	}
	return <-exits
}

// shutdownDelay waits between the decision to end a task and its end, so that
// traffic can go elsewhere. It reports whether the task ended meanwhile.
func (t *Task) shutdownDelay(ctx context.Context, spec *api.Task, exits <-chan exit) (exit, bool) {
	delay := spec.ShutdownDelay.D()
	if delay <= 0 {
		return exit{}, false
	}
	select {
	case <-t.hurry:
		t.event(api.EventSkippingShutdownDelay)
		return exit{}, false
	default:
	}
	t.event(api.EventWaitingShutdownDelay)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case e := <-exits:
		return e, true
	case <-t.hurry:
		t.event(api.EventSkippingShutdownDelay)
	case <-ctx.Done():
	case <-timer.C:
	}
	return exit{}, false
}

// terminated notes how the task ended and removes what it left.
func (t *Task) terminated(ctx context.Context, task driver.Task, e exit) {
	t.signals.Lock() // a signal under way gets its event in first
	defer t.signals.Unlock()
	at, details := t.cfg.Now(), []string{api.DetailExitCode, "0", api.DetailSignal, "0", api.DetailOOMKilled, "false"}
	if r := e.result; r != nil {
		details[1], details[3], details[5] = strconv.Itoa(r.ExitCode), strconv.Itoa(r.Signal), strconv.FormatBool(r.OOMKilled)
		if r.Message != "" {
			details = append(details, api.DetailExitMessage, r.Message)
		}
		if !r.EndedAt.IsZero() && r.EndedAt.Before(at) {
			at = r.EndedAt
		}
	} else if e.err != nil {
		details[1] = "-1"
		details = append(details, api.DetailExitMessage, e.err.Error())
	}
	t.forget()
	t.leave()
	event := api.NewTaskEvent(api.EventTerminated, at, details...)
	t.change(func(s *api.TaskState) { appendEvent(s, event) })

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
	defer cancel()
	if err := task.Destroy(ctx); err != nil {
		t.cfg.Log.Error("what an ended task left can't be removed", "alloc", t.cfg.Alloc.ID, "task", t.cfg.Task.Name, "error", err)
	}
}

// killTimeout is what the task asks for, bounded by the node's operator.
func (t *Task) killTimeout(spec *api.Task) time.Duration {
	timeout := durationOf(spec.KillTimeout)
	if t.cfg.MaxKillTimeout > 0 {
		timeout = min(timeout, t.cfg.MaxKillTimeout)
	}
	return timeout
}

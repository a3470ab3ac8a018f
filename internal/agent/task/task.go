package task

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/agent/allocdir"
	"github.com/drover-org/drover/internal/agent/localdb"
)

// Config is what a Task needs.
type Config struct {
	Log    *slog.Logger
	Now    func() time.Time
	Rand   func() float64 // from 0 to 1, for jitter
	Alloc  *api.Allocation
	Task   *api.Task
	Node   func() *api.Node
	Region string
	Dir    *allocdir.Dir
	Driver driver.Driver // nil: the node has none of that name

	MaxKillTimeout time.Duration     // bounds the task's own kill timeout
	KillWithAgent  bool              // the task ends when Run's context does
	HostEnv        map[string]string // added for drivers that don't isolate

	Record  *localdb.TaskRecord // left by an earlier agent; nil: none
	Restore bool                // an earlier agent may have started the task
	Save    func() error        // makes Record durable

	// Identities gets the signed identities that the task is to be given.
	Identities func(context.Context) ([]*api.SignedIdentity, error)
	Changed    func() // there is a new State
}

// Task is one task of an allocation. All methods may be called concurrently.
type Task struct {
	cfg      Config
	begin    chan struct{} // closed: the task's turn has come
	kill     chan struct{} // closed: the task is to end; order is set
	hurry    chan struct{} // closed: without shutdown delay
	restart  chan *restart
	settled  chan struct{} // closed by settle
	settling sync.Once
	done     chan struct{} // closed: Run has returned

	signals sync.Mutex // held while a signal is sent, so that its event comes before the end it causes

	mu      sync.Mutex // guards what follows
	alloc   *api.Allocation
	spec    *api.Task
	state   *api.TaskState // immutable; replaced on change
	handle  driver.Handle
	policy  localdb.RestartInfo
	running driver.Task
	order   Order
	begun   bool
	hurried bool
	leaving bool              // the process is about to end or has ended: nobody is to be sent to it
	tokens  map[string]string // identities for the environment, by variable
	renew   time.Time         // when identities are to be renewed; zero: never
}

// New makes a task that is pending, or continues the one of an earlier agent.
func New(c Config) *Task {
	t := &Task{
		cfg: c, alloc: c.Alloc, spec: c.Task,
		begin: make(chan struct{}), kill: make(chan struct{}), hurry: make(chan struct{}),
		restart: make(chan *restart, 1), settled: make(chan struct{}), done: make(chan struct{}),
	}
	if r := c.Record; r != nil && r.State != nil {
		t.state, t.handle, t.policy, t.renew = r.State, r.Handle, r.Restart, r.Renew
		return t
	}
	t.state = &api.TaskState{State: api.TaskStatePending, Events: []*api.TaskEvent{api.NewTaskEvent(api.EventReceived, c.Now())}}
	return t
}

// phase is where a task is in its life.
type phase int

const (
	restoring phase = iota // asks the driver for what an earlier agent started
	waiting                // for its turn among the tasks of the allocation
	preparing              // directories and checks
	starting               // the driver is at it
	running                // until it ends, is killed or restarted
	delayed                // before another start
	ended                  // dead for good
	left                   // the agent ends, the task does not
)

// Run takes the task through its life. It returns when the task is dead, or
// when ctx ends and the task is to live on; then the error is ctx's.
func (t *Task) Run(ctx context.Context) error {
	defer close(t.done)
	var wait time.Duration
	for p := t.firstPhase(); ; {
		if p != restoring {
			t.settle()
		}
		switch p {
		case restoring:
			p, wait = t.recover(ctx)
		case waiting:
			p = t.await(ctx)
		case preparing:
			p, wait = t.prepare(ctx)
		case starting:
			p, wait = t.start(ctx)
		case running:
			p, wait = t.watch(ctx)
		case delayed:
			p = t.sleep(ctx, wait)
		case ended:
			return nil
		case left:
			return ctx.Err()
		}
	}
}

// settle tells that an earlier agent's task was found, or that there is none.
func (t *Task) settle() { t.settling.Do(func() { close(t.settled) }) }

// Settled waits until it is known what became of an earlier agent's task, or
// until ctx ends.
func (t *Task) Settled(ctx context.Context) {
	select {
	case <-t.settled:
	case <-t.done:
	case <-ctx.Done():
	}
}

func (t *Task) firstPhase() phase {
	switch {
	case t.State().State == api.TaskStateDead:
		return ended
	case t.cfg.Restore:
		return restoring
	}
	return waiting
}

// await waits for the task's turn.
func (t *Task) await(ctx context.Context) phase {
	select {
	case <-t.kill:
		return t.dieUnstarted()
	case <-t.begin:
		return preparing
	case <-ctx.Done():
		return left
	}
}

// sleep waits before another start.
func (t *Task) sleep(ctx context.Context, d time.Duration) phase {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.kill:
		return t.dieUnstarted()
	case <-timer.C:
		return preparing
	case <-ctx.Done():
		return left
	}
}

// dieUnstarted ends a task of which nothing runs.
func (t *Task) dieUnstarted() phase {
	t.mu.Lock()
	reason := t.order.Event
	t.mu.Unlock()
	t.change(func(s *api.TaskState) {
		if reason != nil {
			appendEvent(s, reason)
		}
		s.State, s.FinishedAt = api.TaskStateDead, t.cfg.Now()
	})
	return ended
}

// conclude decides what follows an end or a failed start.
func (t *Task) conclude(o outcome) (phase, time.Duration) {
	t.mu.Lock()
	o.completes = Completes(t.alloc.Job, t.spec)
	seen, d := decide(t.spec.RestartPolicy, t.policy, o, t.cfg.Now(), t.cfg.Rand())
	t.policy = seen
	t.mu.Unlock()
	now := t.cfg.Now()
	switch d.action {
	case actRestart:
		t.change(func(s *api.TaskState) { restarting(s, now, d.delay, d.reason) })
		return delayed, d.delay
	case actFail:
		t.change(func(s *api.TaskState) {
			appendEvent(s, api.NewTaskEvent(api.EventNotRestarting, now, api.DetailRestartReason, d.reason, api.DetailFailsTask, "true"))
			s.State, s.Failed, s.FinishedAt = api.TaskStateDead, true, now
		})
	case actDone:
		t.change(func(s *api.TaskState) { s.State, s.FinishedAt = api.TaskStateDead, now })
	}
	return ended, 0
}

func restarting(s *api.TaskState, now time.Time, delay time.Duration, reason string) {
	appendEvent(s, api.NewTaskEvent(api.EventRestarting, now,
		api.DetailRestartReason, reason, api.DetailStartDelay, strconv.FormatInt(delay.Nanoseconds(), 10)))
	s.State = api.TaskStatePending
	s.Restarts++
	s.LastRestart = now
}

// State returns the task's state, which must not be changed.
func (t *Task) State() *api.TaskState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Record returns what another agent needs to continue.
func (t *Task) Record() *localdb.TaskRecord {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &localdb.TaskRecord{State: t.state, Handle: t.handle, Restart: t.policy, Renew: t.renew}
}

// Done is closed when Run has returned.
func (t *Task) Done() <-chan struct{} { return t.done }

// Update gives the task another version of its job, which counts from the
// next start, kill or restart on. The process is left alone.
func (t *Task) Update(alloc *api.Allocation, spec *api.Task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alloc, t.spec = alloc, spec
}

// change makes a new state from the current one.
func (t *Task) change(f func(*api.TaskState)) {
	t.mu.Lock()
	s := t.state.Copy()
	f(s)
	t.state = s
	t.mu.Unlock()
	t.cfg.Changed()
}

// event adds an event to the state.
func (t *Task) event(kind string, details ...string) {
	e := api.NewTaskEvent(kind, t.cfg.Now(), details...)
	t.change(func(s *api.TaskState) { appendEvent(s, e) })
}

// appendEvent adds e; the oldest events beyond the bound go. Times go forward,
// so that a reader who has seen one event knows that the next is later: a
// program may have ended before its start was noted.
func appendEvent(s *api.TaskState, e *api.TaskEvent) {
	if n := len(s.Events); n > 0 {
		e.Time = max(e.Time, s.Events[n-1].Time+1)
	}
	s.Events = append(s.Events, e)
	if extra := len(s.Events) - api.MaxTaskEvents; extra > 0 {
		s.Events = s.Events[extra:]
	}
}

// errKilled is the cause of contexts that end because the task is killed.
var errKilled = errors.New("the task is being killed")

// untilKilled returns a context that also ends when the task is killed.
func (t *Task) untilKilled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := make(chan struct{})
	go func() {
		select {
		case <-t.kill:
			cancel(errKilled)
		case <-stop:
		}
	}()
	return ctx, sync.OnceFunc(func() { close(stop); cancel(nil) })
}

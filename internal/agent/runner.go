package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
	"github.com/drover-org/drover/internal/agent/check"
	"github.com/drover-org/drover/internal/agent/localdb"
	"github.com/drover-org/drover/internal/agent/task"
)

// runner runs one allocation on this node, from its assignment until nothing
// of it is left. Its loop alone decides; other goroutines leave their wishes
// and nudge it.
type runner struct {
	a        *Agent
	id       string
	log      *slog.Logger
	dir      *allocdir.Dir
	restored map[string]*localdb.TaskRecord // nil: the allocation is new here
	prev     *runner                        // the predecessor, which ends before this one starts
	holders  []*runner                      // have what this one needs: it starts after them
	wake     chan struct{}                  // of size 1
	done     chan struct{}                  // closed: the loop has ended
	dead     chan struct{}                  // closed: all tasks have ended
	checks   *check.Set

	mu      sync.Mutex // guards what follows
	want    *api.Allocation
	unsaved bool // want is newer than the database
	names   []string
	tasks   map[string]*task.Task
	changed chan struct{} // closed and replaced when a state changes
	last    *api.AllocUpdate
	broken  error // why the allocation could not be set up
	gone    bool  // servers deleted it: remove everything
	collect bool  // remove it from this node once it has ended
	again   *rerun
	specs   []*check.Spec // of all checks of the services
	endedAt time.Time
}

// rerun is a request to run all tasks of the group once more.
type rerun struct {
	reason string
	done   chan error // of size 1
}

// newRunner makes the runner of an allocation whose job and group exist.
func newRunner(a *Agent, alloc *api.Allocation, restored map[string]*localdb.TaskRecord) (*runner, error) {
	dir, err := a.tree.Dir(alloc.ID)
	if err != nil {
		return nil, err
	}
	r := &runner{
		a: a, id: alloc.ID, log: a.log.With("alloc", alloc.ID), dir: dir, restored: restored, want: alloc,
		wake: make(chan struct{}, 1), done: make(chan struct{}), dead: make(chan struct{}),
		tasks: map[string]*task.Task{}, changed: make(chan struct{}),
	}
	r.checks = r.newChecks()
	// A directory that exists although the allocation is new means that the
	// database was lost; its tasks may run.
	if restored == nil && dir.Exists() {
		r.restored = map[string]*localdb.TaskRecord{}
	}
	for _, spec := range alloc.Group().Tasks {
		r.addTask(alloc, spec, r.restored[spec.Name], r.restored != nil)
	}
	return r, nil
}

func (r *runner) addTask(alloc *api.Allocation, spec *api.Task, rec *localdb.TaskRecord, restore bool) {
	c := &r.a.cfg
	if !slices.Contains(r.names, spec.Name) {
		r.names = append(r.names, spec.Name)
	}
	r.tasks[spec.Name] = task.New(task.Config{
		Log: c.Log, Now: c.Now, Rand: c.Rand, Alloc: alloc, Task: spec, Node: r.a.node.Load, Region: c.Region,
		Dir: r.dir, Driver: c.Drivers[spec.Driver], MaxKillTimeout: c.MaxKillTimeout, KillWithAgent: c.KillOnExit,
		HostEnv: c.HostEnv, Record: rec, Restore: restore,
		Save:    func() error { return r.a.db.PutTasks(r.id, []string{spec.Name}, r.record) },
		Changed: r.taskChanged,
		Identities: func(ctx context.Context) ([]*api.SignedIdentity, error) {
			return r.a.link.Identities(ctx, r.id, spec.Name)
		},
	})
}

func (r *runner) record(name string) *localdb.TaskRecord { return r.task(name).Record() }

// taskChanged wakes the loop and all who watch the allocation.
func (r *runner) taskChanged() {
	r.mu.Lock()
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	r.nudge()
}

func (r *runner) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run is the runner's loop.
func (r *runner) run(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer r.checks.Close()
	if err := r.setUp(); err != nil {
		r.fail(err)
	} else {
		for _, name := range r.names {
			r.runTask(ctx, &tasks, name)
		}
	}
	l := &loop{r: r, ctx: ctx, tasks: &tasks, saved: map[string]*api.TaskState{}}
	for {
		next := l.turn()
		if r.finished() {
			tasks.Wait()
			if r.destroy() {
				return
			}
			next = r.a.cfg.Now().Add(destroyRetry)
		}
		if !r.sleep(ctx, next, l.waits) {
			tasks.Wait()
			l.save()
			return
		}
	}
}

// destroyRetry is the wait before removing again what could not be removed.
const destroyRetry = 10 * time.Second

// sleep waits for a change, a time, or the end of who is waited for, if any; it
// reports false when ctx ended.
func (r *runner) sleep(ctx context.Context, next time.Time, first *runner) bool {
	var due <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(max(0, next.Sub(r.a.cfg.Now())))
		defer timer.Stop()
		due = timer.C
	}
	var free <-chan struct{}
	if first != nil {
		free = first.dead
	}
	select {
	case <-r.wake:
	case <-due:
	case <-free:
	case <-ctx.Done():
		return false
	}
	return true
}

func (r *runner) runTask(ctx context.Context, wg *sync.WaitGroup, name string) {
	t := r.task(name)
	wg.Go(func() {
		_ = t.Run(ctx) // nil, or ctx's
		r.nudge()
	})
}

// setUp makes the allocation durable and builds its directory. Nothing may
// run before.
func (r *runner) setUp() error {
	if err := r.a.db.PutAlloc(r.allocation()); err != nil {
		return fmt.Errorf("the node's state can't be written: %w", err)
	}
	if err := r.dir.Build(); err != nil {
		return err
	}
	return nil
}

// fail notes that the allocation can't run here.
func (r *runner) fail(err error) {
	r.log.Error("an allocation can't be set up", "error", err)
	now := r.a.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
	for _, name := range r.names {
		s := r.tasks[name].State().Copy()
		s.State, s.Failed, s.FinishedAt = api.TaskStateDead, true, now
		s.Events = append(s.Events, api.NewTaskEvent(api.EventSetupFailure, now, api.DetailSetupError, err.Error(), api.DetailFailsTask, "true"))
		r.addTask(r.want, r.want.Group().Task(name), &localdb.TaskRecord{State: s}, false)
	}
}

// waitsFor returns an allocation that has to end before this one starts, or
// nil. Servers count on it: the two together never take more than the larger of
// them. This one doesn't end before the other either, although it never ran,
// because a third one may wait for it alone. Only the loop may call it.
func (r *runner) waitsFor() *runner {
	if r.prev != nil && !r.prev.terminal() {
		return r.prev
	}
	r.holders = slices.DeleteFunc(r.holders, (*runner).terminal)
	if len(r.holders) > 0 {
		return r.holders[0]
	}
	return nil
}

// inherit takes over the predecessor's data, once. It has ended.
func (r *runner) inherit() {
	if r.prev == nil {
		return
	}
	prev := r.prev
	r.prev = nil
	for _, v := range r.views() {
		if !v.state.StartedAt.IsZero() {
			return // an earlier agent did
		}
	}
	if !sticky(r.allocation()) || !prev.dir.Exists() {
		return
	}
	if err := r.dir.MoveFrom(prev.dir, r.names); err != nil {
		r.log.Error("the data of the previous allocation can't be taken over", "previous", prev.id, "error", err)
	}
}

// views describes the tasks in the order of the job.
func (r *runner) views() []view {
	r.mu.Lock()
	defer r.mu.Unlock()
	group := r.want.Group()
	list := make([]view, 0, len(r.names))
	for _, name := range r.names {
		v := view{name: name, state: r.tasks[name].State(), serving: r.tasks[name].Serving()}
		if spec := group.Task(name); spec != nil {
			v.lifecycle, v.leader = spec.Lifecycle, spec.Leader
		}
		list = append(list, v)
	}
	return list
}

func (r *runner) task(name string) *task.Task {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tasks[name]
}

// taskNames returns the tasks in the order of the job.
func (r *runner) taskNames() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names)
}

func (r *runner) allocation() *api.Allocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.want
}

func (r *runner) index() uint64 { return r.allocation().AllocModifyIndex }

func (r *runner) endTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endedAt
}

// watch returns a channel that is closed at the next change of a task.
func (r *runner) watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// terminal reports whether all tasks have ended.
func (r *runner) terminal() bool {
	select {
	case <-r.dead:
		return true
	default:
		return false
	}
}

// update takes another version of the allocation: it may be stopped, or its
// job changed without need for a new process.
func (r *runner) update(alloc *api.Allocation) {
	r.mu.Lock()
	if alloc.Job == nil || alloc.Group() == nil {
		c := alloc.Copy()
		c.Job = r.want.Job
		alloc = c
	}
	r.want, r.unsaved = alloc, true
	again := alloc.ClientStatus == api.AllocClientUnknown // servers lost sight of it
	for name, t := range r.tasks {
		if spec := alloc.Group().Task(name); spec != nil {
			t.Update(alloc, spec)
		}
	}
	last := r.last
	r.mu.Unlock()
	if again && last != nil {
		r.a.link.Report(last)
	}
	r.nudge()
}

// remove ends the allocation and removes all of it.
func (r *runner) remove() {
	r.mu.Lock()
	r.gone = true
	r.mu.Unlock()
	r.nudge()
}

// finished reports whether the allocation has ended and is to be removed.
func (r *runner) finished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return (r.gone || r.collect) && r.terminal()
}

// destroy removes processes, control groups, files and records. It reports
// whether nothing is left.
func (r *runner) destroy() bool {
	ctx, cancel := context.WithTimeout(context.Background(), destroyRetry)
	defer cancel()
	r.mu.Lock()
	tasks, last, gone := slices.Collect(maps.Values(r.tasks)), r.last, r.gone
	started := r.broken == nil
	r.mu.Unlock()
	var errs []error
	for _, t := range tasks {
		if started {
			errs = append(errs, t.Destroy(ctx))
		}
	}
	if !gone && started && errors.Join(errs...) == nil {
		r.retainLogs(last)
	}
	if errs = append(errs, r.dir.Remove()); errors.Join(errs...) == nil {
		if gone {
			last = nil
			r.a.retained.drop(r.id) // of an agent that was killed while it kept them
			errs = append(errs, r.a.db.Delete(r.id))
		} else {
			errs = append(errs, r.a.db.Collect(last))
		}
	}
	if err := errors.Join(errs...); err != nil {
		r.log.Error("an allocation can't be removed yet, trying again", "error", err)
		return false
	}
	r.a.forget(r.id, last)
	return true
}

// retainLogs has the logs outlive the directory.
func (r *runner) retainLogs(last *api.AllocUpdate) {
	if last == nil || !r.dir.Exists() {
		return
	}
	a := r.allocation()
	r.a.retained.keep(r.dir, &retainedLogs{
		ID: r.id, Namespace: a.Namespace, JobID: a.JobID, Failed: last.ClientStatus == api.AllocClientFailed,
		EndedAt: r.endTime(), Tasks: r.taskNames(),
	})
}

// discard removes an allocation that has ended from this node, for good.
func (r *runner) discard() {
	r.mu.Lock()
	r.collect = true
	r.mu.Unlock()
	r.nudge()
}

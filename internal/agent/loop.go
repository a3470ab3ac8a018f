package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/localdb"
	"github.com/drover-org/drover/internal/agent/task"
)

// Descriptions of allocations that the node ends by itself.
const (
	exceededRun = "allocation exceeded max_run_duration"
	outOfTouch  = "stopped because the node was out of touch with servers for longer than stop_on_client_after"
)

// loop is what a runner's loop remembers from turn to turn.
type loop struct {
	r     *runner
	ctx   context.Context
	tasks *sync.WaitGroup

	waits   *runner   // who has to end first, as this turn found it; nil: nobody
	stopAt  time.Time // when the group's shutdown delay is over; zero: not to be stopped
	overdue string    // why the node ends it by itself, or empty
	began   time.Time // when health started to count
	watched string    // deployment it counts for
	decided *bool
	at      time.Time                 // of the decision
	saved   map[string]*api.TaskState // what the database has
	offers  offers
}

// turn looks at the allocation, acts, reports and then saves. It returns when
// to look again at the latest, zero for at the next change.
func (l *loop) turn() time.Time {
	r, now := l.r, l.r.a.cfg.Now()
	want := r.allocation()
	views := r.views()
	l.rerunIfDue(views)
	l.waits = r.waitsFor() // once: who ends after this look wakes the sleeper

	stop, delayEnds := l.stopping(want, now)
	overdueAt := earliest(l.runDeadline(want, views, now), l.silenceDeadline(want, now))
	if r.broken == nil && l.waits == nil {
		r.inherit()
		l.act(order(views, stop || l.overdue != "", now), want, stop)
	}
	serving := l.serve(want, views)
	healthAt := l.judge(want, views, now)
	l.report(want, views, serving)
	l.save()
	return earliest(delayEnds, overdueAt, healthAt)
}

// stopping reports whether the tasks are to end now because servers want it,
// or else when they are.
func (l *loop) stopping(want *api.Allocation, now time.Time) (bool, time.Time) {
	l.r.mu.Lock()
	wanted := want.ServerTerminal() || l.r.gone
	l.r.mu.Unlock()
	if !wanted {
		l.stopAt = time.Time{}
		return false, time.Time{}
	}
	if l.stopAt.IsZero() {
		l.stopAt = now
		if d := want.Group().ShutdownDelay; d != nil && *d > 0 {
			l.stopAt = now.Add(d.D())
		}
	}
	if want.DesiredTransition.SkipShutdownDelay() || l.r.terminal() || !now.Before(l.stopAt) {
		return true, time.Time{}
	}
	return false, l.stopAt
}

// runDeadline notes when the group's max_run_duration is over.
func (l *loop) runDeadline(want *api.Allocation, views []view, now time.Time) time.Time {
	d := want.Group().MaxRunDuration
	if d == nil || *d <= 0 || l.overdue != "" || l.r.terminal() {
		return time.Time{}
	}
	var first time.Time
	for i := range views {
		first = earliest(first, views[i].state.StartedAt)
	}
	if first.IsZero() {
		return first
	}
	end := first.Add(d.D())
	if !now.Before(end) {
		l.overdue = exceededRun
		return time.Time{}
	}
	return end
}

// silenceDeadline notes when servers were out of touch for longer than the
// allocation may run without them. They replace it then.
func (l *loop) silenceDeadline(want *api.Allocation, now time.Time) time.Time {
	d := want.Group().Disconnect
	if d == nil || d.StopOnClientAfter == nil || *d.StopOnClientAfter <= 0 || l.overdue != "" || l.r.terminal() {
		return time.Time{}
	}
	end := l.r.a.outOfTouchSince().Add(d.StopOnClientAfter.D())
	if !now.Before(end) {
		l.overdue = outOfTouch
		return time.Time{}
	}
	return end
}

// act carries out what the tasks need.
func (l *loop) act(s step, want *api.Allocation, stop bool) {
	for _, name := range s.begin {
		l.r.task(name).Begin()
	}
	for _, k := range s.kill {
		o := task.Order{Event: k.event, Hurry: stop && want.DesiredTransition.SkipShutdownDelay()}
		if l.overdue != "" && !stop {
			o.Event, o.Reason = nil, l.overdue
		}
		l.r.task(k.name).Kill(o)
	}
}

// judge decides about health, once for each deployment.
func (l *loop) judge(want *api.Allocation, views []view, now time.Time) time.Time {
	if l.waits != nil {
		l.began = time.Time{} // what it waits for is not its fault
		return time.Time{}
	}
	if l.began.IsZero() || l.watched != want.DeploymentID {
		// After a restart of the agent the time before counts as well.
		l.began, l.watched, l.decided = now, want.DeploymentID, nil
		if l.r.restored != nil && len(views) > 0 && len(views[0].state.Events) > 0 {
			l.began = earliest(now, time.Unix(0, views[0].state.Events[0].Time))
		}
	}
	h := healthOf(want, l.began)
	if h == nil || l.decided != nil || want.ServerTerminal() {
		return time.Time{}
	}
	checks := l.r.checkViews()
	healthy, again := h.judge(views, checks, now)
	if healthy != nil {
		l.decided, l.at = healthy, now
		if !*healthy && !anyFailed(views) {
			l.unhealthy(ill(h.mode, views, checks, h.min))
		}
	}
	return again
}

// report tells servers what changed since the last report. A first one that
// would only say that the allocation was received is left out: the next comes
// in no time.
func (l *loop) report(want *api.Allocation, views []view, serving []*api.AllocService) {
	r := l.r
	u := &api.AllocUpdate{ID: r.id, TaskStates: make(map[string]*api.TaskState, len(views))}
	u.ClientStatus, u.ClientDescription = status(views)
	ended := true
	for i := range views {
		v := &views[i]
		u.TaskStates[v.name] = v.state
		ended = ended && v.dead()
		if n := r.task(v.name).Network(); n != nil {
			u.NetworkStatus = n
		}
	}
	if u.ClientStatus == api.AllocClientFailed && !ended {
		// Servers reuse the resources of a failed allocation: not before its
		// other tasks have ended.
		u.ClientStatus, u.ClientDescription = api.AllocClientRunning, api.AllocClientTasksRun
	}
	if l.overdue != "" && u.ClientStatus == api.AllocClientComplete {
		u.ClientDescription = l.overdue
	}
	if r.broken != nil {
		u.ClientDescription = r.broken.Error()
	}
	u.Services = serving
	if l.decided != nil {
		u.DeploymentHealthy, u.HealthTimestamp = l.decided, l.at
	}
	r.mu.Lock()
	rerunning := r.again != nil
	if ended && !rerunning && !r.terminal() {
		r.endedAt = latestEnd(views)
		close(r.dead)
		defer r.a.nudge() // perhaps there are too many by now
	}
	same := rerunning && ended || r.last == nil && dull(u) || r.last != nil && sameUpdate(r.last, u)
	if !same {
		r.last = u
	}
	r.mu.Unlock()
	if !same {
		r.a.link.Report(u)
	}
}

// latestEnd returns when the last task ended.
func latestEnd(tasks []view) (end time.Time) {
	for i := range tasks {
		if at := tasks[i].state.FinishedAt; at.After(end) {
			end = at
		}
	}
	return end
}

// dull reports whether an update tells nothing but that the tasks will start.
func dull(u *api.AllocUpdate) bool {
	for _, s := range u.TaskStates {
		for _, e := range s.Events {
			if e.Type != api.EventReceived && e.Type != api.EventTaskSetup {
				return false
			}
		}
	}
	return u.ClientStatus == api.AllocClientPending
}

// sameUpdate compares two updates; task states are immutable, so that the
// same pointer means the same state.
func sameUpdate(a, b *api.AllocUpdate) bool {
	if a.ClientStatus != b.ClientStatus || a.ClientDescription != b.ClientDescription ||
		a.DeploymentHealthy != b.DeploymentHealthy || a.NetworkStatus != b.NetworkStatus || len(a.TaskStates) != len(b.TaskStates) ||
		!slices.EqualFunc(a.Services, b.Services, (*api.AllocService).Equal) {
		return false
	}
	for name, s := range a.TaskStates {
		if b.TaskStates[name] != s {
			return false
		}
	}
	return true
}

// save brings the database up to date, in one commit. What it misses when the
// agent is killed now, the drivers tell again.
func (l *loop) save() {
	r := l.r
	r.mu.Lock()
	want, unsaved := r.want, r.unsaved
	r.unsaved = false
	var dirty []string
	for _, name := range r.names {
		if s := r.tasks[name].State(); l.saved[name] != s {
			l.saved[name] = s
			dirty = append(dirty, name)
		}
	}
	r.mu.Unlock()
	var err error
	if unsaved {
		err = r.a.db.PutAlloc(want)
	}
	if err == nil && len(dirty) > 0 {
		err = r.a.db.PutTasks(r.id, dirty, r.record)
	}
	if err != nil {
		r.log.Error("the node's state can't be written", "error", err)
	}
}

// restartAll has all tasks run once more, in the order of their roles, also
// those that have ended. It returns when the old processes are gone.
func (r *runner) restartAll(ctx context.Context, reason string) error {
	again := &rerun{reason: reason, done: make(chan error, 1)}
	r.mu.Lock()
	if r.terminal() || r.want.ServerTerminal() || r.gone {
		r.mu.Unlock()
		return api.Errorf(api.CodeConflict, "allocation %s has ended or is being stopped; only a running allocation can be restarted", r.id)
	}
	if r.again != nil {
		r.mu.Unlock()
		return api.Errorf(api.CodeConflict, "allocation %s is being restarted already", r.id)
	}
	r.again = again
	for _, t := range r.tasks {
		t.Kill(task.Order{Reason: reason})
	}
	r.mu.Unlock()
	r.nudge()
	select {
	case err := <-again.done:
		return err
	case <-r.done:
		return api.Errorf(api.CodeUnavailable, "the agent ended before allocation %s was restarted", r.id)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rerunIfDue replaces all tasks by new ones once the old ones have ended.
func (l *loop) rerunIfDue(views []view) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again == nil {
		return
	}
	for i := range views {
		if !views[i].dead() {
			return
		}
	}
	again := r.again
	r.again = nil
	if r.want.ServerTerminal() || r.gone {
		again.done <- api.Errorf(api.CodeConflict, "allocation %s was stopped meanwhile", r.id)
		return
	}
	now := r.a.cfg.Now()
	for i := range views {
		name := views[i].name
		<-r.tasks[name].Done()
		s := views[i].state.Copy()
		s.State, s.Failed, s.FinishedAt = api.TaskStatePending, false, time.Time{}
		s.StartedAt = time.Time{}
		s.Restarts++
		s.LastRestart = now
		s.Events = append(s.Events, api.NewTaskEvent(api.EventRestartSignaled, now, api.DetailRestartReason, again.reason))
		if extra := len(s.Events) - api.MaxTaskEvents; extra > 0 {
			s.Events = s.Events[extra:]
		}
		r.addTask(r.want, r.want.Group().Task(name), &localdb.TaskRecord{State: s}, false)
		views[i].state = s
		t := r.tasks[name]
		l.tasks.Go(func() {
			_ = t.Run(l.ctx)
			r.nudge()
		})
	}
	again.done <- nil
}

package evals

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// Planner places what was reconciled and puts the plan into the log. Submit
// returns when the outcome of the evaluation is committed. Again is true when
// a part of the plan came too late and the evaluation, which is still open,
// must be looked at anew.
type Planner interface {
	Submit(ctx context.Context, w *sched.Work, cancel []*api.Evaluation) (again bool, err error)
}

// Config is what the loop needs.
type Config struct {
	Store    *store.Store
	Proposer store.Proposer
	Planner  Planner
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time // nil: time.After
	NewID    func() string
	Log      *slog.Logger
	Workers  *Workers // nil: as many as Go uses processors
}

const (
	// maxInFlight bounds the evaluations between dispatch and commit. It is
	// well above what one group commit takes and small in memory.
	maxInFlight = 256
	// refill is how many may be left of them before more are dispatched.
	refill = maxInFlight * 3 / 4
	// maxAttempts is how often an evaluation may fail before it is given up.
	maxAttempts = 3
	// maxRounds is how often in a row a part of an evaluation's plan may come
	// too late before that counts as a failure.
	maxRounds = 5
	// Delays before the second and third attempt, and before the evaluation
	// that follows a failed one; the last gets up to followUpJitter more.
	firstRetry     = time.Second
	laterRetry     = 20 * time.Second
	followUpDelay  = time.Minute
	followUpJitter = 5 * time.Minute
)

// Loop dispatches evaluations. Make it with New.
type Loop struct {
	Config
	inFlight map[api.NamespacedID]struct{}
	retries  map[string]retry // by evaluation ID
	shaken   uint64           // index at which a plan last lost room it had been given
}

// retry is an evaluation that failed and waits for its next attempt.
type retry struct {
	attempts int
	notUntil time.Time
}

// outcome is what came of one dispatched evaluation.
type outcome struct {
	*candidate
	late bool // a part of a plan came too late, or none of it into the log
	err  error
}

// New returns a loop that has not started.
func New(cfg Config) *Loop {
	if cfg.After == nil {
		cfg.After = time.After
	}
	if cfg.Workers == nil {
		cfg.Workers = NewWorkers(cfg.Now, cfg.NewID)
	}
	return &Loop{Config: cfg, inFlight: map[api.NamespacedID]struct{}{}, retries: map[string]retry{}}
}

// Run dispatches until ctx ends and then waits for what is in flight. It
// returns nil.
func (l *Loop) Run(ctx context.Context) error {
	// What an earlier leader's plans held back may never have been taken.
	l.shaken = l.Store.Snapshot().Index()
	done := make(chan outcome, maxInFlight)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		if len(l.inFlight) > refill {
			select { // enough to do: looking at every open evaluation pays later
			case o := <-done:
				l.settle(ctx, o)
				l.drain(ctx, done)
				continue
			case <-ctx.Done():
				return nil
			}
		}
		watch := l.Store.Watch(store.KeyEvals(), store.KeyFreed(), store.KeySchedulerConfig(), store.KeyNodePools())
		workers := l.Workers.Changed()
		start, next := l.ready(l.Store.Snapshot())
		for _, c := range start {
			if len(l.inFlight) >= maxInFlight {
				break // the next outcome comes back here
			}
			l.inFlight[c.key] = struct{}{}
			running.Go(func() {
				late, err := l.process(ctx, c)
				done <- outcome{c, late, err}
			})
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = l.After(max(next.Sub(l.Now()), 0))
		}
		select {
		case <-watch.C():
		case <-workers:
		case <-timer:
		case o := <-done:
			l.settle(ctx, o)
		case <-ctx.Done():
			watch.Close()
			return nil
		}
		watch.Close()
		l.drain(ctx, done)
	}
}

// drain settles the outcomes that are there already.
func (l *Loop) drain(ctx context.Context, done chan outcome) {
	for {
		select {
		case o := <-done:
			l.settle(ctx, o)
		default:
			return
		}
	}
}

// candidate is an evaluation to start, with those of the same job that it
// makes superfluous.
type candidate struct {
	key    api.NamespacedID
	eval   *api.Evaluation
	due    bool
	cancel []*api.Evaluation
	turn   int // of its namespace, among those of its priority
}

// consider takes the next younger evaluation of the job. The youngest pending
// one is started; a blocked one only if there is none and it is due.
func (c *candidate) consider(e *api.Evaluation, due bool) {
	c.due = c.due || due
	switch {
	case c.eval == nil:
		c.eval = e
	case e.Status == api.EvalStatusBlocked && c.eval.Status != api.EvalStatusBlocked:
		c.cancel = append(c.cancel, e)
	default:
		c.cancel = append(c.cancel, c.eval)
		c.eval = e
	}
}

// ready returns what can start now, most urgent first, and when to look again
// at the latest (zero: on a change).
func (l *Loop) ready(snap *store.Snapshot) (start []*candidate, next time.Time) {
	if snap.SchedulerConfig().PauseEvalBroker {
		return nil, time.Time{}
	}
	now, types := l.Now(), l.Workers.takes()
	later := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	byJob := map[api.NamespacedID]*candidate{}
	for e := range snap.EvalsOpen() { // oldest first
		key := api.NamespacedID{Namespace: e.Namespace, ID: e.JobID}
		if _, busy := l.inFlight[key]; busy || !slices.Contains(types, e.Type) {
			continue
		}
		if r := l.retries[e.ID]; r.notUntil.After(now) {
			later(r.notUntil)
			continue
		}
		if e.Status != api.EvalStatusBlocked && e.WaitUntil.After(now) {
			later(e.WaitUntil)
			continue
		}
		c := byJob[key]
		if c == nil {
			c = &candidate{key: key}
			byJob[key] = c
		}
		c.consider(e, e.Status != api.EvalStatusBlocked || l.unblocked(snap, e))
	}
	for _, c := range byJob {
		if c.due {
			start = append(start, c)
		}
	}
	l.order(start)
	return start, next
}

// order sorts what can start: by priority, and among equals so that namespaces
// take turns, each with its oldest first. What a namespace has in flight counts
// as turns that it has had, so that a flood in one doesn't hold up another.
func (l *Loop) order(start []*candidate) {
	slices.SortFunc(start, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.eval.Priority, a.eval.Priority), cmp.Compare(a.eval.CreateIndex, b.eval.CreateIndex), cmp.Compare(a.eval.ID, b.eval.ID))
	})
	busy := map[string]int{} // evaluations in flight, by namespace
	for key := range l.inFlight {
		busy[key.Namespace]++
	}
	had := map[string]int{} // turns, of one priority
	for i, c := range start {
		if i == 0 || c.eval.Priority != start[i-1].eval.Priority {
			had = maps.Clone(busy)
		}
		c.turn = had[c.key.Namespace]
		had[c.key.Namespace]++
	}
	slices.SortStableFunc(start, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.eval.Priority, a.eval.Priority), cmp.Compare(a.turn, b.turn))
	})
}

// unblocked reports whether, since a blocked evaluation was last looked at,
// room came up on nodes of a class that it has not ruled out, or the scheduler
// was configured anew for the region or the job's pool. It also does when a plan that held room back from it
// never took it.
func (l *Loop) unblocked(snap *store.Snapshot, e *api.Evaluation) bool {
	since := e.SnapshotIndex
	if since <= l.shaken || since < snap.SchedulerConfig().ModifyIndex {
		return true
	}
	if job := snap.Job(e.Namespace, e.JobID); job != nil {
		if pool := snap.NodePool(job.NodePool); pool != nil && since < pool.ModifyIndex {
			return true
		}
	}
	if name := e.QuotaLimitReached; name != "" {
		quota, _ := snap.QuotaOf(e.Namespace)
		if quota == nil || quota.Name != name || since < snap.QuotaFreed(name) {
			return true
		}
		if e.ClassEligibility == nil {
			return false // no node helps
		}
	}
	for class, index := range snap.Freed() {
		if index <= since {
			continue
		}
		if eligible, known := e.ClassEligibility[class]; eligible || !known || e.EscapedComputedClass {
			return true
		}
	}
	return false
}

// process takes one evaluation to its outcome. A panic of the scheduler ends
// the evaluation, not the server.
func (l *Loop) process(ctx context.Context, c *candidate) (late bool, err error) {
	cancel := c.cancel
	for range maxRounds {
		w, err := l.reconcile(ctx, c.eval)
		if err != nil {
			return late, err
		}
		again, err := l.Planner.Submit(ctx, w, cancel)
		if late = late || again || err != nil; err != nil || !again {
			return late, err
		}
	}
	return late, fmt.Errorf("a part of the plan came too late %d times in a row", maxRounds)
}

// reconcile compares what a job wants with what there is, when a worker is
// free.
func (l *Loop) reconcile(ctx context.Context, e *api.Evaluation) (w *sched.Work, err error) {
	worker, err := l.Workers.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		l.Workers.release(worker)
		if p := recover(); p != nil {
			l.Log.Error("scheduling panicked", "eval", e.ID, "job", e.JobID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error while scheduling: %v", p)
		}
	}()
	return sched.Reconcile(l.Store.Snapshot(), e, l.Now(), l.NewID), nil
}

// settle notes an outcome, and gives up an evaluation that failed too often.
func (l *Loop) settle(ctx context.Context, o outcome) {
	delete(l.inFlight, o.key)
	if o.late {
		l.shaken = l.Store.Snapshot().Index()
	}
	if o.err == nil || ctx.Err() != nil {
		delete(l.retries, o.eval.ID)
		for _, e := range o.cancel {
			delete(l.retries, e.ID)
		}
		return
	}
	r := l.retries[o.eval.ID]
	r.attempts++
	l.Log.Warn("evaluation failed", "eval", o.eval.ID, "job", o.eval.JobID, "attempt", r.attempts, "error", o.err)
	if r.attempts < maxAttempts {
		r.notUntil = l.Now().Add(firstRetry)
		if r.attempts > 1 {
			r.notUntil = l.Now().Add(laterRetry)
		}
		l.retries[o.eval.ID] = r
		return
	}
	if err := l.giveUp(ctx, o); err != nil {
		r.notUntil = l.Now().Add(laterRetry)
		l.retries[o.eval.ID] = r
		l.Log.Error("cannot record a failed evaluation", "eval", o.eval.ID, "error", err)
		return
	}
	delete(l.retries, o.eval.ID)
}

// giveUp marks an evaluation as failed and adds one that tries again later.
func (l *Loop) giveUp(ctx context.Context, o outcome) error {
	now := l.Now()
	next := &api.Evaluation{
		ID: l.NewID(), Namespace: o.eval.Namespace, Priority: o.eval.Priority, Type: o.eval.Type,
		TriggeredBy: api.EvalTriggerFailedFollowUp, JobID: o.eval.JobID, Status: api.EvalStatusPending,
		WaitUntil: now.Add(followUpDelay + rand.N(followUpJitter)).UTC(), PreviousEval: o.eval.ID,
	}
	failed := o.eval.Copy()
	failed.Status, failed.NextEval = api.EvalStatusFailed, next.ID
	failed.StatusDescription = fmt.Sprintf("gave up after %d attempts: %v", maxAttempts, o.err)
	_, err := l.Proposer.Propose(ctx, &store.UpsertEvals{Evals: []*api.Evaluation{failed, next}, Now: now.UnixNano()})
	return err
}

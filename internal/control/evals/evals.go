package evals

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
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
	NewID    func() string
	Log      *slog.Logger
}

const (
	// maxInFlight bounds the evaluations between dispatch and commit. It is
	// well above what one group commit takes and small in memory.
	maxInFlight = 256
	// maxAttempts is how often an evaluation may fail before it is given up.
	maxAttempts = 3
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
	reconciling chan struct{} // a slot per processor
	inFlight    map[api.NamespacedID]struct{}
	retries     map[string]retry // by evaluation ID
}

// retry is an evaluation that failed and waits for its next attempt.
type retry struct {
	attempts int
	notUntil time.Time
}

// outcome is what came of one dispatched evaluation.
type outcome struct {
	eval *api.Evaluation
	err  error
}

// New returns a loop that has not started.
func New(cfg Config) *Loop {
	return &Loop{
		Config: cfg, reconciling: make(chan struct{}, runtime.GOMAXPROCS(0)),
		inFlight: map[api.NamespacedID]struct{}{}, retries: map[string]retry{},
	}
}

// Run dispatches until ctx ends and then waits for what is in flight. It
// returns nil.
func (l *Loop) Run(ctx context.Context) error {
	done := make(chan outcome, maxInFlight)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		watch := l.Store.Watch(store.KeyEvals(), store.KeyFreed(), store.KeySchedulerConfig())
		start, next := l.ready(l.Store.Snapshot())
		for _, c := range start {
			if len(l.inFlight) >= maxInFlight {
				break // the next outcome comes back here
			}
			l.inFlight[c.key] = struct{}{}
			running.Go(func() { done <- outcome{c.eval, l.process(ctx, c)} })
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(next.Sub(l.Now()), 0))
		}
		select {
		case <-watch.C():
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

// candidate is an evaluation to start, with the older ones it makes
// superfluous.
type candidate struct {
	key    api.NamespacedID
	eval   *api.Evaluation
	cancel []*api.Evaluation
}

// ready returns what can start now, most urgent first, and when to look again
// at the latest (zero: on a change).
func (l *Loop) ready(snap *store.Snapshot) (start []*candidate, next time.Time) {
	if snap.SchedulerConfig().PauseEvalBroker {
		return nil, time.Time{}
	}
	now := l.Now()
	later := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	byJob := map[api.NamespacedID]*candidate{}
	for e := range snap.EvalsOpen() { // oldest first
		key := api.NamespacedID{Namespace: e.Namespace, ID: e.JobID}
		if _, busy := l.inFlight[key]; busy {
			continue
		}
		if r := l.retries[e.ID]; r.notUntil.After(now) {
			later(r.notUntil)
			continue
		}
		switch {
		case e.Status == api.EvalStatusBlocked:
			if !unblocked(snap, e) {
				continue
			}
		case e.WaitUntil.After(now):
			later(e.WaitUntil)
			continue
		}
		c := byJob[key]
		if c == nil {
			c = &candidate{key: key}
			byJob[key] = c
			start = append(start, c)
		}
		if c.eval != nil {
			c.cancel = append(c.cancel, c.eval)
		}
		c.eval = e
	}
	slices.SortStableFunc(start, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.eval.Priority, a.eval.Priority), cmp.Compare(a.eval.CreateIndex, b.eval.CreateIndex))
	})
	return start, next
}

// unblocked reports whether room came up, since a blocked evaluation was last
// looked at, on nodes of a class that it has not ruled out.
func unblocked(snap *store.Snapshot, e *api.Evaluation) bool {
	since := max(e.SnapshotIndex, e.CreateIndex)
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
func (l *Loop) process(ctx context.Context, c *candidate) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.Log.Error("scheduling panicked", "eval", c.eval.ID, "job", c.eval.JobID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error while scheduling: %v", p)
		}
	}()
	for {
		select {
		case l.reconciling <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		w := func() *sched.Work {
			defer func() { <-l.reconciling }()
			return sched.Reconcile(l.Store.Snapshot(), c.eval, l.Now(), l.NewID)
		}()
		again, err := l.Planner.Submit(ctx, w, c.cancel)
		if err != nil || !again {
			return err
		}
		c.cancel = nil // the first part of the plan took care of them
	}
}

// settle notes an outcome, and gives up an evaluation that failed too often.
func (l *Loop) settle(ctx context.Context, o outcome) {
	delete(l.inFlight, api.NamespacedID{Namespace: o.eval.Namespace, ID: o.eval.JobID})
	if o.err == nil || ctx.Err() != nil {
		delete(l.retries, o.eval.ID)
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

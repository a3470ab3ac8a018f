package plans

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// Config is what the loop needs.
type Config struct {
	Store    *store.Store
	Proposer store.Proposer
	Now      func() time.Time
	NewID    func() string
	Log      *slog.Logger
}

// maxInFlight bounds the plans on their way into the log.
const maxInFlight = 64

// Loop is the placer. Make it with New; Submit works while Run does.
type Loop struct {
	Config
	requests chan *request
}

type request struct {
	work   *sched.Work
	cancel []*api.Evaluation
	reply  chan reply // capacity 1
}

type reply struct {
	again bool
	err   error
}

// commit is a plan that left flight.
type commit struct {
	evalID string
	index  uint64 // 0 when it never came into the log
}

// New returns a loop that has not started.
func New(cfg Config) *Loop {
	return &Loop{Config: cfg, requests: make(chan *request, maxInFlight)}
}

// Submit places w, marks cancel as cancelled in the same entry, and returns
// when the outcome is committed. Again means that a part came too late.
func (l *Loop) Submit(ctx context.Context, w *sched.Work, cancel []*api.Evaluation) (again bool, err error) {
	r := &request{work: w, cancel: cancel, reply: make(chan reply, 1)}
	select {
	case l.requests <- r:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case a := <-r.reply:
		return a.again, a.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// Run places until ctx ends, then waits for what is in flight. It returns nil.
func (l *Loop) Run(ctx context.Context) error {
	placer := sched.NewPlacer()
	commits := make(chan commit, 2*maxInFlight) // never full: a plan starts only after a look at them
	slots := make(chan struct{}, maxInFlight)
	var flying sync.WaitGroup
	defer flying.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-commits:
			placer.Committed(c.evalID, c.index)
		case r := <-l.requests:
			for more := true; more; { // overlay as short as it can be
				select {
				case c := <-commits:
					placer.Committed(c.evalID, c.index)
				default:
					more = false
				}
			}
			plan, err := l.place(placer, r.work)
			if err != nil {
				r.reply <- reply{err: err}
				continue
			}
			for _, e := range r.cancel {
				plan.Evals = append(plan.Evals, cancelled(e))
			}
			slots <- struct{}{}
			flying.Go(func() {
				again, index, err := l.propose(ctx, plan)
				commits <- commit{plan.EvalID, index}
				<-slots
				r.reply <- reply{again, err}
			})
		}
	}
}

// place chooses nodes. A panic of the scheduler ends the evaluation, not the
// server.
func (l *Loop) place(placer *sched.Placer, w *sched.Work) (plan *api.Plan, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.Log.Error("placing panicked", "eval", w.Eval.ID, "job", w.Eval.JobID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error while placing: %v", p)
		}
	}()
	return placer.Place(l.Store.Snapshot(), w, l.Now, l.NewID), nil
}

func cancelled(e *api.Evaluation) *api.Evaluation {
	c := e.Copy()
	c.Status = api.EvalStatusCanceled
	c.StatusDescription = "superseded by a later evaluation of the same job"
	return c
}

// propose puts a plan into the log, part by part, and returns the index of
// the last part that got there.
func (l *Loop) propose(ctx context.Context, plan *api.Plan) (again bool, index uint64, err error) {
	for _, part := range split(plan) {
		res, err := l.Proposer.Propose(ctx, &store.ApplyPlan{Plan: part, Now: l.Now().UnixNano()})
		if err != nil {
			return false, index, err
		}
		index = res.Index
		if pr := res.Value.(*store.PlanResult); pr.Stale || len(pr.Rejected) > 0 {
			l.Log.Info("part of a plan came too late", "eval", plan.EvalID, "rejected", len(pr.Rejected), "stale", pr.Stale)
			return true, index, nil
		}
	}
	return false, index, nil
}

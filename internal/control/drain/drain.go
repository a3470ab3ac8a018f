package drain

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Config is what the loop needs.
type Config struct {
	Store    *store.Store
	Proposer store.Proposer
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time // nil: time.After
	NewID    func() string
	Log      *slog.Logger
}

const (
	// maxMoves bounds the allocations of one command, so that its entry in the
	// log stays small.
	maxMoves = 500
	// retryDelay is how long to wait when a proposal could not be made.
	retryDelay = time.Second
)

// Loop empties nodes. Make it with New.
type Loop struct{ Config }

// New returns a loop that has not started.
func New(cfg Config) *Loop {
	if cfg.After == nil {
		cfg.After = time.After
	}
	return &Loop{cfg}
}

// Run empties nodes until ctx ends. It returns nil.
func (l *Loop) Run(ctx context.Context) error {
	keys := []store.Key{store.KeyNodes()}
	for {
		watch, d := l.look(&keys)
		next := d.next
		if err := l.perform(ctx, d); err != nil && ctx.Err() == nil {
			l.Log.Warn("cannot go on with a drain", "error", err, "retry", retryDelay)
			next = l.Now().Add(retryDelay)
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = l.After(max(next.Sub(l.Now()), 0))
		}
		select {
		case <-watch.C():
		case <-timer:
		case <-ctx.Done():
		}
		watch.Close()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// look decides, under a watch of all that the decision was made from.
func (l *Loop) look(keys *[]store.Key) (*store.Watch, decision) {
	for {
		watch := l.Store.Watch(*keys...)
		d := decide(l.Store.Snapshot(), l.Now())
		if !slices.ContainsFunc(d.watch, func(k store.Key) bool { return !slices.Contains(*keys, k) }) {
			return watch, d
		}
		watch.Close()
		*keys = d.watch
	}
}

// perform proposes what was decided.
func (l *Loop) perform(ctx context.Context, d decision) error {
	var errs []error
	propose := func(c store.Command) {
		_, err := l.Proposer.Propose(ctx, c)
		errs = append(errs, err)
	}
	for len(d.moves) > 0 {
		n := min(maxMoves, len(d.moves))
		propose(l.moving(d.moves[:n]))
		d.moves = d.moves[n:]
	}
	for _, id := range d.done {
		propose(&store.UpdateNodeDrain{NodeID: id, Complete: true, Now: l.Now().UnixNano()})
	}
	return errors.Join(errs...)
}

// moving asks for allocations to be moved, and for an evaluation of each of
// their jobs.
func (l *Loop) moving(list []*api.Allocation) *store.TransitionAllocs {
	now := l.Now().UnixNano()
	cmd := &store.TransitionAllocs{Transitions: make(map[string]api.DesiredTransition, len(list)), Now: now}
	snap := l.Store.Snapshot()
	seen := map[api.NamespacedID]bool{}
	for _, a := range list {
		cmd.Transitions[a.ID] = api.DesiredTransition{Migrate: new(true)}
		key := api.NamespacedID{Namespace: a.Namespace, ID: a.JobID}
		if seen[key] {
			continue
		}
		seen[key] = true
		job := snap.Job(a.Namespace, a.JobID)
		if job == nil {
			job = a.Job
		}
		cmd.Evals = append(cmd.Evals, &api.Evaluation{
			ID: l.NewID(), Namespace: a.Namespace, JobID: a.JobID, Priority: job.Priority, Type: job.Type, JobModifyIndex: job.ModifyIndex,
			TriggeredBy: api.EvalTriggerNodeDrain, NodeID: a.NodeID, Status: api.EvalStatusPending, CreateTime: now, ModifyTime: now,
		})
	}
	return cmd
}

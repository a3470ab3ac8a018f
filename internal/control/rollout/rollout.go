package rollout

import (
	"context"
	"errors"
	"log/slog"
	"sync"
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
	// maxInFlight bounds the proposals of one round.
	maxInFlight = 16
	// retryDelay is how long to wait when a proposal could not be made.
	retryDelay = time.Second
)

// Loop watches deployments. Make it with New.
type Loop struct {
	Config
	seen map[string]int // healthy allocations when the last evaluation was asked for, by deployment
}

// New returns a loop that has not started.
func New(cfg Config) *Loop {
	if cfg.After == nil {
		cfg.After = time.After
	}
	return &Loop{Config: cfg, seen: map[string]int{}}
}

// Run watches until ctx ends. It returns nil.
func (l *Loop) Run(ctx context.Context) error {
	for {
		watch := l.Store.Watch(store.KeyDeployments())
		next := l.round(ctx)
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

// round decides about every active deployment, performs the decisions, and
// returns when to look again at the latest.
func (l *Loop) round(ctx context.Context) (next time.Time) {
	snap, now := l.Store.Snapshot(), l.Now()
	decisions := map[string]decision{}
	active := map[string]int{}
	for d := range snap.DeploymentsActive() {
		seen, known := l.seen[d.ID]
		if !known {
			seen = -1
			if d.Status == api.DeploymentRunning && healthyOf(d) == 0 {
				seen = 0 // nothing to follow up
			}
		}
		active[d.ID] = seen
		c := decide(snap, d, seen, now, l.NewID)
		next = earlier(next, c.next)
		if c.command != nil {
			decisions[d.ID] = c
		}
	}
	l.seen = active
	var failed bool
	for id, err := range l.propose(ctx, decisions) {
		var refused *api.Error
		switch {
		case err == nil:
			l.seen[id] = decisions[id].healthy
		case errors.As(err, &refused) && refused.Code != api.CodeNotLeader && refused.Code != api.CodeUnavailable:
			l.Log.Info("a deployment changed meanwhile", "deployment", id, "error", err)
			failed = true
		case ctx.Err() == nil:
			l.Log.Warn("cannot change a deployment", "deployment", id, "error", err)
			failed = true
		}
	}
	if failed {
		next = earlier(next, now.Add(retryDelay))
	}
	return next
}

func healthyOf(d *api.Deployment) int {
	n := 0
	for _, s := range d.TaskGroups {
		n += s.HealthyAllocs
	}
	return n
}

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// propose performs decisions, some at a time, so that they share entries of
// the log's storage, and returns what came of each.
func (l *Loop) propose(ctx context.Context, decisions map[string]decision) map[string]error {
	var (
		mu   sync.Mutex
		errs = make(map[string]error, len(decisions)) // guarded by mu
		wg   sync.WaitGroup
	)
	slots := make(chan struct{}, maxInFlight)
	for id, c := range decisions {
		slots <- struct{}{}
		wg.Go(func() {
			_, err := l.Proposer.Propose(ctx, c.command)
			mu.Lock()
			errs[id] = err
			mu.Unlock()
			<-slots
		})
	}
	wg.Wait()
	return errs
}

package reap

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// DefaultInterval is how often Run looks.
const DefaultInterval = 5 * time.Minute

// Config is what a Reaper needs.
type Config struct {
	Store      *store.Store
	Proposer   store.Proposer
	Log        *slog.Logger
	Now        func() time.Time
	Interval   time.Duration // 0: DefaultInterval
	Thresholds Thresholds    // see DefaultThresholds
}

// Reaper deletes what is over.
type Reaper struct{ cfg Config }

// New returns a Reaper.
func New(cfg Config) *Reaper {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	return &Reaper{cfg: cfg}
}

// Run looks at every interval until ctx ends; it is for the leader.
func (r *Reaper) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.reap(ctx, r.cfg.Thresholds); err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn("collecting what is over failed; it goes on at the next round", "error", err)
		}
	}
}

// Collect deletes everything that is over now, whatever its age, and returns
// when that is in the log.
func (r *Reaper) Collect(ctx context.Context) error {
	return r.reap(ctx, Thresholds{})
}

func (r *Reaper) reap(ctx context.Context, age Thresholds) error {
	found := find(r.cfg.Store.Snapshot(), r.cfg.Now(), age)
	for _, cmd := range split(found, store.MaxReap) {
		if _, err := r.cfg.Proposer.Propose(ctx, cmd); err != nil {
			return fmt.Errorf("delete what is over: %w", err)
		}
		r.cfg.Log.Info("deleted what is over", "jobs", len(cmd.Jobs), "evals", len(cmd.Evals),
			"allocs", len(cmd.Allocs), "deployments", len(cmd.Deployments), "nodes", len(cmd.Nodes))
	}
	return r.reapACL(ctx, age.ACLToken)
}

// reapACL deletes tokens that expired long ago, and one-time tokens that have
// expired.
func (r *Reaper) reapACL(ctx context.Context, age time.Duration) error {
	snap, now := r.cfg.Store.Snapshot(), r.cfg.Now()
	cmd := &store.ReapACL{Now: now.UnixNano()}
	for row := range snap.ACLTokens() {
		if row.Token.Expired(now.Add(-age)) && len(cmd.Tokens) < store.MaxReap {
			cmd.Tokens = append(cmd.Tokens, row.Token.AccessorID)
		}
	}
	waiting := 0
	for o := range snap.OneTimeTokens() {
		if !now.Before(o.ExpiresAt) {
			waiting++
		}
	}
	if len(cmd.Tokens)+waiting == 0 {
		return nil
	}
	if _, err := r.cfg.Proposer.Propose(ctx, cmd); err != nil {
		return fmt.Errorf("delete tokens that have expired: %w", err)
	}
	r.cfg.Log.Info("deleted tokens that have expired", "tokens", len(cmd.Tokens), "one_time_tokens", waiting)
	return nil
}

// split spreads r over commands of at most limit objects, jobs first.
func split(r store.Reap, limit int) []*store.Reap {
	var out []*store.Reap
	cmd, room := &store.Reap{}, limit
	next := func() {
		if room == 0 {
			out = append(out, cmd)
			cmd, room = &store.Reap{}, limit
		}
	}
	move(&r.Jobs, func() *[]api.NamespacedID { next(); return &cmd.Jobs }, &room)
	move(&r.Allocs, func() *[]string { next(); return &cmd.Allocs }, &room)
	move(&r.Evals, func() *[]string { next(); return &cmd.Evals }, &room)
	move(&r.Deployments, func() *[]string { next(); return &cmd.Deployments }, &room)
	move(&r.Nodes, func() *[]string { next(); return &cmd.Nodes }, &room)
	if room < limit {
		out = append(out, cmd)
	}
	return out
}

// move empties from into the lists that to returns, as room allows.
func move[T any](from *[]T, to func() *[]T, room *int) {
	for len(*from) > 0 {
		dst := to()
		n := min(len(*from), *room)
		*dst = append(*dst, (*from)[:n]...)
		*from = (*from)[n:]
		*room -= n
	}
}

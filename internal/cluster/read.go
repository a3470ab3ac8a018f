package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/drover-org/drover/api"
)

// leaderWait is how long a caller waits for a leader to be found: elections
// are short, and a client that is refused meanwhile would only come again.
const leaderWait = 5 * time.Second

// leader waits for a leader, a bounded time. It returns its address, "" when
// this server leads and is caught up, or api.ErrNotLeader.
func (c *Cluster) leader(ctx context.Context) (addr string, err error) {
	leading, changed := c.leadership()
	if leading != nil {
		return "", nil
	}
	limit := time.NewTimer(leaderWait)
	defer limit.Stop()
	for {
		at, id := c.raft.LeaderWithID()
		if id != "" && id != c.storage.id && c.cfg.Peers != nil {
			return string(at), nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return "", api.ErrNotLeader
		case <-c.done:
			return "", api.ErrNotLeader
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if leading, changed = c.leadership(); leading != nil {
			return "", nil
		}
	}
}

// CheckRead returns when this server may answer a read: at once for a stale
// one, otherwise when its store holds every write that was acknowledged before
// the call, by whatever server. Since a write is acknowledged only after the
// leader has applied it, the leader's store does, if it leads still; a follower
// asks the leader how far that is and waits to get there. While no leader is
// known it waits a little for one.
func (c *Cluster) CheckRead(ctx context.Context, stale bool) error {
	if stale {
		return nil
	}
	if c.Leads() && c.fsm.alone() {
		return nil
	}
	addr, err := c.leader(ctx)
	if err != nil {
		return err
	}
	if addr == "" {
		_, err := c.ReadIndex(ctx)
		if api.ErrorCode(err) != api.CodeNotLeader {
			return err
		}
	}
	index, err := c.reads.join(ctx, c.askIndex)
	if err != nil {
		return err
	}
	return c.await(ctx, index)
}

// ReadIndex returns an index at or after every write that was acknowledged
// before the call. It returns api.ErrNotLeader unless this server leads.
func (c *Cluster) ReadIndex(ctx context.Context) (uint64, error) {
	if !c.Leads() {
		return 0, api.ErrNotLeader
	}
	if c.fsm.alone() {
		return c.cfg.Store.Snapshot().Index(), nil
	}
	return c.checks.join(ctx, c.verified)
}

// verified has the greater half of the servers confirm that this one leads.
func (c *Cluster) verified(ctx context.Context) (uint64, error) {
	index := c.cfg.Store.Snapshot().Index()
	if err := c.Barrier(ctx); err != nil {
		return 0, err
	}
	return index, nil
}

// askIndex asks the leader for its ReadIndex, and again while leaders change.
func (c *Cluster) askIndex(ctx context.Context) (index uint64, err error) {
	err = c.WithLeader(ctx, func(addr string) error {
		if addr == "" {
			index, err = c.verified(ctx)
		} else {
			index, err = c.cfg.Peers.ReadIndex(ctx, addr)
		}
		if code := api.ErrorCode(err); code == api.CodeUnavailable && ctx.Err() == nil {
			return api.ErrNotLeader // nothing was done: it can be asked again
		}
		return err
	})
	return index, err
}

// leaderPause is how long to wait before the same server is asked again that
// does not lead, whatever it is taken for.
const leaderPause = 50 * time.Millisecond

// WithLeader calls f with the leader's address, "" for this server, and again
// as long as f returns api.CodeNotLeader, for a bounded time.
func (c *Cluster) WithLeader(ctx context.Context, f func(addr string) error) error {
	limited, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	for {
		_, changed := c.leadership()
		addr, err := c.leader(limited)
		if err == nil {
			if err = f(addr); api.ErrorCode(err) != api.CodeNotLeader {
				return err
			}
		}
		select {
		case <-changed:
		case <-time.After(leaderPause):
		case <-c.done:
			return api.ErrNotLeader
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return api.ErrNotLeader
		}
	}
}

// await returns when the store has reached an index.
func (c *Cluster) await(ctx context.Context, index uint64) error {
	limited, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	err := c.fsm.applied.wait(limited, index)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return api.Errorf(api.CodeUnavailable, "this server lags behind its leader: it is at index %d and %d is needed", c.cfg.Store.Snapshot().Index(), index)
	}
	return err
}

// Barrier returns when this server is known to lead still and has applied
// everything committed before the call: a read after it is linearizable.
func (c *Cluster) Barrier(ctx context.Context) error {
	if !c.Leads() {
		return api.ErrNotLeader
	}
	if _, err := await(ctx, c, c.raft.VerifyLeader); err != nil {
		return proposeError(err)
	}
	return nil
}

package cluster

import (
	"context"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// restoring is a state that takes the place of the one there is.
type restoring struct {
	state io.Reader
	size  int64
	index uint64
	done  chan error
}

// Restore puts another state in the place of this one, on all servers, and
// returns when this one has it. The log goes on at a later index than either
// state has. It is for the leader, whose loops end before and begin anew after;
// what others propose meanwhile waits or is refused. The state must have been
// read once by then: one that can't be would end this server.
func (c *Cluster) Restore(ctx context.Context, index uint64, state io.Reader, size int64) error {
	if !c.Leads() {
		return api.ErrNotLeader
	}
	ask := &restoring{state: state, size: size, index: index, done: make(chan error, 1)}
	select {
	case c.restores <- ask:
	case <-c.life.Done():
		return proposeError(raft.ErrRaftShutdown)
	case <-ctx.Done():
		return ctx.Err()
	}
	select { // once begun, it is not given up half way
	case err := <-ask.done:
		if err != nil {
			return err
		}
	case <-c.life.Done():
		return proposeError(raft.ErrRaftShutdown)
	}
	_, err := c.Propose(ctx, &store.Restored{})
	return err
}

// restore does what Restore asks for, while nothing of this server leads.
func (c *Cluster) restore(r *restoring) error {
	c.cfg.Log.Warn("the state is replaced by a saved one", "index", c.cfg.Store.Snapshot().Index(), "saved_index", r.index)
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Index: r.index, Size: r.size}
	if err := c.raft.Restore(meta, io.LimitReader(r.state, r.size), 0); err != nil {
		return fmt.Errorf("restore the state: %w", proposeError(err))
	}
	return nil
}

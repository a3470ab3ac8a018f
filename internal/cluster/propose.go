package cluster

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// maxEntry bounds a command in the log; the log's own bound is 64 MiB.
const maxEntry = 32 << 20

// Propose puts cmd into the log and returns when this server has applied it.
// Calls that wait together share one append. A server that does not lead asks
// the leader; the result has no value then. While no leader is known it waits a
// little for one. The error is the command's refusal, api.ErrNotLeader, one
// with CodeUnavailable when leadership was lost on the way (the command may
// still be applied), or ctx's.
func (c *Cluster) Propose(ctx context.Context, cmd store.Command) (store.Result, error) {
	if err := ctx.Err(); err != nil {
		return store.Result{}, err
	}
	b, err := store.EncodeCommand(cmd)
	if err != nil {
		return store.Result{}, err
	}
	if len(b) > maxEntry {
		return store.Result{}, api.Errorf(api.CodeTooLarge, "the change takes %d bytes in the log, at most %d are possible: split it", len(b), maxEntry)
	}
	var res store.Result
	if c.Leads() {
		if res, err = c.append(ctx, b); api.ErrorCode(err) != api.CodeNotLeader {
			return res, err
		} // else it is in no log: another one leads by now
	}
	err = c.WithLeader(ctx, func(addr string) (err error) {
		if addr == "" {
			res, err = c.append(ctx, b)
			return err
		}
		res.Index, err = c.cfg.Peers.Propose(ctx, addr, b)
		return err
	})
	if err == nil && !c.Leads() {
		err = c.await(ctx, res.Index)
	}
	return res, err
}

// ProposeEncoded puts a command of another server into the log and returns
// its index when it is applied. It returns api.ErrNotLeader unless this server
// leads.
func (c *Cluster) ProposeEncoded(ctx context.Context, cmd []byte) (uint64, error) {
	if len(cmd) > maxEntry {
		return 0, api.Errorf(api.CodeTooLarge, "the change takes %d bytes in the log, at most %d are possible", len(cmd), maxEntry)
	}
	if _, err := store.DecodeCommand(cmd); err != nil { // in the log it would stop every server
		return 0, api.Errorf(api.CodeUnsupported, "this server does not know the command, upgrade it: %w", err)
	}
	if !c.Leads() {
		return 0, api.ErrNotLeader
	}
	res, err := c.append(ctx, cmd)
	return res.Index, err
}

// append puts an encoded command into the log of this server, the leader.
func (c *Cluster) append(ctx context.Context, b []byte) (store.Result, error) {
	f, err := await(ctx, c, func() raft.ApplyFuture { return c.raft.Apply(b, 0) })
	if err != nil {
		return store.Result{}, proposeError(err)
	}
	out, ok := f.Response().(applied)
	if !ok {
		return store.Result{}, api.Errorf(api.CodeInternal, "the log answered with %T", f.Response())
	}
	if !c.fsm.alone() {
		c.tell.committed(f.Index(), out.term)
	}
	return store.Result{Index: f.Index(), Value: out.value}, out.err
}

// proposeError gives raft's errors their code.
func proposeError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return api.ErrNotLeader
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrAbortedByRestore):
		return api.Errorf(api.CodeUnavailable, "leadership was lost while the change was on its way; it may still take effect: %w", err)
	case errors.Is(err, raft.ErrRaftShutdown):
		return api.Errorf(api.CodeUnavailable, "this server is shutting down: %w", err)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return api.Errorf(api.CodeLimited, "the log is busy: try later: %w", err)
	}
	return err
}

// await asks raft for something and waits for its future, for ctx or for the
// end of this server. Raft answers when leadership ends, but what is asked of
// it as it shuts down may never be answered: the goroutine then ends with the
// process.
func await[F raft.Future](ctx context.Context, c *Cluster, ask func() F) (F, error) {
	type answer struct {
		future F
		err    error
	}
	var none F
	select {
	case <-c.done:
		return none, raft.ErrRaftShutdown
	default:
	}
	answered := make(chan answer, 1)
	go func() {
		f := ask()
		answered <- answer{f, f.Error()}
	}()
	select {
	case a := <-answered:
		return a.future, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-c.done:
		return none, raft.ErrRaftShutdown
	}
}

package server

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// read runs query on a snapshot. With opts.Index it runs again after each
// change of one of keys until the index that query returns is greater, at most
// for opts.Wait and a sixteenth more, so that waiters that came together do
// not leave together. An index that the state has not reached is of another
// history, such as that before a restore: then there is nothing to wait for,
// and the caller learns the index to go on from. A not-found error waits like a value, so that a caller
// can wait for an object to appear; any other ends the wait. So does a change of what the
// caller may do: he asks again and is authorised anew.
func read[T any](ctx context.Context, s *Server, opts api.ListOptions, keys []store.Key, query func(*store.Snapshot) (T, uint64, error)) (T, api.Meta, error) {
	var (
		out   T
		index uint64
		err   error
	)
	if err := s.checkRegion(opts.Region); err != nil {
		return out, api.Meta{}, err
	}
	waiting := ctx
	if opts.Index > 0 {
		wait := opts.Wait
		if wait <= 0 || wait > api.MaxWait {
			wait = api.DefaultWait
		}
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, wait+rand.N(wait/16+time.Nanosecond))
		defer cancel()
		var done func()
		if waiting, done, err = s.whileSame(waiting, opts.Token); err != nil {
			return out, api.Meta{}, err
		}
		defer done()
	}
	history := uint64(0)
	s.store.Block(waiting, opts.Index, keys, func(snap *store.Snapshot) uint64 {
		out, index, err = query(snap)
		history = snap.History()
		index = max(index, snap.TableIndex(store.TableRestored)) // what was seen before is of another history
		if err != nil && !api.IsNotFound(err) || s.beyond(waiting, opts, snap) {
			return math.MaxUint64
		}
		return index
	})
	if opts.Index > 0 && s.ACLEnabled() {
		if _, gone := s.rights(ctx, opts.Token); gone != nil { // while it waited
			var none T
			return none, api.Meta{}, gone
		}
	}
	if err != nil {
		index = max(index, 1) // who waits for an object to appear must not spin
	}
	meta := s.meta(index)
	meta.State = history<<historyShift | index
	return out, meta, err
}

// historyShift leaves 48 bits for the index: 8,900 years of 1,000 changes a
// second.
const historyShift = 48

// beyond reports whether a reader's index is one that the state has not
// reached and will not reach as its successor. A server that does not lead may
// only be late with what the leader has shown the reader.
func (s *Server) beyond(ctx context.Context, opts api.ListOptions, snap *store.Snapshot) bool {
	return opts.Index > max(snap.Index(), 1) && (!opts.Stale || s.cfg.Cluster.CheckRead(ctx, false) == nil)
}

// meta describes an answer of this server. The index is 0 only of a table that
// nothing has ever been written to, which the clients of this API rely on: a
// caller who sends it back does not wait.
func (s *Server) meta(index uint64) api.Meta {
	return api.Meta{Index: index, LastContact: s.cfg.Cluster.LastContact(), KnownLeader: s.cfg.Cluster.Leader() != ""}
}

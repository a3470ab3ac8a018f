package cluster

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/drover-org/drover/internal/store"
)

// fsm applies committed entries to the store.
type fsm struct {
	applied *awaited
	voters  atomic.Int32 // servers of the committed configuration

	store  *store.Store
	halt   func(error) // called once
	memory bool        // snapshots only let the log be cut: nothing is written

	mu     sync.Mutex
	halted error // guarded by mu: why nothing is applied any more
}

// applied is what an entry's proposer gets.
type applied struct {
	value any
	err   error  // refusal, or why the fsm halted
	term  uint64 // in which the entry was appended
}

// alone reports whether this server is the only one of the log.
func (f *fsm) alone() bool { return f.voters.Load() <= 1 }

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM: readers see the whole batch at once.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	entries := make([]store.Entry, 0, len(logs))
	at := make([]int, 0, len(logs)) // entry → place in out
	err := f.stopped()
	for i, l := range logs {
		if l.Type == raft.LogConfiguration {
			f.voters.Store(int32(len(raft.DecodeConfiguration(l.Data).Servers)))
		}
		if l.Type != raft.LogCommand {
			continue
		}
		var cmd store.Command
		if err == nil {
			if cmd, err = store.DecodeCommand(l.Data); err != nil {
				err = fmt.Errorf("log entry %d can't be applied, so this server stops before it; nothing is lost: %w", l.Index, err)
				f.stop(err)
			}
		}
		if err != nil {
			out[i] = applied{err: err, term: l.Term}
			continue
		}
		entries = append(entries, store.Entry{Index: l.Index, Command: cmd})
		at = append(at, i)
	}
	if len(entries) == 0 {
		return out
	}
	for i, o := range f.store.ApplyBatch(entries) {
		out[at[i]] = applied{value: o.Value, err: o.Err, term: logs[at[i]].Term}
	}
	f.applied.grown()
	return out
}

func (f *fsm) stopped() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.halted
}

func (f *fsm) stop(err error) {
	f.mu.Lock()
	f.halted = err
	f.mu.Unlock()
	f.halt(err)
}

// Snapshot implements raft.FSM. A halted fsm has none: its state lacks
// entries that the log would then forget.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.stopped(); err != nil {
		return nil, err
	}
	if f.memory {
		return nothing{}, nil
	}
	return snapshot{f.store.Snapshot()}, nil
}

// Restore implements raft.FSM.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	defer f.applied.grown()
	return f.store.Restore(r)
}

type snapshot struct{ *store.Snapshot }

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.Snapshot.Persist(sink); err != nil {
		_ = sink.Cancel() // the first error is the one to tell
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (snapshot) Release() {}

// nothing is the snapshot of a server that keeps everything in memory.
type nothing struct{}

// Persist implements raft.FSMSnapshot.
func (nothing) Persist(sink raft.SnapshotSink) error { return sink.Close() }

// Release implements raft.FSMSnapshot.
func (nothing) Release() {}

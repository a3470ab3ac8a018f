package store

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
)

// Store is the state. Apply, ApplyBatch and Restore are for one goroutine;
// everything else is safe for concurrent use.
type Store struct {
	root   atomic.Pointer[Snapshot]
	hub    hub
	events *events.Ring // nil: nobody is told
}

// New returns an empty store at index 0.
func New() *Store {
	s := &Store{}
	s.hub.init()
	s.root.Store(&Snapshot{tables: newTables()})
	return s
}

// Snapshot returns the state as of the last applied command.
func (s *Store) Snapshot() *Snapshot { return s.root.Load() }

// Entry is a command with its place in the log.
type Entry struct {
	Index   uint64
	Command Command
}

// Outcome is what came of an Entry. A command that was refused has Err set
// and changed nothing.
type Outcome struct {
	Value any
	Err   error
}

// Apply applies one command. index must be greater than the last one's.
func (s *Store) Apply(index uint64, cmd Command) (any, error) {
	out := s.ApplyBatch([]Entry{{Index: index, Command: cmd}})
	return out[0].Value, out[0].Err
}

// ApplyBatch applies commands in order and publishes once, so that readers
// see all of them or none and waiters wake once.
func (s *Store) ApplyBatch(entries []Entry) []Outcome {
	snap := s.root.Load()
	touched := touchSet{}
	out := make([]Outcome, len(entries))
	told := s.newChanges(entries)
	for i, e := range entries {
		t := newTx(snap.tables.copy(), e.Index, touched)
		if told != nil {
			told[i].kind = eventType(e.Command)
			t.changes = &told[i]
		}
		value, err := e.Command.apply(t)
		out[i] = Outcome{Value: value, Err: err}
		next := &Snapshot{index: e.Index, history: snap.history, tables: snap.tables}
		if err == nil {
			t.finish()
			next.tables = t.tables
		} else if told != nil {
			told[i].list = nil
		}
		snap = next
	}
	s.root.Store(snap)
	for i := range told {
		s.events.Publish(entries[i].Index, told[i].list)
	}
	s.hub.notify(touched)
	return out
}

// Result is what a Proposer returns for a command that was applied.
type Result struct {
	Index uint64
	Value any
}

// Proposer puts a command into the log and returns when it has been applied.
// The error is the command's refusal (an *api.Error), ErrNotLeader, or ctx's;
// after ctx's the command may still be applied.
type Proposer interface {
	Propose(ctx context.Context, cmd Command) (Result, error)
}

// tx is one command's work on its own copy of the tables.
type tx struct {
	*tables
	index    uint64
	touched  touchSet
	pending  []Key                // touched by this command; kept only if it succeeds
	rows     map[jobName]*jobRow  // job rows of this command's own, nil for a deleted one
	jobQueue map[jobName]struct{} // jobs whose status may have changed
	origin   *allocOrigin         // of the last allocation
	changes  *changes             // for the event stream; nil: not wanted
}

type jobName struct{ ns, id string }

func newTx(t *tables, index uint64, touched touchSet) *tx {
	return &tx{tables: t, index: index, touched: touched, rows: map[jobName]*jobRow{}, jobQueue: map[jobName]struct{}{}}
}

func (t *tx) touch(keys ...Key) { t.pending = append(t.pending, keys...) }

// bump notes that a table changed in this command.
func (t *tx) bump(table Table) { t.indexes[table] = t.index }

// finish settles what depends on the whole command.
func (t *tx) finish() {
	for j := range t.jobQueue { // in any order: each depends on its own row only
		t.settleJobStatus(j.ns, j.id)
	}
	t.showServicesOfJobs()
	t.settleParents()
	t.changedJobs()
	t.flushJobs()
	for _, k := range t.pending {
		t.touched[k] = struct{}{}
	}
}

// invalid makes the refusal of a command that the caller got wrong.
func invalid(format string, args ...any) error {
	return api.Errorf(api.CodeInvalid, format, args...)
}

func notFound(noun, id string) error {
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("%s not found", noun)}
}

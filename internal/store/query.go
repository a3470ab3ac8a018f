package store

import "github.com/drover-org/drover/api"

// Snapshot is the state at one index. It never changes; what its queries
// return is shared and must not be changed either.
type Snapshot struct {
	index   uint64
	history uint64
	*tables
}

// Index is the last log index the snapshot includes.
func (s *Snapshot) Index() uint64 { return s.index }

// History counts how often the state was replaced before this snapshot: the
// same index in two histories is not the same state.
func (s *Snapshot) History() uint64 { return s.history }

// TableIndex is the last log index that changed a table.
func (s *Snapshot) TableIndex(t Table) uint64 { return s.indexes[t] }

// SchedulerConfig returns the scheduler configuration; never nil.
func (s *Snapshot) SchedulerConfig() *api.SchedulerConfiguration { return s.scheduler }

// Freed returns per computed node class the last index at which a node of the
// class came, became ready or gained room. After a restart it is the
// snapshot's index for every class: a blocked evaluation is tried once too
// often rather than never.
func (s *Snapshot) Freed() map[string]uint64 { return s.freed }

// NodesIndex is the last log index that changed what a node says of itself or
// what operators say of it; use of its resources doesn't count.
func (s *Snapshot) NodesIndex() uint64 { return s.indexes[TableNodes] }

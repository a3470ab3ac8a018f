package store

import "github.com/drover-org/drover/api"

// Snapshot is the state at one index. It never changes; what its queries
// return is shared and must not be changed either.
type Snapshot struct {
	index uint64
	*tables
}

// Index is the last log index the snapshot includes.
func (s *Snapshot) Index() uint64 { return s.index }

// TableIndex is the last log index that changed a table.
func (s *Snapshot) TableIndex(t Table) uint64 { return s.indexes[t] }

// SchedulerConfig returns the scheduler configuration; never nil.
func (s *Snapshot) SchedulerConfig() *api.SchedulerConfiguration { return s.scheduler }

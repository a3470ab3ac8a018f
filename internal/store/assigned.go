package store

import (
	"slices"

	"github.com/drover-org/drover/api"
)

// A node's row remembers of which allocations servers wanted something lately,
// so that its watcher need not look at all of them for each change.

// assigned is one such change.
type assigned struct {
	index uint64
	alloc api.ID
}

// maxAssigned bounds what a row remembers (3 KiB): more than what usually
// changes on a node while its watcher sends. The older half goes when it is
// full.
const maxAssigned = 128

// noteAssigned touches and remembers what KeyAssigned stands for.
func (t *tx) noteAssigned(nodeID string, alloc api.ID) {
	t.touch(KeyAssigned(nodeID))
	item, ok := t.nodeItem(idOf(nodeID))
	if !ok {
		return
	}
	if len(item.assigned) >= maxAssigned {
		half := len(item.assigned) / 2
		item.assignedFrom = item.assigned[half-1].index
		item.assigned = append(make([]assigned, 0, maxAssigned), item.assigned[half:]...)
	}
	// Older versions of the row share the array and see no further than their
	// own length.
	item.assigned = append(item.assigned, assigned{t.index, alloc})
	t.nodes.Set(item)
}

// AssignedSince returns, by ID, the allocations of a node of which something
// was told to KeyAssigned after an index of this snapshot's history, whether
// they are still there or not. ok is false when that is too long ago: then
// look at all.
func (s *Snapshot) AssignedSince(nodeID string, index uint64) (ids []api.ID, ok bool) {
	item, ok := s.nodeItem(idOf(nodeID))
	if !ok || index < item.assignedFrom {
		return nil, false
	}
	for i := len(item.assigned) - 1; i >= 0 && item.assigned[i].index > index; i-- {
		ids = append(ids, item.assigned[i].alloc)
	}
	slices.SortFunc(ids, cmpID)
	return slices.Compact(ids), true
}

// AllocByID is Alloc for an ID that is parsed already.
func (s *Snapshot) AllocByID(id api.ID) *api.Allocation {
	item, _ := s.allocItem(id)
	return item.a
}

package store

import (
	"bytes"
	"iter"

	"github.com/drover-org/drover/api"
	"github.com/tidwall/btree"
)

// scanPrefix visits the items of a tree ordered by ID whose ID starts with
// prefix.
func scanPrefix[T any](t *btree.BTreeG[T], prefix []byte, reverse bool, pivot func(api.ID) T, id func(T) api.ID, yield func(T) bool) {
	has := func(item T) bool {
		at := id(item)
		return bytes.HasPrefix(at[:], prefix)
	}
	if reverse {
		last := maxID
		copy(last[:], prefix)
		t.Descend(pivot(last), func(item T) bool { return has(item) && yield(item) })
		return
	}
	var first api.ID
	copy(first[:], prefix)
	t.Ascend(pivot(first), func(item T) bool { return has(item) && yield(item) })
}

// scanNames yields the items of a tree ordered by name from a pivot on,
// inclusive; with reverse backwards, and from the last one if the pivot has no
// name.
func scanNames[T any](t *btree.BTreeG[T], pivot T, unnamed, reverse bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		switch {
		case !reverse:
			t.Ascend(pivot, yield)
		case unnamed:
			t.Reverse(yield)
		default:
			t.Descend(pivot, yield)
		}
	}
}

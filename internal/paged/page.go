package paged

import (
	"iter"
	"math/bits"
	"sync/atomic"
)

// Max is how many rows a page may have: a set of them is one word.
const Max = 64

// Memos is how many things readers can attach to a page.
const Memos = 4

// maxMasks bounds the verdicts that a page remembers. The oldest goes first.
const maxMasks = 8

// Page is a run of neighbouring rows. What it is asked for never changes; all
// methods are safe for concurrent use.
type Page[T comparable] struct {
	rows  []T
	owner uint64 // the writer's step that made it, and may still edit it
	loose bool

	before atomic.Pointer[Page[T]] // a predecessor from which something can be taken over
	masks  atomic.Pointer[[]verdict]
	memos  [Memos]atomic.Pointer[any]
}

type verdict struct {
	key  string
	rows uint64
}

// Loose makes a page of rows that stand in no sequence. There is nothing to
// gain from remembering anything about it.
func Loose[T comparable](rows []T) *Page[T] { return &Page[T]{rows: rows, loose: true} }

// Len returns how many rows the page has.
func (p *Page[T]) Len() int { return len(p.rows) }

// Row returns a row.
func (p *Page[T]) Row(i int) T { return p.rows[i] }

// IsLoose reports whether the page was made by Loose.
func (p *Page[T]) IsLoose() bool { return p.loose }

// All is the set of all rows: bit i stands for row i.
func (p *Page[T]) All() uint64 { return ^uint64(0) >> (Max - len(p.rows)) }

// Match returns the rows for which match holds. The verdict is remembered
// under key, which must say all that match depends on beside the row.
func (p *Page[T]) Match(key string, match func(T) bool) uint64 {
	if set, ok := p.verdict(key); ok {
		return set
	}
	var (
		set  uint64
		old  = p.Before()
		took uint64
	)
	if old != nil {
		if known, ok := old.verdict(key); ok {
			for i, k := range p.Shared(old) {
				took |= 1 << i
				set |= (known >> k & 1) << i
			}
		}
	}
	for i, row := range p.rows {
		if took>>i&1 == 0 && match(row) {
			set |= 1 << i
		}
	}
	if !p.loose {
		p.remember(verdict{key, set})
	}
	return set
}

func (p *Page[T]) verdict(key string) (uint64, bool) {
	if list := p.masks.Load(); list != nil {
		for i := range *list {
			if v := &(*list)[i]; v.key == key {
				return v.rows, true
			}
		}
	}
	return 0, false
}

func (p *Page[T]) remember(v verdict) {
	for {
		list := p.masks.Load()
		next := make([]verdict, 0, maxMasks)
		if list != nil {
			next = append(next, (*list)[max(0, len(*list)-maxMasks+1):]...)
		}
		next = append(next, v)
		if p.masks.CompareAndSwap(list, &next) {
			return
		}
	}
}

// Memo returns what is attached to the page at slot i, which make makes when
// there is nothing. Of several that are made at the same time one is attached
// and returned to all.
func (p *Page[T]) Memo(i int, make func() any) any {
	if v := p.memos[i].Load(); v != nil {
		return *v
	}
	v := make()
	if p.memos[i].CompareAndSwap(nil, &v) {
		return v
	}
	return *p.memos[i].Load()
}

// Peek returns what is attached to the page at slot i, or nil.
func (p *Page[T]) Peek(i int) any {
	if v := p.memos[i].Load(); v != nil {
		return *v
	}
	return nil
}

// Before returns a page that this one took the place of and that knows
// something, or nil. It is forgotten when this page is replaced.
func (p *Page[T]) Before() *Page[T] { return p.before.Load() }

// Shared yields the rows that p and old have in common, by their places in
// both.
func (p *Page[T]) Shared(old *Page[T]) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		k := 0
		for i, row := range p.rows {
			// Both are in the same order, so a row that is in both is found
			// by going on; one that is not costs the rest of the page.
			for at := k; at < len(old.rows); at++ {
				if old.rows[at] == row {
					if !yield(i, at) {
						return
					}
					k = at + 1
					break
				}
			}
		}
	}
}

// knows reports whether anything was derived from the page.
func (p *Page[T]) knows() bool {
	if p.masks.Load() != nil {
		return true
	}
	for i := range p.memos {
		if p.memos[i].Load() != nil {
			return true
		}
	}
	return false
}

// Part is some rows of a page.
type Part[T comparable] struct {
	Page *Page[T]
	Rows uint64 // bit i: row i is one of them
}

// First splits the rows into the first n of them and the rest.
func (p Part[T]) First(n int) (first, rest uint64) {
	rest = p.Rows
	for ; n > 0 && rest != 0; n-- {
		rest &= rest - 1
	}
	return p.Rows &^ rest, rest
}

// List is what a reader is shown: parts of pages, in order.
type List[T comparable] struct {
	Parts []Part[T]

	// Own is set when rows were left out because this caller may not see
	// them: another caller's list is a different one.
	Own bool
}

// Len returns how many rows are in the list.
func (l List[T]) Len() int {
	n := 0
	for _, p := range l.Parts {
		n += bits.OnesCount64(p.Rows)
	}
	return n
}

// Rows yields the rows in order.
func (l List[T]) Rows() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, p := range l.Parts {
			for set := p.Rows; set != 0; set &= set - 1 {
				if !yield(p.Page.rows[bits.TrailingZeros64(set)]) {
					return
				}
			}
		}
	}
}

// LooseList makes a list of rows that stand in no sequence.
func LooseList[T comparable](rows iter.Seq[T]) List[T] {
	var (
		l   List[T]
		run []T
	)
	add := func() {
		if len(run) > 0 {
			p := Loose(run)
			l.Parts = append(l.Parts, Part[T]{p, p.All()})
		}
		run = nil
	}
	for row := range rows {
		if run = append(run, row); len(run) == Max {
			add()
		}
	}
	add()
	return l
}

package paged

import (
	"iter"
	"slices"
	"sort"

	"github.com/tidwall/btree"
)

// Seq is an ordered sequence of rows. One goroutine writes, only to a copy
// that nobody else has seen.
type Seq[T comparable] struct {
	less func(a, b T) bool
	tree *btree.BTreeG[*Page[T]] // by first row; no empty page
}

// New returns an empty sequence in the order of less. Two rows of which
// neither is less than the other are versions of the same.
func New[T comparable](less func(a, b T) bool) *Seq[T] {
	return &Seq[T]{less, btree.NewBTreeGOptions(func(a, b *Page[T]) bool { return less(a.rows[0], b.rows[0]) }, btree.Options{NoLocks: true})}
}

// Copy returns a sequence that can be changed without touching s, which must
// not be changed any more.
func (s *Seq[T]) Copy() *Seq[T] { return &Seq[T]{s.less, s.tree.Copy()} }

// Set adds a row, or takes it in place of its older version. step names what
// the writer is at between two publications: pages that he made in the same
// step are edited where they are.
func (s *Seq[T]) Set(row T, step uint64) {
	p := s.pageOf(row)
	if p == nil {
		s.tree.Set(&Page[T]{rows: []T{row}, owner: step})
		return
	}
	at, found := s.find(p, row)
	if found {
		p = s.edit(p, step)
		p.rows[at] = row
		return
	}
	if len(p.rows) < Max {
		s.insert(p, at, row, step)
		return
	}
	if last, _ := s.tree.Max(); at == Max && last == p {
		s.tree.Set(&Page[T]{rows: []T{row}, owner: step}) // rows that come in order fill their pages
		return
	}
	const half = Max / 2
	right := &Page[T]{rows: slices.Clone(p.rows[half:]), owner: step}
	right.succeed(p)
	left := s.edit(p, step)
	left.rows = left.rows[:half]
	s.tree.Set(right)
	if at <= half {
		s.insert(left, at, row, step)
	} else {
		s.insert(right, at-half, row, step)
	}
}

// Delete removes a row.
func (s *Seq[T]) Delete(row T, step uint64) {
	p := s.pageOf(row)
	if p == nil {
		return
	}
	at, found := s.find(p, row)
	if !found {
		return
	}
	if len(p.rows) == 1 {
		s.tree.Delete(p)
		return
	}
	if at == 0 {
		s.tree.Delete(p) // it is ordered by its first row
	}
	p = s.own(p, step)
	p.rows = slices.Delete(p.rows, at, at+1)
	s.tree.Set(p)
	s.merge(p, step)
}

// merge joins a page that got small with one of its neighbours.
func (s *Seq[T]) merge(p *Page[T], step uint64) {
	if len(p.rows) >= Max/4 {
		return
	}
	var before, after *Page[T]
	other := func(found **Page[T]) func(*Page[T]) bool {
		return func(q *Page[T]) bool {
			if q != p {
				*found = q
			}
			return *found == nil
		}
	}
	s.tree.Descend(p, other(&before))
	s.tree.Ascend(p, other(&after))
	join := func(a, b *Page[T]) bool {
		if a == nil || b == nil || len(a.rows)+len(b.rows) > Max/2 {
			return false
		}
		s.tree.Delete(b)
		a = s.edit(a, step)
		a.rows = append(a.rows, b.rows...)
		return true
	}
	if !join(before, p) {
		join(p, after)
	}
}

// pageOf returns the page that a row is in or would go to, nil when there is
// no page.
func (s *Seq[T]) pageOf(row T) *Page[T] {
	var at *Page[T]
	s.tree.Descend(&Page[T]{rows: []T{row}}, func(p *Page[T]) bool {
		at = p
		return false
	})
	if at == nil {
		at, _ = s.tree.Min()
	}
	return at
}

// find returns the place of a row in a page.
func (s *Seq[T]) find(p *Page[T], row T) (at int, found bool) {
	at = sort.Search(len(p.rows), func(i int) bool { return !s.less(p.rows[i], row) })
	return at, at < len(p.rows) && !s.less(row, p.rows[at])
}

func (s *Seq[T]) insert(p *Page[T], at int, row T, step uint64) {
	if at == 0 {
		s.tree.Delete(p) // it is ordered by its first row
	}
	p = s.own(p, step)
	p.rows = slices.Insert(p.rows, at, row)
	s.tree.Set(p)
}

// edit returns the page of the same first row that may be edited.
func (s *Seq[T]) edit(p *Page[T], step uint64) *Page[T] {
	if p.owner == step {
		return p
	}
	p = s.own(p, step)
	s.tree.Set(p)
	return p
}

// own returns p, or when it was made in another step a copy.
func (s *Seq[T]) own(p *Page[T], step uint64) *Page[T] {
	if p.owner == step {
		return p
	}
	c := &Page[T]{rows: append(make([]T, 0, min(len(p.rows)+1, Max)), p.rows...), owner: step}
	c.succeed(p)
	return c
}

// succeed notes what there is to take over from the page that p replaces.
func (p *Page[T]) succeed(old *Page[T]) {
	from := old
	if !old.knows() {
		from = old.Before()
	}
	p.before.Store(from)
	old.before.Store(nil) // or the past would never be forgotten
}

// Pages yields the pages in order.
func (s *Seq[T]) Pages() iter.Seq[*Page[T]] {
	return func(yield func(*Page[T]) bool) { s.tree.Scan(yield) }
}

// Parts yields the rows that are not less than pivot, in order, as parts of
// pages.
func (s *Seq[T]) Parts(pivot T) iter.Seq[Part[T]] {
	return func(yield func(Part[T]) bool) {
		first := s.pageOf(pivot)
		if first == nil {
			return
		}
		s.tree.Ascend(first, func(p *Page[T]) bool {
			part := Part[T]{p, p.All()}
			if p == first {
				at, _ := s.find(p, pivot)
				if at == len(p.rows) {
					return true
				}
				part.Rows &^= 1<<at - 1
			}
			return yield(part)
		})
	}
}

// Scan yields all rows in order.
func (s *Seq[T]) Scan(yield func(T) bool) {
	s.tree.Scan(func(p *Page[T]) bool { return each(p.rows, yield) })
}

// Reverse yields all rows in reverse order.
func (s *Seq[T]) Reverse(yield func(T) bool) {
	s.tree.Reverse(func(p *Page[T]) bool { return eachBackward(p.rows, yield) })
}

// Ascend yields the rows that are not less than pivot, in order.
func (s *Seq[T]) Ascend(pivot T, yield func(T) bool) {
	for part := range s.Parts(pivot) {
		for i := range part.Page.rows {
			if part.Rows>>i&1 != 0 && !yield(part.Page.rows[i]) {
				return
			}
		}
	}
}

// Descend yields the rows that are not greater than pivot, in reverse order.
func (s *Seq[T]) Descend(pivot T, yield func(T) bool) {
	first := true
	s.tree.Descend(&Page[T]{rows: []T{pivot}}, func(p *Page[T]) bool {
		rows := p.rows
		if first {
			first = false
			at, found := s.find(p, pivot)
			if found {
				at++
			}
			rows = rows[:at]
		}
		return eachBackward(rows, yield)
	})
}

func each[T any](rows []T, yield func(T) bool) bool {
	for _, row := range rows {
		if !yield(row) {
			return false
		}
	}
	return true
}

func eachBackward[T any](rows []T, yield func(T) bool) bool {
	for i := len(rows) - 1; i >= 0; i-- {
		if !yield(rows[i]) {
			return false
		}
	}
	return true
}

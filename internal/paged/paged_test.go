package paged

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type row struct{ key, version int }

func less(a, b *row) bool { return a.key < b.key }

func collect(seq func(func(*row) bool)) []*row {
	var out []*row
	seq(func(r *row) bool { out = append(out, r); return true })
	return out
}

// A sequence is what a sorted slice is, whatever is done to it, and what was
// published stays what it was; verdicts are right on every page.
func TestSeqIsASortedSlice(t *testing.T) {
	type published struct {
		seq  *Seq[*row]
		want []*row
	}
	rapid.Check(t, func(t *rapid.T) {
		s := New(less)
		var (
			model []*row
			past  []published
		)
		find := func(k int) (int, bool) {
			return slices.BinarySearchFunc(model, k, func(r *row, k int) int { return cmp.Compare(r.key, k) })
		}
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			s = s.Copy()
			model = slices.Clone(model)
			first, stride := rapid.IntRange(0, 400).Draw(t, "first"), rapid.SampledFrom([]int{1, 3, 7, -1, -5}).Draw(t, "stride")
			remove := rapid.IntRange(0, 2).Draw(t, "kind") == 0
			for i := range rapid.IntRange(1, 200).Draw(t, "rows") {
				r := &row{(first + i*stride + 4000) % 400, step}
				at, found := find(r.key)
				switch {
				case remove && found:
					model = slices.Delete(model, at, at+1)
				case !remove && found:
					model[at] = r
				case !remove:
					model = slices.Insert(model, at, r)
				}
				if remove {
					s.Delete(r, uint64(step+1))
				} else {
					s.Set(r, uint64(step+1))
				}
			}
			past = append(past, published{s, model})
			for p := range s.Pages() {
				if p.Len() == 0 || p.Len() > Max {
					t.Fatalf("a page of %d rows", p.Len())
				}
				if rapid.Bool().Draw(t, "looked at") {
					p.Memo(0, func() any { return 1 })
				}
				even := p.Match("even", func(r *row) bool { return (r.key+r.version)%2 == 0 })
				for i := range p.Len() {
					if r := p.Row(i); even>>i&1 != 0 != ((r.key+r.version)%2 == 0) {
						t.Fatalf("the verdict on %v is wrong", *r)
					}
				}
			}
		}
		pivot := &row{key: rapid.IntRange(-1, 401).Draw(t, "pivot")}
		for _, p := range past {
			if got := collect(p.seq.Scan); !slices.Equal(got, p.want) {
				t.Fatalf("%d rows, want %d", len(got), len(p.want))
			}
			back := slices.Clone(p.want)
			slices.Reverse(back)
			if !slices.Equal(collect(p.seq.Reverse), back) {
				t.Fatal("backward it is another sequence")
			}
			up := slices.DeleteFunc(slices.Clone(p.want), func(r *row) bool { return r.key < pivot.key })
			if !slices.Equal(collect(func(y func(*row) bool) { p.seq.Ascend(pivot, y) }), up) {
				t.Fatal("from the pivot up it is another sequence")
			}
			down := slices.DeleteFunc(back, func(r *row) bool { return r.key > pivot.key })
			if !slices.Equal(collect(func(y func(*row) bool) { p.seq.Descend(pivot, y) }), down) {
				t.Fatal("from the pivot down it is another sequence")
			}
		}
	})
}

// One changed row costs one page; the verdicts on its other rows are taken over.
func TestAChangeLeavesTheOtherPages(t *testing.T) {
	s := New(less)
	for i := range 1000 {
		s.Set(&row{key: i}, 1)
	}
	asked := 0
	match := func(s *Seq[*row]) {
		for p := range s.Pages() {
			p.Match("m", func(*row) bool { asked++; return true })
		}
	}
	match(s)
	if asked != 1000 {
		t.Fatalf("asked %d times", asked)
	}
	old := slices.Collect(s.Pages())
	for step := range 5 {
		s = s.Copy()
		s.Set(&row{key: 500, version: step}, uint64(step+2))
	}
	changed := 0
	i := 0
	for p := range s.Pages() {
		if p != old[i] {
			changed++
		}
		i++
	}
	asked = 0
	match(s)
	if changed != 1 || asked != 1 {
		t.Errorf("%d pages changed, %d rows were asked about", changed, asked)
	}
}

func TestPagesAreFull(t *testing.T) {
	s := New(less)
	for i := range 100 * Max {
		s.Set(&row{key: i}, 1)
	}
	if n := len(slices.Collect(s.Pages())); n > 101 {
		t.Errorf("rows that came in order take %d pages", n)
	}
	for i := range 100 * Max {
		if i%50 != 0 {
			s.Delete(&row{key: i}, 2)
		}
	}
	if n := len(slices.Collect(s.Pages())); n > 20 {
		t.Errorf("%d rows are left in %d pages", 2*Max, n)
	}
}

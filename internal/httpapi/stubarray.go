package httpapi

import (
	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/paged"
	"github.com/drover-org/drover/internal/web"
)

// stubArray is a list of allocations in their list form, put together from
// segments that belong to the store's pages. A page's segments hold all its
// allocations, whoever may see them: what an answer shows is decided by the
// list's rows alone.
func (a *routes) stubArray(list paged.List[*api.Allocation], show stubShow) web.Array {
	return web.Array{Segments: a.segments, Rows: stubRows{list.Parts, show, a.segments}}
}

type stubRows struct {
	parts    []paged.Part[*api.Allocation]
	show     stubShow
	segments *web.Segments
}

// Len returns how many segments there are.
func (s stubRows) Len() int { return len(s.parts) }

// slot is where a page keeps the segment of a form.
func (s stubShow) slot() int {
	n := 0
	if s.resources {
		n |= 1
	}
	if s.taskStates {
		n |= 2
	}
	return n
}

// Segment returns the segment of a page.
func (s stubRows) Segment(i int) (*web.Segment, uint64, bool) {
	p := s.parts[i]
	seg := p.Page.Memo(s.show.slot(), func() any {
		if p.Page.IsLoose() {
			return s.segments.Unkept()
		}
		return s.segments.New()
	}).(*web.Segment)
	return seg, p.Rows, p.Rows == p.Page.All()
}

// Encode appends the allocations of a page. Those that did not change since
// the page before was encoded are taken from there.
func (s stubRows) Encode(i int, b []byte) ([]byte, []uint32, error) {
	page := s.parts[i].Page
	ends := make([]uint32, 0, page.Len())
	var (
		known [paged.Max][]byte
		old   *web.Segment
	)
	if before := page.Before(); before != nil {
		if old, _ = before.Peek(s.show.slot()).(*web.Segment); old != nil {
			items := old.Items()
			if items.Kept() {
				for i, k := range page.Shared(before) {
					known[i] = items.Item(k)
				}
			}
		}
	}
	for i := range page.Len() {
		b = append(b, ',')
		if known[i] != nil {
			b = append(b, known[i][1:]...)
		} else {
			var err error
			if b, err = s.show.append(b, page.Row(i)); err != nil {
				return b, nil, err
			}
		}
		ends = append(ends, uint32(len(b)))
	}
	if old != nil {
		old.Replaced()
	}
	return b, ends, nil
}

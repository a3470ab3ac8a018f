package web

import (
	"bytes"
	"container/list"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// Segments keeps encoded segments of lists within a bound. One that is not
// kept is encoded for each reader. When there is no room, what nobody used
// lately goes first, and of what is in use nothing: lists that are larger than
// the bound keep as much of themselves as fits, however often they are read.
// Safe for concurrent use.
type Segments struct {
	max   int64        // bytes in all; replaced segments may take an eighth
	lists atomic.Int64 // lists written so far: the clock of disuse

	mu       sync.Mutex
	live     list.List // of *Segment; guarded by mu, like the rest
	replaced list.List // of *Segment whose page was replaced, the oldest first
	bytes    int64
	old      int64 // of bytes: in replaced ones
}

const (
	// segmentDisuse is after how many lists a segment that none of them used
	// may go: more than readers that are at work at a time.
	segmentDisuse = 64
	// segmentLook is how many segments are looked at to make room for one.
	segmentLook = 8
)

// NewSegments returns a store for at most max bytes.
func NewSegments(max int64) *Segments { return &Segments{max: max} }

// Segment is a run of items of a JSON array in their encoded forms. What a
// segment holds never changes; what it keeps of it is decided by Segments.
type Segment struct {
	home *Segments
	used atomic.Int64 // the clock of home when it was used last

	making  sync.Mutex             // held while a form is made that will be kept
	shape   atomic.Pointer[shape]  // set by the first encoding
	plain   atomic.Pointer[[]byte] // nil: not kept
	deflate atomic.Pointer[deflated]

	at    *list.Element // guarded by home.mu, like the rest; nil: keeps nothing
	held  int64
	stale bool
}

// shape tells the length of the plain form and where its items end. Each item
// has a comma before it.
type shape struct{ ends []uint32 }

func (s *shape) item(i int) (from, to int) {
	if i > 0 {
		from = int(s.ends[i-1])
	}
	return from, int(s.ends[i])
}

// size is the length of the items of rows.
func (s *shape) size(rows uint64) int {
	n := 0
	for lo, hi := range runs(rows) {
		from, _ := s.item(lo)
		_, to := s.item(hi)
		n += to - from
	}
	return n
}

// deflated is a compressed form that can stand anywhere in a gzip member. It
// is without the comma before its first item.
type deflated struct {
	b    []byte
	sum  uint32 // CRC of the plain form
	size int    // of the plain form
	skip uint32 // what crcSkip needs to go over the plain form
}

// New returns a segment of which nothing is known yet.
func (h *Segments) New() *Segment { return &Segment{home: h} }

// Unkept returns a segment that will never keep anything.
func (h *Segments) Unkept() *Segment { return &Segment{home: h, stale: true} }

// Items returns the encoded items, which are nil when they are not kept.
func (s *Segment) Items() Items {
	b := s.plain.Load()
	if b == nil {
		return Items{}
	}
	return Items{*b, s.shape.Load()}
}

// Items are the encoded items of a segment.
type Items struct {
	b     []byte
	shape *shape
}

// Kept reports whether there are any.
func (s Items) Kept() bool { return s.b != nil }

// Item returns an item with the comma before it.
func (s Items) Item(i int) []byte {
	from, to := s.shape.item(i)
	return s.b[from:to]
}

// Replaced tells that s will hardly be asked for any more.
func (s *Segment) Replaced() {
	h := s.home
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.stale = true; s.at == nil {
		return
	}
	h.live.Remove(s.at)
	s.at = h.replaced.PushBack(s)
	h.old += s.held
	for h.old > h.max/8 {
		h.drop(h.replaced.Front().Value.(*Segment))
	}
}

// admit reports whether s may keep n bytes more.
func (h *Segments) admit(s *Segment, n int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.lists.Load()
	for h.bytes+n > h.max {
		if e := h.replaced.Front(); e != nil {
			h.drop(e.Value.(*Segment))
		} else if !h.dropDisused(now) {
			return false
		}
	}
	switch {
	case s.at != nil:
	case s.stale:
		return false
	default:
		s.at = h.live.PushBack(s)
	}
	s.held += n
	h.bytes += n
	if s.stale {
		h.old += n
	}
	return true
}

// dropDisused drops one segment that is not in use.
func (h *Segments) dropDisused(now int64) bool {
	for range min(segmentLook, h.live.Len()) {
		e := h.live.Front()
		if s := e.Value.(*Segment); now-s.used.Load() > segmentDisuse {
			h.drop(s)
			return true
		}
		h.live.MoveToBack(e)
	}
	return false
}

// drop takes from a segment what it keeps. The lock is held.
func (h *Segments) drop(s *Segment) {
	if s.stale {
		h.replaced.Remove(s.at)
		h.old -= s.held
	} else {
		h.live.Remove(s.at)
	}
	h.bytes -= s.held
	s.at, s.held = nil, 0
	s.plain.Store(nil)
	s.deflate.Store(nil)
}

func (s *Segment) touch() { s.used.Store(s.home.lists.Load()) }

// plainForm returns the items of s, which is segment i of rows: what is kept, or
// what is encoded to scratch.
func (s *Segment) plainForm(scratch *[]byte, rows Rows, i int) ([]byte, error) {
	s.touch()
	if b := s.plain.Load(); b != nil {
		return *b, nil
	}
	s.making.Lock()
	defer s.making.Unlock()
	if b := s.plain.Load(); b != nil {
		return *b, nil
	}
	b, err := s.encode(scratch, rows, i)
	if err != nil {
		return nil, err
	}
	if s.home.admit(s, int64(len(b))) {
		kept := bytes.Clone(b)
		s.plain.Store(&kept)
		return kept, nil
	}
	return b, nil
}

// encode writes the items to scratch. The lock on making is held.
func (s *Segment) encode(scratch *[]byte, rows Rows, i int) ([]byte, error) {
	b, ends, err := rows.Encode(i, (*scratch)[:0])
	if err != nil {
		return nil, err
	}
	*scratch = b
	if s.shape.Load() == nil {
		s.shape.Store(&shape{ends})
	}
	return b, nil
}

// known returns the shape, which the first call takes an encoding for.
func (s *Segment) known(scratch *[]byte, rows Rows, i int) (*shape, error) {
	if sh := s.shape.Load(); sh != nil {
		return sh, nil
	}
	if _, err := s.plainForm(scratch, rows, i); err != nil {
		return nil, err
	}
	return s.shape.Load(), nil
}

// deflatedForm returns the compressed form: what is kept, or what is made of
// the plain one. The plain form is not kept for its sake.
func (s *Segment) deflatedForm(scratch *[]byte, rows Rows, i int) (*deflated, error) {
	s.touch()
	if d := s.deflate.Load(); d != nil {
		return d, nil
	}
	s.making.Lock()
	defer s.making.Unlock()
	if d := s.deflate.Load(); d != nil {
		return d, nil
	}
	plain := s.plain.Load()
	if plain == nil {
		b, err := s.encode(scratch, rows, i)
		if err != nil {
			return nil, err
		}
		plain = &b
	}
	d := deflateOf((*plain)[1:])
	if s.home.admit(s, int64(len(d.b))) {
		s.deflate.Store(d)
	}
	return d, nil
}

// deflatePool keeps compressors, whose tables are large.
var deflatePool = sync.Pool{New: func() any {
	fw, _ := flate.NewWriter(io.Discard, flate.BestSpeed) // the level is valid
	return fw
}}

// deflateOf compresses b on its own, to the next byte and without an end.
func deflateOf(b []byte) *deflated {
	buf := bufPool.Get().(*bytes.Buffer)
	defer putBuf(buf)
	buf.Reset()
	fw := deflatePool.Get().(*flate.Writer)
	fw.Reset(buf)
	_, _ = fw.Write(b) // to memory
	_ = fw.Flush()
	deflatePool.Put(fw)
	return &deflated{b: bytes.Clone(buf.Bytes()), sum: crcOf(b), size: len(b), skip: crcSkip(len(b))}
}

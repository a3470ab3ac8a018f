package web

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"iter"
	"math/bits"
	"net/http"
	"strconv"
	"sync"
)

// Rows is what an Array shows: chosen items of segments that many readers
// share.
type Rows interface {
	// Len returns how many segments there are.
	Len() int
	// Segment returns a segment, which of its items are chosen (bit i: item
	// i), and whether those are all.
	Segment(i int) (s *Segment, rows uint64, all bool)
	// Encode appends all items of a segment, a comma before each, and says
	// where each ends.
	Encode(i int, b []byte) (_ []byte, ends []uint32, _ error)
}

// Array is a JSON array that is put together from segments: those that are
// kept are sent as they are.
type Array struct {
	Segments *Segments
	Rows     Rows
}

// runs yields the runs of ones in a set, first and last.
func runs(set uint64) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for set != 0 {
			lo := bits.TrailingZeros64(set)
			n := bits.TrailingZeros64(^(set >> lo))
			if !yield(lo, lo+n-1) {
				return
			}
			if lo+n == 64 {
				return
			}
			set &^= 1<<(lo+n) - 1
		}
	}
}

// segmentScratch keeps buffers for segments that are not kept.
var segmentScratch = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 4 << 20

func putScratch(b *[]byte) {
	if cap(*b) <= maxScratch {
		segmentScratch.Put(b)
	}
}

// WriteTo writes the array.
func (a Array) WriteTo(w io.Writer) (int64, error) {
	scratch := segmentScratch.Get().(*[]byte)
	defer putScratch(scratch)
	return a.writePlain(w, scratch)
}

func (a Array) writePlain(w io.Writer, scratch *[]byte) (int64, error) {
	a.Segments.lists.Add(1)
	out := &gather{w: w, buf: chunkPool.Get().(*[]byte)}
	defer out.release()
	next := byte('[')
	for i := range a.Rows.Len() {
		s, rows, _ := a.Rows.Segment(i)
		if rows == 0 {
			continue
		}
		b, err := s.plainForm(scratch, a.Rows, i)
		if err != nil {
			return out.n, err
		}
		sh := s.shape.Load()
		for lo, hi := range runs(rows) {
			from, _ := sh.item(lo)
			_, to := sh.item(hi)
			if next == '[' {
				out.byte('[')
				next, from = ',', from+1
			}
			out.write(b[from:to])
		}
		if out.err != nil {
			return out.n, out.err
		}
	}
	if next == '[' {
		out.byte('[')
	}
	out.byte(']')
	out.flush()
	return out.n, out.err
}

// serve answers with the array. An error means that nothing was written.
func (a Array) serve(w http.ResponseWriter, r *http.Request, status int) error {
	scratch := segmentScratch.Get().(*[]byte)
	defer putScratch(scratch)
	if acceptsGzip(r) {
		return a.serveGzip(w, status, scratch)
	}
	size := 2
	some := false
	for i := range a.Rows.Len() {
		s, rows, _ := a.Rows.Segment(i)
		if rows == 0 {
			continue
		}
		sh, err := s.known(scratch, a.Rows, i)
		if err != nil {
			return err
		}
		some = true
		size += sh.size(rows)
	}
	if some {
		size-- // no comma before the first
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(status)
	if _, err := a.writePlain(w, scratch); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// Parts of a gzip member: its header, a single byte as it is, and the same as
// the last block.
var gzipHeader = []byte{31, 139, 8, 0, 0, 0, 0, 0, 4, 255}

func appendStored(b []byte, c byte, last byte) []byte { return append(b, last, 1, 0, 254, 255, c) }

// serveGzip sends one gzip member whose blocks are the segments' own.
func (a Array) serveGzip(w http.ResponseWriter, status int, scratch *[]byte) error {
	// All that can fail is an encoding, and what is encoded once is known to
	// be fine: the first round makes what is missing.
	size, exact := len(gzipHeader)+6+8, true
	for i := range a.Rows.Len() {
		s, rows, all := a.Rows.Segment(i)
		switch {
		case rows == 0:
		case all:
			d, err := s.deflatedForm(scratch, a.Rows, i)
			if err != nil {
				return err
			}
			size += 6 + len(d.b)
		default:
			exact = false
			if _, err := s.known(scratch, a.Rows, i); err != nil {
				return err
			}
		}
	}
	if size == len(gzipHeader)+6+8 {
		size += 6 // the opening bracket of an empty array
	}
	h := w.Header()
	h.Set("Content-Encoding", "gzip")
	if exact {
		h.Set("Content-Length", strconv.Itoa(size))
	}
	w.WriteHeader(status)
	z := &gzipJoin{out: &gather{w: w, buf: chunkPool.Get().(*[]byte)}, next: '['}
	defer z.out.release()
	if err := z.write(a, scratch); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// gzipJoin writes a gzip member from segments.
type gzipJoin struct {
	out  *gather
	next byte   // goes before the next item: [ or ,
	sum  uint32 // of the plain form so far
	size uint32
}

func (z *gzipJoin) write(a Array, scratch *[]byte) error {
	a.Segments.lists.Add(1)
	z.out.write(gzipHeader)
	var pending []byte // chosen items of segments that are not chosen as a whole
	for i := range a.Rows.Len() {
		s, rows, all := a.Rows.Segment(i)
		if rows == 0 {
			continue
		}
		if !all {
			b, err := s.plainForm(scratch, a.Rows, i)
			if err != nil {
				return err
			}
			sh := s.shape.Load()
			for lo, hi := range runs(rows) {
				from, _ := sh.item(lo)
				_, to := sh.item(hi)
				pending = append(pending, b[from:to]...)
			}
			if len(pending) >= chunkSize {
				z.add(deflateOf(pending[1:]))
				pending = pending[:0]
			}
			continue
		}
		if len(pending) > 0 {
			z.add(deflateOf(pending[1:]))
			pending = pending[:0]
		}
		d, err := s.deflatedForm(scratch, a.Rows, i)
		if err != nil {
			return err
		}
		if z.add(d); z.out.err != nil {
			return z.out.err
		}
	}
	if len(pending) > 0 {
		z.add(deflateOf(pending[1:]))
	}
	if z.next == '[' {
		z.byte('[', 0)
	}
	z.byte(']', 1)
	z.out.write(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, z.sum), z.size))
	z.out.flush()
	return z.out.err
}

func (z *gzipJoin) add(d *deflated) {
	z.byte(z.next, 0)
	z.next = ','
	z.sum = crcJoin(z.sum, d.sum, d.skip)
	z.size += uint32(d.size)
	z.out.write(d.b)
}

// byte adds a single byte, as the last block with last.
func (z *gzipJoin) byte(c byte, last byte) {
	z.sum = crc32.Update(z.sum, crc32.IEEETable, []byte{c})
	z.size++
	var block [6]byte
	z.out.write(appendStored(block[:0], c, last))
}

// gather writes small pieces together and large ones as they are.
type gather struct {
	w   io.Writer
	buf *[]byte // pooled, not yet written
	n   int64
	err error // the first; nothing is written after it
}

// largePiece is a piece that is worth a system call of its own.
const largePiece = chunkSize / 2

func (g *gather) write(p []byte) {
	if len(p) >= largePiece {
		g.flush()
		g.send(p)
		return
	}
	if len(*g.buf)+len(p) > cap(*g.buf) {
		g.flush()
	}
	*g.buf = append(*g.buf, p...)
}

func (g *gather) byte(c byte) {
	if len(*g.buf) == cap(*g.buf) {
		g.flush()
	}
	*g.buf = append(*g.buf, c)
}

func (g *gather) flush() {
	if len(*g.buf) > 0 {
		g.send(*g.buf)
		*g.buf = (*g.buf)[:0]
	}
}

func (g *gather) send(p []byte) {
	if g.err == nil {
		var n int
		n, g.err = g.w.Write(p)
		g.n += int64(n)
	}
}

func (g *gather) release() {
	*g.buf = (*g.buf)[:0]
	chunkPool.Put(g.buf)
	g.buf = nil
}

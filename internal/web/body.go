package web

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// minGzip is the size below which a body is sent as it is: compression would
// cost more than the packet saves.
const minGzip = 1 << 10

// chunkSize is how much of a plain body is gathered before it is written.
const chunkSize = 32 << 10

// body gathers a response body: a small one is sent with its length, a large
// one in chunks and compressed when the caller accepts that.
type body struct {
	w       http.ResponseWriter
	status  int
	accept  bool         // the caller takes gzip
	started bool         // the header is out
	gz      *gzip.Writer // not nil: compressing
	buf     *[]byte      // pooled, not yet written
}

var chunkPool = sync.Pool{New: func() any {
	b := make([]byte, 0, chunkSize)
	return &b
}}

// gzipPool keeps compressors, whose tables are large, between answers.
var gzipPool = sync.Pool{New: func() any {
	gz, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is valid
	return gz
}}

func newBody(w http.ResponseWriter, r *http.Request, status int) *body {
	return &body{w: w, status: status, accept: acceptsGzip(r), buf: chunkPool.Get().(*[]byte)}
}

// Write gathers p and sends full chunks.
func (b *body) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), cap(*b.buf)-len(*b.buf))
		*b.buf = append(*b.buf, p[:k]...)
		p = p[k:]
		if len(*b.buf) == cap(*b.buf) {
			if err := b.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (b *body) flush() error {
	if !b.started {
		b.started = true
		if b.accept && len(*b.buf) >= minGzip {
			b.w.Header().Set("Content-Encoding", "gzip")
			b.gz = gzipPool.Get().(*gzip.Writer)
			b.gz.Reset(b.w)
		}
		b.w.WriteHeader(b.status)
	}
	var err error
	if b.gz != nil {
		_, err = b.gz.Write(*b.buf)
	} else {
		_, err = b.w.Write(*b.buf)
	}
	*b.buf = (*b.buf)[:0]
	return err
}

// close sends the rest.
func (b *body) close() error {
	if !b.started && (!b.accept || len(*b.buf) < minGzip) {
		b.w.Header().Set("Content-Length", strconv.Itoa(len(*b.buf)))
	}
	if err := b.flush(); err != nil {
		return err
	}
	if b.gz != nil {
		return b.gz.Close()
	}
	return nil
}

// release gives the pooled parts back; the body is not used afterwards.
func (b *body) release() {
	*b.buf = (*b.buf)[:0]
	chunkPool.Put(b.buf)
	b.buf = nil
	if b.gz != nil {
		b.gz.Reset(io.Discard)
		gzipPool.Put(b.gz)
		b.gz = nil
	}
}

// acceptsGzip reports whether the caller takes gzip. A request to upgrade the
// connection is never compressed.
func acceptsGzip(r *http.Request) bool {
	if r.Header.Get("Upgrade") != "" {
		return false
	}
	any := false
	for _, line := range r.Header["Accept-Encoding"] {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			switch name = strings.TrimSpace(name); {
			case strings.EqualFold(name, "gzip"):
				return wanted(params)
			case name == "*":
				any = wanted(params)
			}
		}
	}
	return any
}

// wanted reports whether the weight that a coding has, 1 without one, is more
// than nothing.
func wanted(params string) bool {
	name, q, _ := strings.Cut(params, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return true
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
	return err == nil && weight > 0
}

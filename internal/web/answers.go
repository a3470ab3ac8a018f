package web

import (
	"bytes"
	"container/list"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Answers keeps encoded answers, so that readers who ask the same question of
// the same state share one: the first encodes it, those who come meanwhile
// wait for him, later ones get the bytes. Compressed forms are kept as well.
// Memory is bounded; the least recently used answer goes first, and one that
// is too large for the bound is streamed to each reader. Safe for concurrent
// use.
type Answers struct {
	max int64 // bytes in all; a single answer may have half of it

	mu    sync.Mutex
	byKey map[string]*kept // guarded by mu, like the rest
	used  list.List        // of *kept, the least recently used first
	bytes int64
}

// NewAnswers returns a store for at most max bytes.
func NewAnswers(max int64) *Answers { return &Answers{max: max, byKey: map[string]*kept{}} }

// kept is one answer. Everything but done is written before done is closed and
// not afterwards; the compressed form has a lock of its own.
type kept struct {
	key     string
	version uint64
	done    chan struct{}
	whole   bool     // chunks are the answer; false: it could not be kept
	chunks  [][]byte // plain
	size    int64    // memory it takes

	at *list.Element // guarded by Answers.mu; nil when not counted

	gzipOnce sync.Once
	gzipped  []byte
}

// shared is a Reply's value that may be known already.
type shared struct {
	answers *Answers
	key     string
	version uint64
	value   any
}

// Share makes value, the answer to a read at a state's version, one that equal
// reads share. Equal are reads of the same path and parameters, whoever makes
// them and whatever he was ready to wait for: the handler has asked whether this
// caller may have the answer, and shares only what is the same for all who may.
func (a *Answers) Share(r *http.Request, version uint64, value any) any {
	return &shared{a, questionOf(r), version, value}
}

// questionOf names what a request asks: its path and its parameters as they
// were sent, in the order of their names.
func questionOf(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return r.URL.Path
	}
	var room [8]string
	pairs := room[:0]
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		switch nameOf(pair) {
		case "", "index", "wait", "stale":
		default:
			pairs = append(pairs, pair)
		}
	}
	// Of two of the same name the first counts, so their order is kept.
	slices.SortStableFunc(pairs, func(a, b string) int { return strings.Compare(nameOf(a), nameOf(b)) })
	var b strings.Builder
	b.Grow(len(r.URL.Path) + 1 + len(r.URL.RawQuery))
	b.WriteString(r.URL.Path)
	for i, pair := range pairs {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(pair)
	}
	return b.String()
}

func nameOf(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return name
}

// write answers from what is kept, or encodes and keeps. An error means that
// nothing was written.
func (s *shared) write(w http.ResponseWriter, r *http.Request, status int) error {
	k, first := s.answers.enter(s.key, s.version)
	switch {
	case k == nil: // an older state than others have seen by now
		return stream(newBody(w, r, status), s.value)
	case first:
		return s.encode(k, w, r, status)
	}
	select {
	case <-k.done:
	case <-r.Context().Done():
		return r.Context().Err()
	}
	if !k.whole {
		return stream(newBody(w, r, status), s.value)
	}
	return s.answers.send(k, w, r, status)
}

// enter returns the answer to a question, and whether the caller is the one to
// make it. Nil: a newer one is kept.
func (a *Answers) enter(key string, version uint64) (k *kept, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k = a.byKey[key]; k != nil {
		switch {
		case k.version == version:
			if k.at != nil {
				a.used.MoveToBack(k.at)
			}
			return k, false
		case k.version > version:
			return nil, false
		}
		a.drop(k)
	}
	k = &kept{key: key, version: version, done: make(chan struct{})}
	a.byKey[key] = k
	return k, true
}

// drop forgets an answer. The lock is held.
func (a *Answers) drop(k *kept) {
	if a.byKey[k.key] == k {
		delete(a.byKey, k.key)
	}
	if k.at != nil {
		a.used.Remove(k.at)
		a.bytes -= k.size
		k.at = nil
	}
}

// answerCost is what keeping an answer takes beside its bytes.
const answerCost = 512

// settle ends the making of an answer: with whole it is kept, else forgotten.
func (a *Answers) settle(k *kept, whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k.whole = whole; !whole {
		k.chunks = nil
		a.drop(k)
	} else if a.byKey[k.key] == k {
		k.size += answerCost
		k.at = a.used.PushBack(k)
		a.bytes += k.size
		a.trim(k)
	}
	close(k.done)
}

// trim makes room by dropping the least recently used answers, except keep.
// The lock is held.
func (a *Answers) trim(keep *kept) {
	for e := a.used.Front(); a.bytes > a.max && e != nil; {
		next := e.Next()
		if k := e.Value.(*kept); k != keep {
			a.drop(k)
		}
		e = next
	}
}

// encode makes the answer and sends it.
func (s *shared) encode(k *kept, w http.ResponseWriter, r *http.Request, status int) error {
	rec := &keeper{k: k, limit: s.answers.max / 2}
	rec.overflow = func() io.Writer {
		s.answers.settle(k, false)
		rec.out = newBody(w, r, status)
		return rec.out
	}
	settled := false
	defer func() {
		if !settled && rec.out == nil {
			s.answers.settle(k, false)
		}
	}()
	err := encodeTo(rec, s.value)
	if rec.out != nil {
		return finish(rec.out, err)
	}
	if err != nil {
		return err
	}
	settled = true
	s.answers.settle(k, true)
	return s.answers.send(k, w, r, status)
}

// keeper gathers an answer in chunks. When it gets too large, what there is
// and all that follows goes to the writer that overflow returns.
type keeper struct {
	k        *kept
	limit    int64
	overflow func() io.Writer
	out      *body // not nil after the overflow
}

// keptChunk is the size of a kept chunk: large, so that sending takes few
// calls.
const keptChunk = 256 << 10

func (r *keeper) Write(p []byte) (int, error) {
	if r.out != nil {
		return r.out.Write(p)
	}
	n := len(p)
	if r.k.size+int64(n) > r.limit {
		chunks := r.k.chunks
		out := r.overflow()
		for _, c := range chunks {
			if _, err := out.Write(c); err != nil {
				return 0, err
			}
		}
		return out.Write(p)
	}
	for len(p) > 0 {
		last := len(r.k.chunks) - 1
		if last < 0 || len(r.k.chunks[last]) == cap(r.k.chunks[last]) {
			size := keptChunk
			if last < 0 {
				size = max(1<<10, len(p)) // most answers are small
			}
			r.k.chunks = append(r.k.chunks, make([]byte, 0, size))
			r.k.size += int64(size)
			last++
		}
		c := r.k.chunks[last]
		m := min(len(p), cap(c)-len(c))
		r.k.chunks[last] = append(c, p[:m]...)
		p = p[m:]
	}
	return n, nil
}

// send writes a whole answer, compressed if the caller takes that.
func (a *Answers) send(k *kept, w http.ResponseWriter, r *http.Request, status int) error {
	chunks := k.chunks
	var size int64
	for _, c := range chunks {
		size += int64(len(c))
	}
	if size >= minGzip && acceptsGzip(r) {
		b := a.compressed(k)
		chunks, size = [][]byte{b}, int64(len(b))
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(status)
	for _, c := range chunks {
		if _, err := w.Write(c); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	return nil
}

// compressed returns the answer in gzip's format, made once.
func (a *Answers) compressed(k *kept) []byte {
	k.gzipOnce.Do(func() {
		var out bytes.Buffer
		gz := gzipPool.Get().(*gzip.Writer)
		defer gzipPool.Put(gz)
		gz.Reset(&out)
		for _, c := range k.chunks {
			_, _ = gz.Write(c) // to memory
		}
		_ = gz.Close()
		k.gzipped = slices.Clip(out.Bytes())
		a.mu.Lock()
		defer a.mu.Unlock()
		if k.at != nil {
			k.size += int64(len(k.gzipped))
			a.bytes += int64(len(k.gzipped))
			a.trim(k)
		}
	})
	return k.gzipped
}

// encodeTo writes a value's JSON.
func encodeTo(w io.Writer, value any) error {
	if s, ok := value.(io.WriterTo); ok {
		_, err := s.WriteTo(w)
		return err
	}
	buf := bufPool.Get().(*bytes.Buffer)
	defer putBuf(buf)
	buf.Reset()
	if err := EncodeJSON(buf, value); err != nil {
		return err
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// stream writes a value without keeping it.
func stream(out *body, value any) error { return finish(out, encodeTo(out, value)) }

// finish ends a streamed body. What went out can't be taken back, so a late
// failure ends the connection.
func finish(out *body, err error) error {
	defer out.release()
	if err == nil {
		err = out.close()
	} else if !out.started {
		return err
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

package diag

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// Tee is a slog.Handler that passes records on and shows them to readers. All
// that WithAttrs and WithGroup make of it have the same readers.
type Tee struct {
	next    slog.Handler
	with    []func(slog.Handler) slog.Handler // attributes and groups, for the readers' handlers
	readers *readers
}

// readers are those who listen now.
type readers struct {
	lowest atomic.Int64 // the lowest level that one of them wants
	list   atomic.Pointer[[]*Reader]
	mu     sync.Mutex // for changes of both
}

// nobody is the lowest level while there are no readers.
const nobody = math.MaxInt64

// NewTee returns a handler in front of next.
func NewTee(next slog.Handler) *Tee {
	t := &Tee{next: next, readers: new(readers)}
	t.readers.lowest.Store(nobody)
	t.readers.list.Store(new([]*Reader))
	return t
}

// Enabled reports whether the log or a reader wants records of a level.
func (t *Tee) Enabled(ctx context.Context, l slog.Level) bool {
	return int64(l) >= t.readers.lowest.Load() || t.next.Enabled(ctx, l)
}

// Handle passes a record on and shows it to the readers.
func (t *Tee) Handle(ctx context.Context, rec slog.Record) error {
	if int64(rec.Level) >= t.readers.lowest.Load() {
		for _, r := range *t.readers.list.Load() {
			if rec.Level >= r.level {
				r.show(ctx, t.with, rec)
			}
		}
	}
	if !t.next.Enabled(ctx, rec.Level) {
		return nil
	}
	return t.next.Handle(ctx, rec)
}

// WithAttrs returns a Tee that adds attributes.
func (t *Tee) WithAttrs(attrs []slog.Attr) slog.Handler {
	return t.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup returns a Tee that adds a group.
func (t *Tee) WithGroup(name string) slog.Handler {
	return t.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (t *Tee) and(with func(slog.Handler) slog.Handler) *Tee {
	return &Tee{next: with(t.next), with: append(slices.Clip(t.with), with), readers: t.readers}
}

// maxReaders bounds who listens at once.
const maxReaders = 64

// Listen adds a reader, nil when there are too many. It must be closed.
func (t *Tee) Listen(o Options) *Reader {
	t.readers.mu.Lock()
	defer t.readers.mu.Unlock()
	old := *t.readers.list.Load()
	if len(old) == maxReaders {
		return nil
	}
	r := &Reader{all: t.readers, level: o.Level, encode: o.encoder(), news: make(chan struct{}, 1)}
	t.readers.set(append(slices.Clone(old), r))
	return r
}

// set replaces the list; mu is held.
func (s *readers) set(list []*Reader) {
	lowest := int64(nobody)
	for _, r := range list {
		lowest = min(lowest, int64(r.level))
	}
	s.list.Store(&list)
	s.lowest.Store(lowest)
}

func (s *readers) remove(r *Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(slices.DeleteFunc(slices.Clone(*s.list.Load()), func(other *Reader) bool { return other == r }))
}

// Readers is how many listen.
func (t *Tee) Readers() int { return len(*t.readers.list.Load()) }

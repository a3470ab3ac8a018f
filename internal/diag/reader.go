package diag

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxWaiting bounds the text that waits for one reader, in bytes. It is more
// than one line has, unless the line is out of all bounds itself.
const maxWaiting = 256 << 10

// Reader is who listens to a log.
type Reader struct {
	all    *readers
	level  slog.Level
	encode encoder
	news   chan struct{} // there is something to take

	mu      sync.Mutex
	text    []byte // whole lines
	dropped int    // lines that had no room since the last Take
}

// show adds a record to what waits, or counts it as dropped.
func (r *Reader) show(ctx context.Context, with []func(slog.Handler) slog.Handler, rec slog.Record) {
	line := r.encode(ctx, with, rec)
	r.mu.Lock()
	// After the first that had no room the rest goes as well: what is there
	// is without gaps, and the gap is told of at its end.
	if r.dropped > 0 || len(r.text)+len(line) > maxWaiting {
		r.dropped++
	} else {
		r.text = append(r.text, line...)
	}
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// News receives when there may be something to take.
func (r *Reader) News() <-chan struct{} { return r.news }

// Take returns the lines that wait, after them one that says how many had no
// room. What is passed as the buffer is written into later.
func (r *Reader) Take(buffer []byte) []byte {
	r.mu.Lock()
	text, dropped := r.text, r.dropped
	r.text, r.dropped = buffer[:0], 0
	r.mu.Unlock()
	if dropped > 0 {
		rec := slog.NewRecord(time.Now(), slog.LevelWarn, "lines were left out here, because the reader of this log was too slow", 0)
		rec.AddAttrs(slog.Int("dropped", dropped))
		text = append(text, r.encode(context.Background(), nil, rec)...)
	}
	return text
}

// Close ends the listening.
func (r *Reader) Close() { r.all.remove(r) }

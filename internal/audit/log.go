package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a Log needs.
type Config struct {
	Path     string      // of the file; its folder is made
	Mode     os.FileMode // of the file
	Enforced bool        // lines are on disk before Append returns, and an error tells that one is not
	Chain    bool        // each line carries the hash of the one before

	RotateBytes    int64         // 0: no bound
	RotateAge      time.Duration // 0: none
	RotateMaxFiles int           // rotated files that are kept; 0: all

	Log *slog.Logger
	Now func() time.Time
}

// Log is the file. It is safe for concurrent use.
type Log struct {
	cfg   Config
	lost  atomic.Uint64
	lines atomic.Uint64

	mu     sync.Mutex
	queue  []*entry // that wait for Run
	closed bool

	wake chan struct{} // holds one when queue is not empty
	file *file         // of Run alone
}

type entry struct {
	record []byte        // a JSON object without Prev
	done   chan struct{} // nil: nobody waits
	err    error         // set before done is closed
}

// maxQueue bounds the records that wait: 16 MiB at the most, while the disk
// stands still.
const maxQueue = 4096

// Errors of Append.
var (
	errFull   = errors.New("the audit log is written too slowly: its queue is full")
	errClosed = errors.New("the audit log is closed")
)

// Open opens the file, removes a last line that a crash left torn, and takes
// up the chain. Run must be called for anything to be written.
func Open(cfg Config) (*Log, error) {
	l := &Log{cfg: cfg, wake: make(chan struct{}, 1)}
	var err error
	if l.file, err = openFile(&l.cfg); err != nil {
		return nil, err
	}
	return l, nil
}

// Lost returns how many records could not be written.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Lines returns how many records were written.
func (l *Log) Lines() uint64 { return l.lines.Load() }

// Append adds a record. Enforced, it returns when the line is on disk or with
// the reason why not; with best effort at once and without an error.
func (l *Log) Append(r *Record, secrets ...string) error {
	line, err := encode(r, secrets...)
	if err != nil {
		return l.lose(err)
	}
	e := &entry{record: line}
	if l.cfg.Enforced {
		e.done = make(chan struct{})
	}
	l.mu.Lock()
	switch {
	case l.closed:
		err = errClosed
	case len(l.queue) >= maxQueue:
		err = errFull
	default:
		l.queue = append(l.queue, e)
	}
	l.mu.Unlock()
	if err != nil {
		return l.lose(err)
	}
	select {
	case l.wake <- struct{}{}:
	default: // Run will look anyway
	}
	if e.done == nil {
		return nil
	}
	<-e.done
	return e.err
}

// lose counts a record that is not written.
func (l *Log) lose(err error) error {
	l.lost.Add(1)
	l.cfg.Log.Error("an audit record is lost", "error", err)
	if l.cfg.Enforced {
		return err
	}
	return nil
}

// Run writes what is appended until ctx ends, then what still waits, and
// closes the file.
func (l *Log) Run(ctx context.Context) error {
	for {
		select {
		case <-l.wake:
			l.write()
		case <-ctx.Done():
			l.mu.Lock()
			l.closed = true
			l.mu.Unlock()
			l.write()
			return l.file.close()
		}
	}
}

// Batches are bounded, so that a file does not grow much over RotateBytes.
const maxBatch = 256

// write writes everything that waits.
func (l *Log) write() {
	for {
		l.mu.Lock()
		batch := l.queue[:min(len(l.queue), maxBatch)]
		if l.queue = l.queue[len(batch):]; len(l.queue) == 0 {
			l.queue = nil
		}
		l.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		lines := make([][]byte, len(batch))
		for i, e := range batch {
			lines[i] = e.record
		}
		err := l.file.append(lines)
		if err == nil {
			l.lines.Add(uint64(len(batch)))
		}
		for _, e := range batch {
			if err != nil {
				e.err = l.lose(err)
			}
			if e.done != nil {
				close(e.done)
			}
		}
	}
}

// hashOf is what the next line carries of a line.
func hashOf(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// chained returns the line of a record with the hash of the line before.
func chained(record []byte, prev string) []byte {
	line := make([]byte, 0, len(record)+len(prev)+12)
	line = append(line, record[:len(record)-1]...)
	line = append(line, `,"Prev":"`...)
	line = append(line, prev...)
	return append(line, `"}`...)
}

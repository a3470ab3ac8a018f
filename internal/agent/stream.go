package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// Properties of streams of files and logs.
const (
	maxFrameData      = 64 << 10
	heartbeatInterval = time.Second
	pollInterval      = 100 * time.Millisecond // where changes can't be watched
)

// stream is one answer that carries a growing file: JSON frames one after the
// other, or the plain bytes.
type stream struct {
	ctx         context.Context
	w           http.ResponseWriter
	flush       *http.ResponseController
	run         *runner
	follow      bool
	plain       bool
	*streamBufs            // nil while waiting
	watch       *fileWatch // nil: poll
	beat        *time.Ticker
	closing     <-chan struct{}
	release     func()
}

// streamBufs are what a stream reads into and what it makes of it. There may
// be many streams, but few that are not waiting.
type streamBufs struct {
	buf [maxFrameData]byte
	out []byte
}

var streamBufPool = sync.Pool{New: func() any { return new(streamBufs) }}

// newStream prepares an answer; with follow it watches a directory of the
// allocation for changes from here on. Nothing is written yet.
func (a *Agent) newStream(w http.ResponseWriter, r *http.Request, run *runner, dir string, follow, plain bool) (*stream, error) {
	st := &stream{
		ctx: r.Context(), w: w, flush: http.NewResponseController(w), run: run, follow: follow, plain: plain,
		streamBufs: streamBufPool.Get().(*streamBufs), closing: a.closing, release: func() {},
	}
	if !follow {
		return st, nil
	}
	if !a.streams.tryAcquire() {
		return nil, api.Errorf(api.CodeLimited, "too many files and logs are being followed on this node (%d); end one or try later", cap(a.streams))
	}
	st.release = a.streams.release
	st.beat = time.NewTicker(heartbeatInterval)
	if hub := a.watches.Load(); hub != nil {
		d, err := run.dir.OpenDir(dir)
		if err == nil {
			st.watch, err = hub.add(d)
			_ = d.Close()
		}
		if err != nil {
			a.log.Debug("a directory can't be watched, polling it", "dir", dir, "error", err)
		}
	}
	return st, nil
}

func (st *stream) close() {
	if st.watch != nil {
		st.watch.close()
	}
	if st.streamBufs != nil {
		streamBufPool.Put(st.streamBufs)
	}
	if st.beat != nil {
		st.beat.Stop()
	}
	st.release()
}

// start sends the head of the answer, so that the caller knows that it is
// being followed.
func (st *stream) start() {
	h := st.w.Header()
	h.Set("Content-Type", "application/json")
	if st.plain {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	st.w.WriteHeader(http.StatusOK)
	if st.follow {
		_ = st.flush.Flush()
	}
}

// data sends a piece of a file. It reports false when the caller is gone.
func (st *stream) data(offset int64, file string, p []byte) bool {
	if st.plain {
		return st.send(p)
	}
	b := append(st.out[:0], '{')
	if offset != 0 {
		b = append(b, `"Offset":`...)
		b = strconv.AppendInt(b, offset, 10)
		b = append(b, ',')
	}
	b = append(b, `"Data":"`...)
	b = appendBase64(b, p)
	b = append(b, `","File":`...)
	name, _ := json.Marshal(file)
	b = append(b, name...)
	st.out = append(b, '}')
	return st.send(st.out)
}

// event sends what happened to a file.
func (st *stream) event(file, event string) bool {
	if st.plain {
		return true
	}
	b, _ := json.Marshal(api.StreamFrame{File: file, FileEvent: event})
	return st.send(b)
}

func (st *stream) send(b []byte) bool {
	if _, err := st.w.Write(b); err != nil {
		return false
	}
	return !st.follow || st.flush.Flush() == nil
}

// wait waits for a change of the directory or, through changed, of a task,
// and sends heartbeats meanwhile. It reports false when the stream is over.
func (st *stream) wait(changed <-chan struct{}) bool {
	streamBufPool.Put(st.streamBufs)
	st.streamBufs = nil
	defer func() { st.streamBufs = streamBufPool.Get().(*streamBufs) }()
	var files <-chan struct{}
	var poll <-chan time.Time
	if st.watch != nil {
		files = st.watch.c
	} else {
		timer := time.NewTimer(pollInterval)
		defer timer.Stop()
		poll = timer.C
	}
	for {
		select {
		case <-files:
			return true
		case <-poll:
			return true
		case <-changed:
			return true
		case <-st.beat.C:
			if !st.plain && !st.send([]byte("{}")) {
				return false
			}
		case <-st.closing:
			return false
		case <-st.ctx.Done():
			return false
		}
	}
}

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/asciicast"
	"github.com/drover-org/drover/internal/ws"
	"github.com/segmentio/asm/base64"
)

// Frames of output around their data.
const (
	stdoutHead = `{"stdout":{"data":"`
	stderrHead = `{"stderr":{"data":"`
)

// receive reads the caller's frames until the connection ends. The error says
// why the session has to end.
func (s *session) receive(in *stdin, resize chan api.TerminalSize) error {
	defer in.close(errHungUp)
	for {
		m, err := s.conn.Read(maxExecFrame)
		if err != nil {
			return hangUp(err)
		}
		if m.Op != ws.Text {
			m.Release()
			return &ws.CloseError{Code: ws.UnsupportedData, Reason: "a binary frame: only text frames with JSON are understood"}
		}
		f, data, err := parseInput(m.Data)
		if err != nil {
			m.Release()
			return err
		}
		if err := s.recordInput(f, data); err != nil {
			m.Release()
			return err
		}
		if len(data) > 0 {
			s.held.Store(true)
			in.add(data, m)
			s.held.Store(false)
		} else {
			m.Release()
		}
		switch {
		case f.Stdin != nil && f.Stdin.Close:
			in.close(io.EOF)
		case f.Stdin == nil && f.TTYSize != nil:
			select {
			case <-resize: // the newest counts
			default:
			}
			resize <- *f.TTYSize
		}
	}
}

// hangUp says how a session ends whose caller can't be read any more: it hung
// up, or what it sent is no frame.
func hangUp(err error) error {
	var ce *ws.CloseError
	switch {
	case !errors.As(err, &ce) || ce.Peer:
		return errHungUp
	case ce.Code == ws.TooBig:
		return &ws.CloseError{Code: ws.TooBig, Reason: "a frame is larger than 4 MiB: send stdin in smaller pieces"}
	}
	return ce
}

var (
	inputHead = []byte(`{"stdin":{"data":"`)
	inputTail = []byte(`"}}`)
)

// parseInput reads one frame. The form in which clients send stdin is
// recognised without a JSON parser, and its data is put in the place of the
// text it was decoded from, which is overwritten.
func parseInput(b []byte) (in api.ExecInput, data []byte, err error) {
	if text, ok := bytes.CutPrefix(b, inputHead); ok {
		text = bytes.TrimRight(text, "\r\n")
		if text, ok = bytes.CutSuffix(text, inputTail); ok && plain(text) {
			// The decoder writes three bytes for four that it has read.
			if n, err := base64.StdEncoding.Decode(text, text); err == nil {
				return in, text[:n], nil
			}
			return in, nil, &ws.CloseError{Code: ws.PolicyViolation, Reason: "a frame is not understood: stdin.data is not base64"}
		}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		code := ws.InvalidPayload
		var syntax *json.SyntaxError
		if !errors.As(err, &syntax) {
			code = ws.PolicyViolation // JSON, but of another shape
		}
		return in, nil, &ws.CloseError{Code: code, Reason: "a frame is not understood: " + err.Error()}
	}
	if in.Stdin != nil {
		data = in.Stdin.Data
	}
	return in, data, nil
}

// output sends what a command writes. Each Write returns when its bytes are on
// their way, so that a slow caller slows the command down.
type output struct {
	s    *session
	head string
	from asciicast.Stream
	fail context.CancelCauseFunc
}

// frameBufs keeps frames while they are written: what a Write of the driver,
// which reads up to 64 KiB at a time, needs.
var frameBufs = sync.Pool{New: func() any {
	b := make([]byte, 0, 2*(ws.Room+64+base64.StdEncoding.EncodedLen(execChunk)))
	return &b
}}

// Write sends p in frames of at most execChunk bytes, two in one write.
func (o *output) Write(p []byte) (int, error) {
	if o.s.cast != nil { // before the caller sees it
		if err := o.s.cast.Record(o.from, p); err != nil {
			o.fail(unrecorded(err))
			return 0, err
		}
	}
	buf := frameBufs.Get().(*[]byte)
	defer frameBufs.Put(buf)
	sent := 0
	for sent < len(p) {
		b := (*buf)[:0]
		for range 2 {
			chunk := p[sent:min(sent+execChunk, len(p))]
			if len(chunk) > 0 {
				b = o.appendFrame(b, chunk)
				sent += len(chunk)
			}
		}
		if err := o.s.conn.SendFrames(b); err != nil {
			o.fail(errHungUp)
			return 0, errHungUp
		}
	}
	return sent, nil
}

// appendFrame appends one frame with its data.
func (o *output) appendFrame(b, data []byte) []byte {
	n := base64.StdEncoding.EncodedLen(len(data))
	b = append(ws.AppendHeader(b, ws.Text, len(o.head)+n+len(inputTail)), o.head...)
	return append(appendBase64(b, data), inputTail...)
}

// appendBase64 appends data as text.
func appendBase64(b, data []byte) []byte {
	at, n := len(b), base64.StdEncoding.EncodedLen(len(data))
	b = slices.Grow(b, n)[:at+n]
	base64.StdEncoding.Encode(b[at:], data)
	return b
}

// stdin is the queue between the caller's frames and the command. It holds at
// most limit bytes and one frame, by the memory they take; then the caller has to wait.
type stdin struct {
	mu        sync.Mutex // guards what follows
	more      sync.Cond  // data, end, or room
	queue     []piece
	size      int
	limit     int
	end       error // io.EOF or why there is no more
	abandoned bool  // nobody reads any more
}

func newStdin(limit int) *stdin {
	q := &stdin{limit: limit}
	q.more.L = &q.mu
	return q
}

// piece is what is left of a frame's data.
type piece struct {
	data []byte
	in   *ws.Message // to release then; nil: the data is a copy
	cost int         // memory that is held
}

func (p *piece) release() {
	if p.in != nil {
		p.in.Release()
	}
}

// pieceCost is what a piece costs beside its data.
const pieceCost = 64

// add queues data, which is m's, and waits for room. A message that is mostly
// air is not kept.
func (q *stdin) add(data []byte, m *ws.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end != nil || q.abandoned {
		m.Release()
		return
	}
	p := piece{data, m, m.Size() + pieceCost}
	if len(data) < m.Size()/4 {
		p = piece{bytes.Clone(data), nil, len(data) + pieceCost}
		m.Release()
	}
	q.queue = append(q.queue, p)
	q.size += p.cost
	q.more.Broadcast()
	for q.size > q.limit && !q.abandoned {
		q.more.Wait()
	}
}

// close ends the input after what is queued. The first end counts.
func (q *stdin) close(end error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end == nil {
		q.end = end
	}
	q.more.Broadcast()
}

// abandon drops all input, now and later.
func (q *stdin) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.abandoned = true
	for i := range q.queue {
		q.queue[i].release()
	}
	q.queue, q.size = nil, 0
	q.more.Broadcast()
}

// wait waits until there is data, and needs the lock. The error says why
// there will be none.
func (q *stdin) wait() error {
	for len(q.queue) == 0 {
		switch {
		case q.abandoned:
			return io.ErrClosedPipe
		case q.end != nil:
			return q.end
		}
		q.more.Wait()
	}
	return nil
}

// done releases a piece that is not queued any more, and needs the lock.
func (q *stdin) done(p *piece) {
	p.release()
	if q.abandoned {
		return
	}
	if q.size -= p.cost; q.size <= q.limit {
		q.more.Broadcast()
	}
}

// Read implements io.Reader.
func (q *stdin) Read(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.wait(); err != nil {
		return 0, err
	}
	p := &q.queue[0]
	n := copy(b, p.data)
	if p.data = p.data[n:]; len(p.data) == 0 {
		q.queue = q.queue[1:]
		q.done(p)
	}
	return n, nil
}

// WriteTo implements io.WriterTo, without a copy. What is being written still
// counts.
func (q *stdin) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		q.mu.Lock()
		if err := q.wait(); err != nil {
			q.mu.Unlock()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
		p := q.queue[0]
		q.queue = q.queue[1:]
		q.mu.Unlock()

		n, err := w.Write(p.data)
		total += int64(n)
		q.mu.Lock()
		q.done(&p)
		q.mu.Unlock()
		if err != nil {
			return total, err
		}
	}
}

// plain reports whether text, which may be base64, holds nothing that JSON
// would read otherwise: newlines are let through by decoders, but not by JSON.
func plain(text []byte) bool {
	for _, c := range [...]byte{'"', '\\', '\n', '\r'} {
		if bytes.IndexByte(text, c) >= 0 {
			return false
		}
	}
	return true
}

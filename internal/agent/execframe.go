package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/coder/websocket"
	"github.com/drover-org/drover/api"
)

// maxIdleFrame bounds what a session keeps to read the next frame into.
const maxIdleFrame = 64 << 10

// receive reads the caller's frames until the connection ends. The error says
// why the session has to end.
func (s *session) receive(stdin *stdin, resize chan api.TerminalSize) error {
	defer stdin.close(errHungUp)
	var buf bytes.Buffer
	for {
		kind, r, err := s.conn.Reader(s.ctx)
		if err != nil {
			return hangUp(err)
		}
		if buf.Reset(); buf.Cap() > maxIdleFrame {
			buf = bytes.Buffer{}
		}
		if _, err := buf.ReadFrom(r); err != nil {
			return hangUp(err)
		}
		if kind != websocket.MessageText {
			return &closeError{websocket.StatusUnsupportedData, "a binary frame: only text frames with JSON are understood"}
		}
		in, data, err := parseInput(buf.Bytes())
		if err != nil {
			return err
		}
		if data != nil {
			stdin.add(data)
		}
		switch {
		case in.Stdin != nil && in.Stdin.Close:
			stdin.close(io.EOF)
		case in.Stdin == nil && in.TTYSize != nil:
			select {
			case <-resize: // the newest counts
			default:
			}
			resize <- *in.TTYSize
		}
	}
}

// hangUp says how a session ends whose caller can't be read any more: it hung
// up, or what it sent is no frame.
func hangUp(err error) error {
	var network net.Error
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return &closeError{websocket.StatusMessageTooBig, "a frame is larger than 4 MiB: send stdin in smaller pieces"}
	case websocket.CloseStatus(err) != -1, errors.As(err, &network), errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return errHungUp
	}
	return &closeError{websocket.StatusProtocolError, "what was received is not a masked websocket frame"}
}

var (
	inputHead = []byte(`{"stdin":{"data":"`)
	inputTail = []byte(`"}}`)
)

// parseInput reads one frame; data is a copy. The form in which clients send
// stdin is recognised without a JSON parser.
func parseInput(b []byte) (in api.ExecInput, data []byte, err error) {
	if text, ok := bytes.CutPrefix(b, inputHead); ok {
		text = bytes.TrimRight(text, "\r\n")
		if text, ok = bytes.CutSuffix(text, inputTail); ok && bytes.IndexByte(text, '"') < 0 {
			data = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
			if n, err := base64.StdEncoding.Decode(data, text); err == nil {
				return in, data[:n], nil
			}
		}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		code := websocket.StatusInvalidFramePayloadData
		var syntax *json.SyntaxError
		if !errors.As(err, &syntax) {
			code = websocket.StatusPolicyViolation // JSON, but of another shape
		}
		return in, nil, &closeError{code, "a frame is not understood: " + err.Error()}
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
	fail context.CancelCauseFunc
}

// frameBufs keeps frames while they are written.
var frameBufs = sync.Pool{New: func() any {
	b := make([]byte, 0, 64+base64.StdEncoding.EncodedLen(execChunk))
	return &b
}}

// Write sends p in frames of at most execChunk bytes.
func (o *output) Write(p []byte) (int, error) {
	buf := frameBufs.Get().(*[]byte)
	defer frameBufs.Put(buf)
	sent := 0
	for len(p) > 0 {
		chunk := p[:min(len(p), execChunk)]
		b := append((*buf)[:0], o.head...)
		b = base64.StdEncoding.AppendEncode(b, chunk)
		b = append(b, inputTail...)
		*buf = b
		if err := o.s.conn.Write(o.s.ctx, websocket.MessageText, b); err != nil {
			o.fail(errHungUp)
			return sent, errHungUp
		}
		sent += len(chunk)
		p = p[len(chunk):]
	}
	return sent, nil
}

// stdin is the queue between the caller's frames and the command. It holds at
// most limit bytes and one frame; then the caller has to wait.
type stdin struct {
	mu        sync.Mutex // guards what follows
	more      sync.Cond  // data, end, or room
	queue     [][]byte
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

// add queues data, which it keeps, and waits for room.
func (q *stdin) add(data []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(data) == 0 || q.end != nil || q.abandoned {
		return
	}
	q.queue = append(q.queue, data)
	q.size += len(data)
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
	q.queue, q.size = nil, 0
	q.more.Broadcast()
}

// Read implements io.Reader.
func (q *stdin) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue) == 0 {
		switch {
		case q.abandoned:
			return 0, io.ErrClosedPipe
		case q.end != nil:
			return 0, q.end
		}
		q.more.Wait()
	}
	n := copy(p, q.queue[0])
	if q.queue[0] = q.queue[0][n:]; len(q.queue[0]) == 0 {
		q.queue = q.queue[1:]
	}
	if q.size -= n; q.size <= q.limit {
		q.more.Broadcast()
	}
	return n, nil
}

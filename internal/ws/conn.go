package ws

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Opcode is the kind of a frame.
type Opcode byte

// The kinds of frames.
const (
	continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	opClose      Opcode = 8
	opPing       Opcode = 9
	opPong       Opcode = 10
)

// Code says why a websocket was closed.
type Code uint16

// The codes in use here.
const (
	Normal          Code = 1000
	GoingAway       Code = 1001
	ProtocolError   Code = 1002
	UnsupportedData Code = 1003
	noStatus        Code = 1005 // a close frame without a code
	InvalidPayload  Code = 1007
	PolicyViolation Code = 1008
	TooBig          Code = 1009
	InternalError   Code = 1011
	TryAgainLater   Code = 1013
)

const (
	// Room is what a frame's header needs at most.
	Room = 10
	// MaxReason is what a close frame holds beside its code.
	MaxReason = 123
	// peekSize is what a connection keeps to read headers and small frames.
	peekSize = 512
	// maxControl bounds the payload of control frames, by the standard.
	maxControl = 125
	// closePatience is how long the peer gets to take a close frame and to
	// answer it.
	closePatience = 2 * time.Second
)

// Conn is one websocket, on the server's side. One goroutine reads; all other
// methods may be called concurrently.
type Conn struct {
	raw   net.Conn
	early []byte
	r     *bufio.Reader

	write  sync.Mutex // guards writing, and the next
	broken error      // part of a frame is out, or the close frame: nothing may follow

	moved   atomic.Bool  // a message went either way since the last look
	in, out atomic.Int64 // bytes that were read and written

	last []byte // the last text that was relayed or sent by Finish, if it is short; guarded by write

	pong  sync.Mutex // guards reply
	reply []byte     // to a ping that came while a frame was being written
}

// CloseError is how the peer closed, or the reason to close because of what it
// sent.
type CloseError struct {
	Code   Code
	Reason string
	Peer   bool // the peer said it
}

func (e *CloseError) Error() string {
	if e.Reason != "" {
		return e.Reason
	}
	return "the websocket was closed"
}

// errClosed is the answer to sending after the close frame.
var errClosed = errors.New("the websocket is closed")

// Send sends a message whose header is made in b[:Room], in front of the
// payload. It blocks while the peer does not read.
func (c *Conn) Send(op Opcode, b []byte) error {
	c.write.Lock()
	defer c.unlock()
	c.moved.Store(true)
	return c.send(op, b)
}

// SendFrames sends messages that were put one after the other, each behind its
// header, in one write. It blocks as Send does.
func (c *Conn) SendFrames(b []byte) error {
	c.write.Lock()
	defer c.unlock()
	c.moved.Store(true)
	return c.put(b)
}

// Finish sends the last texts, and the close frame in the same write. It blocks
// as Send does; what is said of SendClose holds after it.
func (c *Conn) Finish(code Code, texts ...string) error {
	c.write.Lock()
	defer c.write.Unlock()
	var b []byte
	for _, text := range texts {
		b = append(AppendHeader(b, Text, len(text)), text...)
		c.last = []byte(text)
	}
	b = AppendHeader(b, opClose, 2)
	if err := c.put(binary.BigEndian.AppendUint16(b, uint16(code))); err != nil {
		return err
	}
	c.broken = errClosed
	_ = c.raw.SetReadDeadline(time.Now().Add(closePatience))
	return nil
}

// maxLast bounds the texts that LastText knows.
const maxLast = 256

// LastText is the last text that was relayed to the peer, or sent by Finish;
// nil if it was no short one. For after the session.
func (c *Conn) LastText() []byte {
	c.write.Lock()
	defer c.write.Unlock()
	return c.last
}

// Bytes are how many were received and sent, as they were on the wire.
func (c *Conn) Bytes() (in, out int64) { return c.in.Load(), c.out.Load() }

// Quiet reports whether no message went either way since it was asked before.
func (c *Conn) Quiet() bool { return !c.moved.Swap(false) }

// send needs the lock.
func (c *Conn) send(op Opcode, b []byte) error {
	return c.put(b[putHeader(b[:Room], op, len(b)-Room):])
}

// put needs the lock.
func (c *Conn) put(b []byte) error {
	if c.broken != nil {
		return c.broken
	}
	n, err := c.raw.Write(b)
	c.out.Add(int64(n))
	if err != nil {
		c.broken = err
		return err
	}
	return nil
}

// putHeader writes the header of a whole message to the end of b[:Room] and
// returns where it begins.
func putHeader(b []byte, op Opcode, size int) int {
	var h [Room]byte
	n := len(AppendHeader(h[:0], op, size))
	copy(b[Room-n:Room], h[:n])
	return Room - n
}

// AppendHeader appends the header of a whole message of size bytes, which
// follow; see SendFrames.
func AppendHeader(b []byte, op Opcode, size int) []byte {
	first := 0x80 | byte(op)
	switch {
	case size <= 125:
		return append(b, first, byte(size))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(size))
}

// unlock sends a pong that had to wait, and gives the lock back.
func (c *Conn) unlock() {
	c.pong.Lock()
	reply := c.reply
	c.reply = nil
	c.pong.Unlock()
	if reply != nil {
		_ = c.control(opPong, reply) // a writer that follows learns the reason
	}
	c.write.Unlock()
}

// control needs the lock.
func (c *Conn) control(op Opcode, payload []byte) error {
	b := make([]byte, Room, Room+maxControl)
	return c.send(op, append(b, payload...))
}

// answer sends a pong at once, or leaves it to whoever writes now: the reader
// must not wait for a peer that does not read.
func (c *Conn) answer(payload []byte) {
	c.pong.Lock()
	c.reply = payload
	c.pong.Unlock()
	if c.write.TryLock() {
		c.unlock()
	}
}

// Ping sends a ping, unless something else is being sent, which serves as
// well. It may block as Send does.
func (c *Conn) Ping() error {
	if !c.write.TryLock() {
		return nil
	}
	defer c.unlock()
	return c.control(opPing, nil)
}

// SendClose sends the close frame. Nothing can be sent after it, a frame that
// the peer does not take within a moment is cut off, and Read ends soon. The
// reason is cut to what fits.
func (c *Conn) SendClose(code Code, reason string) {
	until := time.Now().Add(closePatience)
	_ = c.raw.SetWriteDeadline(until)
	c.write.Lock()
	defer c.write.Unlock()
	if c.broken == nil {
		payload := binary.BigEndian.AppendUint16(make([]byte, 0, maxControl), uint16(code))
		_ = c.control(opClose, append(payload, Trim(reason)...))
		c.broken = errClosed
	}
	_ = c.raw.SetReadDeadline(until)
}

// Expire makes Read and CopyTo end soon, after a close frame was passed on.
func (c *Conn) Expire() { _ = c.raw.SetReadDeadline(time.Now().Add(closePatience)) }

// Close sends the close frame, waits a moment for the peer's and hangs up.
// Nobody else may be reading.
func (c *Conn) Close(code Code, reason string) {
	c.SendClose(code, reason)
	c.Drain()
	_ = c.Hangup()
}

// Drain reads and drops what the peer still sends, until it closes: a
// connection that ends with unread input would destroy output on its way.
func (c *Conn) Drain() {
	for {
		m, err := c.Read(drainLimit)
		if err != nil {
			var bad *CloseError
			if !errors.As(err, &bad) || bad.Peer {
				return
			}
			// No frames any more: drop bytes until the deadline.
			_, _ = io.Copy(io.Discard, c.r)
			return
		}
		m.Release()
	}
}

// drainLimit bounds a message that nobody wants any more.
const drainLimit = 16 << 20

// Hangup ends the connection at once.
func (c *Conn) Hangup() error { return c.raw.Close() }

// Trim cuts a reason to what a close frame can hold, between characters.
func Trim(s string) string {
	if len(s) <= MaxReason {
		return s
	}
	const dots = "…"
	s = s[:MaxReason-len(dots)]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + dots
}

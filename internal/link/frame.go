package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// protocolVersion is what both sides of a control stream must speak. Fields
// of messages are only added; a change that an older side would misread
// raises it.
const protocolVersion = 1

// Bounds of a frame's body.
const (
	maxFromNode   = 4 << 20  // a batch of reports; nodes split at batchTarget
	maxFromServer = 32 << 20 // an allocation with the largest job that can be registered
	maxHello      = 1 << 20  // what a peer may send before it is known
	maxDialBack   = 256      // token and node ID
	batchTarget   = 256 << 10
)

// ioTimeout bounds one frame's way into or out of a connection, once begun.
const ioTimeout = 30 * time.Second

// kind says what a frame's body is.
type kind byte

// Kinds of frames. Numbers never change.
const (
	kindHello     kind = 1 // node: helloMsg, the first frame, and again when the node changed
	kindBeat      kind = 2 // node: empty
	kindReport    kind = 3 // node: reportMsg
	kindDialFail  kind = 4 // node: dialFailMsg
	kindDialBack  kind = 5 // node, on the fresh connection: dialBackMsg
	kindSign      kind = 6 // node: signMsg
	kindProbed    kind = 7 // node: empty, answers kindProbe
	kindWelcome   kind = 64
	kindBeatAck   kind = 65
	kindReportAck kind = 66
	kindAssign    kind = 67
	kindDial      kind = 68
	kindRefuse    kind = 69 // server: refuseMsg, then the stream ends
	kindSigned    kind = 70 // server: signedMsg
	kindProbe     kind = 71 // server: empty, asks whether the node is there
)

const headerSize = 5

var errFrameSize = errors.New("frame exceeds its bound")

// buffers holds bodies between frames, so that an idle stream owns none.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled keeps a rare large frame from staying in memory.
const maxPooled = 64 << 10

func putBuffer(b *[]byte) {
	if cap(*b) <= maxPooled {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// writeFrame sends one frame with a single Write.
func writeFrame(conn net.Conn, k kind, m msgp.Marshaler) error {
	buf := buffers.Get().(*[]byte)
	defer putBuffer(buf)
	b, err := appendFrame((*buf)[:0], k, m)
	if err != nil {
		return err
	}
	*buf = b
	if err := conn.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err = conn.Write(b)
	return err
}

// appendFrame appends a frame to b; m may be nil.
func appendFrame(b []byte, k kind, m msgp.Marshaler) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(k))
	if m != nil {
		var err error
		if b, err = m.MarshalMsg(b); err != nil {
			return b, fmt.Errorf("encode frame %d: %w", k, err)
		}
	}
	size := len(b) - start - headerSize
	if size > maxFromServer {
		return b, fmt.Errorf("frame %d of %d bytes: %w", k, size, errFrameSize)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(size))
	return b, nil
}

// frameReader reads frames without reading ahead, so that the connection can
// be handed over between two of them.
type frameReader struct {
	conn net.Conn
	head [headerSize]byte
}

// read waits until deadline (zero: without limit) for a frame of at most
// limit bytes and calls f with its body, which is valid during the call.
func (r *frameReader) read(deadline time.Time, limit int, f func(k kind, body []byte) error) error {
	if err := r.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.ReadFull(r.conn, r.head[:]); err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(r.head[:]))
	k := kind(r.head[4])
	if size > int64(limit) {
		return fmt.Errorf("frame %d of %d bytes, %d allowed: %w", k, size, limit, errFrameSize)
	}
	if size == 0 {
		return f(k, nil)
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	buf := buffers.Get().(*[]byte)
	defer putBuffer(buf)
	if int64(cap(*buf)) < size {
		*buf = make([]byte, size)
	}
	body := (*buf)[:size]
	if _, err := io.ReadFull(r.conn, body); err != nil {
		return err
	}
	return f(k, body)
}

// decode reads m from body and wants nothing left.
func decode(body []byte, m msgp.Unmarshaler) error {
	rest, err := m.UnmarshalMsg(body)
	if err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	if len(rest) != 0 {
		return fmt.Errorf("decode frame: %d bytes too many", len(rest))
	}
	return nil
}

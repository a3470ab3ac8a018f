package ws

import (
	"encoding/binary"
	"io"
	"sync"
)

// Message is a whole message. Data is the reader's until Release.
type Message struct {
	Op   Opcode
	Data []byte
	buf  *[]byte
}

// messageBufs keeps what messages are read into.
var messageBufs = sync.Pool{New: func() any {
	b := make([]byte, 0, pooledMessage)
	return &b
}}

// pooledMessage is the size of the buffers that are kept: of the frames that
// this API's clients send, stdin in pieces of 16 to 64 KiB in base64.
const pooledMessage = 96 << 10

// Release gives the buffer back. Data must not be used any more.
func (m *Message) Release() {
	if m.buf != nil && cap(*m.buf) <= pooledMessage {
		messageBufs.Put(m.buf)
	}
	m.buf, m.Data = nil, nil
}

// Size is the memory that the message holds until Release.
func (m *Message) Size() int { return cap(*m.buf) }

// header is a frame's.
type header struct {
	op     Opcode
	final  bool
	masked bool
	mask   [4]byte
	size   uint64
}

// readHeader reads one header. A CloseError says what is wrong with it.
func readHeader(r io.Reader, scratch []byte) (h header, err error) {
	b := scratch[:2]
	if _, err := io.ReadFull(r, b); err != nil {
		return h, err
	}
	h.op, h.final, h.masked, h.size = Opcode(b[0]&0xf), b[0]&0x80 != 0, b[1]&0x80 != 0, uint64(b[1]&0x7f)
	if b[0]&0x70 != 0 {
		return h, &CloseError{Code: ProtocolError, Reason: "a websocket frame with reserved bits: extensions are not spoken here"}
	}
	switch h.op {
	case continuation, Text, Binary:
	case opClose, opPing, opPong:
		if !h.final || h.size > maxControl {
			return h, &CloseError{Code: ProtocolError, Reason: "a control frame that is too long or in pieces"}
		}
	default:
		return h, &CloseError{Code: ProtocolError, Reason: "a websocket frame of an unknown kind"}
	}
	switch h.size {
	case 126:
		b = scratch[:2]
		if _, err := io.ReadFull(r, b); err != nil {
			return h, unexpected(err)
		}
		h.size = uint64(binary.BigEndian.Uint16(b))
	case 127:
		b = scratch[:8]
		if _, err := io.ReadFull(r, b); err != nil {
			return h, unexpected(err)
		}
		if h.size = binary.BigEndian.Uint64(b); h.size>>63 != 0 {
			return h, &CloseError{Code: ProtocolError, Reason: "a websocket frame of a negative size"}
		}
	}
	if h.masked {
		if _, err := io.ReadFull(r, scratch[:4]); err != nil {
			return h, unexpected(err)
		}
		copy(h.mask[:], scratch)
	}
	return h, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Read returns the next message of at most limit bytes. Pings are answered on
// the way. A *CloseError is the end that the peer announced or, with Peer
// false, the reason why the connection should be closed; any other error is
// the connection's. Nothing is held while no message comes.
func (c *Conn) Read(limit int) (*Message, error) {
	var m *Message
	var scratch [8]byte
	for {
		h, err := readHeader(c.r, scratch[:])
		if err == nil && !h.masked {
			err = &CloseError{Code: ProtocolError, Reason: "what was received is not a masked websocket frame"}
		}
		if err != nil {
			return nil, drop(m, err)
		}
		switch h.op {
		case opClose, opPing, opPong:
			if err := c.takeControl(h); err != nil {
				return nil, drop(m, err)
			}
			continue
		case continuation:
			if m == nil {
				return nil, &CloseError{Code: ProtocolError, Reason: "a websocket message that has no beginning"}
			}
		default:
			if m != nil {
				return nil, drop(m, &CloseError{Code: ProtocolError, Reason: "a websocket message begins within another"})
			}
			m = &Message{Op: h.op, buf: messageBufs.Get().(*[]byte)}
			m.Data = (*m.buf)[:0]
		}
		if h.size > uint64(limit-len(m.Data)) {
			return nil, drop(m, &CloseError{Code: TooBig, Reason: "a message is too large"})
		}
		if err := m.read(c.r, &h); err != nil {
			return nil, drop(m, err)
		}
		if h.final {
			c.moved.Store(true)
			return m, nil
		}
	}
}

func drop(m *Message, err error) error {
	if m != nil {
		m.Release()
	}
	return err
}

// growStep bounds what is made ready for a frame before its bytes have come.
const growStep = 1 << 20

// read appends the payload of a frame.
func (m *Message) read(r io.Reader, h *header) error {
	start := len(m.Data)
	for left := int(h.size); left > 0; {
		n, at := min(left, growStep), len(m.Data)
		m.Data = grow(m.Data, n)
		*m.buf = m.Data[:0:cap(m.Data)]
		if _, err := io.ReadFull(r, m.Data[at:]); err != nil {
			return unexpected(err)
		}
		left -= n
	}
	unmask(m.Data[start:], h.mask)
	return nil
}

// grow returns b with n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	bigger := make([]byte, len(b)+n, max(2*cap(b), len(b)+n))
	copy(bigger, b)
	return bigger
}

// unmask takes a mask off.
func unmask(b []byte, mask [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(mask[:]))
	word |= word << 32
	for len(b) >= 32 {
		p := b[:32]
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])^word)
		binary.LittleEndian.PutUint64(p[16:], binary.LittleEndian.Uint64(p[16:])^word)
		binary.LittleEndian.PutUint64(p[24:], binary.LittleEndian.Uint64(p[24:])^word)
		b = b[32:]
	}
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// takeControl takes a control frame.
func (c *Conn) takeControl(h header) error {
	payload := make([]byte, h.size)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return unexpected(err)
	}
	unmask(payload, h.mask)
	switch h.op {
	case opPing:
		c.answer(payload)
	case opClose:
		end := &CloseError{Code: noStatus, Peer: true}
		if len(payload) >= 2 {
			end.Code, end.Reason = Code(binary.BigEndian.Uint16(payload)), string(payload[2:])
		}
		return end
	}
	return nil
}

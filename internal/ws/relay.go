package ws

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

// relayBufs keeps what is passed on.
var relayBufs = sync.Pool{New: func() any {
	b := make([]byte, relayBuf)
	return &b
}}

const (
	// relayBuf is how much is passed on at a time.
	relayBuf = 64 << 10
	// maxRelayFrame bounds what is held of a session's other side: a frame is
	// passed on when it is whole, so that the session can be closed between
	// two frames at any time.
	maxRelayFrame = 4 << 20
)

// Relay passes the frames that another server sends on to the peer, until src
// ends; io.EOF is an end between two frames. A close frame among them is the
// last frame.
func (c *Conn) Relay(src io.Reader) error {
	r := bufio.NewReaderSize(src, peekSize)
	var scratch [8]byte
	for {
		h, err := readHeader(r, scratch[:])
		switch {
		case err != nil:
			return err
		case h.masked || h.size > maxRelayFrame:
			return errors.New("the other side sent what is no frame of a server")
		}
		if err := c.relayFrame(r, h); err != nil {
			return err
		}
		if h.op == opClose {
			return nil
		}
	}
}

func (c *Conn) relayFrame(r io.Reader, h header) error {
	buf := relayBufs.Get().(*[]byte)
	defer relayBufs.Put(buf)
	b := *buf
	if need := Room + int(h.size); need > len(b) {
		b = make([]byte, need)
	} else {
		b = b[:need]
	}
	if _, err := io.ReadFull(r, b[Room:]); err != nil {
		return unexpected(err)
	}
	c.write.Lock()
	defer c.unlock()
	at := putHeader(b[:Room], h.op, int(h.size))
	if !h.final {
		b[at] &^= 0x80
	}
	if err := c.put(b[at:]); err != nil {
		return err
	}
	switch {
	case h.op == Text && h.final && h.size <= maxLast:
		c.last = append(c.last[:0], b[Room:]...)
	case h.op == Text:
		c.last = nil
	case h.op == opClose:
		c.broken = errClosed
	}
	return nil
}

// CopyTo passes on, byte for byte, what the peer sends, until one side ends.
// While nothing comes it holds no buffer. It takes the place of Read.
func (c *Conn) CopyTo(dst io.Writer) error {
	for {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		buf := relayBufs.Get().(*[]byte)
		n, err := c.r.Read(*buf)
		if n > 0 {
			_, err = dst.Write((*buf)[:n])
		}
		relayBufs.Put(buf)
		if err != nil {
			return err
		}
	}
}

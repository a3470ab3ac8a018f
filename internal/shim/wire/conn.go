package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bounds of a frame. A body holds at most a command line and an environment,
// which the kernel bounds to a few megabytes.
const (
	MaxBody  = 8 << 20
	MaxFiles = 4
	header   = 10 // length, kind, number of files, call
)

// Frame is one message.
type Frame struct {
	Kind  Kind
	Call  uint32
	Body  []byte
	Files []int // descriptors; a received frame's belong to the receiver
}

// Close closes the frame's files.
func (f *Frame) Close() {
	for _, fd := range f.Files {
		_ = unix.Close(fd)
	}
	f.Files = nil
}

// ErrSlow is returned by a Send that must not wait.
var ErrSlow = errors.New("the peer does not read its answers")

var errFrame = errors.New("malformed frame")

// Conn sends and receives frames. One goroutine may receive while others send.
type Conn struct {
	file *os.File
	raw  syscall.RawConn
	in   []byte
	fds  []int      // received, not yet claimed by a frame
	mu   sync.Mutex // one frame at a time

	closed atomic.Bool // here; the runtime's own error for that can't be tested for
}

// NewConn takes over a connected unix stream socket.
func NewConn(fd int) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "supervisor socket")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Conn{file: file, raw: raw}, nil
}

// PeerUID returns the user ID of the process that made the other end.
func (c *Conn) PeerUID() (uint32, error) {
	var cred *unix.Ucred
	var err error
	if e := c.raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil {
		return 0, e
	}
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

// Close ends the connection; a blocked Recv returns.
func (c *Conn) Close() error {
	c.closed.Store(true)
	return c.file.Close()
}

// Send writes a frame; os.ErrClosed after a Close. With wait false it returns ErrSlow instead of blocking
// on a full socket, after which the connection is of no use. The frame's files
// stay the caller's.
func (c *Conn) Send(f *Frame, wait bool) error {
	if len(f.Body) > MaxBody || len(f.Files) > MaxFiles {
		return errFrame
	}
	b := make([]byte, header, header+len(f.Body))
	binary.LittleEndian.PutUint32(b, uint32(len(f.Body)))
	b[4], b[5] = byte(f.Kind), byte(len(f.Files))
	binary.LittleEndian.PutUint32(b[6:], f.Call)
	b = append(b, f.Body...)
	var oob []byte
	if len(f.Files) > 0 {
		oob = unix.UnixRights(f.Files...)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	e := c.raw.Write(func(fd uintptr) bool {
		for len(b) > 0 {
			var n int
			n, err = unix.SendmsgN(int(fd), b, oob, nil, unix.MSG_NOSIGNAL)
			switch err {
			case nil:
				b, oob = b[n:], nil
			case unix.EINTR:
			case unix.EAGAIN:
				if wait {
					return false
				}
				err = ErrSlow
				return true
			default:
				return true
			}
		}
		return true
	})
	if e != nil && c.closed.Load() {
		return os.ErrClosed
	}
	if e != nil {
		return e
	}
	return err
}

// Recv reads the next frame. It returns io.EOF when the peer has closed.
func (c *Conn) Recv() (*Frame, error) {
	for {
		f, err := c.next()
		if f != nil || err != nil {
			return f, err
		}
		if err := c.fill(); err != nil {
			c.dropFiles()
			return nil, err
		}
	}
}

// next cuts a frame off what has been received, nil if it isn't whole.
func (c *Conn) next() (*Frame, error) {
	if len(c.in) < header {
		return nil, nil
	}
	size, files := binary.LittleEndian.Uint32(c.in), int(c.in[5])
	if size > MaxBody || files > MaxFiles {
		c.dropFiles()
		return nil, errFrame
	}
	end := header + int(size)
	if len(c.in) < end {
		return nil, nil
	}
	if len(c.fds) < files {
		c.dropFiles()
		return nil, errFrame
	}
	f := &Frame{Kind: Kind(c.in[4]), Call: binary.LittleEndian.Uint32(c.in[6:]), Body: c.in[header:end:end]}
	if files > 0 {
		f.Files = append([]int(nil), c.fds[:files]...)
		c.fds = c.fds[files:]
	}
	c.in = c.in[end:]
	if len(c.in) == 0 {
		c.in = nil // bodies refer to it; an idle connection holds no buffer
	}
	return f, nil
}

func (c *Conn) fill() error {
	var buf [4096]byte
	var oob [64]byte
	var n, oobn int
	var err error
	if e := c.raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, _, _, err = unix.Recvmsg(int(fd), buf[:], oob[:], unix.MSG_CMSG_CLOEXEC)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	}); e != nil {
		return e
	}
	if err != nil {
		return err
	}
	if oobn > 0 {
		msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return err
		}
		for i := range msgs {
			if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil {
				c.fds = append(c.fds, fds...)
			}
		}
	}
	if n == 0 {
		return io.EOF
	}
	c.in = append(c.in, buf[:n]...)
	return nil
}

func (c *Conn) dropFiles() {
	for _, fd := range c.fds {
		_ = unix.Close(fd)
	}
	c.fds = nil
}

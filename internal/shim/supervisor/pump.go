package supervisor

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/rotate"
)

// pumpBuffer is how much output is moved at once. Each running task has two of
// these buffers.
const pumpBuffer = 16 << 10

// pump moves one stream of a task into its files.
type pump struct {
	from    *os.File
	to      *rotate.Writer
	spec    pumpSpec
	paused  atomic.Bool   // by pause: an interrupt doesn't end the stream
	stopped chan struct{} // closed when run returns
	ended   bool          // the stream was; read it after stopped
}

// pumpSpec is how the files are named and bounded.
type pumpSpec struct {
	prefix string
	files  int
	size   int64
}

func newPump(from int, dir *os.File, spec pumpSpec) (*pump, error) {
	to, err := rotate.Open(dir, spec.prefix, spec.files, spec.size)
	if err != nil {
		return nil, err
	}
	_ = unix.SetNonblock(from, true)
	return &pump{from: os.NewFile(uintptr(from), "output"), to: to, spec: spec, stopped: make(chan struct{})}, nil
}

// run reads to the end of the stream, or to an interrupt, and then calls done.
func (p *pump) run(done func()) {
	buf := make([]byte, pumpBuffer)
	atEnd := false
	for {
		n, err := p.from.Read(buf)
		if n > 0 {
			p.to.Put(buf[:n])
		}
		if err != nil {
			atEnd = !errors.Is(err, os.ErrDeadlineExceeded)
			break
		}
	}
	if p.paused.Load() && !atEnd {
		close(p.stopped)
		return
	}
	p.drain(buf)
	p.close()
	p.ended = true
	close(p.stopped)
	done()
}

// pause makes run return with the stream as it is, unless it ends just now.
func (p *pump) pause() {
	p.paused.Store(true)
	p.interrupt()
	<-p.stopped
}

// unpause makes a paused pump ready to run again.
func (p *pump) unpause() {
	p.paused.Store(false)
	p.stopped = make(chan struct{})
	_ = p.from.SetReadDeadline(time.Time{})
}

// drain takes what is in the pipe now. After the end of the stream that is
// nothing; after an interrupt it is what dead processes have written.
func (p *pump) drain(buf []byte) {
	raw, err := p.from.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for range unix.Getpagesize() { // a live writer must not keep us here
			n, err := unix.Read(int(fd), buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n <= 0 {
				return
			}
			p.to.Put(buf[:n])
		}
	})
}

// interrupt ends a run that waits for output.
func (p *pump) interrupt() { _ = p.from.SetReadDeadline(time.Unix(1, 0)) }

func (p *pump) close() {
	p.to.Close()
	_ = p.from.Close()
}

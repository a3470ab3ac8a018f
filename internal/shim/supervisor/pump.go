package supervisor

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/rotate"
)

// pumpBuffer is how much output is moved at once. Each running task has two of
// these buffers.
const pumpBuffer = 16 << 10

// pump moves one stream of a task into its files.
type pump struct {
	from *os.File
	to   *rotate.Writer
}

// run reads to the end of the stream, or to an interrupt, and then calls done.
func (p *pump) run(done func()) {
	buf := make([]byte, pumpBuffer)
	for {
		n, err := p.from.Read(buf)
		if n > 0 {
			p.to.Put(buf[:n])
		}
		if err != nil {
			break
		}
	}
	p.drain(buf)
	p.close()
	done()
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

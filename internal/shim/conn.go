package shim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/supervisor"
	"github.com/drover-org/drover/internal/shim/wire"
)

var (
	errDisconnected = errors.New("the supervisor is gone")
	errAnswer       = errors.New("the supervisor's answer can't be read")
	errClosed       = errors.New("the supervisor was closed")
)

// conn is a connection to a living supervisor.
type conn struct {
	wire  *wire.Conn
	pid   int           // the supervisor's
	child bool          // it is our child, to be collected
	done  chan struct{} // closed when the connection has ended

	mu    sync.Mutex // guards what follows
	calls map[uint32]chan *wire.Frame
	last  uint32
}

func newConn(fd int) (*conn, error) {
	w, err := wire.NewConn(fd)
	if err != nil {
		return nil, err
	}
	c := &conn{wire: w, done: make(chan struct{}), calls: map[uint32]chan *wire.Frame{}}
	go c.receive()
	return c, nil
}

// receive hands answers to their calls until the connection ends.
func (c *conn) receive() {
	defer close(c.done)
	for {
		f, err := c.wire.Recv()
		if err != nil {
			_ = c.wire.Close()
			return
		}
		f.Files, _ = nil, closeAll(f.Files)
		c.mu.Lock()
		answer := c.calls[f.Call]
		delete(c.calls, f.Call)
		c.mu.Unlock()
		if answer != nil {
			answer <- f
		}
	}
}

func closeAll(fds []int) error {
	var first error
	for _, fd := range fds {
		if err := unix.Close(fd); first == nil {
			first = err
		}
	}
	return first
}

// close ends the connection and waits for its goroutine.
func (c *conn) close() {
	_ = c.wire.Close()
	<-c.done
}

func (c *conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// begin sends a call; the answer arrives on the channel.
func (c *conn) begin(kind wire.Kind, body []byte, files ...*os.File) (uint32, chan *wire.Frame, error) {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	return c.beginFDs(kind, body, fds)
}

func (c *conn) beginFDs(kind wire.Kind, body []byte, fds []int) (uint32, chan *wire.Frame, error) {
	answer := make(chan *wire.Frame, 1)
	c.mu.Lock()
	c.last++
	call := c.last
	c.calls[call] = answer
	c.mu.Unlock()
	if err := c.wire.Send(&wire.Frame{Kind: kind, Call: call, Body: body, Files: fds}, true); err != nil {
		c.forget(call)
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed) {
			<-c.done // receive finds out as well, now
			err = errDisconnected
		}
		return 0, nil, err
	}
	return call, answer, nil
}

func (c *conn) forget(call uint32) {
	c.mu.Lock()
	delete(c.calls, call)
	c.mu.Unlock()
}

// finish waits for an answer, which it drops if ctx ends first.
func (c *conn) finish(ctx context.Context, call uint32, answer chan *wire.Frame) ([]byte, error) {
	b, err := c.await(ctx, answer)
	c.forget(call)
	return b, err
}

// await waits for an answer.
func (c *conn) await(ctx context.Context, answer chan *wire.Frame) ([]byte, error) {
	select {
	case f := <-answer:
		return reply(f)
	case <-c.done:
		select {
		case f := <-answer: // it came before the end
			return reply(f)
		default:
			return nil, errDisconnected
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *conn) call(ctx context.Context, kind wire.Kind, body []byte, files ...*os.File) ([]byte, error) {
	call, answer, err := c.begin(kind, body, files...)
	if err != nil {
		return nil, err
	}
	return c.finish(ctx, call, answer)
}

// reply returns the body of an answer, or the error it is.
func reply(f *wire.Frame) ([]byte, error) {
	if f.Kind == wire.KindOK {
		return f.Body, nil
	}
	e := wire.DecodeError(f.Body)
	switch e.Code {
	case wire.CodeNotFound:
		return nil, ErrNoTask
	case wire.CodeNotRunning:
		return nil, ErrNotRunning
	case wire.CodeConflict:
		return nil, ErrBusy
	case wire.CodeStart:
		if e.Errno != 0 {
			return nil, &StartError{Err: unix.Errno(e.Errno)}
		}
		return nil, &StartError{Err: errors.New(e.Message)}
	case wire.CodeInternal:
		if e.Errno != 0 {
			return nil, fmt.Errorf("supervisor: %w", unix.Errno(e.Errno))
		}
	}
	return nil, fmt.Errorf("supervisor: %s", e.Message)
}

// live returns the connection, made again if it was lost, or nil when no
// supervisor lives.
func (s *Supervisor) live(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lock, err := s.attach(ctx)
	if lock != nil {
		_ = lock.Close()
	}
	return s.conn, err
}

// started is live, but starts a supervisor if there is none.
func (s *Supervisor) started(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lock, err := s.attach(ctx)
	if err != nil || lock == nil {
		return s.conn, err
	}
	defer lock.Close()
	c, err := s.spawn(ctx, lock)
	if err != nil {
		return nil, fmt.Errorf("start the supervisor %s: %w", s.cfg.Program.Path, err)
	}
	s.conn = c
	return c, nil
}

// How long to look for a supervisor that holds the lock but does not answer at
// its socket: it is just starting or ending.
const (
	attachPatience = 3 * time.Second
	attachPause    = 2 * time.Millisecond
)

// attach makes s.conn current. It returns the lock, held, if there is no
// supervisor; the records are true then.
func (s *Supervisor) attach(ctx context.Context) (*os.File, error) {
	if s.dir == nil {
		return nil, errClosed
	}
	if s.conn != nil {
		if s.conn.alive() {
			return nil, nil
		}
		s.reap(s.conn)
		s.conn = nil
	}
	deadline := time.NewTimer(attachPatience)
	defer deadline.Stop()
	for {
		lock, err := tryLock(s.dir)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", s.cfg.Dir, err)
		}
		if lock != nil {
			if err := s.settle(ctx); err != nil {
				_ = lock.Close()
				return nil, err
			}
			return lock, nil
		}
		c, err := s.connect(ctx)
		if err == nil {
			s.conn = c
			return nil, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return nil, fmt.Errorf("connect to the supervisor in %s: %w", s.cfg.Dir, err)
		case <-time.After(attachPause):
		}
	}
}

// reap collects a supervisor that we started and whose connection has ended.
func (s *Supervisor) reap(c *conn) {
	if !c.child {
		return
	}
	// Its lock is free only once it dies. If it holds the lock it has merely
	// dropped our connection, or is about to die.
	if lock, err := tryLock(s.dir); err == nil && lock != nil {
		_ = lock.Close()
		collect(c.pid)
	} else {
		go collect(c.pid)
	}
}

func collect(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// tryLock returns nil if somebody holds the lock.
func tryLock(dir *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), wire.LockName, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		if err == unix.EWOULDBLOCK {
			return nil, nil
		}
		return nil, err
	}
	return os.NewFile(uintptr(fd), wire.LockName), nil
}

func (s *Supervisor) connect(ctx context.Context) (*conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	path := "/proc/self/fd/" + strconv.Itoa(int(s.dir.Fd())) + "/" + wire.SocketName
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c, err := newConn(fd)
	if err != nil {
		return nil, err
	}
	uid, err := c.wire.PeerUID()
	if err == nil && uid != 0 && uid != uint32(os.Geteuid()) {
		err = fmt.Errorf("the supervisor runs as user %d", uid)
	}
	if err == nil {
		err = s.greet(ctx, c)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// greet agrees on a version.
func (s *Supervisor) greet(ctx context.Context, c *conn) error {
	hello := wire.Hello{MinVersion: wire.MinVersion, Version: wire.Version, EndWithClient: s.cfg.EndWithAgent}
	b, err := c.call(ctx, wire.KindHello, hello.Encode())
	if err != nil {
		return err
	}
	welcome, ok := wire.DecodeWelcome(b)
	if !ok {
		return errAnswer
	}
	c.pid = int(welcome.Pid)
	return nil
}

// spawn starts the supervisor's process, which inherits the lock and one end
// of a connection, so that there is nothing to wait for.
func (s *Supervisor) spawn(ctx context.Context, lock *os.File) (*conn, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pair[1])
	c, err := newConn(pair[0])
	if err != nil {
		return nil, err
	}
	pid, err := s.fork(lock, pair[1])
	if err != nil {
		c.close()
		return nil, err
	}
	if err := s.greet(ctx, c); err != nil {
		c.close()
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
		return nil, err
	}
	c.child = true
	return c, nil
}

func (s *Supervisor) fork(lock *os.File, peer int) (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	// Whatever the supervisor has to say before it dies is found here.
	diary, err := os.OpenFile(s.cfg.Dir+"/supervisor.log", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer diary.Close()
	files := []uintptr{null.Fd(), null.Fd(), diary.Fd(), supervisor.DirFD: s.dir.Fd(), supervisor.LockFD: lock.Fd(), supervisor.ConnFD: uintptr(peer)}
	return syscall.ForkExec(s.cfg.Program.Path, append([]string{"drover-shim"}, s.cfg.Program.Args...), &syscall.ProcAttr{
		Dir: "/",
		// A small heap on one processor: it moves bytes, and there is one
		// of it for every allocation.
		Env:   []string{"GOMAXPROCS=1", "GOGC=20", "GODEBUG=madvdontneed=1", "GOTRACEBACK=single"},
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/shim/wire"
)

// Command is a command to run beside a task.
type Command struct {
	Path string // the program, absolute
	Argv []string
	Env  []string
	Dir  string
	User *User

	TTY    bool // run it on a terminal: all output arrives at Stdout
	Resize <-chan api.TerminalSize

	// Stdin is read until it ends or the command does; a Read that is under
	// way then returns into nothing. nil is an empty input.
	Stdin          io.Reader
	Stdout, Stderr io.Writer // nil discards
}

// Exit codes of a command that didn't run, as of a shell.
const (
	CodeCannotRun = 126
	CodeNotFound  = 127
)

// Exec runs a command in the control groups of a running task. It returns when
// the command has ended and all that it wrote was passed on; what its own
// background processes write later is not waited for. A command that can't be
// run is no error but an exit code, with the reason on Stderr. When ctx ends,
// or the output can't be passed on, the command and its children are killed.
func (s *Supervisor) Exec(ctx context.Context, task string, cmd Command) (Result, error) {
	c, err := s.live(ctx)
	if err != nil {
		return Result{}, err
	}
	if c == nil {
		return Result{}, ErrNotRunning
	}
	streams, err := newStdio(&cmd)
	if err != nil {
		return Result{}, fmt.Errorf("exec in task %s: %w", task, err)
	}
	defer streams.close()

	spec := wire.ExecSpec{
		Task: task, Path: cmd.Path, Argv: cmd.Argv, Env: cmd.Env, Dir: cmd.Dir, User: cmd.User, TTY: cmd.TTY,
	}
	call, answer, err := c.beginFDs(wire.KindExec, spec.Encode(), streams.theirs)
	streams.closeTheirs()
	if err != nil {
		return Result{}, fmt.Errorf("exec in task %s: %w", task, err)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	streams.copy(cancel)
	b, err := c.await(ctx, answer)
	if ctx.Err() != nil {
		c.killExec(ctx, call, answer)
	}
	c.forget(call)
	streams.drain()
	if cause := context.Cause(ctx); cause != nil {
		return Result{}, cause
	}
	var start *StartError
	if errors.As(err, &start) {
		return refused(&cmd, start), nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("exec in task %s: %w", task, err)
	}
	st, ok := wire.DecodeTaskState(b)
	if !ok {
		return Result{}, errAnswer
	}
	return result(st), nil
}

// killExec kills a command and waits for its end.
func (c *conn) killExec(ctx context.Context, call uint32, answer chan *wire.Frame) {
	var w wire.Encoder
	w.Int(int64(call))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if _, err := c.call(ctx, wire.KindKillExec, w.Bytes); err == nil {
		_, _ = c.await(ctx, answer)
	}
}

func refused(cmd *Command, err *StartError) Result {
	code := CodeCannotRun
	if errors.Is(err, unix.ENOENT) {
		code = CodeNotFound
	}
	out := cmd.Stderr
	if cmd.TTY {
		out = cmd.Stdout
	}
	if out != nil {
		fmt.Fprintf(out, "%s: %v\n", cmd.Argv[0], err)
	}
	return Result{ExitCode: code, EndedAt: time.Now()}
}

// stdio is both sides of a command's standard streams.
type stdio struct {
	cmd    *Command
	theirs []int // stdin, stdout, stderr
	in     *os.File
	outs   []*os.File
	dst    []io.Writer
	done   chan struct{} // closed by drain
	copies sync.WaitGroup
}

func newStdio(cmd *Command) (*stdio, error) {
	s := &stdio{cmd: cmd, done: make(chan struct{})}
	var err error
	if cmd.TTY {
		err = s.openTTY()
	} else {
		err = s.openPipes()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stdio) openPipes() error {
	if s.cmd.Stdin == nil {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.theirs = append(s.theirs, fd)
	} else {
		r, w, err := pipe()
		if err != nil {
			return err
		}
		s.theirs = append(s.theirs, r)
		if s.in, err = ours(w); err != nil {
			return err
		}
	}
	for _, dst := range []io.Writer{s.cmd.Stdout, s.cmd.Stderr} {
		r, w, err := pipe()
		if err != nil {
			return err
		}
		s.theirs = append(s.theirs, w)
		out, err := ours(r)
		if err != nil {
			return err
		}
		s.add(out, dst)
	}
	return nil
}

func pipe() (r, w int, err error) {
	var fds [2]int
	err = unix.Pipe2(fds[:], unix.O_CLOEXEC)
	return fds[0], fds[1], err
}

// ours makes a File, which the runtime polls, of our end.
func ours(fd int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "exec"), nil
}

// openTTY makes a terminal. The command gets the slave; the master stays here,
// so that input, output and size need no help of the supervisor.
func (s *stdio) openTTY() error {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	master, err := ours(fd)
	if err != nil {
		return err
	}
	s.add(master, s.cmd.Stdout)
	if s.cmd.Stdin != nil {
		s.in = master
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return errno
	}
	s.theirs = []int{int(slave), int(slave), int(slave)}
	if u := s.cmd.User; u != nil {
		if err := unix.Fchown(int(slave), int(u.UID), -1); err != nil {
			return err
		}
	}
	select {
	case size, ok := <-s.cmd.Resize: // known before the command starts
		if ok {
			resize(master, size)
		}
	default:
	}
	return nil
}

func resize(tty *os.File, size api.TerminalSize) {
	raw, err := tty.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)})
	})
}

func (s *stdio) add(out *os.File, dst io.Writer) {
	if dst == nil {
		dst = io.Discard
	}
	s.outs = append(s.outs, out)
	s.dst = append(s.dst, dst)
}

func (s *stdio) closeTheirs() {
	last := -1
	for _, fd := range s.theirs {
		if fd != last { // a terminal is there three times
			_ = unix.Close(fd)
		}
		last = fd
	}
	s.theirs = nil
}

func (s *stdio) close() {
	s.closeTheirs()
	if s.in != nil {
		_ = s.in.Close()
	}
	for _, f := range s.outs {
		_ = f.Close()
	}
}

// copy begins to move data; fail is called when output can't be passed on.
func (s *stdio) copy(fail context.CancelCauseFunc) {
	for i := range s.outs {
		s.copies.Go(func() { s.copyOut(s.dst[i], s.outs[i], fail) })
	}
	if s.in != nil {
		go s.copyIn() // the caller's Read may block for good
	}
	if s.cmd.TTY && s.cmd.Resize != nil {
		s.copies.Go(func() {
			for {
				select {
				case size, ok := <-s.cmd.Resize:
					if !ok {
						return
					}
					resize(s.outs[0], size)
				case <-s.done:
					return
				}
			}
		})
	}
}

// endOfInput is what a terminal takes for the end of its input.
const endOfInput = 4

// copyIn passes the input on, without a buffer of its own if the input can
// write itself.
func (s *stdio) copyIn() {
	var err error
	if from, ok := s.cmd.Stdin.(io.WriterTo); ok {
		_, err = from.WriteTo(&bulkWriter{File: s.in})
	} else {
		b := buffers.Get().(*[]byte)
		defer buffers.Put(b)
		_, err = io.CopyBuffer(s.in, onlyReader{s.cmd.Stdin}, *b)
	}
	if !s.cmd.TTY {
		_ = s.in.Close()
	} else if err == nil {
		_, _ = s.in.Write([]byte{endOfInput})
	}
}

type onlyReader struct{ io.Reader }

// bulkWriter writes to a pipe, which it enlarges when much is written.
type bulkWriter struct {
	*os.File
	moved int
}

// Write writes all of p.
func (w *bulkWriter) Write(p []byte) (int, error) {
	if before := w.moved; before < bulkPipe {
		if w.moved += len(p); w.moved >= bulkPipe {
			if raw, err := w.SyscallConn(); err == nil {
				enlarge(raw)
			}
		}
	}
	return w.File.Write(p)
}

// enlarge gives a pipe more room. Where that is not allowed, or there is a
// terminal in its place, it goes on as it is.
func enlarge(pipe syscall.RawConn) {
	_ = pipe.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, bulkPipe) })
}

const (
	// bufferSize is a pipe's usual capacity; buffers are shared, since most
	// commands need one for a moment.
	bufferSize = 64 << 10
	// bulkPipe is the capacity of a pipe through which much moves: whoever is
	// at one end then wakes the other less often.
	bulkPipe = 256 << 10
)

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// copyOut passes a stream on until it ends or drain interrupts it. While
// nothing comes it holds no buffer.
func (s *stdio) copyOut(dst io.Writer, src *os.File, fail context.CancelCauseFunc) {
	raw, err := src.SyscallConn()
	if err != nil {
		fail(fmt.Errorf("read the output: %w", err))
		return
	}
	broken := false
	put := func(p []byte) {
		if broken {
			return // keep reading, so that the command isn't blocked
		}
		if _, err := dst.Write(p); err != nil {
			broken = true
			fail(fmt.Errorf("pass output on: %w", err))
		}
	}
	for bulk := false; ; {
		b, n, err := readReady(raw)
		if n == bufferSize && !bulk {
			bulk = true
			enlarge(raw)
		}
		if n > 0 {
			put((*b)[:n])
			buffers.Put(b)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil { // the end; EIO on a terminal
			return
		}
	}
	for total := 0; total < drainLimit; {
		b := buffers.Get().(*[]byte)
		n := readNow(src, *b)
		if n > 0 {
			put((*b)[:n])
		}
		buffers.Put(b)
		if n <= 0 {
			return
		}
		total += n
	}
}

// readReady waits until something can be read and only then takes a buffer,
// which is the caller's when n is not 0.
func readReady(raw syscall.RawConn) (b *[]byte, n int, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		b = buffers.Get().(*[]byte)
		for {
			if n, failed = unix.Read(int(fd), *b); failed != unix.EINTR {
				break
			}
		}
		if n > 0 {
			return true
		}
		buffers.Put(b)
		return failed != unix.EAGAIN
	})
	switch {
	case err != nil:
		return nil, 0, err
	case n > 0:
		return b, n, nil
	case failed != nil:
		return nil, 0, failed
	}
	return nil, 0, io.EOF
}

// drainLimit is what the largest pipe holds: more was not written by the
// command, but by what it left behind.
const drainLimit = 1 << 20

// readNow reads what is there without waiting, whatever the deadline.
func readNow(f *os.File, b []byte) int {
	n := 0
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			n, err = unix.Read(int(fd), b)
			if err != unix.EINTR {
				return
			}
		}
	})
	return n
}

// drain ends the copies after the command has ended: what is in the pipes is
// passed on, and no more waited for.
func (s *stdio) drain() {
	close(s.done)
	for _, f := range s.outs {
		_ = f.SetReadDeadline(time.Unix(1, 0))
	}
	s.copies.Wait()
}

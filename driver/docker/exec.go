package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

const (
	exitNotFound      = 127
	exitNotExecutable = 126
	// execPatience is how long the end of a command whose output has ended may
	// go unheard of before the Engine is asked.
	execPatience = 2 * time.Second
	// endOfTransmission is what a terminal makes of the end of input.
	endOfTransmission = 4
)

// session is one command in the container.
type session struct {
	t    *task
	opts *driver.ExecOptions
	id   string
	conn client.HijackedResponse
	// withheld is the first output when it may be the Engine's word on why
	// nothing was started.
	withheld []byte
}

// Exec runs a command in the container. Its output is read to the end before
// its exit code is asked for.
func (t *task) Exec(ctx context.Context, opts *driver.ExecOptions) (*driver.ExitResult, error) {
	if len(opts.Command) == 0 {
		return nil, api.Errorf(api.CodeInvalid, "exec: the command is empty")
	}
	select {
	case <-t.done:
		return nil, driver.ErrNotRunning
	default:
	}
	s := &session{t: t, opts: withStreams(opts)}
	created, err := t.d.cli().ExecCreate(ctx, t.handle.Container, client.ExecCreateOptions{
		TTY:          opts.TTY,
		AttachStdin:  opts.Stdin != nil,
		AttachStdout: true,
		AttachStderr: true,
		Cmd:          opts.Command,
	})
	if cerrdefs.IsConflict(err) || cerrdefs.IsNotFound(err) {
		return nil, driver.ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	s.id = created.ID
	ended := t.d.execBegins(s.id)
	defer t.d.execEnded(s.id)
	attached, err := t.d.cli().ExecAttach(ctx, s.id, client.ExecAttachOptions{TTY: opts.TTY})
	if err != nil {
		return s.refused(ctx, err)
	}
	s.conn = attached.HijackedResponse
	defer s.conn.Close()
	if err := s.copy(ctx); err != nil {
		return nil, err
	}
	return s.result(ctx, ended)
}

// withStreams puts nowhere in the place of streams that nobody wants.
func withStreams(opts *driver.ExecOptions) *driver.ExecOptions {
	o := *opts
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	return &o
}

// refused finds out whether an Engine that would not start the command blames
// the command.
func (s *session) refused(ctx context.Context, err error) (*driver.ExitResult, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	state, inspectErr := s.t.d.cli().ExecInspect(ctx, s.id, client.ExecInspectOptions{})
	if inspectErr != nil || state.Running || state.PID != 0 || state.ExitCode < exitNotExecutable || state.ExitCode > exitNotFound {
		return nil, fmt.Errorf("exec: %w", err)
	}
	s.withheld = []byte(err.Error() + "\n")
	return s.notStarted(ctx)
}

// copy moves bytes both ways until the output ends. When ctx ends first, the
// command is killed.
func (s *session) copy(ctx context.Context) error {
	if s.opts.Stdin != nil {
		go s.copyIn() // ends with the connection, or the reader
	}
	if s.opts.Resize != nil {
		resizing, done := context.WithCancel(ctx)
		defer done()
		go s.resize(resizing)
	}
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		s.kill()
		s.conn.Close()
	})
	err := s.copyOut()
	if !stop() {
		<-killed
		return ctx.Err()
	}
	if err != nil {
		s.kill() // nobody reads what it says
		return fmt.Errorf("exec: copy the output: %w", err)
	}
	return nil
}

// copyIn passes the input on and then closes it: half the connection, or with
// a terminal by the character that means so, since closing would cut the
// output.
func (s *session) copyIn() {
	_, err := io.Copy(s.conn.Conn, s.opts.Stdin)
	if err != nil {
		return // the session is over
	}
	if s.opts.TTY {
		_, _ = s.conn.Conn.Write([]byte{endOfTransmission})
		return
	}
	_ = s.conn.CloseWrite()
}

func (s *session) resize(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-s.opts.Resize:
			if !ok {
				return
			}
			_, err := s.t.d.cli().ExecResize(ctx, s.id, client.ExecResizeOptions{Height: uint(max(size.Height, 0)), Width: uint(max(size.Width, 0))})
			if err != nil {
				s.t.d.log.Debug("a terminal could not be resized", "task", s.t.cfg.ID, "error", err)
			}
		}
	}
}

// refusal is how the Engine begins to say why a command was not started, in
// the place of the command's output. Whether it was so is asked afterwards.
var refusal = []byte("OCI runtime exec failed")

// copyOut writes the output to opts until its end. The first piece is held
// back when it may be a refusal.
func (s *session) copyOut() error {
	r := bufio.NewReaderSize(s.conn.Reader, peekSize)
	first := true
	write := func(w io.Writer, piece []byte) error {
		if first {
			first = false
			if bytes.HasPrefix(piece, refusal) {
				s.withheld = bytes.Clone(piece)
				return nil
			}
		}
		if err := s.release(); err != nil {
			return err
		}
		_, err := w.Write(piece)
		return err
	}
	if s.opts.TTY {
		return eachRead(r, func(piece []byte) error { return write(s.opts.Stdout, piece) })
	}
	return eachFrame(r, s.opts.Stdout, s.opts.Stderr, write)
}

// release writes what was held back, once it is known to be output.
func (s *session) release() error {
	if s.withheld == nil {
		return nil
	}
	piece := s.withheld
	s.withheld = nil
	_, err := s.opts.Stdout.Write(piece)
	return err
}

const (
	peekSize  = 4 << 10  // what an idle session keeps to read ahead
	pieceSize = 32 << 10 // how much is passed on at a time
)

// pieces keeps what output is read into: an idle session holds none.
var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }}

func eachRead(r *bufio.Reader, each func([]byte) error) error {
	for {
		_, err := r.Peek(1) // waits
		if err == nil {
			err = readPiece(r, each)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func readPiece(r *bufio.Reader, each func([]byte) error) error {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	n, err := r.Read(*buf)
	if n > 0 {
		if err := each((*buf)[:n]); err != nil {
			return err
		}
	}
	return err
}

// eachFrame splits the Engine's stream of frames, each up to pieceSize at a
// time.
func eachFrame(r *bufio.Reader, stdout, stderr io.Writer, each func(io.Writer, []byte) error) error {
	var header [8]byte
	for {
		if _, err := io.ReadFull(r, header[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		w := stdout
		switch stdcopy.StdType(header[0]) {
		case stdcopy.Stdin, stdcopy.Stdout:
		case stdcopy.Stderr:
			w = stderr
		default:
			return fmt.Errorf("the Engine sent a frame of kind %d", header[0])
		}
		if err := framePieces(r, w, binary.BigEndian.Uint32(header[4:]), each); err != nil {
			return err
		}
	}
}

func framePieces(r *bufio.Reader, w io.Writer, left uint32, each func(io.Writer, []byte) error) error {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	for left > 0 {
		piece := (*buf)[:min(left, pieceSize)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return io.ErrUnexpectedEOF
		}
		if err := each(w, piece); err != nil {
			return err
		}
		left -= uint32(len(piece))
	}
	return nil
}

// result waits for the end of a command whose output has ended.
func (s *session) result(ctx context.Context, ended <-chan struct{}) (*driver.ExitResult, error) {
	for {
		state, err := s.t.d.cli().ExecInspect(ctx, s.id, client.ExecInspectOptions{})
		if cerrdefs.IsNotFound(err) {
			return nil, errors.New("exec: the container ended, and nothing is known of the command")
		}
		if err != nil {
			return nil, fmt.Errorf("exec: %w", err)
		}
		if !state.Running {
			if s.withheld != nil && state.PID == 0 {
				return s.notStarted(ctx)
			}
			return &driver.ExitResult{ExitCode: state.ExitCode, EndedAt: time.Now()}, s.release()
		}
		timer := time.NewTimer(execPatience)
		select {
		case <-ended:
			ended = nil
		case <-timer.C:
		case <-ctx.Done():
			s.kill()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

// notStarted is the result of a command that the Engine could not start.
func (s *session) notStarted(ctx context.Context) (*driver.ExitResult, error) {
	w := s.opts.Stderr
	if s.opts.TTY {
		w = s.opts.Stdout
	}
	reason := strings.TrimSpace(string(s.withheld))
	if _, err := fmt.Fprintln(w, reason); err != nil {
		return nil, err
	}
	code := exitNotFound
	if s.exists(ctx, s.opts.Command[0]) {
		code = exitNotExecutable
	}
	return &driver.ExitResult{ExitCode: code, Message: reason, EndedAt: time.Now()}, nil
}

// exists looks for a command where the container would.
func (s *session) exists(ctx context.Context, command string) bool {
	candidates := []string{command}
	if !strings.Contains(command, "/") {
		s.t.mu.Lock()
		dirs := s.t.path
		s.t.mu.Unlock()
		candidates = nil
		for dir := range strings.SplitSeq(dirs, ":") {
			candidates = append(candidates, path.Join("/", dir, command))
		}
	}
	for _, candidate := range candidates {
		if _, err := s.t.d.cli().ContainerStatPath(ctx, s.t.handle.Container, client.ContainerStatPathOptions{Path: candidate}); err == nil {
			return true
		}
	}
	return false
}

// kill ends the command with its children.
func (s *session) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	state, err := s.t.d.cli().ExecInspect(ctx, s.id, client.ExecInspectOptions{})
	if err == nil && state.Running && state.PID > 0 {
		err = killTree(state.PID, s.t.handle.Container)
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		s.t.d.log.Warn("a command in a container could not be killed", "task", s.t.cfg.ID, "command", s.opts.Command[0], "error", err)
	}
}

// defaultPath is what the Engine gives containers whose image sets none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func pathOf(env []string) string {
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			return value
		}
	}
	return defaultPath
}

// execBegins returns a channel that is closed when the Engine tells of the
// end of an exec.
func (d *Driver) execBegins(id string) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	ended := make(chan struct{})
	d.execs[id] = ended
	return ended
}

func (d *Driver) execEnded(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ended, ok := d.execs[id]; ok {
		close(ended)
		delete(d.execs, id)
	}
}

package supervisor

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/wire"
)

// listener is the socket in the state directory.
type listener struct {
	file *os.File
}

// backlog is how many agents may knock at the same time; there is one.
const backlog = 8

// listen makes the socket. The directory is named through its descriptor,
// since the path of a socket may have only 107 bytes.
func listen(dir *os.File) (*listener, error) {
	_ = unix.Unlinkat(int(dir.Fd()), wire.SocketName, 0)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	path := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + wire.SocketName
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &listener{file: os.NewFile(uintptr(fd), "listener")}, nil
}

func (l *listener) close(dir *os.File) {
	_ = unix.Unlinkat(int(dir.Fd()), wire.SocketName, 0)
	_ = l.file.Close()
}

// accept hands new connections to Main until the listener is closed.
func (s *supervisor) accept(l *listener) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	for {
		var fd int
		var err error
		if e := raw.Read(func(lfd uintptr) bool {
			fd, _, err = unix.Accept4(int(lfd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return err != unix.EAGAIN
		}); e != nil {
			return
		}
		if err != nil {
			continue
		}
		conn, err := wire.NewConn(fd)
		if err != nil {
			continue
		}
		if uid, err := conn.PeerUID(); err != nil || uid != 0 && uid != uint32(os.Geteuid()) {
			_ = conn.Close()
			continue
		}
		s.do(func() { s.connected(conn) })
	}
}

// client is one connection.
type client struct {
	s      *supervisor
	conn   *wire.Conn
	hello  bool // the versions are agreed on
	closed bool
}

func (s *supervisor) connected(conn *wire.Conn) {
	c := &client{s: s, conn: conn}
	s.clients[c] = true
	s.expecting = false
	go c.receive()
}

// receive hands frames to Main, in order, until the connection ends.
func (c *client) receive() {
	for {
		f, err := c.conn.Recv()
		if err != nil {
			c.s.do(c.close)
			return
		}
		c.s.do(func() {
			c.handle(f)
			f.Close()
		})
	}
}

// close forgets the client and kills the commands it runs: nobody reads their
// output any more.
func (c *client) close() {
	if c.closed {
		return
	}
	c.closed = true
	delete(c.s.clients, c)
	_ = c.conn.Close()
	for _, x := range c.s.execs {
		if x.client == c {
			c.s.killExec(x)
		}
	}
	for _, t := range c.s.tasks {
		t.forget(c)
	}
}

func (c *client) answer(call uint32, body []byte) {
	c.send(&wire.Frame{Kind: wire.KindOK, Call: call, Body: body})
}

func (c *client) fail(call uint32, err error) {
	c.send(&wire.Frame{Kind: wire.KindError, Call: call, Body: failure(err).Encode()})
}

// send never blocks: a client that does not read loses its connection.
func (c *client) send(f *wire.Frame) {
	if !c.closed && c.conn.Send(f, false) != nil {
		c.close()
	}
}

// handle does one call. Its files are closed by the caller.
func (c *client) handle(f *wire.Frame) {
	s := c.s
	bad := &wire.Error{Code: wire.CodeBadRequest, Message: "the supervisor can't read the request"}
	if !c.hello && f.Kind != wire.KindHello {
		c.fail(f.Call, bad)
		return
	}
	if c.closed {
		return
	}
	name := func() (*task, error) {
		d := wire.Decoder{Bytes: f.Body}
		return s.task(d.String())
	}
	var body []byte
	var err error
	switch f.Kind {
	case wire.KindHello:
		body, err = c.greet(f.Body)
	case wire.KindStart:
		spec, ok := wire.DecodeTaskSpec(f.Body)
		if !ok {
			err = bad
			break
		}
		var st *wire.TaskState
		if st, err = s.start(spec, f); err == nil {
			body = st.Encode()
		}
	case wire.KindWait:
		var t *task
		if t, err = name(); err == nil {
			t.wait(waiter{c, f.Call, true})
			return
		}
	case wire.KindStop:
		m, ok := wire.DecodeStop(f.Body)
		if !ok {
			err = bad
			break
		}
		var t *task
		if t, err = s.task(m.Task); err == nil {
			t.wait(waiter{c, f.Call, false})
			s.stop(t, m)
			return
		}
	case wire.KindSignal:
		m, ok := wire.DecodeSignal(f.Body)
		if !ok {
			err = bad
			break
		}
		err = s.signal(m)
	case wire.KindExec:
		x, ok := wire.DecodeExecSpec(f.Body)
		if !ok || len(f.Files) != 3 {
			err = bad
			break
		}
		if err = s.exec(c, f.Call, x, f.Files); err == nil {
			return // answered when the command has ended
		}
	case wire.KindKillExec:
		d := wire.Decoder{Bytes: f.Body}
		call := uint32(d.Int())
		for _, x := range s.execs {
			if x.client == c && x.call == call {
				s.killExec(x)
			}
		}
	case wire.KindPids:
		var t *task
		if t, err = name(); err == nil {
			body = encodePids(s.members(t))
		}
	case wire.KindRemove:
		var t *task
		if t, err = name(); err == nil {
			t.removers = append(t.removers, waiter{c, f.Call, false})
			s.kill(t)
			s.removeIfEnded(t)
			return
		}
	case wire.KindList:
		var w wire.Encoder
		w.Int(int64(len(s.tasks)))
		for _, t := range s.tasks {
			w.String(string(t.state.Encode()))
		}
		body = w.Bytes
	case wire.KindShutdown:
		for _, t := range s.tasks {
			if !t.state.Ended {
				err = &wire.Error{Code: wire.CodeConflict, Message: "task " + t.state.ID + " still runs"}
			}
		}
		if err == nil {
			s.end()
		}
	case wire.KindUpgrade:
		u, ok := wire.DecodeUpgrade(f.Body)
		if !ok {
			err = bad
			break
		}
		err = s.upgrade(u) // returns only if it failed
	default:
		err = bad
	}
	if err != nil {
		c.fail(f.Call, err)
		return
	}
	c.answer(f.Call, body)
}

func (c *client) greet(body []byte) ([]byte, error) {
	h, ok := wire.DecodeHello(body)
	if !ok || h.Version < wire.MinVersion || h.MinVersion > wire.Version {
		return nil, &wire.Error{Code: wire.CodeVersion, Message: "the supervisor speaks versions " +
			strconv.Itoa(wire.MinVersion) + " to " + strconv.Itoa(wire.Version)}
	}
	c.hello = true
	c.s.endWithClient = h.EndWithClient
	m := wire.Welcome{Version: min(h.Version, wire.Version), Pid: int64(os.Getpid())}
	return m.Encode(), nil
}

func encodePids(pids []int) []byte {
	var w wire.Encoder
	w.Int(int64(len(pids)))
	for _, pid := range pids {
		w.Int(int64(pid))
	}
	return w.Bytes
}

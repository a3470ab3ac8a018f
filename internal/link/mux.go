package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// First bytes of a connection to the rpc port, inside of TLS if there is any.
// Any upper-case letter is HTTP.
const (
	ProtoRaft     byte = 1
	ProtoControl  byte = 2
	ProtoDialBack byte = 3
	ProtoPeer     byte = 4   // HTTP between servers
	ProtoHTTP     byte = 'A' // for MuxConfig.Allow
)

// recordTLS is the first byte of a TLS connection.
const recordTLS = 22

// Defaults of a MuxConfig.
const (
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultMaxPending       = 1024
)

// MuxConfig is what a Mux needs.
type MuxConfig struct {
	Listener net.Listener
	TLS      *tls.Config // nil: plain
	Plain    bool        // with TLS, plain connections are taken as well
	Log      *slog.Logger

	// Allow returns why a connection may not speak a protocol: ProtoRaft,
	// ProtoPeer, ProtoControl, ProtoDialBack or ProtoHTTP. peer is nil on a plain one.
	// Nil allows.
	Allow func(proto byte, peer *tls.ConnectionState) error

	// Control and DialBack serve connections of nodes and own them.
	Control, DialBack func(context.Context, net.Conn)

	// Refused is told of each connection that is closed unserved: full says that
	// too many were pending, else err is why. It must not wait. Nil: the log is.
	Refused func(remote net.Addr, full bool, err error)

	HandshakeTimeout time.Duration // until the first byte is there; 0: default
	MaxPending       int           // connections without a first byte; more are closed; 0: default
}

// Mux accepts the connections of the rpc port and routes them by their first
// byte.
type Mux struct {
	cfg              MuxConfig
	raft, peer, http *queue
	pending          chan struct{}
}

// NewMux returns a Mux; it accepts nothing before Run.
func NewMux(cfg MuxConfig) *Mux {
	if cfg.HandshakeTimeout <= 0 {
		cfg.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = DefaultMaxPending
	}
	if cfg.Refused == nil {
		cfg.Refused = func(remote net.Addr, _ bool, err error) {
			cfg.Log.Debug("connection to the rpc port refused", "remote", remote, "error", err)
		}
	}
	addr := cfg.Listener.Addr()
	return &Mux{cfg: cfg, raft: newQueue(addr), peer: newQueue(addr), http: newQueue(addr), pending: make(chan struct{}, cfg.MaxPending)}
}

// Raft returns the listener of raft connections.
func (m *Mux) Raft() net.Listener { return m.raft }

// Peer returns the listener of what servers ask each other, over HTTP.
func (m *Mux) Peer() net.Listener { return m.peer }

// HTTP returns the listener of plain HTTP connections.
func (m *Mux) HTTP() net.Listener { return m.http }

// Run accepts until ctx ends, then closes every connection that was not
// handed to one of the listeners and returns nil. The listeners are closed by
// those who use them.
func (m *Mux) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = m.cfg.Listener.Close() })()
	pause := acceptPause
	for {
		conn, err := m.cfg.Listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("rpc listener: %w", err)
		}
		if err != nil { // out of file descriptors, mostly: it passes
			m.cfg.Log.Warn("accept failed", "error", err, "retry", pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = acceptPause
		select {
		case m.pending <- struct{}{}:
			wg.Go(func() { m.serve(ctx, conn) })
		default:
			m.cfg.Refused(conn.RemoteAddr(), true, errors.New("too many have not yet said what they want"))
			_ = conn.Close()
		}
	}
}

// How long to wait after a failed accept.
const (
	acceptPause    = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// serve routes one connection.
func (m *Mux) serve(ctx context.Context, conn net.Conn) {
	accepted := conn
	conn, first, err := m.handshake(ctx, conn)
	<-m.pending
	if err != nil {
		m.cfg.Refused(conn.RemoteAddr(), false, err) // before the peer can know
		_ = conn.Close()
		return
	}
	switch first {
	case ProtoControl:
		m.cfg.Control(ctx, conn)
	case ProtoDialBack:
		m.cfg.DialBack(ctx, conn)
		free(accepted) // it is closed, or one that this side asked for and bounds
	case ProtoRaft:
		free(accepted) // of a server, which opens as many as it needs
		m.raft.put(ctx, conn)
	case ProtoPeer:
		free(accepted)
		m.peer.put(ctx, conn)
	default:
		m.http.put(ctx, &prefixConn{Conn: conn, prefix: first, unread: true})
	}
}

// free gives back the place of a connection that need not be counted any more.
func free(accepted net.Conn) {
	if counted, ok := accepted.(interface{ Free() }); ok {
		counted.Free()
	}
}

// handshake does TLS, if any, and reads the first byte, in bounded time.
func (m *Mux) handshake(ctx context.Context, conn net.Conn) (net.Conn, byte, error) {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(m.cfg.HandshakeTimeout)); err != nil {
		return conn, 0, err
	}
	first, err := firstByte(conn)
	if err != nil {
		return conn, 0, err
	}
	var peer *tls.ConnectionState
	switch {
	case first == recordTLS && m.cfg.TLS != nil:
		t := tls.Server(&prefixConn{Conn: conn, prefix: first, unread: true}, m.cfg.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return conn, 0, err
		}
		conn = t
		if first, err = firstByte(conn); err != nil {
			return conn, 0, err
		}
		state := t.ConnectionState()
		peer = &state
	case first == recordTLS:
		return conn, 0, errors.New("the peer speaks TLS, but this server's tls.rpc is off")
	case m.cfg.TLS != nil && !m.cfg.Plain:
		return conn, 0, errors.New("the peer speaks without TLS, but this server's tls.rpc is on")
	}
	if err := m.allow(first, peer); err != nil {
		return conn, 0, err
	}
	return conn, first, conn.SetDeadline(time.Time{})
}

// allow returns why a connection is not served.
func (m *Mux) allow(first byte, peer *tls.ConnectionState) error {
	switch {
	case first == ProtoControl, first == ProtoDialBack, first == ProtoRaft, first == ProtoPeer:
	case first >= 'A' && first <= 'Z':
		first = ProtoHTTP
	default:
		return fmt.Errorf("unknown first byte %d", first)
	}
	if m.cfg.Allow == nil {
		return nil
	}
	return m.cfg.Allow(first, peer)
}

func firstByte(conn net.Conn) (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(conn, b[:])
	return b[0], err
}

// queue is a listener that is fed by a Mux or a Node.
type queue struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueue(addr net.Addr) *queue {
	return &queue{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// put hands conn to Accept, or closes it when ctx or the listener ends first.
func (q *queue) put(ctx context.Context, conn net.Conn) {
	select {
	case q.conns <- conn:
	case <-q.done:
		_ = conn.Close()
	case <-ctx.Done():
		_ = conn.Close()
	}
}

// Accept waits for a connection.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr returns the address connections come in at.
func (q *queue) Addr() net.Addr { return q.addr }

// prefixConn gives back the first byte. Reads are for one goroutine at a time,
// as with every connection of an http.Server.
type prefixConn struct {
	net.Conn
	prefix byte
	unread bool
}

// NetConn returns the connection below, as that of a tls.Conn does.
func (c *prefixConn) NetConn() net.Conn { return c.Conn }

func (c *prefixConn) Read(b []byte) (int, error) {
	if c.unread && len(b) > 0 {
		c.unread = false
		b[0] = c.prefix
		return 1, nil
	}
	return c.Conn.Read(b)
}

// Dialer opens connections of one protocol to a server's rpc port.
type Dialer struct {
	TLS *tls.Config // nil: plain
}

// DialRaft opens a raft connection to the server at addr.
func (d Dialer) DialRaft(ctx context.Context, addr string) (net.Conn, error) {
	return d.dial(ctx, addr, ProtoRaft)
}

// DialPeer opens a connection to the server at addr for what servers ask each
// other.
func (d Dialer) DialPeer(ctx context.Context, addr string) (net.Conn, error) {
	return d.dial(ctx, addr, ProtoPeer)
}

func (d Dialer) dial(ctx context.Context, addr string, proto byte) (net.Conn, error) {
	conn, err := d.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if err = writeProto(conn, proto); err == nil {
		err = conn.SetWriteDeadline(time.Time{}) // whoever uses it has its own
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// Dial opens a connection; the caller says its protocol with the first byte.
func (d Dialer) Dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil || d.TLS == nil {
		return conn, err
	}
	cfg := d.TLS
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return t, nil
}

func writeProto(conn net.Conn, proto byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err := conn.Write([]byte{proto})
	return err
}

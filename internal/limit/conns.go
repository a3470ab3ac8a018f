package limit

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ConnsConfig says how connections are bounded.
type ConnsConfig struct {
	PerClient int    // connections from one address; 0: no bound
	Own       bool   // bound those from this machine as well
	Refusal   string // sent before a connection over the bound is closed

	// Stall is how long a Write may go on without progress; 0: for ever. It
	// rules from Began on, until somebody sets a write deadline of his own.
	Stall time.Duration

	Refused func(remote string) // over the bound
	Stalled func(remote string) // no progress
}

// Conns returns a listener that bounds the connections of l.
func Conns(l net.Listener, c ConnsConfig) net.Listener {
	return &conns{Listener: l, cfg: c, open: NewSessions(c.PerClient)}
}

type conns struct {
	net.Listener
	cfg  ConnsConfig
	open *Sessions
}

// Accept returns the next connection within the bound.
func (l *conns) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote := c.RemoteAddr().String()
		key, own := AddressKey(remote)
		if own && l.cfg.Own {
			key = ownKey
		}
		if l.open.Enter(key) {
			return &Conn{Conn: c, cfg: &l.cfg, free: sync.OnceFunc(func() { l.open.Leave(key) })}, nil
		}
		l.cfg.Refused(remote)
		if l.cfg.Refusal != "" {
			_, _ = io.WriteString(c, l.cfg.Refusal) // fits into the socket's buffer
		}
		_ = c.Close()
	}
}

// ownKey counts the connections from this machine.
var ownKey = TokenKey("loopback")

// Conn is a connection that counts.
type Conn struct {
	net.Conn
	cfg  *ConnsConfig
	free func()

	guarded atomic.Bool  // Stall rules
	until   atomic.Int64 // the write deadline, Unix nanoseconds
}

// Of returns the Conn below c, or nil. What stands between them, TLS for one,
// has NetConn.
func Of(c net.Conn) *Conn {
	for {
		if l, ok := c.(*Conn); ok {
			return l
		}
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = outer.NetConn()
	}
}

// Free gives the connection's place back before it is closed: it has proved to
// be one that this side asked for.
func (c *Conn) Free() { c.free() }

// Close gives the place back.
func (c *Conn) Close() error {
	c.free()
	return c.Conn.Close()
}

// Began tells that a request begins, whose answer the caller has to take.
func (c *Conn) Began() {
	if c.cfg.Stall > 0 {
		c.until.Store(0)
		c.guarded.Store(true)
	}
}

// SetWriteDeadline sets a deadline of the caller's own, also for none at all,
// in place of Stall.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.guarded.Store(false)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is for both directions.
func (c *Conn) SetDeadline(t time.Time) error {
	c.guarded.Store(false)
	return c.Conn.SetDeadline(t)
}

// least is the progress of one Write within Stall that lets it go on.
const least = 4 << 10

// Write writes all of p. A peer that takes less than least bytes within Stall
// is cut.
func (c *Conn) Write(p []byte) (n int, err error) {
	for {
		if !c.guarded.Load() {
			m, err := c.Conn.Write(p[n:])
			return n + m, err
		}
		if err := c.extend(); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:])
		n += m
		switch {
		case err == nil || !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case m < least && c.guarded.Load():
			c.cfg.Stalled(c.RemoteAddr().String())
			return n, err
		}
		c.until.Store(0)
	}
}

// extend moves the deadline on. It is left alone while half of Stall is left,
// so most writes cost no more than reading the clock.
func (c *Conn) extend() error {
	now := time.Now()
	if time.Duration(c.until.Load()-now.UnixNano()) >= c.cfg.Stall/2 {
		return nil
	}
	until := now.Add(c.cfg.Stall)
	c.until.Store(until.UnixNano())
	return c.Conn.SetWriteDeadline(until)
}

// CloseWrite ends this side's half, as http.Server does before it closes.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ReadFrom lets the kernel copy where it can, once Stall does not rule.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if from, ok := c.Conn.(io.ReaderFrom); ok && !c.guarded.Load() {
		return from.ReadFrom(r)
	}
	return io.Copy(writerOnly{c}, r)
}

type writerOnly struct{ io.Writer }

package daemon

import (
	"net"
	"sync"
)

// limitConns bounds the connections from one address; more are closed. A
// bound of 0 is none.
func limitConns(l net.Listener, perClient int) net.Listener {
	if perClient == 0 {
		return l
	}
	return &limited{Listener: l, bound: perClient, open: map[string]int{}}
}

type limited struct {
	net.Listener
	bound int

	mu   sync.Mutex
	open map[string]int // by address
}

// tooMany is said to a client whose connection is not taken.
const tooMany = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// Accept returns the next connection within the bound.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
		if err != nil || l.take(host) {
			return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { l.give(host) })}, nil
		}
		_, _ = conn.Write([]byte(tooMany)) // fits into the socket's buffer
		_ = conn.Close()
	}
}

func (l *limited) take(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[host] >= l.bound {
		return false
	}
	l.open[host]++
	return true
}

func (l *limited) give(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[host]--; l.open[host] <= 0 {
		delete(l.open, host)
	}
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close gives the place back.
func (c *limitedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// CloseWrite ends this side's half, as http.Server does before it closes.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

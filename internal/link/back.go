package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// maxBack bounds the connections a node serves on request of servers,
// maxDialing those it is opening.
const (
	maxBack    = 1024
	maxDialing = 64
)

// backServer serves HTTP on connections that the node dialed back. It costs
// nothing before the first.
type backServer struct {
	handler http.Handler
	log     *slog.Logger
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	queue   *queue // of the http.Server, nil before the first connection
	dialing int
	conns   map[*backConn]struct{}
	closed  bool
}

func newBackServer(h http.Handler, log *slog.Logger) *backServer {
	ctx, cancel := context.WithCancel(context.Background())
	return &backServer{handler: h, log: log, ctx: ctx, cancel: cancel}
}

// start runs f in a goroutine of the server, unless there are too many.
func (b *backServer) start(f func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.handler == nil || b.dialing >= maxDialing || len(b.conns) >= maxBack {
		return false
	}
	b.dialing++
	b.wg.Go(func() {
		f(b.ctx)
		b.mu.Lock()
		b.dialing--
		b.mu.Unlock()
	})
	return true
}

// serve hands conn to the HTTP server.
func (b *backServer) serve(ctx context.Context, conn net.Conn) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		_ = conn.Close()
		return
	}
	if b.queue == nil {
		b.queue = newQueue(conn.LocalAddr())
		b.conns = map[*backConn]struct{}{}
		srv := &http.Server{
			Handler:           b.handler,
			ReadHeaderTimeout: ioTimeout,
			IdleTimeout:       2 * idleConnTimeout, // longer than the server keeps it
			ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
			BaseContext:       func(net.Listener) context.Context { return b.ctx },
		}
		q := b.queue
		b.wg.Go(func() { _ = srv.Serve(q) }) // ends with the queue
	}
	c := &backConn{Conn: conn, server: b}
	b.conns[c] = struct{}{}
	q := b.queue
	b.mu.Unlock()
	q.put(ctx, c)
}

// close ends every connection, upgraded ones too, and waits for the goroutines
// that dial. Handlers see their context end.
func (b *backServer) close() {
	b.cancel()
	b.mu.Lock()
	b.closed = true
	if b.queue != nil {
		_ = b.queue.Close()
	}
	conns := make([]*backConn, 0, len(b.conns))
	for c := range b.conns {
		conns = append(conns, c)
	}
	b.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	b.wg.Wait()
}

// backConn leaves its server's books when it is closed.
type backConn struct {
	net.Conn
	server *backServer
}

func (c *backConn) Close() error {
	c.server.mu.Lock()
	delete(c.server.conns, c)
	c.server.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets a handler that took the connection over end its half.
func (c *backConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

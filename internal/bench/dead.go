package bench

import (
	"context"
	"net"
	"sync"
)

// mortalConn is a connection of a node that is going to die without saying so,
// as when a machine hangs or a cable is cut. From then on it stands, but
// writes go nowhere and reads wait until the node's end of it is closed, which
// is at the end of the run.
type mortalConn struct {
	net.Conn
	dead <-chan struct{}

	once   sync.Once
	closed chan struct{}
}

func (c *mortalConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if isClosed(c.dead) {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *mortalConn) Write(b []byte) (int, error) {
	if isClosed(c.dead) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *mortalConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// dial connects; a node that died does not any more.
func (n *node) dial(ctx context.Context, addr string) (net.Conn, error) {
	if n.isDead() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := n.fleet.dial(ctx, addr)
	if err != nil || n.dead == nil {
		return conn, err
	}
	return &mortalConn{Conn: conn, dead: n.dead, closed: make(chan struct{})}, nil
}

// kill lets the nodes die whose fate it is, all together, when it is time.
func (f *fleet) kill(ctx context.Context) {
	select {
	case <-f.cfg.After(f.cfg.DeadAfter):
	case <-ctx.Done():
		return
	}
	for _, n := range f.nodes {
		if n.dead != nil {
			n.die()
		}
	}
}

func (n *node) die() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.dead)
	for id := range n.allocs {
		n.drop(id)
	}
	n.fleet.dead.Add(1)
}

func (n *node) isDead() bool { return n.dead != nil && isClosed(n.dead) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

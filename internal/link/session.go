package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/tinylib/msgp/msgp"
)

// helloTimeout bounds a peer's silence before it is known.
const helloTimeout = 10 * time.Second

// silence is how long after its time to live a node's stream is kept without
// hearing of it: it only has to outlast what liveness grants, because a
// connection to a dead machine must go some time.
const silence = time.Minute

// session is the server side of one control stream.
type session struct {
	server *Server
	conn   net.Conn
	log    *slog.Logger
	nodeID string        // set by the first hello
	owner  string        // the instance of the first hello
	probed chan struct{} // of size 1: the node answered a probe
	done   chan struct{} // closed when the stream ends
	cancel context.CancelFunc

	writing sync.Mutex // one frame at a time

	dialing int // guarded by server.mu: dials under way

	reader    frameReader
	ttl       time.Duration
	reporting chan struct{} // holds a token while a batch is being committed
	signing   chan struct{} // holds a token for each request for identities
	wg        sync.WaitGroup
}

// ServeControl serves a connection whose first byte was ProtoControl, until
// the node or ctx ends it. It owns conn.
func (s *Server) ServeControl(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	sess := &session{
		server: s, conn: conn, log: s.cfg.Log, done: make(chan struct{}), cancel: cancel,
		reader: frameReader{conn: conn}, probed: make(chan struct{}, 1), reporting: make(chan struct{}, 1), signing: make(chan struct{}, maxSigning),
	}
	err := sess.run(ctx)
	if err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		level := slog.LevelInfo
		if sess.nodeID == "" {
			level = slog.LevelDebug // a stranger, or everybody while there is no leader
		}
		sess.log.Log(ctx, level, "control stream ended", "node", sess.nodeID, "remote", conn.RemoteAddr(), "error", err)
	}
}

// run owns the session's goroutines.
func (c *session) run(ctx context.Context) error {
	err := c.reader.read(time.Now().Add(helloTimeout), maxHello, func(k kind, body []byte) error {
		if k != kindHello {
			return fmt.Errorf("frame %d where a hello was expected", k)
		}
		return c.register(ctx, body)
	})
	if err != nil {
		return c.refuse(err)
	}
	if old := c.server.adopt(c.nodeID, c); old != nil {
		old.cancel() // a node has one stream: the old one is a leftover
	}
	defer func() {
		c.cancel()
		close(c.done)
		c.wg.Wait()
		if c.server.drop(c.nodeID, c) {
			c.server.cfg.Backend.NodeGone(c.nodeID)
		}
	}()
	c.wg.Go(func() { c.watch(ctx) })
	for {
		deadline := time.Now().Add(c.ttl + silence)
		if err := c.reader.read(deadline, maxFromNode, func(k kind, body []byte) error { return c.frame(ctx, k, body) }); err != nil {
			return c.refuse(err)
		}
	}
}

// watch sends assignments until the stream ends.
func (c *session) watch(ctx context.Context) {
	enc := &assignEncoder{jobs: &c.server.jobs, skipped: func(err error) {
		c.log.Error("allocation can't be delivered", "node", c.nodeID, "error", err)
	}}
	err := c.server.cfg.Backend.WatchNode(ctx, c.nodeID, func(a Assignment) error {
		return enc.encode(a, func(m *assignMsg) error { return c.send(kindAssign, m) })
	})
	if err != nil && ctx.Err() == nil {
		c.log.Info("assignments ended", "node", c.nodeID, "error", err)
	}
	c.cancel() // the node connects again and starts with all there is
}

func (c *session) frame(ctx context.Context, k kind, body []byte) error {
	switch k {
	case kindHello:
		return c.register(ctx, body)
	case kindBeat:
		ttl, err := c.server.cfg.Backend.Heartbeat(ctx, c.nodeID)
		if err != nil {
			return err
		}
		c.ttl = ttl
		return c.send(kindBeatAck, &welcomeMsg{TTL: int64(ttl), Servers: c.server.cfg.Servers()})
	case kindProbed:
		signal(c.probed)
		return nil
	case kindReport:
		return c.report(ctx, body)
	case kindSign:
		return c.sign(ctx, body)
	case kindDialFail:
		var m dialFailMsg
		if err := decode(body, &m); err != nil {
			return err
		}
		c.server.refuseDial(c.nodeID, &m)
		return nil
	default:
		return fmt.Errorf("unknown frame %d", k)
	}
}

func (c *session) register(ctx context.Context, body []byte) error {
	var m helloMsg
	if err := decode(body, &m); err != nil {
		return err
	}
	if m.Version != protocolVersion {
		return api.Errorf(api.CodeUnsupported, "the node speaks version %d of the node protocol, this server %d: upgrade the older one", m.Version, protocolVersion)
	}
	node := &api.Node{}
	if err := json.Unmarshal(m.Node, node); err != nil {
		return api.Errorf(api.CodeInvalid, "node: %w", err)
	}
	if _, ok := api.ParseID(node.ID); !ok {
		return api.Errorf(api.CodeInvalid, "node ID %q is not a UUID", node.ID)
	}
	if c.nodeID != "" && c.nodeID != node.ID {
		return api.Errorf(api.CodeInvalid, "node %s can't become node %s on the same stream", c.nodeID, node.ID)
	}
	if c.nodeID == "" {
		if err := c.server.makeWay(ctx, node.ID, m.Instance); err != nil {
			return err
		}
	}
	ttl, err := c.server.cfg.Backend.RegisterNode(ctx, node, m.Introduction)
	if err != nil {
		return err
	}
	// A node without an identity is registered all the same, and asks again
	// with its next heartbeat.
	signed, err := c.server.cfg.Backend.SignNode(ctx, node.ID, m.Identity, m.Renew)
	if err != nil {
		c.log.Warn("a node got no identity", "node", node.ID, "error", err)
	}
	if c.nodeID == "" { // afterwards others read it
		c.nodeID, c.owner = node.ID, m.Instance
	}
	c.ttl = ttl
	return c.send(kindWelcome, &welcomeMsg{TTL: int64(ttl), Servers: c.server.cfg.Servers(), Identity: signed})
}

// report commits a batch beside the reading of the stream, so that heartbeats
// don't wait for the log.
func (c *session) report(ctx context.Context, body []byte) error {
	var m reportMsg
	if err := decode(body, &m); err != nil {
		return err
	}
	updates := make([]*api.AllocUpdate, len(m.Updates))
	for i := range m.Updates {
		u, err := unpackUpdate(&m.Updates[i])
		if err != nil {
			return err
		}
		updates[i] = u
	}
	select {
	case c.reporting <- struct{}{}:
	default:
		return errors.New("a batch of reports came before the previous one was acknowledged")
	}
	c.wg.Go(func() {
		ack := ackMsg{Seq: m.Seq}
		if err := c.server.cfg.Backend.UpdateAllocs(ctx, c.nodeID, updates); err != nil {
			if ctx.Err() != nil {
				return
			}
			ack.Code, ack.Message = string(api.ErrorCode(err)), err.Error()
		}
		<-c.reporting
		if err := c.send(kindReportAck, &ack); err != nil {
			c.cancel()
		}
	})
	return nil
}

// refuse tells the node why the stream ends, if the cause is for it to know,
// and returns err.
func (c *session) refuse(err error) error {
	var e *api.Error
	if errors.As(err, &e) {
		_ = c.send(kindRefuse, &refuseMsg{Code: string(e.Code), Message: e.Message}) // it ends anyway
	}
	return err
}

// send writes one frame. A node that does not read it in time loses its stream.
func (c *session) send(k kind, m msgp.Marshaler) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := writeFrame(c.conn, k, m)
	if err != nil {
		c.cancel()
	}
	return err
}

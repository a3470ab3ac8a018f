package link

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// Backend is what a server does with what nodes say. Errors that carry an
// api.Code cross to the node. Every method may be called concurrently.
type Backend interface {
	// RegisterNode takes a node in, or its change, after checking its secret,
	// and the token by which it was introduced if it is new, and returns how
	// long it counts as alive without a heartbeat.
	RegisterNode(ctx context.Context, node *api.Node, introduction string) (ttl time.Duration, err error)
	// SignNode returns the identity that a registered node is to show from now
	// on, "" when that is the one it shows.
	SignNode(ctx context.Context, nodeID, shown string, renew bool) (identity string, err error)
	// Heartbeat notes that a node lives. It must not block on the log.
	Heartbeat(ctx context.Context, nodeID string) (ttl time.Duration, err error)
	// UpdateAllocs returns when the reports are committed. Unknown allocations
	// are passed over. A caller's fault makes the node drop the batch, any
	// other error makes it send the batch again.
	UpdateAllocs(ctx context.Context, nodeID string, updates []*api.AllocUpdate) error
	// WatchNode calls send with everything assigned to the node and then with
	// every change, until ctx ends or send fails.
	WatchNode(ctx context.Context, nodeID string, send func(Assignment) error) error
	// SignIdentities makes the identities of a task that runs on the node.
	SignIdentities(ctx context.Context, nodeID, allocID, task string) ([]*api.SignedIdentity, error)
	// NodeGone tells that a node's control stream ended. The node may be back
	// already: see Server.Connected.
	NodeGone(nodeID string)
}

// ServerConfig is what a Server needs.
type ServerConfig struct {
	Backend Backend
	Log     *slog.Logger

	// Servers returns the rpc addresses that nodes can connect to as well; none
	// or nil: there are no others.
	Servers func() []string
}

// Bounds of connections to one node.
const (
	dialTimeout      = 10 * time.Second
	maxPendingDials  = 64  // asked for and not yet there
	maxConnsPerNode  = 256 // of the transport, in use and idle
	maxIdlePerNode   = 2
	idleConnTimeout  = 30 * time.Second
	maxIdleTransport = 1024 // of all nodes
)

// Server is the server side: it serves control streams and connections that
// nodes dial back.
type Server struct {
	cfg       ServerConfig
	jobs      jobCache
	transport *http.Transport

	mu       sync.Mutex
	sessions map[string]*session       // by node ID
	adopted  chan struct{}             // closed, and made anew, when a node connects
	dials    map[[16]byte]*pendingDial // by token
}

// pendingDial waits for a connection from a node.
type pendingDial struct {
	nodeID string
	conn   chan net.Conn // room for one
	failed chan string   // room for one: why the node won't
}

// NewServer returns a Server; it does nothing until connections are given to
// ServeControl and ServeDialBack.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Servers == nil {
		cfg.Servers = func() []string { return nil }
	}
	s := &Server{cfg: cfg, sessions: map[string]*session{}, adopted: make(chan struct{}), dials: map[[16]byte]*pendingDial{}}
	s.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			nodeID, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return s.Dial(ctx, nodeID)
		},
		DisableCompression:    true, // bodies pass through as they are
		MaxConnsPerHost:       maxConnsPerNode,
		MaxIdleConnsPerHost:   maxIdlePerNode,
		MaxIdleConns:          maxIdleTransport,
		IdleConnTimeout:       idleConnTimeout,
		ExpectContinueTimeout: time.Second,
	}
	return s
}

// Connected reports whether the node has a control stream to this server.
func (s *Server) Connected(nodeID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[nodeID] != nil
}

// Await waits until the node has a control stream to this server, and reports
// whether that was before ctx ended.
func (s *Server) Await(ctx context.Context, nodeID string) bool {
	for {
		s.mu.Lock()
		connected, more := s.sessions[nodeID] != nil, s.adopted
		s.mu.Unlock()
		if connected {
			return true
		}
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}

// Nodes returns how many nodes have a control stream to this server.
func (s *Server) Nodes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// adopt makes sess the node's session and returns the one it replaces.
func (s *Server) adopt(nodeID string, sess *session) (old *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old = s.sessions[nodeID]
	s.sessions[nodeID] = sess
	close(s.adopted)
	s.adopted = make(chan struct{})
	return old
}

// drop forgets sess and reports whether it was the node's session.
func (s *Server) drop(nodeID string, sess *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[nodeID] != sess {
		return false
	}
	delete(s.sessions, nodeID)
	return true
}

// Dial returns a fresh connection to the node's HTTP handler. It fails with
// CodeUnavailable when the node is not connected, refuses, or does not dial
// back within ten seconds.
func (s *Server) Dial(ctx context.Context, nodeID string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	p := &pendingDial{nodeID: nodeID, conn: make(chan net.Conn, 1), failed: make(chan string, 1)}
	token, sess, err := s.expect(p)
	if err != nil {
		return nil, err
	}
	defer s.forget(token, p, sess)
	if err := sess.send(kindDial, &dialMsg{Token: token}); err != nil {
		return nil, api.Errorf(api.CodeUnavailable, "node %s is not reachable: %w", nodeID, err)
	}
	select {
	case conn := <-p.conn:
		return conn, nil
	case reason := <-p.failed:
		return nil, api.Errorf(api.CodeUnavailable, "node %s does not take the connection: %s", nodeID, reason)
	case <-sess.done:
		return nil, api.Errorf(api.CodeUnavailable, "node %s disconnected", nodeID)
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeUnavailable, "node %s did not dial back: %w", nodeID, ctx.Err())
	}
}

// expect registers p under a fresh token.
func (s *Server) expect(p *pendingDial) (token [16]byte, sess *session, err error) {
	_, _ = rand.Read(token[:]) // never fails: crypto/rand aborts the process instead
	s.mu.Lock()
	defer s.mu.Unlock()
	sess = s.sessions[p.nodeID]
	if sess == nil {
		return token, nil, api.Errorf(api.CodeUnavailable, "node %s is not connected", p.nodeID)
	}
	if sess.dialing >= maxPendingDials {
		return token, nil, api.Errorf(api.CodeLimited, "node %s has %d connections under way: try later", p.nodeID, sess.dialing)
	}
	sess.dialing++
	s.dials[token] = p
	return token, sess, nil
}

// forget ends the wait for p; a connection that came too late is closed.
func (s *Server) forget(token [16]byte, p *pendingDial, sess *session) {
	s.mu.Lock()
	delete(s.dials, token)
	sess.dialing--
	s.mu.Unlock()
	select {
	case conn := <-p.conn:
		_ = conn.Close()
	default:
	}
}

// deliver hands conn to the Dial that waits for it. A token works once.
func (s *Server) deliver(m *dialBackMsg, conn net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.dials[m.Token]
	if p == nil || p.nodeID != m.Node {
		return fmt.Errorf("nobody waits for this connection of node %q", m.Node)
	}
	delete(s.dials, m.Token)
	p.conn <- conn
	return nil
}

// refuseDial tells the waiting Dial that the node won't connect.
func (s *Server) refuseDial(nodeID string, m *dialFailMsg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.dials[m.Token]; p != nil && p.nodeID == nodeID {
		delete(s.dials, m.Token)
		p.failed <- m.Message
	}
}

// ServeDialBack serves a connection whose first byte was ProtoDialBack. It
// owns conn until it is handed to the Dial that asked for it.
func (s *Server) ServeDialBack(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	r := frameReader{conn: conn}
	err := r.read(time.Now().Add(dialTimeout), maxDialBack, func(k kind, body []byte) error {
		if k != kindDialBack {
			return fmt.Errorf("frame %d where a dial-back was expected", k)
		}
		var m dialBackMsg
		if err := decode(body, &m); err != nil {
			return err
		}
		if err := conn.SetDeadline(time.Time{}); err != nil {
			return err
		}
		if !stop() {
			return ctx.Err()
		}
		return s.deliver(&m, conn)
	})
	if err != nil {
		stop()
		_ = conn.Close()
		s.cfg.Log.Debug("dial-back refused", "remote", conn.RemoteAddr(), "error", err)
	}
}

// Transport returns a round tripper that reaches the node's HTTP handler
// whatever the URL's scheme and host say. Connections are kept for later
// requests of the same node.
func (s *Server) Transport(nodeID string) http.RoundTripper {
	return nodeTransport{nodeID, s.transport}
}

// CloseIdle closes the connections to nodes that no request uses.
func (s *Server) CloseIdle() { s.transport.CloseIdleConnections() }

type nodeTransport struct {
	nodeID string
	base   *http.Transport
}

func (t nodeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	out := *req
	url := *req.URL
	url.Scheme, url.Host = "http", t.nodeID
	out.URL = &url
	return t.base.RoundTrip(&out)
}

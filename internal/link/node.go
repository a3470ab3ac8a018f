package link

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// NodeConfig is what a Node needs.
type NodeConfig struct {
	Servers []string    // addresses of rpc ports, host:port; servers tell of others
	TLS     *tls.Config // nil: plain
	Log     *slog.Logger

	// Node returns the node as it is now, with its secret.
	Node func() *api.Node
	// Introduction returns the token by which the node joins when it is new,
	// "" without. Nil: never one.
	Introduction func(context.Context) string
	// Identity keeps the node's own identity; nil keeps it in memory.
	Identity IdentityKeeper
	// OnAssign takes assignments in order, from one goroutine that also reads
	// the stream: it must not wait for long. The first one of every stream is
	// Full.
	OnAssign func(Assignment)
	// Handler serves connections dialed back. Nil refuses them.
	Handler http.Handler

	// DecodeJob reads a job's JSON; nil means plainly. A process with many
	// nodes can share jobs among them.
	DecodeJob func([]byte) (*api.Job, error)
	// Dial opens a connection to an rpc port; nil means TCP with TLS as above.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// Pauses between attempts to connect. They grow until a stream has lived for
// steady: one that ends sooner, however often, is no reason for haste.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 15 * time.Second
	steady     = 10 * time.Second
)

// Node is the node side: one control stream to one of the servers.
type Node struct {
	cfg      NodeConfig
	instance string // differs from every other Node's, also of the same node
	reports  reports
	kick     chan struct{} // reports are waiting
	changed  chan struct{} // register again

	mu        sync.Mutex
	current   string          // server of the stream, or of the last one
	inTouch   time.Time       // see InTouch
	stream    *stream         // nil unless connected
	learned   []string        // servers that a server told of
	asked     uint64          // requests for identities so far
	transport *http.Transport // made when first asked for

	identity nodeIdentity
}

// NewNode returns a Node; it connects in Run.
func NewNode(cfg NodeConfig) *Node {
	if cfg.DecodeJob == nil {
		cfg.DecodeJob = DecodeJob
	}
	if cfg.Dial == nil {
		cfg.Dial = Dialer{TLS: cfg.TLS}.Dial
	}
	n := &Node{cfg: cfg, instance: crand.Text(), kick: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
	n.identity.load(cfg)
	return n
}

// Report tells the servers what became of an allocation. The newest report of
// an allocation wins; it is sent at once and again until it is acknowledged.
// u must not be changed afterwards.
func (n *Node) Report(u *api.AllocUpdate) {
	n.reports.add(u)
	signal(n.kick)
}

// NodeChanged makes the node register again.
func (n *Node) NodeChanged() { signal(n.changed) }

// Servers returns the addresses of the servers: those that were told last, and
// those of the configuration.
func (n *Node) Servers() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := slices.Clone(n.learned)
	for _, addr := range n.cfg.Servers {
		if !slices.Contains(out, addr) {
			out = append(out, addr)
		}
	}
	return out
}

// maxServers bounds what a server may tell of.
const maxServers = 64

// learn notes the servers that a server told of; none says nothing.
func (n *Node) learn(servers []string) {
	if len(servers) == 0 || len(servers) > maxServers {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(n.learned, servers) {
		n.learned = slices.Clone(servers)
	}
}

// Connected reports whether the node is registered over a stream that stands.
func (n *Node) Connected() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stream != nil
}

// InTouch returns until when servers take this node for alive at least: the
// time of their last answer and how long it holds. It is zero before the first
// answer.
func (n *Node) InTouch() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inTouch
}

func (n *Node) answered(ttl time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inTouch = time.Now().Add(ttl)
}

// Server returns the address of the server that the node is or was last
// connected to.
func (n *Node) Server() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.current
}

// Run keeps a control stream until ctx ends, then returns nil.
func (n *Node) Run(ctx context.Context) error {
	if len(n.cfg.Servers) == 0 {
		return errors.New("no servers to connect to: set client.servers")
	}
	back := newBackServer(n.cfg.Handler, n.cfg.Log)
	defer back.close()
	defer n.closeTransport()
	var servers []string // still to be tried in this turn
	pause := firstPause
	for {
		if len(servers) == 0 {
			servers = n.Servers()
			rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
		}
		addr := servers[0]
		servers = servers[1:]
		began := time.Now()
		err := n.connect(ctx, addr, back)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) >= steady {
			pause = firstPause
			servers = slices.DeleteFunc(n.Servers(), func(s string) bool { return s == addr })
			rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
		}
		n.cfg.Log.Warn("not connected to a server", "server", addr, "error", err, "retry", pause)
		wait := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		pause = min(2*pause, maxPause)
	}
}

// connect holds one control stream. The error is never nil.
func (n *Node) connect(ctx context.Context, addr string, back *backServer) error {
	dialCtx, cancelDial := context.WithTimeout(ctx, dialTimeout)
	conn, err := n.cfg.Dial(dialCtx, addr)
	cancelDial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	st := &stream{
		node: n, conn: conn, addr: addr, back: back, reader: frameReader{conn: conn},
		acks: make(chan ackMsg, 1), asks: map[uint64]chan *signedMsg{}, over: make(chan struct{}),
	}
	defer close(st.over)
	if err := st.hello(ctx, ProtoControl); err != nil {
		return err
	}
	if err := st.reader.read(time.Now().Add(ioTimeout), maxHello, st.welcome); err != nil {
		return err
	}
	n.setConnected(addr, st)
	defer n.setConnected(addr, nil)
	n.cfg.Log.Info("connected to a server", "server", addr, "ttl", st.timeToLive())

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil) // before waiting; it closes the connection
	wg.Go(func() { cancel(st.readAll(ctx)) })
	defer n.reports.putBack()
	if err := st.write(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// setConnected notes the stream, or with nil that it ended.
func (n *Node) setConnected(addr string, st *stream) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current, n.stream = addr, st
}

// Transport returns a round tripper that reaches the HTTP API of a server
// through its rpc port, whatever the URL's scheme and host say.
func (n *Node) Transport() http.RoundTripper { return serverTransport{n} }

type serverTransport struct{ node *Node }

func (t serverTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	out := *req
	url := *req.URL
	url.Scheme, url.Host = "http", "server"
	out.URL = &url
	return t.node.httpTransport().RoundTrip(&out)
}

func (n *Node) httpTransport() *http.Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.transport == nil {
		n.transport = &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return n.dialServer(ctx) },
			DisableCompression:  true, // bodies pass through as they are
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     idleConnTimeout,
		}
	}
	return n.transport
}

func (n *Node) closeTransport() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.transport != nil {
		n.transport.CloseIdleConnections()
	}
}

// dialServer connects to the server of the stream, or else to any.
func (n *Node) dialServer(ctx context.Context) (net.Conn, error) {
	n.mu.Lock()
	first := n.current
	n.mu.Unlock()
	var failures []error
	if first != "" {
		conn, err := n.cfg.Dial(ctx, first)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	for _, addr := range n.Servers() {
		if addr == first {
			continue
		}
		conn, err := n.cfg.Dial(ctx, addr)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, api.Errorf(api.CodeUnavailable, "no server is reachable: %w", errors.Join(failures...))
}

// hello introduces the node. With a proto it opens the connection.
func (s *stream) hello(ctx context.Context, proto ...byte) error {
	node := s.node.cfg.Node()
	if s.nodeID == "" {
		s.nodeID = node.ID
	}
	b, err := json.Marshal(node)
	if err != nil {
		return fmt.Errorf("encode node: %w", err)
	}
	m := &helloMsg{Version: protocolVersion, Node: b, Instance: s.node.instance}
	m.Identity, m.Renew = s.node.identity.show()
	if s.node.cfg.Introduction != nil {
		m.Introduction = s.node.cfg.Introduction(ctx)
	}
	frame, err := appendFrame(proto, kindHello, m)
	if err != nil {
		return err
	}
	return s.writeRaw(frame)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/control/liveness"
	"github.com/drover-org/drover/internal/control/voters"
	"github.com/drover-org/drover/internal/peer"
)

// asked is what this server does for the others.
type asked struct {
	daemon  *daemon
	consent *voters.Consent
	live    *liveness.Liveness
}

func (a asked) Hello() peer.Hello { return a.daemon.hello() }

// hello is what this server says of itself.
func (d *daemon) hello() peer.Hello {
	s := d.server
	return peer.Hello{ID: s.cluster.ID(), Name: d.memberName(), Region: d.cfg.Region, Key: s.own.Public(), Formed: s.cluster.Formed()}
}

func (a asked) Consent(id string) error { return a.consent.Give(id) }

func (a asked) Leave(ctx context.Context, id string) error {
	return a.daemon.server.cluster.RemoveServer(ctx, id)
}

func (a asked) Propose(ctx context.Context, cmd []byte) (uint64, error) {
	return a.daemon.server.cluster.ProposeEncoded(ctx, cmd)
}

func (a asked) ReadIndex(ctx context.Context) (uint64, error) {
	return a.daemon.server.cluster.ReadIndex(ctx)
}

func (a asked) Beat(nodeID string) (time.Duration, error) { return a.live.Beat(nodeID) }

func (a asked) Gone(nodeID string) error {
	if !a.daemon.server.cluster.Leads() {
		return api.ErrNotLeader
	}
	a.live.Gone(nodeID)
	return nil
}

func (a asked) NodeConnected(nodeID string) bool { return a.daemon.server.nodes.Connected(nodeID) }

func (a asked) NodeTransport(nodeID string) http.RoundTripper {
	return a.daemon.server.nodes.Transport(nodeID)
}

// introductions asks servers who they are.
type introductions struct{ *peer.Client }

// Hello asks the server at addr.
func (i introductions) Hello(ctx context.Context, addr string) (*voters.Hello, error) {
	h, err := i.Client.Hello(ctx, addr)
	if err != nil {
		return nil, err
	}
	out := voters.Hello(*h)
	return &out, nil
}

// beats keeps the heartbeats of this server's nodes, wherever the leader is.
type beats struct {
	live *liveness.Liveness
	s    *serverPart
}

// askTime bounds what another server is asked beside a request.
const askTime = 5 * time.Second

// Beat notes a sign of life with the leader.
func (b beats) Beat(nodeID string) (ttl time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	err = b.s.cluster.WithLeader(ctx, func(addr string) (err error) {
		if addr == "" {
			ttl, err = b.live.Beat(nodeID)
		} else {
			ttl, err = b.s.peers.Beat(ctx, addr, nodeID)
		}
		return err
	})
	return ttl, err
}

// Gone tells the leader that a node hung up, unless it is with another server
// by now.
func (b beats) Gone(nodeID string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	if b.s.where(ctx, nodeID) != "" {
		return
	}
	if b.s.cluster.Leads() {
		b.live.Gone(nodeID)
		return
	}
	if addr := b.s.cluster.Leader(); addr != "" {
		_ = b.s.peers.Gone(ctx, addr, nodeID) // it will miss the heartbeat
	}
}

// others are the rpc addresses of the other servers of the log.
func (s *serverPart) others() []string {
	var out []string
	for _, r := range s.cluster.Servers() {
		if r.ID != s.cluster.ID() {
			out = append(out, r.Address)
		}
	}
	return out
}

// where returns the address of the other server that a node is connected to,
// "" when it is with none.
func (s *serverPart) where(ctx context.Context, nodeID string) string {
	others := s.others()
	if len(others) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	found := make(chan string, len(others))
	var wg sync.WaitGroup
	for _, addr := range others {
		wg.Go(func() {
			if s.peers.HasNode(ctx, addr, nodeID) {
				found <- addr
				cancel() // the rest need not answer
			}
		})
	}
	wg.Wait()
	select {
	case addr := <-found:
		return addr
	default:
		return ""
	}
}

// nodeTransport is how the API reaches nodes, through the server they are
// connected to.
func (s *serverPart) nodeTransport(nodeID string) http.RoundTripper {
	if s.nodes.Connected(nodeID) {
		return s.nodes.Transport(nodeID)
	}
	if addr := s.where(context.Background(), nodeID); addr != "" {
		return s.peers.Node(addr, nodeID)
	}
	return s.nodes.Transport(nodeID) // which says that it is not connected
}

// servers is what nodes are told: where else they can connect to. Nil while
// there is nobody else.
func (s *serverPart) servers() []string {
	list := s.cluster.Servers()
	if len(list) < 2 {
		return nil
	}
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.Address
	}
	return out
}

// elsewhere carries requests that another server answers.
type elsewhere struct {
	daemon *daemon

	mu       sync.Mutex
	byRegion map[string]*http.Transport // guarded by mu
}

// maxRegions bounds the regions that connections are kept to.
const maxRegions = 64

// Leader returns how to reach the leader, nil when this server is it. It waits
// for one a bounded time.
func (e *elsewhere) Leader(ctx context.Context) (rt http.RoundTripper, err error) {
	err = e.daemon.server.cluster.WithLeader(ctx, func(addr string) error {
		if addr != "" {
			rt = toLeader{e}
		}
		return nil
	})
	return rt, err
}

// toLeader sends requests to whoever leads. While nobody can be connected to,
// nothing was sent and the next one is tried, for a bounded time.
type toLeader struct{ *elsewhere }

// RoundTrip implements http.RoundTripper.
func (t toLeader) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	out := *req
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
		out.Body = io.NopCloser(req.Body) // to be sent again
	}
	err = t.daemon.server.cluster.WithLeader(req.Context(), func(addr string) error {
		if addr == "" { // this server by now: through its own door
			addr = t.daemon.rpcListener.Addr().String()
		}
		resp, err = to{t.transport(t.daemon.cfg.Region), addr}.RoundTrip(&out)
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return api.ErrNotLeader
		}
		return err
	})
	return resp, err
}

// CheckRead returns when this server may answer a read.
func (e *elsewhere) CheckRead(ctx context.Context, stale bool) error {
	return e.daemon.server.cluster.CheckRead(ctx, stale)
}

// Region returns how to reach a server of another region.
func (e *elsewhere) Region(name string) (http.RoundTripper, error) {
	var at []string
	for _, m := range (members{e.daemon.server.cluster, e.daemon}).Members() {
		if m.Tags[tagRegion] == name && m.Status == statusAlive {
			at = append(at, net.JoinHostPort(m.Tags[tagHost], m.Tags[tagPort]))
		}
	}
	if len(at) == 0 {
		return nil, &api.Error{Code: api.CodeNoRegion, Message: "No path to region"}
	}
	return to{e.transport(name), at[int(time.Now().UnixNano()/int64(time.Millisecond))%len(at)]}, nil
}

func (e *elsewhere) transport(region string) *http.Transport {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.byRegion[region]; t != nil {
		return t
	}
	dialer := e.daemon.dialerOf(region)
	t := &http.Transport{
		DialContext:        func(ctx context.Context, _, addr string) (net.Conn, error) { return dialer.Dial(ctx, addr) },
		DisableCompression: true, // bodies pass through as they are
		MaxConnsPerHost:    maxForwarded, MaxIdleConnsPerHost: 16, IdleConnTimeout: idleTimeout,
	}
	if e.byRegion == nil {
		e.byRegion = map[string]*http.Transport{}
	}
	if len(e.byRegion) < maxRegions {
		e.byRegion[region] = t
	}
	return t
}

// maxForwarded bounds the connections of passed on requests to one server,
// below what it takes from one address.
const maxForwarded = 64

// to sends requests to one server, whatever the URL's scheme and host say.
type to struct {
	base *http.Transport
	addr string
}

// RoundTrip implements http.RoundTripper.
func (t to) RoundTrip(req *http.Request) (*http.Response, error) {
	out := *req
	u := *req.URL
	u.Scheme, u.Host = "http", t.addr
	out.URL = &u
	return t.base.RoundTrip(&out)
}

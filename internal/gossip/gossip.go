package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"github.com/drover-org/drover/api"
)

// Config is what a Gossip needs.
type Config struct {
	Name    string            // of this server; no other member may have it
	Tags    map[string]string // what this server says of itself
	Sockets Sockets           // owned
	Address string            // host:port others reach the sockets at
	Log     *slog.Logger

	Dir    string // where members and keys are kept; empty: nowhere
	Key    []byte // encrypts; nil: nothing is encrypted
	Rejoin bool   // members that were known before this server left are joined again

	Start bool     // gossip from the beginning, not with the first join
	Join  []string // joined at the start, all that answer; one must
	Retry []string // joined again and again until one answers
	Every time.Duration
	Max   int // attempts; 0: for ever
}

// Gossip is this server among the others. Safe for concurrent use.
type Gossip struct {
	cfg       Config
	transport *transport
	failed    chan error
	following sync.WaitGroup

	mu       sync.Mutex
	serf     *serf.Serf          // nil until it is needed
	ended    bool                // nothing starts any more
	changed  chan struct{}       // closed and replaced when members change
	departed map[string]struct{} // IDs of servers that left or were removed
}

// maxDeparted bounds what is remembered of servers that went.
const maxDeparted = 1024

// Open prepares a Gossip. Whoever calls Open calls Run.
func Open(cfg Config) *Gossip {
	cfg.Tags = maps.Clone(cfg.Tags)
	cfg.Tags[ours] = "1"
	return &Gossip{
		cfg: cfg, transport: newTransport(cfg.Sockets), failed: make(chan error, 1), changed: make(chan struct{}),
		departed: map[string]struct{}{},
	}
}

// Run takes part until ctx ends, and joins whom the configuration names.
func (g *Gossip) Run(ctx context.Context) error {
	defer g.end()
	g.transport.wg.Go(func() {
		if err := g.transport.accept(func() error { _, err := g.running(ctx); return err }); err != nil {
			g.fail(err)
		}
	})
	if g.cfg.Start || len(g.cfg.Join)+len(g.cfg.Retry) > 0 || g.remembers() {
		if _, err := g.running(ctx); err != nil {
			return err
		}
	}
	if len(g.cfg.Join) > 0 {
		if _, err := g.Join(ctx, g.cfg.Join); err != nil {
			return fmt.Errorf("server_join.start_join: %w", err)
		}
	}
	if len(g.cfg.Retry) > 0 {
		if err := g.retry(ctx); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-g.failed:
		return err
	}
}

func (g *Gossip) fail(err error) {
	select {
	case g.failed <- err:
	default:
	}
}

// retry joins until it works.
func (g *Gossip) retry(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		n, err := g.Join(ctx, g.cfg.Retry)
		if n > 0 {
			g.cfg.Log.Info("joined servers", "answered", n)
			return nil
		}
		if g.cfg.Max > 0 && attempt >= g.cfg.Max {
			return fmt.Errorf("server_join.retry_join: none answered in %d attempts: %w", attempt, err)
		}
		g.cfg.Log.Warn("no server to join answers", "error", err, "retry", g.cfg.Every)
		select {
		case <-time.After(g.cfg.Every):
		case <-ctx.Done():
			return nil
		}
	}
}

// end closes everything.
func (g *Gossip) end() {
	g.mu.Lock()
	s := g.serf
	g.ended = true
	g.mu.Unlock()
	if s != nil {
		if err := s.Shutdown(); err != nil {
			g.cfg.Log.Warn("gossip did not end well", "error", err)
		}
	}
	_ = g.transport.Shutdown() // of sockets that nobody needs any more
	g.following.Wait()
}

// running returns serf, which it starts if need be.
func (g *Gossip) running(ctx context.Context) (*serf.Serf, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
		return nil, api.Errorf(api.CodeUnavailable, "this agent ends")
	case g.serf != nil:
		return g.serf, nil
	}
	c, events, err := g.config(ctx)
	if err != nil {
		return nil, err
	}
	g.transport.wg.Go(g.transport.receive)
	s, err := serf.Create(c)
	if err != nil {
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	g.serf = s
	g.following.Go(func() { g.follow(s, events) })
	g.cfg.Log.Info("gossip with other servers begins", "name", g.cfg.Name, "address", g.cfg.Address, "encrypted", s.EncryptionEnabled())
	return s, nil
}

// eventQueue holds events until follow takes them; serf waits when it is full.
const eventQueue = 256

// config makes serf's configuration.
func (g *Gossip) config(ctx context.Context) (*serf.Config, <-chan serf.Event, error) {
	ip, port, err := resolve(ctx, g.cfg.Address)
	if err != nil {
		return nil, nil, fmt.Errorf("advertise.serf: %w", err)
	}
	events := make(chan serf.Event, eventQueue)
	c := serf.DefaultConfig()
	c.NodeName, c.Tags, c.EventCh, c.Logger, c.LogOutput = g.cfg.Name, g.cfg.Tags, events, libraryLog(g.cfg.Log), nil
	c.EnableNameConflictResolution = false // it would stop one of the two
	c.DisableCoordinates = true
	c.RejoinAfterLeave = g.cfg.Rejoin
	c.Merge = merge{g}
	m := c.MemberlistConfig
	m.Logger, m.LogOutput, m.Transport = c.Logger, nil, g.transport
	m.AdvertiseAddr, m.AdvertisePort, m.BindAddr, m.BindPort = ip, port, ip, port
	if g.cfg.Dir != "" {
		if err := os.MkdirAll(g.cfg.Dir, 0o700); err != nil {
			return nil, nil, err
		}
		c.SnapshotPath = filepath.Join(g.cfg.Dir, "members")
	}
	if g.cfg.Key != nil {
		ring, err := openKeys(g.cfg.Dir, g.cfg.Key)
		if err != nil {
			return nil, nil, err
		}
		m.Keyring = ring
		if g.cfg.Dir != "" {
			c.KeyringFile = filepath.Join(g.cfg.Dir, keysFile)
		}
	}
	return c, events, nil
}

// remembers reports whether other servers are known from before.
func (g *Gossip) remembers() bool {
	if g.cfg.Dir == "" {
		return false
	}
	info, err := os.Stat(filepath.Join(g.cfg.Dir, "members"))
	return err == nil && info.Size() > 0
}

// follow takes serf's events until it has ended.
func (g *Gossip) follow(s *serf.Serf, events <-chan serf.Event) {
	for {
		select {
		case e := <-events:
			if m, ok := e.(serf.MemberEvent); ok {
				g.note(m)
			}
		case <-s.ShutdownCh():
			return
		}
	}
}

func (g *Gossip) note(e serf.MemberEvent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range e.Members {
		id := m.Tags[TagID]
		switch e.Type {
		case serf.EventMemberLeave, serf.EventMemberReap:
			if id != "" && len(g.departed) < maxDeparted {
				g.departed[id] = struct{}{}
			}
		case serf.EventMemberJoin:
			delete(g.departed, id)
		}
		g.cfg.Log.Info("a server's membership changed", "name", m.Name, "address", m.Addr, "change", e.Type.String())
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// Changed returns a channel that is closed when members change. Take it
// before looking at them.
func (g *Gossip) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

// Departed reports whether the server with an ID left or was removed, and has
// not come back.
func (g *Gossip) Departed(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, gone := g.departed[id]
	return gone
}

// Join gets to know the servers at addresses of serf ports, and through them
// all others, and returns how many answered. The error is nil if one did.
func (g *Gossip) Join(ctx context.Context, addresses []string) (int, error) {
	if len(addresses) == 0 {
		return 0, api.Errorf(api.CodeInvalid, "give an address to join: host:port of another server's serf port")
	}
	s, err := g.running(ctx)
	if err != nil {
		return 0, err
	}
	to := make([]string, len(addresses))
	for i, a := range addresses {
		if to[i] = a; !hasPort(a) {
			to[i] = net.JoinHostPort(strings.Trim(a, "[]"), DefaultPort)
		}
	}
	n, err := s.Join(to, true)
	if n > 0 {
		return n, nil
	}
	if err == nil {
		err = errors.New("nobody answered")
	}
	return 0, err
}

// DefaultPort is that of an address that names none.
const DefaultPort = "4648"

func hasPort(addr string) bool {
	_, _, err := net.SplitHostPort(addr)
	return err == nil
}

// ForceLeave takes out a member that has failed; with prune it is forgotten at
// once. Nobody of that name is no error.
func (g *Gossip) ForceLeave(name string, prune bool) error {
	g.mu.Lock()
	s := g.serf
	g.mu.Unlock()
	switch {
	case s == nil:
		return nil
	case name == g.cfg.Name:
		return api.Errorf(api.CodeInvalid, "%s is the server that was asked: stop its agent instead", name)
	case prune:
		return s.RemoveFailedNodePrune(name)
	}
	return s.RemoveFailedNode(name)
}

// Leave tells the others that this server leaves for good.
func (g *Gossip) Leave() error {
	g.mu.Lock()
	s := g.serf
	g.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.Leave()
}

// Members lists the servers of all regions: this one, then the others by name.
func (g *Gossip) Members() []*api.AgentMember {
	g.mu.Lock()
	s := g.serf
	g.mu.Unlock()
	if s == nil {
		return []*api.AgentMember{g.self()}
	}
	var out []*api.AgentMember
	for _, m := range s.Members() {
		out = append(out, &api.AgentMember{
			Name: m.Name, Addr: m.Addr.String(), Port: m.Port, Tags: m.Tags, Status: m.Status.String(),
			ProtocolMin: m.ProtocolMin, ProtocolMax: m.ProtocolMax, ProtocolCur: m.ProtocolCur,
			DelegateMin: m.DelegateMin, DelegateMax: m.DelegateMax, DelegateCur: m.DelegateCur,
		})
	}
	slices.SortFunc(out, func(a, b *api.AgentMember) int {
		switch g.cfg.Name {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// Self describes this server.
func (g *Gossip) Self() *api.AgentMember {
	for _, m := range g.Members() {
		if m.Name == g.cfg.Name {
			return m
		}
	}
	return g.self()
}

func (g *Gossip) self() *api.AgentMember {
	host, port, _ := net.SplitHostPort(g.cfg.Address)
	n, _ := net.LookupPort("tcp", port)
	return &api.AgentMember{
		Name: g.cfg.Name, Addr: host, Port: uint16(n), Tags: maps.Clone(g.cfg.Tags), Status: serf.StatusAlive.String(),
		ProtocolMin: memberlist.ProtocolVersionMin, ProtocolMax: memberlist.ProtocolVersionMax, ProtocolCur: memberlist.ProtocolVersion2Compatible,
		DelegateMin: serf.ProtocolVersionMin, DelegateMax: serf.ProtocolVersionMax, DelegateCur: serf.DefaultConfig().ProtocolVersion,
	}
}

// Tags of members.
const (
	TagID = "id"     // of the server in the log
	ours  = "drover" // which software it is
)

// merge refuses members that are other software.
type merge struct{ g *Gossip }

// NotifyMerge implements serf.MergeDelegate.
func (d merge) NotifyMerge(members []*serf.Member) error {
	for _, m := range members {
		if m.Tags[ours] == "" {
			return fmt.Errorf("member %s at %v is not a Drover server", m.Name, m.Addr)
		}
	}
	return nil
}

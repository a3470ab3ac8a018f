package voters

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// Log is the log whose servers these are.
type Log interface {
	ID() string
	Formed() bool
	Servers() []*api.RaftServer
	// Form begins the log with servers, by ID and address.
	Form(ctx context.Context, servers map[string]string) error
	AddServer(ctx context.Context, id, addr string) error
	RemoveServer(ctx context.Context, id string) error
}

// Gossip tells of the servers of the region.
type Gossip interface {
	// Servers lists them, this one included, without Hello.
	Servers() []Member
	// Changed returns a channel that is closed when the list has changed.
	Changed() <-chan struct{}
	// Departed reports whether a server left or was removed.
	Departed(id string) bool
}

// Peers asks a server over its rpc port.
type Peers interface {
	Hello(ctx context.Context, addr string) (*Hello, error)
	Consent(ctx context.Context, addr, id string) error
}

// Config is what a Keeper and a Former need.
type Config struct {
	Log    Log
	Gossip Gossip
	Peers  Peers
	Own    func() *Hello // what this server says of itself, without a connection
	Expect int           // servers that form the log
	Keys   *Keys
	Logger *slog.Logger
}

// Pauses. What gossip tells is acted on at once; the pauses are for servers
// that did not answer.
const (
	lookAgain = time.Second
	lookLater = 10 * time.Second
	askTime   = 3 * time.Second
)

// ask asks all living members who they are, at the same time.
func (c *Config) ask(ctx context.Context) (members []Member, all bool) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	members = c.Gossip.Servers()
	var wg sync.WaitGroup
	for i := range members {
		m := &members[i]
		switch {
		case !m.Alive:
			continue
		case m.ID == c.Log.ID():
			m.Hello = c.Own()
			continue
		}
		wg.Go(func() {
			h, err := c.Peers.Hello(ctx, m.Address)
			if err != nil {
				c.Logger.Debug("a server does not answer", "name", m.Name, "address", m.Address, "error", err)
				return
			}
			m.Hello = h
		})
	}
	wg.Wait()
	all = true
	for i := range members {
		all = all && (!members[i].Alive || members[i].Hello != nil)
	}
	return members, all
}

// pause waits for a change of the members, at most d.
func pause(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Former forms the log, once.
type Former struct{ cfg Config }

// NewFormer returns a Former.
func NewFormer(cfg Config) *Former { return &Former{cfg} }

// Run returns when this server belongs to a log, or when ctx ends.
func (f *Former) Run(ctx context.Context) error {
	told := ""
	for ctx.Err() == nil && !f.cfg.Log.Formed() {
		changed := f.cfg.Gossip.Changed()
		if f.cfg.Expect > 1 {
			members, _ := f.cfg.ask(ctx)
			servers, why := form(f.cfg.Log.ID(), f.cfg.Expect, members)
			if servers != nil {
				err := f.form(ctx, servers)
				if err == nil {
					return nil
				}
				why = err.Error()
			}
			if why != told && ctx.Err() == nil {
				f.cfg.Logger.Info("the region has no log yet", "because", why)
				told = why
			}
		}
		pause(ctx, changed, lookAgain)
	}
	return nil
}

// form asks for the consent of all and begins the log.
func (f *Former) form(ctx context.Context, servers []Member) error {
	ask, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	by := map[string]string{}
	for _, s := range servers {
		by[s.ID] = s.Address
		if err := f.cfg.Peers.Consent(ask, s.Address, f.cfg.Log.ID()); err != nil {
			return err
		}
	}
	f.cfg.Logger.Info("this server forms the log of the region", "servers", len(by))
	return f.cfg.Log.Form(ctx, by)
}

// Consent is what a server without a log gives to the one that is to form it,
// itself included. It lapses when the other has long had the time to use it, so
// that one which died before it did holds nobody up.
type Consent struct {
	Formed func() bool
	Now    func() time.Time

	mu    sync.Mutex
	given string    // guarded by mu: to whom
	until time.Time // guarded by mu
}

// consentLife outlasts by far what a server takes to form the log.
const consentLife = time.Minute

// Give returns nil if the server with an ID may form the log.
func (c *Consent) Give(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.Formed():
		return api.Errorf(api.CodeConflict, "a server belongs to a log already")
	case c.given != "" && c.given != id && c.Now().Before(c.until):
		return api.Errorf(api.CodeConflict, "a server has consented that %s forms the log", c.given)
	}
	c.given, c.until = id, c.Now().Add(consentLife)
	return nil
}

// Keeper keeps the servers of the log.
type Keeper struct{ cfg Config }

// NewKeeper returns a Keeper.
func NewKeeper(cfg Config) *Keeper { return &Keeper{cfg} }

// Run keeps the servers until ctx ends; it is for the leader.
func (k *Keeper) Run(ctx context.Context) error {
	told := map[string]bool{}
	for ctx.Err() == nil {
		changed := k.cfg.Gossip.Changed()
		members, all := k.cfg.ask(ctx)
		servers := k.cfg.Log.Servers()
		k.cfg.Keys.learn(k.cfg.Log.ID(), servers, members)
		todo, warnings := decide(k.cfg.Log.ID(), servers, members, k.cfg.Gossip.Departed)
		for _, w := range warnings {
			if !told[w] && len(told) < maxTold {
				told[w] = true
				k.cfg.Logger.Warn("a server is not taken in", "because", w)
			}
		}
		wait := lookLater
		if !all {
			wait = lookAgain
		}
		if todo != nil {
			if err := k.do(ctx, todo); err == nil || ctx.Err() != nil {
				continue
			} else {
				k.cfg.Logger.Error("the servers of the log can't be changed", "error", err, "retry", lookAgain)
			}
			wait = lookAgain
		}
		pause(ctx, changed, wait)
	}
	return nil
}

// maxTold bounds the warnings of one term.
const maxTold = 64

func (k *Keeper) do(ctx context.Context, c *change) error {
	if c.remove != "" {
		k.cfg.Logger.Info("a server is taken out of the log", "id", c.remove)
		return k.cfg.Log.RemoveServer(ctx, c.remove)
	}
	k.cfg.Logger.Info("a server becomes a voter", "name", c.add.Name, "id", c.add.ID, "address", c.add.Address)
	return k.cfg.Log.AddServer(ctx, c.add.ID, c.add.Address)
}

// Keys are the public keys of the other servers, as far as they are known. The
// leader learns them; root keys are wrapped to them.
type Keys struct {
	mu      sync.Mutex
	byID    map[string][]byte // guarded by mu
	changed chan struct{}     // guarded by mu: closed and replaced when byID changes
}

// NewKeys returns Keys that know nobody.
func NewKeys() *Keys { return &Keys{byID: map[string][]byte{}, changed: make(chan struct{})} }

// All returns the keys, and a channel that is closed when they change.
func (k *Keys) All() (public [][]byte, changed <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.byID {
		public = append(public, key)
	}
	return public, k.changed
}

// learn notes the keys of the servers that keep the log.
func (k *Keys) learn(self string, servers []*api.RaftServer, members []Member) {
	k.mu.Lock()
	defer k.mu.Unlock()
	news := false
	next := map[string][]byte{}
	for _, s := range servers {
		if s.ID == self {
			continue
		}
		if known := k.byID[s.ID]; known != nil {
			next[s.ID] = known
		}
		for _, m := range members {
			if h := m.Hello; m.ID == s.ID && h != nil && h.ID == s.ID && !bytes.Equal(next[s.ID], h.Key) {
				next[s.ID], news = h.Key, true
			}
		}
	}
	k.byID = next
	if news {
		close(k.changed)
		k.changed = make(chan struct{})
	}
}

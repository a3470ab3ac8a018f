package sso

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/drover-org/drover/api"
)

// maxOutgoing is how many logins may wait for providers at once. Who comes
// then is told to try again.
const maxOutgoing = 32

// Logins checks logins. It is safe for concurrent use.
type Logins struct {
	now  func() time.Time
	busy chan struct{}

	mu      sync.Mutex
	methods map[string]*method // guarded by mu; by name, the newest form of each
}

// New returns a Logins. It starts nothing.
func New(now func() time.Time) *Logins {
	return &Logins{now: now, busy: make(chan struct{}, maxOutgoing), methods: map[string]*method{}}
}

// method is what is known of the provider of one form of an auth method.
type method struct {
	created, modified uint64
	client            *http.Client
	now               func() time.Time

	fixed  keySource   // for a JWT method with keys of its own
	remote *remoteKeys // for one with a URL of keys

	mu       sync.Mutex
	provider *provider // guarded by mu; as it was discovered
	asked    time.Time // guarded by mu; of the last try
	err      error     // guarded by mu; of the last try
}

// provider is what a discovery document says.
type provider struct {
	*oidc.Provider
	issuer string
	keys   *remoteKeys
	got    time.Time
}

// enter takes one of the places of requests that go out.
func (l *Logins) enter() (leave func(), err error) {
	select {
	case l.busy <- struct{}{}:
		return func() { <-l.busy }, nil
	default:
		return nil, api.Errorf(api.CodeLimited, "%d logins wait for identity providers already: try again", maxOutgoing)
	}
}

// method returns what is known of m's provider. A method that changed starts
// anew.
func (l *Logins) method(m *api.ACLAuthMethod) (*method, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.methods[m.Name]; known != nil && known.created == m.CreateIndex && known.modified == m.ModifyIndex {
		return known, nil
	}
	c := m.Config
	out := &method{created: m.CreateIndex, modified: m.ModifyIndex, now: l.now}
	switch {
	case len(c.JWTValidationPubKeys) > 0:
		keys, err := newFixedKeys(c.JWTValidationPubKeys)
		if err != nil {
			return nil, err
		}
		out.fixed = keys
	case c.JWKSURL != "":
		out.client = newClient([]string{c.JWKSCACert})
		out.remote = &remoteKeys{url: c.JWKSURL, client: out.client, now: l.now}
	default:
		out.client = newClient(c.DiscoveryCaPem)
	}
	if old := l.methods[m.Name]; old != nil && old.client != nil {
		old.client.CloseIdleConnections()
	}
	l.methods[m.Name] = out
	return out, nil
}

// Keep forgets what is known of methods that exist no longer.
func (l *Logins) Keep(exists func(name string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, m := range l.methods {
		if !exists(name) {
			if m.client != nil {
				m.client.CloseIdleConnections()
			}
			delete(l.methods, name)
		}
	}
}

// discover returns what the provider says of itself, asking at first use and
// when that is old.
func (m *method) discover(ctx context.Context, url string) (*provider, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.provider != nil && now.Sub(m.provider.got) < keysOld {
		return m.provider, nil
	}
	if !m.asked.IsZero() && now.Sub(m.asked) < keysSoon {
		if m.provider != nil {
			return m.provider, nil
		}
		return nil, m.err
	}
	m.asked = now
	p, err := m.fetchProvider(ctx, url)
	if m.err = err; err == nil {
		p.got = now
		if m.provider != nil && m.provider.keys.url == p.keys.url {
			p.keys = m.provider.keys
		}
		m.provider = p
	}
	if m.provider == nil {
		return nil, m.err
	}
	return m.provider, nil
}

// fetchProvider does not end with the request that caused it.
func (m *method) fetchProvider(ctx context.Context, url string) (*provider, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), m.client), requestTimeout)
	defer cancel()
	found, err := oidc.NewProvider(ctx, url)
	if err != nil {
		return nil, unavailable("the identity provider could not be discovered", err)
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := found.Claims(&doc); err != nil {
		return nil, unavailable("the identity provider could not be discovered", err)
	}
	return &provider{Provider: found, issuer: doc.Issuer, keys: &remoteKeys{url: doc.JWKSURI, client: m.client, now: m.now}}, nil
}

// JWT checks a signed token and returns who it is about. A token that is not
// believed is CodeForbidden and says why.
func (l *Logins) JWT(ctx context.Context, m *api.ACLAuthMethod, token string) (*Identity, error) {
	if len(token) > maxToken {
		return nil, api.Errorf(api.CodeInvalid, "LoginToken has %d bytes, at most %d are possible", len(token), maxToken)
	}
	leave, err := l.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	known, err := l.method(m)
	if err != nil {
		return nil, err
	}
	issuer := ""
	var source keySource
	switch {
	case known.fixed != nil:
		source = known.fixed
	case known.remote != nil:
		source = known.remote
	default:
		p, err := known.discover(ctx, m.Config.OIDCDiscoveryURL)
		if err != nil {
			return nil, err
		}
		issuer, source = p.issuer, p.keys
	}
	payload, err := verifySignature(ctx, source, token, algorithms(m.Config))
	if err != nil {
		return nil, err
	}
	claims, err := checkClaims(m.Config, issuer, payload, l.now())
	if err != nil {
		return nil, err
	}
	return newIdentity(m.Config, claims), nil
}

package auth

import (
	"context"
	"crypto/hmac"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/acl"
	"github.com/drover-org/drover/internal/store"
)

// Config is what a Resolver needs.
type Config struct {
	Store      *store.Store
	Sealer     Sealer
	Identities Identities // nil: there are none
	Log        *slog.Logger
	Now        func() time.Time
}

// Identities verifies signed identities.
type Identities interface {
	// Identify returns whose identity a secret is, and nil for a secret that
	// is none. The error is for one that is forged or has ended.
	Identify(ctx context.Context, secret string) (*Identity, error)
}

// Identity is what a signed identity says of its bearer.
type Identity struct {
	Kind    api.CallerKind // CallerWorkload or CallerNode
	ID      string         // tells identities apart; no secret
	Name    string         // for people: the job's task, or the node
	Expires time.Time      // zero: never

	Namespace, JobID, Group, Task string // of a workload
	AllocID                       string // with which a workload's ends
}

// Rights is whose a secret is and what he may do.
type Rights struct {
	Caller   api.Caller
	Policies []string // by name, those of roles included; for management none
	ACL      *acl.ACL
	Expires  time.Time // zero: never

	index uint64 // the state's ACL index
	alloc string // of a workload
}

// Manages reports whether the owner may do everything.
func (r *Rights) Manages() bool { return r.ACL.IsManagement() }

// Bounds of what is kept. Each is more than clusters have of what is in use at
// the same time, and a few MiB at most; what is dropped is made again.
const (
	maxTokens   = 4096
	maxCompiled = 512
)

// Resolver answers whose a secret is and what he may do. It is safe for
// concurrent use.
type Resolver struct {
	cfg Config

	mu       sync.Mutex
	tokens   map[string]*Rights  // by hash of the secret; guarded by mu
	compiled map[string]*acl.ACL // by policies and their indexes; guarded by mu

	change chan struct{} // closed at the next change; guarded by mu
	next   time.Time     // the first expiry that somebody waits for; guarded by mu
	sooner chan struct{} // next came closer; capacity 1
}

// New returns a Resolver. Changed fires only while Run runs.
func New(cfg Config) *Resolver {
	return &Resolver{
		cfg: cfg, tokens: map[string]*Rights{}, compiled: map[string]*acl.ACL{},
		change: make(chan struct{}), sooner: make(chan struct{}, 1),
	}
}

// errNotFound and errExpired are what callers of the API know.
func errNotFound() error { return &api.Error{Code: api.CodeForbidden, Message: "ACL token not found"} }
func errExpired() error  { return &api.Error{Code: api.CodeForbidden, Message: "ACL token expired"} }

// Rights returns whose a secret is. The error is an api.Error with
// CodeForbidden.
func (r *Resolver) Rights(ctx context.Context, secret string) (*Rights, error) {
	snap := r.cfg.Store.Snapshot()
	if secret == "" {
		return r.keep(snap, "", func() (*Rights, error) {
			return r.rights(snap, api.Caller{Kind: api.CallerAnonymous}, []string{api.ACLAnonymousPolicy})
		})
	}
	for _, hash := range r.cfg.Sealer.Hashes(LabelToken, []byte(secret)) {
		if row := snap.ACLTokenByHash(hash); row != nil && hmac.Equal(row.Hash, hash) {
			return r.keep(snap, string(hash), func() (*Rights, error) { return r.ofToken(snap, row.Token) })
		}
	}
	if r.cfg.Identities != nil {
		id, err := r.cfg.Identities.Identify(ctx, secret)
		if err != nil {
			return nil, err
		}
		if id != nil {
			return r.ofIdentity(snap, id)
		}
	}
	return nil, errNotFound()
}

// RightsOf returns the rights of a token by its accessor ID; CodeNotFound
// without one.
func (r *Resolver) RightsOf(accessor string) (*Rights, error) {
	snap := r.cfg.Store.Snapshot()
	row := snap.ACLToken(accessor)
	if row == nil {
		return nil, &api.Error{Code: api.CodeNotFound, Message: "ACL token not found"}
	}
	return r.ofToken(snap, row.Token)
}

// keep returns what is kept under a key for the state's ACL index, or makes
// it. What has expired is never returned.
func (r *Resolver) keep(snap *store.Snapshot, key string, build func() (*Rights, error)) (*Rights, error) {
	r.mu.Lock()
	rights := r.tokens[key]
	r.mu.Unlock()
	if rights == nil || rights.index != snap.ACLIndex() {
		var err error
		if rights, err = build(); err != nil {
			return nil, err
		}
		r.mu.Lock()
		put(r.tokens, key, rights, maxTokens)
		r.mu.Unlock()
	}
	if !rights.Expires.IsZero() && !r.cfg.Now().Before(rights.Expires) {
		return nil, errExpired()
	}
	return rights, nil
}

// put keeps v, dropping any other when there are limit.
func put[V any](m map[string]V, key string, v V, limit int) {
	if _, known := m[key]; !known && len(m) >= limit {
		for k := range m {
			delete(m, k)
			break
		}
	}
	m[key] = v
}

func (r *Resolver) ofToken(snap *store.Snapshot, t *api.ACLToken) (*Rights, error) {
	if t.Expired(r.cfg.Now()) {
		return nil, errExpired()
	}
	caller := api.Caller{Kind: api.CallerClient, AccessorID: t.AccessorID, Name: t.Name}
	if t.Type == api.ACLTokenManagement {
		caller.Kind = api.CallerManagement
		return r.expiring(&Rights{Caller: caller, ACL: acl.Management, index: snap.ACLIndex()}, t.ExpirationTime), nil
	}
	names := slices.Clone(t.Policies)
	for _, link := range t.Roles {
		if role := snap.ACLRole(link.ID); role != nil {
			for _, p := range role.Policies {
				names = append(names, p.Name)
			}
		}
	}
	rights, err := r.rights(snap, caller, names)
	if err != nil {
		return nil, err
	}
	return r.expiring(rights, t.ExpirationTime), nil
}

func (r *Resolver) expiring(rights *Rights, at *time.Time) *Rights {
	if at != nil {
		rights.Expires = *at
	}
	return rights
}

// ofIdentity gives a workload the policies that are attached to its job. A
// node has none.
func (r *Resolver) ofIdentity(snap *store.Snapshot, id *Identity) (*Rights, error) {
	if !id.Expires.IsZero() && !r.cfg.Now().Before(id.Expires) {
		return nil, errExpired()
	}
	var names []string
	if id.Kind == api.CallerWorkload {
		for p := range snap.ACLPolicies() {
			if p.JobACL.Covers(id.Namespace, id.JobID, id.Group, id.Task) {
				names = append(names, p.Name)
			}
		}
	}
	rights, err := r.rights(snap, api.Caller{Kind: id.Kind, AccessorID: id.ID, Name: id.Name}, names)
	if err != nil {
		return nil, err
	}
	rights.Expires, rights.alloc = id.Expires, id.AllocID
	return rights, nil
}

// rights merges policies by name; a name without a policy gives nothing.
func (r *Resolver) rights(snap *store.Snapshot, caller api.Caller, names []string) (*Rights, error) {
	slices.Sort(names)
	names = slices.Compact(names)
	var key strings.Builder
	var found []*api.ACLPolicy
	for _, name := range names {
		if p := snap.ACLPolicy(name); p != nil {
			found = append(found, p)
			fmt.Fprintf(&key, "%s@%d ", p.Name, p.ModifyIndex)
		}
	}
	compiled, err := r.compile(key.String(), found)
	if err != nil {
		return nil, err
	}
	return &Rights{Caller: caller, Policies: names, ACL: compiled, index: snap.ACLIndex()}, nil
}

func (r *Resolver) compile(key string, found []*api.ACLPolicy) (*acl.ACL, error) {
	r.mu.Lock()
	known := r.compiled[key]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	policies := make([]*acl.Policy, len(found))
	for i, p := range found {
		var err error
		if policies[i], err = acl.Parse(p.Name, p.Rules); err != nil {
			// It may deny something, so that leaving it out could allow too much.
			r.cfg.Log.Error("a policy of the state can't be read; its tokens are refused", "policy", p.Name, "error", err)
			return nil, api.Errorf(api.CodeForbidden, "policy %q can't be read by this version: Permission denied", p.Name)
		}
	}
	compiled := acl.Compile(policies)
	r.mu.Lock()
	put(r.compiled, key, compiled, maxCompiled)
	r.mu.Unlock()
	return compiled, nil
}

// Authorize implements server.Authorizer.
func (r *Resolver) Authorize(ctx context.Context, token string, c api.Capability, object string) error {
	rights, err := r.Rights(ctx, token)
	if err != nil {
		return err
	}
	if rights.ACL.Allow(c, object) {
		return nil
	}
	return &api.Error{Code: api.CodeForbidden, Message: rights.missing(c, object)}
}

// missing says what the owner lacks. Clients know the end of the text.
func (r *Rights) missing(c api.Capability, object string) string {
	who := "the anonymous policy"
	switch r.Caller.Kind {
	case api.CallerClient:
		who = fmt.Sprintf("token %q", r.Caller.Name)
		if r.Caller.Name == "" {
			who = "token " + r.Caller.AccessorID
		}
	case api.CallerWorkload:
		who = fmt.Sprintf("workload %q", r.Caller.Name)
	case api.CallerNode:
		who = fmt.Sprintf("node %q", r.Caller.Name)
	}
	if c == api.CapManagement {
		return who + " is no management token: Permission denied"
	}
	where := ""
	switch kind, _ := acl.KindOf(c); kind {
	case acl.KindNamespace, acl.KindVariables:
		where = fmt.Sprintf(" in namespace %q", object)
	case acl.KindNodePool:
		where = fmt.Sprintf(" for node pool %q", object)
	case acl.KindHostVolume:
		where = fmt.Sprintf(" for host volume %q", object)
	}
	return fmt.Sprintf("%s lacks capability %s%s: Permission denied", who, c, where)
}

// Caller implements server.Authorizer.
func (r *Resolver) Caller(ctx context.Context, token string) (*api.Caller, error) {
	rights, err := r.Rights(ctx, token)
	if err != nil {
		return nil, err
	}
	c := rights.Caller
	return &c, nil
}

package link

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// IdentityKeeper keeps what must survive the process.
type IdentityKeeper interface {
	// Load returns what was saved last, "" for nothing.
	Load() string
	Save(token string) error
}

// nodeIdentity is the identity that servers gave a node. Whether it is valid
// is for them to say; a node only looks at its times.
type nodeIdentity struct {
	log  *slog.Logger
	keep IdentityKeeper // may be nil

	mu      sync.Mutex
	token   string
	renewAt time.Time     // zero: there is none
	asked   time.Time     // when the node last said hello
	renew   bool          // somebody wants another
	there   chan struct{} // closed as soon as there is one
}

func (i *nodeIdentity) load(cfg NodeConfig) {
	i.log, i.keep, i.there = cfg.Log, cfg.Identity, make(chan struct{})
	if i.keep != nil {
		if token := i.keep.Load(); token != "" {
			i.take(token)
		}
	}
}

// askAgain is how long a node waits before it asks a server again that gave it
// no identity.
const askAgain = time.Minute

// show returns what to say hello with, which asks for a new one.
func (i *nodeIdentity) show() (token string, renew bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = time.Now()
	return i.token, i.renew
}

// due reports whether the node should ask for another one.
func (i *nodeIdentity) due() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	return (i.renew || !now.Before(i.renewAt)) && now.Sub(i.asked) >= askAgain
}

// set takes an identity from a server and keeps it.
func (i *nodeIdentity) set(token string) {
	if !i.take(token) {
		i.log.Warn("a server sent an identity that is none")
		return
	}
	if i.keep == nil {
		return
	}
	if err := i.keep.Save(token); err != nil {
		i.log.Warn("the node's identity could not be kept: a new one is asked for after a restart", "error", err)
	}
}

// take reports false for what is no token with times.
func (i *nodeIdentity) take(token string) bool {
	claims, err := tokenClaims(token)
	if err != nil {
		return false
	}
	issued, _ := claims["iat"].(float64)
	ends, _ := claims["exp"].(float64)
	if ends <= issued {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.token == "" {
		close(i.there)
	}
	i.token, i.renew = token, false
	i.renewAt = time.Unix(int64(issued+(ends-issued)/2), 0)
	return true
}

// tokenClaims reads what a token says without verifying it.
func tokenClaims(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, api.Errorf(api.CodeInvalid, "the token is no JWT")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "the token is no JWT: %w", err)
	}
	claims := map[string]any{}
	return claims, json.Unmarshal(text, &claims)
}

// IdentityClaims returns what the node's own identity says, never the token.
// It waits for the first one until ctx ends.
func (n *Node) IdentityClaims(ctx context.Context) (map[string]any, error) {
	select {
	case <-n.identity.there:
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeUnavailable, "the node has no identity yet: servers give it one when it registers")
	}
	n.identity.mu.Lock()
	token := n.identity.token
	n.identity.mu.Unlock()
	return tokenClaims(token)
}

// RenewIdentity asks the servers for another identity, at once when there is a
// connection and else with the next one.
func (n *Node) RenewIdentity() {
	n.identity.mu.Lock()
	n.identity.renew = true
	n.identity.mu.Unlock()
	n.NodeChanged()
}

package server

import (
	"cmp"
	"context"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/identity"
)

// Introduction says what a node has to show that the state does not know. The
// zero value lets everybody in.
type Introduction struct {
	Enforcement string        // one of api.Introduction…
	DefaultTTL  time.Duration // of a token, unless it is asked for otherwise
	MaxTTL      time.Duration
}

// IntroduceNode makes the token by which a new node joins: within its time, in
// a pool, and by a name if one is given.
func (s *Server) IntroduceNode(ctx context.Context, token string, req *api.NodeIntroduction) (jwt string, err error) {
	if err := s.authorize(ctx, token, api.CapNodeWrite, ""); err != nil {
		return "", err
	}
	ttl := time.Duration(req.TTL)
	switch {
	case ttl < 0 || ttl > s.cfg.Introduction.MaxTTL:
		return "", api.Errorf(api.CodeInvalid, "TTL is %v: it must be above 0 and at most %v (server.client_introduction.max_identity_ttl)", ttl, s.cfg.Introduction.MaxTTL)
	case ttl > 0 && ttl < time.Second:
		return "", api.Errorf(api.CodeInvalid, "TTL is %v: it must be a second or more", ttl)
	case len(req.NodeName) > maxNodeName || len(req.NodePool) > maxNodeName:
		return "", api.Errorf(api.CodeInvalid, "NodeName and NodePool must have at most %d bytes", maxNodeName)
	case req.NodePool == api.AllNodePools:
		return "", api.Errorf(api.CodeInvalid, "NodePool %q holds every node and can't be joined: name the pool", req.NodePool)
	}
	if err := s.cfg.Cluster.CheckRead(ctx, true); err != nil {
		return "", err
	}
	return s.introduction(ctx, identity.Introduction{Name: req.NodeName, Pool: cmp.Or(req.NodePool, api.DefaultNodePool)}, cmp.Or(ttl, s.cfg.Introduction.DefaultTTL))
}

// maxNodeName bounds what a token says of a node.
const maxNodeName = 256

// OwnIntroduction is for the node in this server's process: what the server
// says of itself needs no administrator.
func (s *Server) OwnIntroduction(ctx context.Context, n *api.Node) (jwt string, err error) {
	return s.introduction(ctx, identity.Introduction{Name: n.Name, Pool: cmp.Or(n.NodePool, api.DefaultNodePool)}, time.Minute)
}

func (s *Server) introduction(ctx context.Context, i identity.Introduction, ttl time.Duration) (string, error) {
	return identity.SignIntroduction(ctx, s.cfg.Keyring, s.cfg.Region, s.cfg.OIDCIssuer, i, s.now(), ttl)
}

// admit refuses a new node that was not introduced, if that is required.
func (s *Server) admit(n *api.Node, token string) error {
	mode := s.cfg.Introduction.Enforcement
	if mode == "" || mode == api.IntroductionNone {
		return nil
	}
	err := s.introduced(n, token)
	if err == nil || mode == api.IntroductionStrict {
		return err
	}
	s.cfg.Log.Warn("a new node joins that was not introduced (server.client_introduction.enforcement)", "node", n.ID, "name", n.Name, "pool", n.NodePool, "error", err)
	return nil
}

func (s *Server) introduced(n *api.Node, token string) error {
	if token == "" {
		return api.Errorf(api.CodeForbidden, "node %s (%s) is new here and shows no introduction token: make one with \"drover node intro create -node-name %s -node-pool %s\" and start the node with it in NOMAD_CLIENT_INTRO_TOKEN", n.ID, n.Name, n.Name, n.NodePool)
	}
	i, err := identity.ParseIntroduction(s.cfg.Keyring, token)
	switch {
	case err != nil:
		return api.Errorf(api.CodeForbidden, "the introduction token of node %s (%s) is not valid: %w", n.ID, n.Name, err)
	case i.Name != "" && i.Name != n.Name:
		return api.Errorf(api.CodeForbidden, "the introduction token is for a node named %q, and this one is %q", i.Name, n.Name)
	case i.Pool != n.NodePool:
		return api.Errorf(api.CodeForbidden, "the introduction token is for node pool %q, and node %q wants to join %q", i.Pool, n.Name, n.NodePool)
	}
	return nil
}

// nodeIdentityTTL is how long a node's identity is valid whose pool does not
// say it. It is renewed when
// half of that has passed.
const nodeIdentityTTL = 24 * time.Hour

// signWait is how long a node waits for a region's first key before it goes on
// without an identity.
const signWait = time.Second

// SignNode returns the identity that a registered node is to show from now on:
// a new one when what it shows is not valid, not what the node is any more,
// past half of its time, or to be renewed; else "".
func (s *Server) SignNode(ctx context.Context, nodeID, shown string, renew bool) (string, error) {
	snap := s.store.Snapshot()
	n := snap.Node(nodeID)
	if n == nil {
		return "", missing("node")
	}
	ttl := nodeIdentityTTL
	if p := snap.NodePool(n.NodePool); p != nil && p.NodeIdentityTTL > 0 {
		ttl = p.NodeIdentityTTL.D()
	}
	if !renew && shown != "" {
		i, err := identity.ParseNode(s.cfg.Keyring, shown)
		if err == nil && i.Of(n) && s.now().Sub(i.Issued) < ttl/2 {
			return "", nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, signWait)
	defer cancel()
	return identity.SignNode(ctx, s.cfg.Keyring, s.cfg.Region, s.cfg.OIDCIssuer, n, s.now(), ttl)
}

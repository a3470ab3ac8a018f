package server

import (
	"context"
	"slices"

	"github.com/drover-org/drover/api"
)

// Gossip is what servers tell each other of themselves.
type Gossip interface {
	// Join gets to know the servers at addresses and returns how many answered;
	// the error is nil if one did.
	Join(ctx context.Context, addresses []string) (int, error)
	// ForceLeave takes out a member that failed; with prune it is forgotten.
	ForceLeave(name string, prune bool) error
	// The keys that encrypt. An error that comes with a value says that some
	// servers could not be asked.
	Keys() (*api.GossipKeys, error)
	InstallKey(key string) (*api.GossipKeys, error)
	UseKey(key string) (*api.GossipKeys, error)
	RemoveKey(key string) (*api.GossipKeys, error)
}

// Members lists the servers.
func (s *Server) Members(ctx context.Context, token string) ([]*api.AgentMember, error) {
	if err := s.authorize(ctx, token, api.CapNodeRead, ""); err != nil {
		return nil, err
	}
	return s.cfg.Cluster.Members(), nil
}

// Regions lists the regions that are known, by name.
func (s *Server) Regions() []string {
	names := []string{s.cfg.Region}
	for _, m := range s.cfg.Cluster.Members() {
		if r := m.Tags["region"]; r != "" && !slices.Contains(names, r) {
			names = append(names, r)
		}
	}
	slices.Sort(names)
	return names
}

// gossip authorises a change of the servers.
func (s *Server) gossip(ctx context.Context, token string) (Gossip, error) {
	if err := s.authorize(ctx, token, api.CapAgentWrite, ""); err != nil {
		return nil, err
	}
	if s.cfg.Gossip == nil {
		return nil, api.Errorf(api.CodeUnavailable, "the serf port of this server is closed, because strangers reach it unencrypted: set server.encrypt, with a key from \"drover operator gossip keyring generate\"")
	}
	return s.cfg.Gossip, nil
}

// maxJoin bounds the addresses of one call.
const maxJoin = 64

// JoinServers makes this server and those at addresses know each other.
func (s *Server) JoinServers(ctx context.Context, token string, addresses []string) (int, error) {
	g, err := s.gossip(ctx, token)
	if err != nil {
		return 0, err
	}
	if len(addresses) == 0 || len(addresses) > maxJoin {
		return 0, api.Errorf(api.CodeInvalid, "query parameter \"address\" is there %d times: give 1 to %d addresses of serf ports", len(addresses), maxJoin)
	}
	return g.Join(ctx, addresses)
}

// ForceLeave takes out a server that failed and does not come back.
func (s *Server) ForceLeave(ctx context.Context, token, name string, prune bool) error {
	g, err := s.gossip(ctx, token)
	if err != nil {
		return err
	}
	if name == "" {
		return api.Errorf(api.CodeInvalid, "query parameter \"node\" is missing: the name of a server, as \"server members\" shows it")
	}
	return g.ForceLeave(name, prune)
}

// GossipKeys lists the keys of gossip.
func (s *Server) GossipKeys(ctx context.Context, token string) (*api.GossipKeys, error) {
	g, err := s.gossip(ctx, token)
	if err != nil {
		return nil, err
	}
	return g.Keys()
}

// ChangeGossipKey does one thing with a key of gossip: install, use or remove.
func (s *Server) ChangeGossipKey(ctx context.Context, token, what, key string) (*api.GossipKeys, error) {
	g, err := s.gossip(ctx, token)
	if err != nil {
		return nil, err
	}
	switch what {
	case "install":
		return g.InstallKey(key)
	case "use":
		return g.UseKey(key)
	case "remove":
		return g.RemoveKey(key)
	}
	return nil, api.Errorf(api.CodeInvalid, "%q is nothing to do with a key: install, use or remove", what)
}

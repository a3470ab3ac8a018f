package server

import (
	"context"

	"github.com/drover-org/drover/api"
)

// Leader returns the RPC address of the leader, "" without one.
func (s *Server) Leader() string { return s.cfg.Cluster.Leader() }

// Peers returns the RPC addresses of the servers of the log.
func (s *Server) Peers() []string {
	servers := s.cfg.Cluster.Servers()
	peers := make([]string, len(servers))
	for i, p := range servers {
		peers[i] = p.Address
	}
	return peers
}

// RaftServers lists the servers of the log.
func (s *Server) RaftServers(ctx context.Context, token string) ([]*api.RaftServer, error) {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return nil, err
	}
	return s.cfg.Cluster.Servers(), nil
}

// Members lists the servers of the region.
func (s *Server) Members(ctx context.Context, token string) ([]*api.AgentMember, error) {
	if err := s.authorize(ctx, token, api.CapNodeRead, ""); err != nil {
		return nil, err
	}
	return s.cfg.Cluster.Members(), nil
}

// Authorize checks a right that no object has a say in.
func (s *Server) Authorize(ctx context.Context, token string, c api.Capability) error {
	return s.authorize(ctx, token, c, "")
}

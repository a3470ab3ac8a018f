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

// Authorize checks a right that no object has a say in.
func (s *Server) Authorize(ctx context.Context, token string, c api.Capability) error {
	return s.authorize(ctx, token, c, "")
}

// raftServer finds a server of the log by address or by ID.
func (s *Server) raftServer(address, id string) (*api.RaftServer, error) {
	if (address == "") == (id == "") {
		return nil, api.Errorf(api.CodeInvalid, "give either id or address of a server")
	}
	for _, p := range s.cfg.Cluster.Servers() {
		if p.ID == id || p.Address == address {
			return p, nil
		}
	}
	if id != "" {
		return nil, api.Errorf(api.CodeNotFound, "id %q was not found in the Raft configuration", id)
	}
	return nil, api.Errorf(api.CodeNotFound, "address %q was not found in the Raft configuration", address)
}

// RemoveRaftPeer takes a server, by address or by ID, out of the log. The last
// one can't go.
func (s *Server) RemoveRaftPeer(ctx context.Context, token, address, id string) error {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return err
	}
	p, err := s.raftServer(address, id)
	if err != nil {
		return err
	}
	return s.cfg.Cluster.RemoveServer(ctx, p.ID)
}

// TransferLeadership makes a server, by address or by ID, the leader.
func (s *Server) TransferLeadership(ctx context.Context, token, address, id string) error {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return err
	}
	p, err := s.raftServer(address, id)
	if err != nil {
		return err
	}
	return s.cfg.Cluster.Transfer(ctx, p.ID)
}

package server

import (
	"context"
	"time"

	"github.com/drover-org/drover/api"
)

// lastContactThreshold is how long a healthy server may not have heard of its
// leader: raft's own patience is of this size.
const lastContactThreshold = 200 * time.Millisecond

// AutopilotConfiguration tells what servers do about servers that fail:
// nothing. An operator takes them out of the log.
func (s *Server) AutopilotConfiguration(ctx context.Context, token string) (*api.AutopilotConfiguration, error) {
	if err := s.authorize(ctx, token, api.CapOperatorRead, ""); err != nil {
		return nil, err
	}
	return &api.AutopilotConfiguration{
		LastContactThreshold: lastContactThreshold.String(), ServerStabilizationTime: time.Duration(0).String(), DisableUpgradeMigration: true,
	}, nil
}

// SetAutopilotConfiguration refuses: there is nothing to set.
func (s *Server) SetAutopilotConfiguration(ctx context.Context, token string) error {
	if err := s.authorize(ctx, token, api.CapOperatorWrite, ""); err != nil {
		return err
	}
	return api.Errorf(api.CodeUnsupported, "servers that fail stay members until somebody removes them (DELETE /v1/operator/raft/peer): there is no autopilot to configure")
}

// RegionHealth tells how the servers are, as this one sees them.
func (s *Server) RegionHealth(ctx context.Context, token string) (*api.RegionHealth, error) {
	if err := s.authorize(ctx, token, api.CapOperatorRead, ""); err != nil {
		return nil, err
	}
	c := s.cfg.Cluster
	return regionHealth(c.Servers(), c.Members(), s.own(), c.Leader() != ""), nil
}

// own is what this server knows of itself alone.
func (s *Server) own() ownHealth {
	return ownHealth{id: s.cfg.Cluster.ID(), contact: s.cfg.Cluster.LastContact(), at: s.cfg.Cluster.Position()}
}

type ownHealth struct {
	id      string
	contact time.Duration
	at      api.LogPosition
}

// regionHealth puts together what the log and the servers' gossip say. Without
// a leader nobody is healthy, because nothing can be written.
func regionHealth(servers []*api.RaftServer, members []*api.AgentMember, own ownHealth, led bool) *api.RegionHealth {
	byID := map[string]*api.AgentMember{}
	for _, m := range members {
		byID[m.Tags["id"]] = m
	}
	out := &api.RegionHealth{Healthy: len(servers) > 0, Servers: []api.ServerHealth{}, Voters: []string{}}
	healthy := 0
	for _, r := range servers {
		h := api.ServerHealth{ID: r.ID, Name: r.Node, Address: r.Address, SerfStatus: "none", Leader: r.Leader && led, Voter: r.Voter, LastContact: "0s"}
		if m := byID[r.ID]; m != nil {
			h.Name, h.SerfStatus, h.Version = m.Name, m.Status, m.Tags["build"]
		}
		h.Healthy = led && h.SerfStatus == "alive"
		if r.ID == own.id {
			h.LastContact, h.LastTerm, h.LastIndex, h.StableSince = own.contact.String(), own.at.Term, own.at.Index, own.at.Since.UTC()
			h.Healthy = h.Healthy && own.contact <= lastContactThreshold
		}
		if h.Leader {
			out.Leader = r.ID
		}
		if r.Voter {
			out.Voters = append(out.Voters, r.ID)
			if h.Healthy {
				healthy++
			}
		}
		out.Healthy = out.Healthy && h.Healthy
		out.Servers = append(out.Servers, h)
	}
	out.FailureTolerance = max(healthy-(len(out.Voters)/2+1), 0)
	return out
}

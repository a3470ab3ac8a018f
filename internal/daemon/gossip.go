package daemon

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/cluster"
	"github.com/drover-org/drover/internal/gossip"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/version"
)

// listenGossip opens the serf port, unless strangers could take part.
func (d *daemon) listenGossip() error {
	if !d.cfg.MayGossip() {
		return nil
	}
	var err error
	if d.gossipSockets, err = gossip.Listen(d.cfg.SerfBind()); err != nil {
		return fmt.Errorf("listen for gossip: %w; another agent may be running, or set ports.serf", err)
	}
	d.serfAddr = advertised(d.cfg.Advertise.Serf, d.gossipSockets.Streams.Addr())
	return nil
}

// openGossip makes this server's part among the others, nil when its port is
// closed.
func (d *daemon) openGossip(id string) (*gossip.Gossip, error) {
	if d.gossipSockets.Streams == nil {
		return nil, nil
	}
	s := &d.cfg.Server
	start, retry := s.Joins()
	cfg := gossip.Config{
		Name: d.memberName(), Tags: d.tags(id), Sockets: d.gossipSockets, Address: d.serfAddr, Log: d.log,
		Rejoin: s.RejoinAfterLeave, Start: d.cfg.Gossips(), Join: start, Retry: retry, Every: s.ServerJoin.RetryInterval, Max: s.ServerJoin.RetryMax,
	}
	if d.dirs.server != "" {
		cfg.Dir = filepath.Join(d.dirs.server, "serf")
	}
	if s.Encrypt != "" {
		var err error
		if cfg.Key, err = gossip.ParseKey(s.Encrypt); err != nil {
			return nil, fmt.Errorf("server.encrypt: %w", err)
		}
	}
	return gossip.Open(cfg), nil
}

// gossiper is the gossip as the use cases see it: nil when there is none.
func (s *serverPart) gossiper() server.Gossip {
	if s.gossip == nil {
		return nil
	}
	return s.gossip
}

// members adds to the log's view of the servers how they know each other.
type members struct {
	*cluster.Cluster
	daemon *daemon
}

// Members lists the servers of all regions.
func (m members) Members() []*api.AgentMember {
	if g := m.daemon.server.gossip; g != nil {
		return g.Members()
	}
	return []*api.AgentMember{m.daemon.member()}
}

func (d *daemon) memberName() string { return d.cfg.Name + "." + d.cfg.Region }

// raftProtocol is what clients of the API look for in a member.
const raftProtocol = "3"

// Tags of members.
const (
	tagRegion = "region"
	tagHost   = "rpc_addr"
	tagPort   = "port" // of rpc
)

// tags is what this server says of itself.
func (d *daemon) tags(id string) map[string]string {
	host, port, _ := net.SplitHostPort(d.rpcAddr)
	return map[string]string{
		"role": "nomad", tagRegion: d.cfg.Region, "dc": d.cfg.Datacenter, "build": version.Number(), "revision": version.Commit(),
		tagHost: host, tagPort: port, "raft_vsn": raftProtocol, "expect": strconv.Itoa(d.cfg.Server.BootstrapExpect), gossip.TagID: id,
	}
}

// member describes this server.
func (d *daemon) member() *api.AgentMember {
	if s := d.server; s != nil && s.gossip != nil {
		return s.gossip.Self()
	}
	if d.server == nil {
		return &api.AgentMember{Name: d.memberName(), Status: "none"}
	}
	tags := d.tags(d.server.cluster.ID())
	n, _ := strconv.ParseUint(tags[tagPort], 10, 16)
	return &api.AgentMember{Name: d.memberName(), Addr: tags[tagHost], Port: uint16(n), Tags: tags, Status: "alive"}
}

package daemon

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/cluster"
	"github.com/drover-org/drover/internal/control/voters"
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

// Servers lists the servers of the log, with the names that gossip knows.
func (m members) Servers() []*api.RaftServer {
	servers := m.Cluster.Servers()
	for _, known := range m.Members() {
		for _, s := range servers {
			if s.ID == known.Tags[gossip.TagID] {
				s.Node = known.Name
			}
		}
	}
	return servers
}

// Members lists the servers of all regions.
func (m members) Members() []*api.AgentMember {
	if g := m.daemon.server.gossip; g != nil {
		return g.Members()
	}
	return []*api.AgentMember{m.daemon.member()}
}

// regionServers are the servers of this region as gossip knows them, this one
// included.
func (d *daemon) regionServers() []voters.Member {
	var out []voters.Member
	for _, m := range d.server.gossip.Members() {
		if m.Tags[tagRegion] != d.cfg.Region || m.Tags[gossip.TagID] == "" {
			continue
		}
		expect, _ := strconv.Atoi(m.Tags[tagExpect])
		out = append(out, voters.Member{
			ID: m.Tags[gossip.TagID], Name: m.Name, Address: net.JoinHostPort(m.Tags[tagHost], m.Tags[tagPort]),
			Alive: m.Status == statusAlive, Expect: expect,
		})
	}
	return out
}

// neighbours is gossip as the loops about servers see it.
type neighbours struct {
	*gossip.Gossip
	daemon *daemon
}

// Servers lists the servers of the region.
func (n neighbours) Servers() []voters.Member { return n.daemon.regionServers() }

// statusAlive is that of a member that lives.
const statusAlive = "alive"

func (d *daemon) memberName() string { return d.cfg.Name + "." + d.cfg.Region }

// raftProtocol is what clients of the API look for in a member.
const raftProtocol = "3"

// Tags of members.
const (
	tagRegion = "region"
	tagHost   = "rpc_addr"
	tagPort   = "port" // of rpc
	tagExpect = "expect"
)

// tags is what this server says of itself.
func (d *daemon) tags(id string) map[string]string {
	host, port, _ := net.SplitHostPort(d.rpcAddr)
	return map[string]string{
		"role": "nomad", tagRegion: d.cfg.Region, "dc": d.cfg.Datacenter, "build": version.Number(), "revision": version.Commit(),
		tagHost: host, tagPort: port, "raft_vsn": raftProtocol, tagExpect: strconv.Itoa(d.cfg.Server.BootstrapExpect), gossip.TagID: id,
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
	return &api.AgentMember{Name: d.memberName(), Addr: tags[tagHost], Port: uint16(n), Tags: tags, Status: statusAlive}
}

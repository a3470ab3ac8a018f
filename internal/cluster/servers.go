package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/drover-org/drover/api"
)

// Peers asks the leader, by its address. An error that carries
// api.CodeNotLeader says that nothing was done there.
type Peers interface {
	Propose(ctx context.Context, addr string, cmd []byte) (index uint64, err error)
	ReadIndex(ctx context.Context, addr string) (index uint64, err error)
	Leave(ctx context.Context, addr, id string) error
}

func (c *Cluster) configuration() raft.Configuration {
	f := c.raft.GetConfiguration()
	if f.Error() != nil { // only after shutdown
		return raft.Configuration{}
	}
	return f.Configuration()
}

// pace gives a server that is no longer alone the time that several need.
func (c *Cluster) pace() error {
	now := c.raft.ReloadableConfig()
	if len(c.configuration().Servers) <= 1 || now.HeartbeatTimeout >= severalTimeout {
		return nil
	}
	now.HeartbeatTimeout, now.ElectionTimeout = severalTimeout, severalTimeout
	return c.raft.ReloadConfig(now)
}

// Formed reports whether this server belongs to a log.
func (c *Cluster) Formed() bool { return len(c.configuration().Servers) > 0 }

// Form begins a log with the servers given, by ID and address, of which this
// one is one. At most one of them may do so.
func (c *Cluster) Form(ctx context.Context, servers map[string]string) error {
	var cfg raft.Configuration
	for id, addr := range servers {
		cfg.Servers = append(cfg.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(addr)})
	}
	if _, err := await(ctx, c, func() raft.Future { return c.raft.BootstrapCluster(cfg) }); err != nil {
		return fmt.Errorf("form the log: %w", err)
	}
	c.fsm.voters.Store(int32(len(servers)))
	return nil
}

// changeWait bounds a change of the servers.
const changeWait = 10 * time.Second

// AddServer makes a server one that votes, or moves it to another address. It
// is for the leader.
func (c *Cluster) AddServer(ctx context.Context, id, addr string) error {
	c.fsm.voters.Store(int32(max(2, len(c.configuration().Servers)))) // from now on others are asked
	now := c.raft.ReloadableConfig()
	now.HeartbeatTimeout, now.ElectionTimeout = severalTimeout, severalTimeout
	if err := c.raft.ReloadConfig(now); err != nil {
		return err
	}
	return c.change(ctx, func() raft.IndexFuture {
		return c.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(addr), 0, changeWait)
	})
}

// RemoveServer takes a server out of the log. It is for the leader; the last
// server can't go.
func (c *Cluster) RemoveServer(ctx context.Context, id string) error {
	if !c.Leads() {
		return api.ErrNotLeader
	}
	servers := c.configuration().Servers
	if len(servers) == 1 && string(servers[0].ID) == id {
		return api.Errorf(api.CodeInvalid, "server %s is the only one: without it there is no log", id)
	}
	return c.change(ctx, func() raft.IndexFuture { return c.raft.RemoveServer(raft.ServerID(id), 0, changeWait) })
}

func (c *Cluster) change(ctx context.Context, do func() raft.IndexFuture) error {
	_, err := await(ctx, c, do)
	return proposeError(err)
}

// Transfer hands leadership to the server with an ID, or with none to the one
// that is furthest. It is for the leader.
func (c *Cluster) Transfer(ctx context.Context, id string) error {
	if !c.Leads() {
		return api.ErrNotLeader
	}
	do := c.raft.LeadershipTransfer
	if id != "" {
		var to *raft.Server
		for _, s := range c.configuration().Servers {
			if string(s.ID) == id {
				to = &s
			}
		}
		switch {
		case to == nil:
			return api.Errorf(api.CodeNotFound, "id %q was not found in the Raft configuration", id)
		case to.ID == c.storage.id:
			return nil
		}
		do = func() raft.Future { return c.raft.LeadershipTransferToServer(to.ID, to.Address) }
	}
	if _, err := await(ctx, c, do); err != nil {
		return api.Errorf(api.CodeUnavailable, "leadership was not handed over: %w", err)
	}
	return nil
}

// StepDown hands leadership on before this server ends, if there is another.
func (c *Cluster) StepDown(ctx context.Context) {
	if !c.Leads() || c.fsm.alone() {
		return
	}
	if err := c.Transfer(ctx, ""); err != nil {
		c.cfg.Log.Warn("leadership ends with this server", "error", err)
	}
}

// Leave takes this server out of the log for good and returns when that is
// committed. The only server stays.
func (c *Cluster) Leave(ctx context.Context) error {
	if !c.Formed() || c.fsm.alone() {
		return nil
	}
	c.StepDown(ctx)
	return c.WithLeader(ctx, func(addr string) error {
		if addr != "" {
			return c.cfg.Peers.Leave(ctx, addr, c.ID())
		}
		if err := c.Transfer(ctx, ""); err != nil {
			return err
		}
		return api.ErrNotLeader // the next one takes this server out
	})
}

// raftProtocol is what Servers tells clients.
const raftProtocol = "3"

// Servers lists the members of the log.
func (c *Cluster) Servers() []*api.RaftServer {
	_, leader := c.raft.LeaderWithID()
	var out []*api.RaftServer
	for _, s := range c.configuration().Servers {
		name := string(s.ID)
		if s.ID == c.storage.id {
			name = c.cfg.Name
		}
		out = append(out, &api.RaftServer{
			ID: string(s.ID), Node: name, Address: string(s.Address), Leader: s.ID == leader,
			Voter: s.Suffrage == raft.Voter, RaftProtocol: raftProtocol,
		})
	}
	return out
}

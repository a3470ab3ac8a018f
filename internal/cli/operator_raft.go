package cli

import (
	"context"
	"flag"
	"strconv"

	"github.com/drover-org/drover/api"
)

func raftListPeersVerb() *verb {
	return listVerb("operator raft list-peers", "List the servers that keep the log", "Lists the servers of the replicated log, with the leader, as the agent's server knows them.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			cfg, err := c.Operator().RaftConfiguration(ctx)
			return give(e, m, cfg, err, func(cfg *api.RaftConfiguration) { e.show(raftTable(cfg.Servers)) })
		})
}

func raftTable(servers []*api.RaftServer) *table {
	t := newTable("Server", "ID", "Address", "Leader", "Voter")
	for _, s := range servers {
		t.row(s.Node, s.ID, s.Address, strconv.FormatBool(s.Leader), strconv.FormatBool(s.Voter))
	}
	return t
}

// raftChangeVerb is a change that names a server by ID or address.
func raftChangeVerb(name, short, long string, change func(ctx context.Context, e *env, address, id string) error) *verb {
	var address, id string
	return &verb{
		name: name, args: "-peer-id ID | -peer-address ADDRESS", short: short, long: long,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&id, "peer-id", "", "`ID` of the server")
			fs.StringVar(&address, "peer-address", "", "rpc `ADDRESS` of the server")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if (id == "") == (address == "") {
				return usagef("give either -peer-id or -peer-address; \"operator raft list-peers\" shows them")
			}
			return change(ctx, e, address, id)
		},
	}
}

func raftRemovePeerVerb() *verb {
	return raftChangeVerb("operator raft remove-peer", "Take a server out of the log", `
Takes a server out of the log that will not come back and that "server
force-leave" could not take out. A server that is alive is taken in again.`,
		func(ctx context.Context, e *env, address, id string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			return c.Operator().RemoveRaftPeer(ctx, address, id)
		})
}

func raftTransferVerb() *verb {
	return raftChangeVerb("operator raft transfer-leadership", "Make another server the leader", `
Hands leadership to a server, for instance before the machine of the leader is
worked on. An agent that is stopped does so by itself.`,
		func(ctx context.Context, e *env, address, id string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			return c.Operator().TransferLeadership(ctx, address, id)
		})
}

package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api/client"
)

type agentMonitorOptions struct {
	client.MonitorOptions
	raw bool
}

func agentMonitorVerb() *verb {
	var o agentMonitorOptions
	return &verb{
		name: "monitor", args: "[options]",
		short: "Show the log of an agent, as it is written",
		long: `
Shows what the agent that is asked logs from now on, or the agent of another
node with -node-id, until it is interrupted. The level is that of this command,
not that of the agent's own log: -log-level debug shows what the agent itself
does not write. Lines that come faster than they can be taken are left out; a
line then says how many.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.Level, "log-level", "info", "show lines of `LEVEL` and above: debug, info, warn or error")
			fs.StringVar(&o.NodeID, "node-id", "", "the log of the agent of `NODE`, by ID or its prefix")
			fs.StringVar(&o.ServerID, "server-id", "", "the log of the server `NAME`, or of the leader")
			fs.BoolVar(&o.JSON, "json", false, "an object per line")
			fs.BoolVar(&o.Location, "log-include-location", false, "where in the program each line comes from")
			fs.BoolVar(&o.raw, "raw", false, "leave control sequences as they are on a terminal")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAgentMonitor(ctx, e, &o, args) },
	}
}

func runAgentMonitor(ctx context.Context, e *env, o *agentMonitorOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	if o.NodeID != "" {
		n, err := e.findNode(ctx, c, o.NodeID)
		if err != nil {
			return err
		}
		o.NodeID = n.ID
	}
	return printStream(ctx, e.safeOut(o.raw), func(client.StreamOptions) (*client.Stream, error) {
		return c.Agent().Monitor(ctx, o.MonitorOptions)
	}, client.StreamOptions{}, 0)
}

package cli

import (
	"context"
	"flag"
)

func serverJoinVerb() *verb {
	return &verb{
		name: "server join", args: "[options] ADDRESS…",
		short: "Make the agent's server and others know each other",
		long: `
Joins the servers at the addresses, host:port of their serf ports (4648 without
a port). One that answers is enough: servers tell each other of all they know.

A server of the same region becomes one that keeps the state, if it has none of
its own. With a server of another region, requests for that region are passed on
to it.`,
		run: runServerJoin,
	}
}

func runServerJoin(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usagef("give the address of at least one server")
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	n, err := c.Agent().Join(ctx, args...)
	if err != nil {
		return err
	}
	e.say("Joined %s.", plural(n, "server"))
	return nil
}

func serverForceLeaveVerb() *verb {
	var prune bool
	return &verb{
		name: "server force-leave", args: "[options] NAME",
		short: "Take out a server that failed",
		long: `
Makes the others treat a failed server as one that left: it is taken out of the
log, so that it does not count for majorities any more. NAME is as "server
members" shows it. A server that is alive after all comes back by itself.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&prune, "prune", false, "forget it, so that it is not listed any more")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			name, err := one(args, "server name")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			return c.Agent().ForceLeave(ctx, name, prune)
		},
	}
}

package cli

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/drover-org/drover/api"
)

type nodeIntroOptions struct {
	machine machine
	req     api.NodeIntroduction
	ttl     time.Duration
}

func nodeIntroCreateVerb() *verb {
	var o nodeIntroOptions
	return &verb{
		name: "node intro create", args: "[options]",
		short: "Make the token by which a new node joins",
		long: `
Prints a token by which a new node joins the region while it is valid: any node
of the pool, or with -node-name one of that name. Start the node with it in the
variable NOMAD_CLIENT_INTRO_TOKEN, or put it into the file intro_token.jwt of
its state directory. A node that is registered needs none.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.StringVar(&o.req.NodeName, "node-name", "", "for a node named `NAME` only")
			fs.StringVar(&o.req.NodePool, "node-pool", "", "for nodes of `POOL` (default: the pool \"default\")")
			fs.DurationVar(&o.ttl, "ttl", 0, "valid for `DURATION` (default: as the servers are configured)")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runNodeIntroCreate(ctx, e, &o, args) },
	}
}

func runNodeIntroCreate(ctx context.Context, e *env, o *nodeIntroOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	o.req.TTL = api.Duration(o.ttl)
	out, err := c.Nodes().Introduce(ctx, &o.req)
	switch {
	case err != nil:
		return err
	case o.machine.wanted():
		return o.machine.write(e.Out, out)
	}
	_, err = fmt.Fprintln(e.Out, out.JWT)
	return err
}

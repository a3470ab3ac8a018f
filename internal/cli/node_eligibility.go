package cli

import (
	"context"
	"flag"
)

type nodeEligibilityOptions struct{ enable, disable, self bool }

func nodeEligibilityVerb() *verb {
	var o nodeEligibilityOptions
	return &verb{
		name: "node eligibility", args: "-enable|-disable NODE", argKind: "node",
		short: "Say whether new allocations may be placed on a node",
		long: `
-disable keeps new allocations away from a node; those that run there stay.
-enable takes that back.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.enable, "enable", false, "new allocations may be placed")
			fs.BoolVar(&o.disable, "disable", false, "no new allocations")
			fs.BoolVar(&o.self, "self", false, "the node of the agent that answers")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runNodeEligibility(ctx, e, &o, args) },
	}
}

func runNodeEligibility(ctx context.Context, e *env, o *nodeEligibilityOptions, args []string) error {
	if o.enable == o.disable {
		return usagef("one of -enable and -disable is expected")
	}
	c, n, _, err := e.nodeOrSelf(ctx, args, o.self)
	if err != nil {
		return err
	}
	if _, err := c.Nodes().SetEligible(ctx, n.ID, o.enable); err != nil {
		return err
	}
	e.say("Node %s (%s) is %s.", n.Name, short(n.ID), e.out.state(map[bool]string{true: "eligible", false: "ineligible"}[o.enable]))
	return nil
}

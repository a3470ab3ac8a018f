package cli

import "context"

func systemGCVerb() *verb {
	return &verb{
		name: "system gc", args: "[options]",
		short: "Remove everything that is over, now",
		long: `
Removes jobs, evaluations, allocations and deployments that are over, and nodes
that are down, without waiting for their time to come.`,
		run: func(ctx context.Context, e *env, args []string) error {
			c, err := e.clientAlone(args)
			if err != nil {
				return err
			}
			return c.Operator().GC(ctx)
		},
	}
}

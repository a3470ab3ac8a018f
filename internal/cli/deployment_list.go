package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type deploymentListOptions struct {
	machine machine
	verbose bool
	filter  string
}

func deploymentListVerb() *verb {
	var o deploymentListOptions
	return &verb{
		name: "deployment list", args: "[options]",
		short: "List deployments",
		long:  "Lists deployments: the rollouts of job versions.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
			fs.StringVar(&o.filter, "filter", "", "only those for which `EXPRESSION` holds")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runDeploymentList(ctx, e, &o, args) },
	}
}

func runDeploymentList(ctx context.Context, e *env, o *deploymentListOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	list, _, err := c.Deployments().List(ctx, api.ListOptions{Filter: o.filter})
	switch {
	case err != nil:
		return err
	case o.machine.wanted():
		return o.machine.write(e.Out, list)
	case len(list) == 0:
		e.say("No deployments.")
	default:
		e.show(e.deploymentTable(list, o.verbose))
	}
	return nil
}

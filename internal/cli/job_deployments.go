package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type jobDeploymentsOptions struct {
	machine              machine
	latest, all, verbose bool
}

func jobDeploymentsVerb() *verb {
	var o jobDeploymentsOptions
	return &verb{
		name: "job deployments", args: "[options] JOB", argKind: "job",
		short: "List the deployments of a job",
		long:  "Lists the deployments of a job, newest first.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.latest, "latest", false, "only the newest")
			fs.BoolVar(&o.all, "all", false, "with those of former jobs of the same ID")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobDeployments(ctx, e, &o, args) },
	}
}

func runJobDeployments(ctx context.Context, e *env, o *jobDeploymentsOptions, args []string) error {
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	list, _, err := c.Jobs().Deployments(ctx, job.ID, o.all, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return err
	}
	if o.latest && len(list) > 1 {
		list = list[:1]
	}
	switch {
	case o.machine.wanted():
		return o.machine.write(e.Out, list)
	case len(list) == 0:
		e.say("Job %q has no deployments.", job.ID)
	default:
		e.show(e.deploymentTable(list, o.verbose))
	}
	return nil
}

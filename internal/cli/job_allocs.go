package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type jobAllocsOptions struct {
	machine      machine
	all, verbose bool
}

func jobAllocsVerb() *verb {
	var o jobAllocsOptions
	return &verb{
		name: "job allocs", args: "[options] JOB", argKind: "job",
		short: "List the allocations of a job",
		long:  "Lists the allocations of a job, newest first.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.all, "all", false, "with those of former jobs of the same ID")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobAllocs(ctx, e, &o, args) },
	}
}

func runJobAllocs(ctx context.Context, e *env, o *jobAllocsOptions, args []string) error {
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	list, _, err := c.Jobs().Allocations(ctx, job.ID, o.all, api.ListOptions{Namespace: job.Namespace})
	switch {
	case err != nil:
		return err
	case o.machine.wanted():
		return o.machine.write(e.Out, list)
	case len(list) == 0:
		e.say("Job %q has no allocations.", job.ID)
	default:
		e.show(e.allocTable(list, o.verbose))
	}
	return nil
}

package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type allocStopOptions struct {
	detach, verbose, noShutdownDelay bool
}

func allocStopVerb() *verb {
	var o allocStopOptions
	return &verb{
		name: "alloc stop", args: "[options] ALLOC", argKind: "alloc",
		short: "Stop an allocation and have it placed anew",
		long: `
Stops an allocation. Its job still wants it, so the scheduler places another
one; "drover job stop" and "drover job scale" are the ways to have fewer.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
			fs.BoolVar(&o.noShutdownDelay, "no-shutdown-delay", false, "skip the delays that tasks ask for")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocStop(ctx, e, &o, args) },
	}
}

func runAllocStop(ctx context.Context, e *env, o *allocStopOptions, args []string) error {
	c, a, err := named(ctx, e, args, "allocation", e.findAlloc)
	if err != nil {
		return err
	}
	resp, err := c.Allocs().Stop(ctx, a.ID, client.StopOptions{NoShutdownDelay: o.noShutdownDelay, Reschedule: a.JobType == api.JobTypeBatch})
	if err != nil {
		return err
	}
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, "allocation "+idText(a.ID, o.verbose)+" stopped")
}

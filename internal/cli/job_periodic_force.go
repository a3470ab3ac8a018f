package cli

import (
	"context"
	"flag"
	"fmt"
)

type jobForceOptions struct{ detach, verbose bool }

func jobPeriodicForceVerb() *verb {
	var o jobForceOptions
	return &verb{
		name: "job periodic force", args: "[options] JOB", argKind: "job",
		short: "Start a periodic job now",
		long: `
Starts an instance of a periodic JOB out of turn, even while an earlier one runs
and the job prohibits overlap. When it is due by the clock does not change.

Exit codes: as "drover job run".`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			c, job, err := named(ctx, e, args, "job", e.findJob)
			if err != nil {
				return err
			}
			resp, err := c.Jobs().PeriodicForce(ctx, job.ID, job.Namespace)
			if err != nil {
				return err
			}
			return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, fmt.Sprintf("an instance of job %q started", job.ID))
		},
	}
}

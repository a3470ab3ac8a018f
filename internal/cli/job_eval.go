package cli

import (
	"context"
	"flag"
	"fmt"
)

type jobEvalOptions struct{ reschedule, detach, verbose bool }

func jobEvalVerb() *verb {
	var o jobEvalOptions
	return &verb{
		name: "job eval", args: "[options] JOB", argKind: "job",
		short: "Have the scheduler look at a job again",
		long: `
Makes an evaluation of the job. With -force-reschedule, failed allocations are
replaced now instead of when their reschedule policy says.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.reschedule, "force-reschedule", false, "replace failed allocations now")
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobEval(ctx, e, &o, args) },
	}
}

func runJobEval(ctx context.Context, e *env, o *jobEvalOptions, args []string) error {
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	resp, err := c.Jobs().Evaluate(ctx, job.ID, job.Namespace, o.reschedule)
	if err != nil {
		return err
	}
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, fmt.Sprintf("job %q is evaluated", job.ID))
}

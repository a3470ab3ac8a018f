package cli

import (
	"context"
	"flag"
	"fmt"
	"strconv"

	"github.com/drover-org/drover/api"
)

type jobRevertOptions struct{ detach, verbose bool }

func jobRevertVerb() *verb {
	var o jobRevertOptions
	return &verb{
		name: "job revert", args: "[options] JOB VERSION", argKind: "job",
		short: "Make an earlier version of a job current again",
		long: `
Registers the content of VERSION as a new version and watches it start.

Exit codes: as "drover job run".`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobRevert(ctx, e, &o, args) },
	}
}

func runJobRevert(ctx context.Context, e *env, o *jobRevertOptions, args []string) error {
	if len(args) != 2 {
		return usagef("a job and a version are expected")
	}
	version, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return usagef("version %q is no number: \"drover job history %s\" lists them", args[1], args[0])
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	job, err := e.findJob(ctx, c, args[0])
	if err != nil {
		return err
	}
	resp, err := c.Jobs().Revert(ctx, job.Namespace, &api.JobRevertRequest{JobID: job.ID, JobVersion: version})
	if err != nil {
		return err
	}
	e.warn(resp.Warnings)
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, fmt.Sprintf("job %q is at the content of version %d again", job.ID, version))
}

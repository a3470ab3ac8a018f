package cli

import (
	"context"
	"flag"
	"strings"

	"github.com/drover-org/drover/api"
)

type jobPromoteOptions struct {
	groups          listFlag
	detach, verbose bool
}

func jobPromoteVerb() *verb {
	var o jobPromoteOptions
	return &verb{
		name: "job promote", args: "[options] JOB", argKind: "job",
		short: "Promote the canaries of a job's latest deployment",
		long:  "Replaces the old version of a job by the new one whose canaries are healthy.",
		flags: func(fs *flag.FlagSet) {
			fs.Var(&o.groups, "group", "only `GROUP` (may be repeated)")
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobPromote(ctx, e, &o, args) },
	}
}

func runJobPromote(ctx context.Context, e *env, o *jobPromoteOptions, args []string) error {
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	d, _, err := c.Jobs().LatestDeployment(ctx, job.ID, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return err
	}
	if d == nil || !d.Active() {
		return api.Errorf(api.CodeConflict, "job %q has no deployment that could be promoted", job.ID)
	}
	resp, err := c.Deployments().Promote(ctx, d.ID, o.groups...)
	if err != nil {
		return err
	}
	what := "deployment " + short(d.ID) + " promoted"
	if len(o.groups) > 0 {
		what += " for " + strings.Join(o.groups, ", ")
	}
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, what)
}

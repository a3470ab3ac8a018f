package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/drover-org/drover/api"
)

const (
	exitPlanChanges = 1
	exitPlanError   = 255
)

type jobPlanOptions struct {
	file           jobFileOptions
	diff           bool
	verbose        bool
	policyOverride bool
	json           bool
}

func jobPlanVerb() *verb {
	var o jobPlanOptions
	return &verb{
		name: "job plan", aliases: []string{"plan"}, args: "[options] FILE", argKind: "file", failure: exitPlanError,
		short: "Show what registering a job would change",
		long: `
Compares the job that FILE describes with the one that is registered, and lets
the scheduler say what it would do, without doing it. The job modify index that
it prints can be given to "drover job run -check-index", so that nothing else
is changed than what was looked at.

Exit codes: 0 no allocation would be created or stopped, 1 some would, 255 an
error.`,
		flags: func(fs *flag.FlagSet) {
			o.file.flags(fs)
			fs.BoolVar(&o.diff, "diff", true, "show the differences of the job")
			fs.BoolVar(&o.verbose, "verbose", false, "show unchanged parts of changed blocks, too")
			fs.BoolVar(&o.policyOverride, "policy-override", false, "override soft-mandatory policies")
			fs.BoolVar(&o.json, "json-output", false, "print the answer as JSON")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobPlan(ctx, e, &o, args) },
	}
}

func runJobPlan(ctx context.Context, e *env, o *jobPlanOptions, args []string) error {
	path, err := one(args, "job file")
	if err != nil {
		return err
	}
	job, _, err := e.readJob(path, &o.file)
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	resp, err := c.Jobs().Plan(ctx, &api.JobPlanRequest{Job: job, Diff: o.diff, PolicyOverride: o.policyOverride})
	if err != nil {
		return err
	}
	if o.json {
		if err := writeJSON(e.Out, resp); err != nil {
			return err
		}
	} else {
		e.showPlan(resp, o, path)
	}
	if planChanges(resp) {
		return &exit{code: exitPlanChanges}
	}
	return nil
}

// planChanges reports whether allocations would come or go.
func planChanges(resp *api.JobPlanResponse) bool {
	if resp.Annotations == nil {
		return false
	}
	for _, u := range resp.Annotations.DesiredTGUpdates {
		if u.Place+u.Stop+u.Migrate+u.DestructiveUpdate+u.Canary+u.Preemptions+u.RescheduleNow > 0 {
			return true
		}
	}
	return false
}

func (e *env) showPlan(resp *api.JobPlanResponse, o *jobPlanOptions, path string) {
	if resp.Diff != nil {
		e.say("%s", strings.TrimRight(diffText(e.out, resp.Diff, resp.Annotations, o.verbose), "\n"))
	}
	e.heading("Scheduler dry-run")
	if len(resp.FailedTGAllocs) == 0 {
		e.say("%s", e.out.green("- All tasks would be placed."))
	} else {
		e.placementFailures(resp.FailedTGAllocs, "- ")
	}
	if resp.Annotations != nil && len(resp.Annotations.PreemptedAllocs) > 0 {
		e.say("%s", e.out.yellow(fmt.Sprintf("- %s would be displaced:", plural(len(resp.Annotations.PreemptedAllocs), "allocation"))))
		e.show(e.allocTable(resp.Annotations.PreemptedAllocs, o.verbose))
	}
	if !resp.NextPeriodicLaunch.IsZero() {
		e.say("- The next launch would be at %s.", when(resp.NextPeriodicLaunch))
	}
	e.warn(resp.Warnings)
	e.say("\n%s %d", e.out.bold("Job Modify Index:"), resp.JobModifyIndex)
	e.say("To register exactly this: drover job run -check-index %d%s %s", resp.JobModifyIndex, o.file.repeat(), path)
}

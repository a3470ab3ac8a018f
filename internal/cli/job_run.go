package cli

import (
	"context"
	"flag"
	"strconv"

	"github.com/drover-org/drover/api"
)

type jobRunOptions struct {
	file             jobFileOptions
	detach, verbose  bool
	output           bool
	checkIndex       string
	policyOverride   bool
	preserveCounts   bool
	preserveResource bool
	evalPriority     int
}

func jobRunVerb() *verb {
	var o jobRunOptions
	return &verb{
		name: "job run", aliases: []string{"run"}, args: "[options] FILE", argKind: "file",
		short: "Register a job, or a new version of it, and watch it start",
		long: `
Registers the job that FILE describes (HCL, or JSON; - reads standard input)
and shows what comes of it: the placements, what the tasks report, the health
of the deployment. Groups that can't be placed are explained, a failing task
shows its last log lines.

The watch ends when the deployment is over, or, for jobs without one, when all
allocations have run for a second or are done. Interrupting it leaves the job running.

Exit codes: 0 the job is as wanted, 1 it was not registered, 2 it was
registered but could not be placed, failed or its deployment failed.`,
		flags: func(fs *flag.FlagSet) {
			o.file.flags(fs)
			fs.BoolVar(&o.detach, "detach", false, "do not watch; print the evaluation and return")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
			fs.BoolVar(&o.output, "output", false, "print the job as JSON and register nothing")
			fs.StringVar(&o.checkIndex, "check-index", "", "register only if the job's modify index is still `N` (0: only if it is new)")
			fs.BoolVar(&o.policyOverride, "policy-override", false, "override soft-mandatory policies")
			fs.BoolVar(&o.preserveCounts, "preserve-counts", false, "keep the counts that the running job has")
			fs.BoolVar(&o.preserveResource, "preserve-resources", false, "keep the resources that the running job has")
			fs.IntVar(&o.evalPriority, "eval-priority", 0, "`PRIORITY` of the evaluation (default the job's)")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobRun(ctx, e, &o, args) },
	}
}

func runJobRun(ctx context.Context, e *env, o *jobRunOptions, args []string) error {
	path, err := one(args, "job file")
	if err != nil {
		return err
	}
	job, submission, err := e.readJob(path, &o.file)
	if err != nil {
		return err
	}
	if o.output {
		return writeJSON(e.Out, struct{ Job *api.Job }{job})
	}
	req := &api.JobRegisterRequest{
		Job: job, Submission: submission, PolicyOverride: o.policyOverride, PreserveCounts: o.preserveCounts,
		PreserveResources: o.preserveResource, EvalPriority: o.evalPriority,
	}
	if o.checkIndex != "" {
		req.EnforceIndex = true
		if req.JobModifyIndex, err = strconv.ParseUint(o.checkIndex, 10, 64); err != nil {
			return usagef("-check-index %q is no number: take it from \"drover job plan\"", o.checkIndex)
		}
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	resp, err := c.Jobs().Register(ctx, req)
	if err != nil {
		return err
	}
	e.warn(resp.Warnings)
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, "job "+strconv.Quote(job.ID)+" registered")
}

package cli

import (
	"context"
	"flag"
	"fmt"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type jobRevertOptions struct{ detach, verbose bool }

func jobRevertVerb() *verb {
	var o jobRevertOptions
	return &verb{
		name: "job revert", args: "[options] JOB VERSION|TAG", argKind: "job",
		short: "Make an earlier version of a job current again",
		long: `
Registers the content of VERSION, or of the version that has the name TAG, as a
new version and watches it start. A number means the version of that number, or
if there is none the name.

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
	c, err := e.client()
	if err != nil {
		return err
	}
	job, err := e.findJob(ctx, c, args[0])
	if err != nil {
		return err
	}
	version, err := e.versionOf(ctx, c, job, args[1])
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

// versionOf finds the version that a number or a tag means.
func (e *env) versionOf(ctx context.Context, c *client.Client, job *api.JobListStub, typed string) (uint64, error) {
	resp, _, err := c.Jobs().Versions(ctx, job.ID, client.VersionDiffs{}, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return 0, err
	}
	for _, j := range resp.Versions {
		if strconv.FormatUint(j.Version, 10) == typed {
			return j.Version, nil
		}
	}
	for _, j := range resp.Versions {
		if j.VersionTag != nil && j.VersionTag.Name == typed {
			return j.Version, nil
		}
	}
	return 0, api.Errorf(api.CodeNotFound, "job %q has no version %q and none of that name: \"drover job history %s\" lists those that are kept", job.ID, typed, job.ID)
}

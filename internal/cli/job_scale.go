package cli

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

type jobScaleOptions struct {
	detach, verbose bool
	checkIndex      uint64
	message         string
}

func jobScaleVerb() *verb {
	var o jobScaleOptions
	return &verb{
		name: "job scale", args: "[options] JOB [GROUP] COUNT", argKind: "job",
		short: "Change how many allocations a group has",
		long: `
Sets the count of GROUP, which may be left out when the job has only one, and
watches the change.

Exit codes: as "drover job run".`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
			fs.Uint64Var(&o.checkIndex, "check-index", 0, "only if the job's modify index is still `N`")
			fs.StringVar(&o.message, "message", "submitted using the drover CLI", "`TEXT` kept with the scaling event")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobScale(ctx, e, &o, args) },
	}
}

func runJobScale(ctx context.Context, e *env, o *jobScaleOptions, args []string) error {
	if len(args) != 2 && len(args) != 3 {
		return usagef("a job, a group and a count are expected")
	}
	count, err := strconv.ParseInt(args[len(args)-1], 10, 64)
	if err != nil {
		return usagef("count %q is no number", args[len(args)-1])
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	stub, err := e.findJob(ctx, c, args[0])
	if err != nil {
		return err
	}
	group := ""
	if len(args) == 3 {
		group = args[1]
	} else {
		job, _, err := c.Jobs().Info(ctx, stub.ID, api.ListOptions{Namespace: stub.Namespace})
		if err != nil {
			return err
		}
		var names []string
		for _, g := range job.TaskGroups {
			names = append(names, g.Name)
		}
		if len(names) != 1 {
			return usagef("job %q has several groups: name one of %s", job.ID, strings.Join(names, ", "))
		}
		group = names[0]
	}
	resp, err := c.Jobs().Scale(ctx, stub.ID, stub.Namespace, &api.ScalingRequest{
		Count: &count, Target: map[string]string{"Group": group}, Message: o.message, JobModifyIndex: o.checkIndex,
	})
	if err != nil {
		return err
	}
	e.warn(resp.Warnings)
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, fmt.Sprintf("group %q of job %q has count %d", group, stub.ID, count))
}

package cli

import (
	"context"
	"flag"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
)

type jobHistoryOptions struct {
	machine machine
	diffs   bool
	version string
}

func jobHistoryVerb() *verb {
	var o jobHistoryOptions
	return &verb{
		name: "job history", args: "[options] JOB", argKind: "job",
		short: "List the versions of a job",
		long: `
Lists the versions that are kept, newest first; -p shows what each changed.
"drover job revert" makes an earlier one current again.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.diffs, "p", false, "show what each version changed")
			fs.StringVar(&o.version, "version", "", "only version `N`")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobHistory(ctx, e, &o, args) },
	}
}

func runJobHistory(ctx context.Context, e *env, o *jobHistoryOptions, args []string) error {
	c, stub, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	resp, _, err := c.Jobs().Versions(ctx, stub.ID, o.diffs, api.ListOptions{Namespace: stub.Namespace})
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, resp)
	}
	if !o.diffs {
		t := newTable("Version", "Stable", "Submitted", "Tag")
		for _, j := range resp.Versions {
			if o.version == "" || o.version == strconv.FormatUint(j.Version, 10) {
				t.row(strconv.FormatUint(j.Version, 10), strconv.FormatBool(j.Stable), ago(j.SubmitTime, time.Now(), false), tagOf(j))
			}
		}
		e.show(t)
		return nil
	}
	for i, j := range resp.Versions {
		if o.version != "" && o.version != strconv.FormatUint(j.Version, 10) {
			continue
		}
		e.say("%s  stable %v, submitted %s", e.out.bold("Version "+strconv.FormatUint(j.Version, 10)), j.Stable, ago(j.SubmitTime, time.Now(), true))
		if i < len(resp.Diffs) {
			e.say("%s", diffText(e.out, resp.Diffs[i], nil, false))
		}
	}
	return nil
}

func tagOf(j *api.Job) string {
	if j.VersionTag == nil {
		return "-"
	}
	return j.VersionTag.Name
}

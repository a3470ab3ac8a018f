package cli

import (
	"context"
	"flag"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type jobHistoryOptions struct {
	machine     machine
	diffs, full bool
	version     optionalVersion
	diffVersion optionalVersion
	diffTag     string
}

func jobHistoryVerb() *verb {
	var o jobHistoryOptions
	return &verb{
		name: "job history", args: "[options] JOB", argKind: "job",
		short: "List the versions of a job",
		long: `
Lists the versions that are kept, newest first; -p shows what each changed.
"drover job revert" makes an earlier one current again, and "drover job tag
apply" has one kept under a name.

With -diff-version or -diff-tag, -p compares every version with that one instead
of with the one before it.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.diffs, "p", false, "show what each version changed")
			fs.BoolVar(&o.full, "full", false, "with -p: show unchanged parts of changed blocks, too")
			fs.Var(&o.version, "version", "only version `N`")
			fs.Var(&o.diffVersion, "diff-version", "with -p: compare with version `N`")
			fs.StringVar(&o.diffTag, "diff-tag", "", "with -p: compare with the version of that `NAME`")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobHistory(ctx, e, &o, args) },
	}
}

func runJobHistory(ctx context.Context, e *env, o *jobHistoryOptions, args []string) error {
	switch against := o.diffTag != "" || o.diffVersion.set; {
	case o.diffTag != "" && o.diffVersion.set:
		return usagef("-diff-tag and -diff-version exclude each other")
	case against && !o.diffs && !o.machine.wanted():
		return usagef("-diff-tag and -diff-version need -p")
	case o.full && !o.diffs:
		return usagef("-full needs -p")
	}
	c, stub, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	resp, _, err := c.Jobs().Versions(ctx, stub.ID, client.VersionDiffs{Show: o.diffs, Tag: o.diffTag, Version: o.diffVersion.pointer()}, api.ListOptions{Namespace: stub.Namespace})
	if err != nil {
		return err
	}
	if o.version.set {
		if err := onlyVersion(resp, o.version.n, stub.ID); err != nil {
			return err
		}
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, resp)
	}
	if !o.diffs {
		t := newTable("Version", "Stable", "Submitted", "Tag", "Description")
		for _, j := range resp.Versions {
			name, text := tagOf(j)
			t.row(strconv.FormatUint(j.Version, 10), strconv.FormatBool(j.Stable), ago(j.SubmitTime, time.Now(), false), name, text)
		}
		e.show(t)
		return nil
	}
	for i, j := range resp.Versions {
		e.say("%s  stable %v, submitted %s%s", e.out.bold("Version "+strconv.FormatUint(j.Version, 10)), j.Stable, ago(j.SubmitTime, time.Now(), true), taggedAs(j))
		if i < len(resp.Diffs) {
			e.say("%s", diffText(e.out, resp.Diffs[i], nil, o.full))
		}
	}
	return nil
}

// onlyVersion leaves one version and its difference.
func onlyVersion(resp *api.JobVersionsResponse, version uint64, id string) error {
	for i, j := range resp.Versions {
		if j.Version != version {
			continue
		}
		resp.Versions = resp.Versions[i : i+1]
		if i < len(resp.Diffs) {
			resp.Diffs = resp.Diffs[i : i+1]
		} else {
			resp.Diffs = nil
		}
		return nil
	}
	return api.Errorf(api.CodeNotFound, "version %d of job %q is not kept: \"drover job history %s\" lists those that are", version, id, id)
}

func tagOf(j *api.Job) (name, description string) {
	if j.VersionTag == nil {
		return "-", "-"
	}
	if j.VersionTag.Description == "" {
		return j.VersionTag.Name, "-"
	}
	return j.VersionTag.Name, j.VersionTag.Description
}

func taggedAs(j *api.Job) string {
	if j.VersionTag == nil {
		return ""
	}
	return ", tagged " + strconv.Quote(j.VersionTag.Name)
}

// optionalVersion is a flag for a job version, which may be 0.
type optionalVersion struct {
	set bool
	n   uint64
}

func (v *optionalVersion) pointer() *uint64 {
	if !v.set {
		return nil
	}
	return &v.n
}

// String is empty while the flag is not given.
func (v *optionalVersion) String() string {
	if !v.set {
		return ""
	}
	return strconv.FormatUint(v.n, 10)
}

// Set takes a number.
func (v *optionalVersion) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return usagef("%q is no version: a number is expected", s)
	}
	v.set, v.n = true, n
	return nil
}

package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type jobTagOptions struct {
	name, description string
	version           optionalVersion
}

func jobTagApplyVerb() *verb {
	var o jobTagOptions
	return &verb{
		name: "job tag apply", args: "-name NAME [options] JOB", argKind: "job",
		short: "Name a version of a job, so that it is kept",
		long: `
Names a version of JOB, the current one unless -version names another. A version
with a name is kept until the job is purged or the name is taken from it with
"drover job tag unset"; "drover job revert" and "drover job history -diff-tag"
take the name. A version has one name: a second one replaces the first.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.name, "name", "", "the `NAME`")
			fs.StringVar(&o.description, "description", "", "`TEXT` kept with it")
			fs.Var(&o.version, "version", "version `N` instead of the current one")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobTagApply(ctx, e, &o, args) },
	}
}

func runJobTagApply(ctx context.Context, e *env, o *jobTagOptions, args []string) error {
	if o.name == "" {
		return usagef("-name is missing")
	}
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	req := &api.JobTagRequest{Version: o.version.n, Latest: !o.version.set, Description: o.description}
	if _, err := c.Jobs().TagVersion(ctx, job.ID, job.Namespace, o.name, req); err != nil {
		return err
	}
	which := "The current version"
	if o.version.set {
		which = "Version " + o.version.String()
	}
	e.say("%s of job %q has the name %q.", which, job.ID, o.name)
	return nil
}

func jobTagUnsetVerb() *verb {
	var name string
	return &verb{
		name: "job tag unset", args: "-name NAME JOB", argKind: "job",
		short: "Take the name from a version of a job",
		long:  "The version stays until newer ones displace it.",
		flags: func(fs *flag.FlagSet) { fs.StringVar(&name, "name", "", "the `NAME`") },
		run: func(ctx context.Context, e *env, args []string) error {
			if name == "" {
				return usagef("-name is missing")
			}
			c, job, err := named(ctx, e, args, "job", e.findJob)
			if err != nil {
				return err
			}
			if err := c.Jobs().UntagVersion(ctx, job.ID, job.Namespace, name); err != nil {
				return err
			}
			e.say("No version of job %q has the name %q any more.", job.ID, name)
			return nil
		},
	}
}

package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type jobInspectOptions struct {
	machine machine
	version string
	hcl     bool
}

func jobInspectVerb() *verb {
	var o jobInspectOptions
	return &verb{
		name: "job inspect", aliases: []string{"inspect"}, args: "[options] JOB", argKind: "job",
		short: "Print a job as it is registered",
		long: `
Prints the registered job as JSON, in the form that "drover job run" takes. With
-hcl it prints the text that the job was registered from.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.StringVar(&o.version, "version", "", "`N` of the version (default the current one)")
			fs.BoolVar(&o.hcl, "hcl", false, "print the text it was registered from")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobInspect(ctx, e, &o, args) },
	}
}

func runJobInspect(ctx context.Context, e *env, o *jobInspectOptions, args []string) error {
	c, stub, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	in := api.ListOptions{Namespace: stub.Namespace}
	version := stub.Version
	if o.version != "" {
		if version, err = strconv.ParseUint(o.version, 10, 64); err != nil {
			return usagef("-version %q is no number", o.version)
		}
	}
	if o.hcl {
		s, _, err := c.Jobs().Submission(ctx, stub.ID, version, in)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(e.Out, s.Source)
		return err
	}
	if o.version == "" && o.machine.tmpl == "" {
		raw, _, err := c.Jobs().InfoRaw(ctx, stub.ID, in)
		if err != nil {
			return err
		}
		return writeJSON(e.Out, struct{ Job json.RawMessage }{raw})
	}
	versions, _, err := c.Jobs().Versions(ctx, stub.ID, client.VersionDiffs{}, in)
	if err != nil {
		return err
	}
	for _, j := range versions.Versions {
		if j.Version != version {
			continue
		}
		if o.machine.tmpl != "" {
			return o.machine.write(e.Out, j)
		}
		return writeJSON(e.Out, struct{ Job *api.Job }{j})
	}
	return api.Errorf(api.CodeNotFound, "job %q has no version %d: \"drover job history %s\" lists those that are kept", stub.ID, version, stub.ID)
}

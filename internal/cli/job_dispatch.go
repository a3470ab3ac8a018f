package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/drover-org/drover/api"
)

type jobDispatchOptions struct {
	meta                listFlag
	prefix, idempotency string
	priority            int
	detach, verbose     bool
}

func jobDispatchVerb() *verb {
	var o jobDispatchOptions
	return &verb{
		name: "job dispatch", args: "[options] JOB [FILE]", argKind: "job",
		short: "Start an instance of a parameterized job",
		long: `
Starts an instance of JOB with the contents of FILE, or of standard input for
"-", as its payload, and watches it until it is placed.

Exit codes: as "drover job run".`,
		flags: func(fs *flag.FlagSet) {
			fs.Var(&o.meta, "meta", "`KEY=VALUE` for the instance's metadata (may be repeated)")
			fs.StringVar(&o.prefix, "id-prefix-template", "", "`TEXT` in front of the unique part of the instance's name")
			fs.StringVar(&o.idempotency, "idempotency-token", "", "start nothing if an instance has this `TOKEN` already")
			fs.IntVar(&o.priority, "priority", 0, "`N` instead of the job's priority")
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobDispatch(ctx, e, &o, args) },
	}
}

func runJobDispatch(ctx context.Context, e *env, o *jobDispatchOptions, args []string) error {
	req := &api.JobDispatchRequest{IdPrefixTemplate: o.prefix, Priority: o.priority}
	for _, pair := range o.meta {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return usagef("-meta %q is no pair: write KEY=VALUE", pair)
		}
		if req.Meta == nil {
			req.Meta = map[string]string{}
		}
		req.Meta[key] = value
	}
	var err error
	if len(args) == 2 {
		if req.Payload, err = e.payload(args[1]); err != nil {
			return err
		}
		args = args[:1]
	}
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	req.JobID = job.ID
	resp, err := c.Jobs().Dispatch(ctx, job.Namespace, req, o.idempotency)
	if err != nil {
		return err
	}
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, fmt.Sprintf("job %q dispatched as %q", job.ID, resp.DispatchedJobID))
}

// payload reads a file, or standard input for "-". It reads no more than shows
// that it is too long.
func (e *env) payload(name string) ([]byte, error) {
	in := e.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, api.MaxDispatchPayload+1))
	if err == nil && len(data) > api.MaxDispatchPayload {
		err = usagef("the payload %q is too long: at most %d bytes are possible", name, api.MaxDispatchPayload)
	}
	return data, err
}

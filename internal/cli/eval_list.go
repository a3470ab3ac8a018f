package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type evalListOptions struct {
	machine     machine
	verbose     bool
	job, status string
	filter      string
	perPage     int
	pageToken   string
}

func evalListVerb() *verb {
	var o evalListOptions
	return &verb{
		name: "eval list", args: "[options]",
		short: "List evaluations",
		long:  "Lists evaluations: what the scheduler was asked to look at, and what came of it.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times")
			fs.StringVar(&o.job, "job", "", "only of `JOB`")
			fs.StringVar(&o.status, "status", "", "only with this `STATUS`")
			fs.StringVar(&o.filter, "filter", "", "only those for which `EXPRESSION` holds")
			fs.IntVar(&o.perPage, "per-page", 0, "at most `N`, with a token for the next page")
			fs.StringVar(&o.pageToken, "page-token", "", "`TOKEN` of the page")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runEvalList(ctx, e, &o, args) },
	}
}

func runEvalList(ctx context.Context, e *env, o *evalListOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	list, meta, err := c.Evals().List(ctx, o.status, o.job, api.ListOptions{Filter: o.filter, PerPage: o.perPage, NextToken: o.pageToken})
	switch {
	case err != nil:
		return err
	case o.machine.wanted():
		return o.machine.write(e.Out, list)
	case len(list) == 0:
		e.say("No evaluations.")
	default:
		e.show(e.evalTable(list, o.verbose))
	}
	if meta.NextToken != "" {
		e.note("More: -page-token %s", meta.NextToken)
	}
	return nil
}

package cli

import (
	"context"
	"flag"
	"fmt"

	"github.com/drover-org/drover/api"
)

type evalDeleteOptions struct {
	filter string
	yes    bool
}

func evalDeleteVerb() *verb {
	var o evalDeleteOptions
	return &verb{
		name: "eval delete", args: "[options] [EVAL…]", argKind: "eval",
		short: "Delete evaluations while scheduling is paused",
		long: `
Deletes the evaluations that are named, or those for which -filter holds, whatever
their status. It is for a flood of them that nobody wants to wait for: scheduling
must be paused before, with "drover operator scheduler set-config
-pause-eval-broker=true", and is to go on afterwards. Allocations stay as they
are; "drover job eval" makes a new evaluation of a job.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.filter, "filter", "", "those for which `EXPRESSION` holds, of all namespaces")
			fs.BoolVar(&o.yes, "yes", false, "do not ask")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runEvalDelete(ctx, e, &o, args) },
	}
}

func runEvalDelete(ctx context.Context, e *env, o *evalDeleteOptions, args []string) error {
	if (o.filter == "") == (len(args) == 0) {
		return usagef("name the evaluations, or give -filter")
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	req := &api.EvalDeleteRequest{Filter: o.filter}
	count := len(args)
	for _, typed := range args {
		id, err := e.findEval(ctx, c, typed)
		if err != nil {
			return err
		}
		req.EvalIDs = append(req.EvalIDs, id)
	}
	if o.filter != "" {
		if count, err = c.Evals().Count(ctx, api.ListOptions{Namespace: api.AllNamespaces, Filter: o.filter}); err != nil {
			return err
		}
		if count == 0 {
			e.say("No evaluation matches.")
			return nil
		}
	}
	if !o.yes && !e.confirm(fmt.Sprintf("Delete %s?", plural(count, "evaluation"))) {
		return usagef("%s would be deleted: -yes does it", plural(count, "evaluation"))
	}
	deleted, err := c.Evals().Delete(ctx, req)
	if err != nil {
		return err
	}
	e.say("%s deleted.", plural(deleted, "evaluation"))
	return nil
}

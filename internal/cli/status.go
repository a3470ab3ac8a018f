package cli

import (
	"context"
	"flag"
	"strings"

	"github.com/drover-org/drover/api"
)

type statusOptions struct{ verbose bool }

func statusVerb() *verb {
	var o statusOptions
	return &verb{
		name: "status", args: "[options] [ID]", argKind: "any",
		short: "Show whatever an ID belongs to",
		long: `
Looks up what ID, or the beginning of one, belongs to (job, allocation, node,
evaluation, deployment) and shows it. Without ID, lists the jobs.`,
		flags: func(fs *flag.FlagSet) { fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times") },
		run:   func(ctx context.Context, e *env, args []string) error { return runStatus(ctx, e, &o, args) },
	}
}

// Contexts of a search, in the order in which a match wins.
var searchContexts = []string{"jobs", "allocs", "nodes", "evals", "deployment"}

func runStatus(ctx context.Context, e *env, o *statusOptions, args []string) error {
	id, err := optional(args, "ID")
	if err != nil {
		return err
	}
	if id == "" {
		return runJobStatus(ctx, e, &jobStatusOptions{verbose: o.verbose}, nil)
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	found, err := c.Search().Prefix(ctx, &api.SearchRequest{Prefix: id, Context: "all", Namespace: e.conn.Namespace})
	if err != nil {
		return err
	}
	var kinds []string
	for _, k := range searchContexts {
		for _, m := range found.Matches[k] {
			if m == id { // an exact ID beats every prefix
				return e.showKind(ctx, k, o, id)
			}
		}
		if len(found.Matches[k]) > 0 {
			kinds = append(kinds, k)
		}
	}
	switch len(kinds) {
	case 0:
		return api.Errorf(api.CodeNotFound, "nothing has an ID that starts with %q", id)
	case 1:
		return e.showKind(ctx, kinds[0], o, id)
	}
	t := newTable("Kind", "ID")
	for _, k := range kinds {
		for _, m := range found.Matches[k] {
			t.row(kindName(k), m)
		}
	}
	t.write(e.Err, e.err)
	return api.Errorf(api.CodeInvalid, "%q fits several things: type more of the ID, or use the command of its kind", id)
}

func kindName(context string) string { return strings.TrimSuffix(context, "s") }

func (e *env) showKind(ctx context.Context, kind string, o *statusOptions, id string) error {
	args := []string{id}
	switch kind {
	case "jobs":
		return runJobStatus(ctx, e, &jobStatusOptions{verbose: o.verbose}, args)
	case "allocs":
		return runAllocStatus(ctx, e, &allocStatusOptions{verbose: o.verbose}, args)
	case "nodes":
		return runNodeStatus(ctx, e, &nodeStatusOptions{verbose: o.verbose}, args)
	case "evals":
		return runEvalStatus(ctx, e, &evalStatusOptions{verbose: o.verbose}, args)
	}
	return runDeploymentStatus(ctx, e, &deploymentStatusOptions{verbose: o.verbose}, args)
}

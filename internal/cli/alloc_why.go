package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type whyOptions struct {
	machine      machine
	all, verbose bool
	group        string
}

func (o *whyOptions) flags(fs *flag.FlagSet) {
	o.machine.flags(fs)
	fs.BoolVar(&o.all, "all", false, "every node instead of the first ones")
	fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
}

func allocWhyVerb() *verb {
	var o whyOptions
	return &verb{
		name: "alloc why", args: "[options] ALLOC", argKind: "alloc",
		short: "Explain why an allocation is where it is",
		long: `
Judges every node as if the allocation were to be placed now: which constraint,
which resource or which port rules a node out, and how the others score. What
was noted when it was placed is shown as well. ALLOC is the beginning of its ID.`,
		flags: o.flags,
		run:   func(ctx context.Context, e *env, args []string) error { return runAllocWhy(ctx, e, &o, args) },
	}
}

func runAllocWhy(ctx context.Context, e *env, o *whyOptions, args []string) error {
	c, a, err := named(ctx, e, args, "allocation", e.findAlloc)
	if err != nil {
		return err
	}
	x, err := c.Allocs().Explain(ctx, a.ID, o.all, api.ListOptions{Namespace: a.Namespace})
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, x)
	}
	e.say("Allocation %s (%s) is on %s and %s", idText(a.ID, o.verbose), visible(a.Name), visible(a.NodeName), e.out.state(a.ClientStatus))
	if m := x.Recorded; m != nil {
		e.say("When it was placed, %s of %d suited: %d ruled out, %d full", plural(m.NodesEvaluated-m.NodesFiltered-m.NodesExhausted, "node"),
			m.NodesEvaluated, m.NodesFiltered, m.NodesExhausted)
		if len(m.ScoreMetaData) > 0 {
			e.heading("Scores when it was placed")
			e.scoreTable(m)
		}
	}
	e.verdicts(x, o.verbose)
	return nil
}

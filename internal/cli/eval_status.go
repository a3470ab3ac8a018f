package cli

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
)

type evalStatusOptions struct {
	machine          machine
	verbose, monitor bool
}

func evalStatusVerb() *verb {
	var o evalStatusOptions
	return &verb{
		name: "eval status", args: "[options] EVAL", argKind: "eval",
		short: "Show an evaluation and why something was not placed",
		long: `
Shows what made the scheduler look, what it decided, and for groups that it
could not place the reason on every kind of node. -monitor watches what comes
of the evaluation, with the exit codes of "drover job run".`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times")
			fs.BoolVar(&o.monitor, "monitor", false, "watch until the outcome is known")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runEvalStatus(ctx, e, &o, args) },
	}
}

func runEvalStatus(ctx context.Context, e *env, o *evalStatusOptions, args []string) error {
	c, id, err := named(ctx, e, args, "evaluation", e.findEval)
	if err != nil {
		return err
	}
	if o.monitor {
		return e.newMonitor(c, o.verbose).watch(ctx, id)
	}
	v, _, err := c.Evals().Info(ctx, id, true, api.ListOptions{})
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, v)
	}
	e.evalFacts(v, o.verbose)
	if len(v.FailedTGAllocs) > 0 {
		e.heading("Placement failures")
		e.placementFailures(v.FailedTGAllocs, "")
	}
	if len(v.RelatedEvals) > 0 {
		e.heading("Related evaluations")
		t := newTable("ID", "Triggered by", "Status", "Description")
		for _, r := range v.RelatedEvals {
			t.row(idText(r.ID, o.verbose), r.TriggeredBy, e.out.state(r.Status), r.StatusDescription)
		}
		e.show(t)
	}
	allocs, _, err := c.Evals().Allocations(ctx, id, api.ListOptions{})
	if err != nil {
		return err
	}
	if len(allocs) > 0 {
		e.heading("Allocations")
		e.show(e.allocTable(allocs, o.verbose))
	}
	return nil
}

func (e *env) evalFacts(v *api.Evaluation, verbose bool) {
	now := time.Now()
	f := &facts{}
	f.add("ID", v.ID)
	f.add("Created", ago(v.CreateTime, now, verbose))
	f.add("Modified", ago(v.ModifyTime, now, verbose))
	f.add("Status", e.out.state(v.Status)+colon(v.StatusDescription))
	f.add("Type", v.Type)
	f.add("Triggered by", v.TriggeredBy)
	f.add("Priority", strconv.Itoa(v.Priority))
	f.addIf("Job", v.JobID)
	f.addIf("Node", idText(v.NodeID, verbose))
	f.addIf("Deployment", idText(v.DeploymentID, verbose))
	f.addIf("Previous", idText(v.PreviousEval, verbose))
	f.addIf("Next", idText(v.NextEval, verbose))
	f.addIf("Quota used up", v.QuotaLimitReached)
	f.addIf("Blocked", idText(v.BlockedEval, verbose))
	if !v.WaitUntil.IsZero() {
		f.add("Waits until", when(v.WaitUntil))
	}
	for _, g := range keys(v.QueuedAllocations) {
		if n := v.QueuedAllocations[g]; n > 0 {
			f.add("Queued", fmt.Sprintf("%s of group %q", plural(n, "allocation"), g))
		}
	}
	e.show(f)
}

package cli

import (
	"context"
	"flag"
	"fmt"

	"github.com/drover-org/drover/api"
)

func jobWhyVerb() *verb {
	var o whyOptions
	return &verb{
		name: "job why", args: "[options] JOB", argKind: "job",
		short: "Explain where a job's allocations can run and why not elsewhere",
		long: `
Judges every node for the next allocation of each of the job's groups: which
constraint, which resource or which port rules a node out, and how the others
score. For allocations that wait for room it tells what was missing when a
place was last looked for.`,
		flags: func(fs *flag.FlagSet) {
			o.flags(fs)
			fs.StringVar(&o.group, "group", "", "only the task group `GROUP`")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobWhy(ctx, e, &o, args) },
	}
}

func runJobWhy(ctx context.Context, e *env, o *whyOptions, args []string) error {
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	x, err := c.Jobs().Explain(ctx, job.ID, o.group, o.all, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, x)
	}
	for i, g := range x.Groups {
		if i > 0 {
			e.say("")
		}
		switch {
		case g.Blocked > 0 && g.Recorded != nil:
			e.placementFailures(map[string]*api.AllocMetric{g.TaskGroup: g.Recorded}, "")
		default:
			e.say("Group %q: nothing waits for room", g.TaskGroup)
		}
		e.verdicts(g, o.verbose)
	}
	return nil
}

// verdicts shows what each node can do for an allocation now.
func (e *env) verdicts(x *api.Explanation, verbose bool) {
	for _, q := range x.QuotaExhausted {
		e.say("The quota has no room now: %s", visible(q))
	}
	e.say("Now %s of %d could take %s", plural(x.NodesSuitable, "node"), x.NodesTotal, thisOrOne(x))
	for _, r := range x.Reasons {
		examples := ""
		for i, name := range r.Examples {
			if i > 0 {
				examples += ", "
			}
			examples += name
		}
		if r.Nodes > len(r.Examples) && examples != "" {
			examples += ", …"
		}
		line := fmt.Sprintf("  %s: %s", plural(r.Nodes, "node"), reasonText(r.Kind, r.Reason))
		if examples != "" {
			line += " (" + examples + ")"
		}
		e.say("%s", visible(line))
	}
	if x.NodesHidden {
		e.note("The nodes one by one are shown to those who may read nodes (node policy \"read\").")
		return
	}
	if len(x.Nodes) == 0 {
		return
	}
	t := newTable("Node", "Name", "Score", "Why")
	for _, v := range x.Nodes {
		score, why := "-", reasonText(v.Kind, v.Reason)
		if v.Detail != "" {
			why += ": " + v.Detail
		}
		if v.Suitable {
			score, why = fmt.Sprintf("%.3f", v.Score), scoresText(v.Scores)
		}
		if v.Chosen {
			why = "is here; " + why
		}
		t.row(idText(v.NodeID, verbose), visible(v.NodeName), score, visible(why))
	}
	e.show(t)
	if x.NodesOmitted > 0 {
		e.note("%s more: -all", plural(x.NodesOmitted, "node"))
	}
}

func thisOrOne(x *api.Explanation) string {
	if x.AllocID != "" {
		return "this allocation"
	}
	return "one more allocation"
}

// reasonText is a reason as the end of a sentence about nodes.
func reasonText(kind, reason string) string {
	switch kind {
	case api.ReasonConstraint:
		return "does not meet " + reason
	case api.ReasonDimension:
		return "not enough " + reason
	case api.ReasonPort:
		return "a port is not free"
	}
	return reason
}

// scoresText lists scores by name.
func scoresText(s api.ScoreSet) string {
	text := ""
	m := s.Map()
	for _, name := range keys(m) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %.3f", name, m[name])
	}
	return text
}

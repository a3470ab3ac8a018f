package cli

import (
	"context"
	"flag"
	"sort"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
)

func scalingPolicyListVerb() *verb {
	var verbose bool
	var job, kind string
	return listVerb("scaling policy list", "List the scaling policies of jobs", "Lists the scaling blocks of groups, which tell an autoscaler what it may do.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list, err := c.Scaling().Policies(ctx, job, kind, api.ListOptions{})
			return give(e, m, list, err, func(list []*api.ScalingPolicy) {
				if len(list) == 0 {
					e.say("No scaling policies.")
					return
				}
				t := newTable("ID", "Enabled", "Type", "Job", "Group")
				for _, p := range list {
					t.row(idText(p.ID, verbose), strconv.FormatBool(p.Enabled == nil || *p.Enabled), p.Type, p.Target["Job"], p.Target["Group"])
				}
				e.show(t)
			})
		}).with(func(fs *flag.FlagSet) {
		fs.BoolVar(&verbose, "verbose", false, "full IDs")
		fs.StringVar(&job, "job", "", "only of `JOB`")
		fs.StringVar(&kind, "type", "", "only of this `TYPE`: horizontal")
	})
}

func scalingPolicyInfoVerb() *verb {
	return infoVerb("scaling policy info", "policy", "Show a scaling policy", "Shows a scaling policy with the block that an autoscaler reads.", runScalingPolicyInfo)
}

func runScalingPolicyInfo(ctx context.Context, e *env, m *machine, typed string) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	list, err := c.Scaling().Policies(ctx, "", "", api.ListOptions{Namespace: api.AllNamespaces})
	if err != nil {
		return err
	}
	list = matches(list, typed, func(p *api.ScalingPolicy) string { return p.ID })
	if len(list) != 1 {
		return api.Errorf(api.CodeNotFound, "%s begin with %q: \"drover scaling policy list -verbose\" lists them", plural(len(list), "scaling policy ID"), typed)
	}
	p, err := c.Scaling().Policy(ctx, list[0].ID, api.ListOptions{})
	if err != nil {
		return err
	}
	if m.wanted() {
		return m.write(e.Out, p)
	}
	f := &facts{}
	f.add("ID", p.ID)
	f.add("Enabled", strconv.FormatBool(p.Enabled == nil || *p.Enabled))
	f.add("Type", p.Type)
	for _, k := range keys(p.Target) {
		f.add(k, p.Target[k])
	}
	f.add("Min", optionalCount(p.Min))
	f.add("Max", optionalCount(p.Max))
	e.show(f)
	if len(p.Policy) > 0 {
		e.heading("Policy")
		return writeJSON(e.Out, p.Policy)
	}
	return nil
}

func optionalCount(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

type jobScalingEventsOptions struct {
	machine machine
	verbose bool
}

func jobScalingEventsVerb() *verb {
	var o jobScalingEventsOptions
	return &verb{
		name: "job scaling-events", args: "[options] JOB", argKind: "job",
		short: "List how a job was scaled",
		long:  "Lists the latest scaling events of a job's groups, newest first: changes of counts, and what an autoscaler noted.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs, times and what came with an event")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobScalingEvents(ctx, e, &o, args) },
	}
}

func runJobScalingEvents(ctx context.Context, e *env, o *jobScalingEventsOptions, args []string) error {
	c, job, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	status, _, err := c.Jobs().ScaleStatus(ctx, job.ID, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return err
	}
	type row struct {
		group string
		api.ScalingEvent
	}
	var rows []row
	for _, g := range keys(status.TaskGroups) {
		for _, ev := range status.TaskGroups[g].Events {
			rows = append(rows, row{g, ev})
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].CreateIndex > rows[j].CreateIndex })
	if o.machine.wanted() {
		return o.machine.write(e.Out, status)
	}
	if len(rows) == 0 {
		e.say("Job %q was not scaled.", job.ID)
		return nil
	}
	t := newTable("Group", "Count", "Before", "Error", "Message", "Evaluation", "When")
	for _, r := range rows {
		eval := "-"
		if r.EvalID != nil {
			eval = idText(*r.EvalID, o.verbose)
		}
		t.row(r.group, optionalCount(r.Count), strconv.FormatInt(r.PreviousCount, 10), strconv.FormatBool(r.Error), r.Message, eval, ago(int64(r.Time), time.Now(), o.verbose))
	}
	e.show(t)
	return nil
}

package cli

import (
	"context"
	"flag"
	"strconv"

	"github.com/drover-org/drover/api"
)

type deploymentStatusOptions struct {
	machine machine
	verbose bool
	monitor bool
}

func deploymentStatusVerb() *verb {
	var o deploymentStatusOptions
	return &verb{
		name: "deployment status", args: "[options] DEPLOYMENT", argKind: "deployment",
		short: "Show a deployment and its allocations",
		long: `
Shows how far the rollout of a job version is; -monitor says what happens until
it has come to its end or waits for somebody.

Exit codes with -monitor: 0 the deployment was successful, or waits to be promoted
or resumed, 2 it was not, 1 an error.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times")
			fs.BoolVar(&o.monitor, "monitor", false, "watch it until its end")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runDeploymentStatus(ctx, e, &o, args) },
	}
}

func runDeploymentStatus(ctx context.Context, e *env, o *deploymentStatusOptions, args []string) error {
	c, id, err := named(ctx, e, args, "deployment", e.findDeployment)
	if err != nil {
		return err
	}
	d, _, err := c.Deployments().Info(ctx, id, api.ListOptions{})
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, d)
	}
	e.deploymentFacts(d, o.verbose)
	if o.monitor {
		return e.newMonitor(c, o.verbose).rollout(ctx, d)
	}
	allocs, _, err := c.Deployments().Allocations(ctx, id, api.ListOptions{})
	if err != nil {
		return err
	}
	if len(allocs) > 0 {
		e.heading("Allocations")
		e.show(e.allocTable(allocs, o.verbose))
	}
	return nil
}

func (e *env) deploymentFacts(d *api.Deployment, verbose bool) {
	f := &facts{}
	f.add("ID", idText(d.ID, verbose))
	f.add("Job", d.JobID)
	f.add("Job version", strconv.FormatUint(d.JobVersion, 10))
	f.add("Status", e.out.state(d.Status)+colon(d.StatusDescription))
	e.show(f)
	t := newTable("Group", "Promoted", "Desired", "Canaries", "Placed", "Healthy", "Unhealthy", "Progress by")
	for _, g := range keys(d.TaskGroups) {
		s := d.TaskGroups[g]
		promoted, canaries := "-", "-"
		if s.DesiredCanaries > 0 {
			promoted, canaries = strconv.FormatBool(s.Promoted), strconv.Itoa(s.DesiredCanaries)
		}
		t.row(g, promoted, strconv.Itoa(s.DesiredTotal), canaries, strconv.Itoa(s.PlacedAllocs), strconv.Itoa(s.HealthyAllocs),
			strconv.Itoa(s.UnhealthyAllocs), when(s.RequireProgressBy))
	}
	e.say("")
	e.show(t)
}

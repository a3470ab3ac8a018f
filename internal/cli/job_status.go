package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
	"github.com/drover-org/drover/internal/cron"
)

type jobStatusOptions struct {
	machine      machine
	short, evals bool
	allAllocs    bool
	verbose      bool
}

func jobStatusVerb() *verb {
	var o jobStatusOptions
	return &verb{
		name: "job status", args: "[options] [JOB]", argKind: "job",
		short: "List jobs, or show one",
		long: `
Without JOB, lists the jobs of the namespace. With JOB (its ID or the beginning
of it), shows its groups, its latest deployment, why something is not placed,
and its allocations.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.short, "short", false, "only the job itself")
			fs.BoolVar(&o.evals, "evals", false, "with its evaluations")
			fs.BoolVar(&o.allAllocs, "all-allocs", false, "with allocations of former jobs of the same ID")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times, evaluations")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobStatus(ctx, e, &o, args) },
	}
}

func runJobStatus(ctx context.Context, e *env, o *jobStatusOptions, args []string) error {
	id, err := optional(args, "job")
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	if id == "" {
		list, _, err := c.Jobs().List(ctx, api.ListOptions{})
		switch {
		case err != nil:
			return err
		case o.machine.wanted():
			return o.machine.write(e.Out, list)
		case len(list) == 0:
			e.say("No jobs in namespace %q. \"drover init\" writes an example.", c.Namespace())
		default:
			e.show(e.jobTable(list))
		}
		return nil
	}
	stub, err := e.findJob(ctx, c, id)
	if err != nil {
		return err
	}
	in := api.ListOptions{Namespace: stub.Namespace}
	job, _, err := c.Jobs().Info(ctx, stub.ID, in)
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, job)
	}
	e.jobFacts(job, o.verbose)
	if o.short {
		return nil
	}
	return e.jobDetails(ctx, c, job, o, in)
}

func (e *env) jobFacts(j *api.Job, verbose bool) {
	f := &facts{}
	f.add("ID", j.ID)
	if j.Name != j.ID {
		f.add("Name", j.Name)
	}
	f.add("Submitted", ago(j.SubmitTime, time.Now(), verbose))
	f.add("Type", j.Type)
	f.add("Priority", strconv.Itoa(j.Priority))
	f.addIf("Datacenters", strings.Join(j.Datacenters, ", "))
	f.add("Namespace", j.Namespace)
	f.addIf("Node pool", j.NodePool)
	status := e.out.state(j.Status)
	if j.Stop {
		status += " (stopped)"
	}
	if j.StatusDescription != "" && verbose {
		status += ": " + visible(j.StatusDescription)
	}
	f.add("Status", status)
	f.add("Version", strconv.FormatUint(j.Version, 10))
	if j.VersionTag != nil {
		f.add("Tag", j.VersionTag.Name)
	}
	if j.Periodic != nil {
		f.add("Periodic", periodText(j.Periodic))
		f.add("Next launch", nextLaunch(j, time.Now()))
	}
	if j.UI != nil {
		f.addIf("Description", visible(j.UI.Description))
	}
	e.show(f)
}

func periodText(p *api.PeriodicConfig) string {
	specs := p.Specs
	if p.Spec != "" {
		specs = []string{p.Spec}
	}
	return fmt.Sprintf("%s (%s)", strings.Join(specs, ", "), cmp.Or(p.TimeZone, "UTC"))
}

// nextLaunch says when a periodic job starts next.
func nextLaunch(j *api.Job, now time.Time) string {
	if !j.IsPeriodicActive() {
		return "none"
	}
	next, err := cron.Next(j.Periodic, now)
	switch {
	case err != nil:
		return err.Error()
	case next.IsZero():
		return "never again"
	}
	return fmt.Sprintf("%s (in %s)", when(next), next.Sub(now).Round(time.Second))
}

// instances shows what a periodic or parameterized job has started.
func (e *env) instances(ctx context.Context, c *client.Client, j *api.Job, n *api.JobChildrenSummary) error {
	list, _, err := c.Jobs().List(ctx, api.ListOptions{Namespace: j.Namespace, Prefix: j.ID + "/"})
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(x *api.JobListStub) bool { return x.ParentID != j.ID })
	slices.SortFunc(list, func(a, b *api.JobListStub) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
	e.heading("Instances")
	if n != nil {
		e.say("%d pending, %d running, %d dead", n.Pending, n.Running, n.Dead)
	}
	if len(list) > 0 {
		e.show(e.jobTable(list[:min(len(list), maxShown)]))
	}
	if more := len(list) - maxShown; more > 0 {
		e.say("… and %d older ones", more)
	}
	return nil
}

func (e *env) jobDetails(ctx context.Context, c *client.Client, j *api.Job, o *jobStatusOptions, in api.ListOptions) error {
	summary, _, err := c.Jobs().Summary(ctx, j.ID, in)
	if err != nil {
		return err
	}
	if j.Periodic != nil || j.IsParameterized() {
		return e.instances(ctx, c, j, summary.Children)
	}
	e.heading("Summary")
	t := newTable("Group", "Queued", "Starting", "Running", "Failed", "Complete", "Lost", "Unknown")
	for _, g := range keys(summary.Summary) {
		s := summary.Summary[g]
		t.row(g, strconv.Itoa(s.Queued), strconv.Itoa(s.Starting), strconv.Itoa(s.Running), strconv.Itoa(s.Failed),
			strconv.Itoa(s.Complete), strconv.Itoa(s.Lost), strconv.Itoa(s.Unknown))
	}
	e.show(t)
	evals, _, err := c.Jobs().Evaluations(ctx, j.ID, in)
	if err != nil {
		return err
	}
	if o.evals || o.verbose {
		e.heading("Evaluations")
		e.show(e.evalTable(evals, o.verbose))
	}
	if v := unplaced(evals); v != nil {
		e.heading("Placement failures")
		e.placementFailures(v.FailedTGAllocs, "")
	}
	d, _, err := c.Jobs().LatestDeployment(ctx, j.ID, in)
	if err != nil {
		return err
	}
	if d != nil && d.ID != "" {
		e.heading("Latest deployment")
		e.deploymentFacts(d, o.verbose)
	}
	allocs, _, err := c.Jobs().Allocations(ctx, j.ID, o.allAllocs, in)
	if err != nil {
		return err
	}
	e.heading("Allocations")
	if len(allocs) == 0 {
		e.say("none")
		return nil
	}
	e.show(e.allocTable(allocs, o.verbose))
	return nil
}

// unplaced returns the evaluation that waits for room now, or nil.
func unplaced(evals []*api.Evaluation) *api.Evaluation {
	var newest *api.Evaluation
	for _, v := range evals {
		if v.Status == api.EvalStatusBlocked && len(v.FailedTGAllocs) > 0 && (newest == nil || v.CreateIndex > newest.CreateIndex) {
			newest = v
		}
	}
	return newest
}

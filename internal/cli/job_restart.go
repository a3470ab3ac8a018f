package cli

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type jobRestartOptions struct {
	batchSize, batchWait, onError               string
	groups, tasks                               listFlag
	reschedule, noShutdownDelay, all, yes, full bool
}

func jobRestartVerb() *verb {
	var o jobRestartOptions
	return &verb{
		name: "job restart", args: "[options] JOB", argKind: "job",
		short: "Restart the allocations of a job, some at a time",
		long: `
Restarts the running allocations of JOB in batches: in place, or with -reschedule
by stopping them and waiting until those that replace them run. A batch begins
when the one before it runs again and -batch-wait is over. The job itself does not
change: "drover job run" does that, and rolls it out.

Exit codes: 0 everything was restarted, 1 something was not.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.batchSize, "batch-size", "1", "`N` allocations at a time, or N% of them")
			fs.StringVar(&o.batchWait, "batch-wait", "0s", "`DURATION` between batches, or ask")
			fs.StringVar(&o.onError, "on-error", "ask", "`WHAT` to do about an allocation that can't be restarted: ask or fail")
			fs.Var(&o.groups, "group", "only allocations of `GROUP` (may be repeated)")
			fs.Var(&o.tasks, "task", "only `TASK` (may be repeated)")
			fs.BoolVar(&o.all, "all-tasks", false, "every task from the beginning, also those that have ended")
			fs.BoolVar(&o.reschedule, "reschedule", false, "stop allocations and have others placed")
			fs.BoolVar(&o.noShutdownDelay, "no-shutdown-delay", false, "with -reschedule: skip the delays that tasks ask for")
			fs.BoolVar(&o.yes, "yes", false, "ask nothing: go on between batches, stop at the first error")
			fs.BoolVar(&o.full, "verbose", false, "full IDs")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobRestart(ctx, e, &o, args) },
	}
}

// check returns how long to wait between batches, negative for asking.
func (o *jobRestartOptions) check() (wait time.Duration, err error) {
	if o.batchWait == "ask" {
		wait = -1
	} else if wait, err = time.ParseDuration(o.batchWait); err != nil || wait < 0 {
		return 0, usagef("-batch-wait %q is no duration like 30s, and not ask", o.batchWait)
	}
	switch {
	case o.onError != "ask" && o.onError != "fail":
		return 0, usagef("-on-error %q is neither ask nor fail", o.onError)
	case o.reschedule && (o.all || len(o.tasks) > 0):
		return 0, usagef("-reschedule replaces whole allocations: it excludes -task and -all-tasks")
	case o.all && len(o.tasks) > 0:
		return 0, usagef("-all-tasks and -task exclude each other")
	case o.noShutdownDelay && !o.reschedule:
		return 0, usagef("-no-shutdown-delay needs -reschedule")
	}
	return wait, nil
}

// batchOf reads a batch size: a number, or a part of all in percent, of which
// there is at least one.
func batchOf(text string, all int) (int, error) {
	percent := strings.HasSuffix(text, "%")
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || n < 1 || percent && n > 100 {
		return 0, usagef("-batch-size %q is no number from 1 on, and no percentage from 1%% to 100%%", text)
	}
	if percent {
		n = max((all*n+99)/100, 1)
	}
	return n, nil
}

func runJobRestart(ctx context.Context, e *env, o *jobRestartOptions, args []string) error {
	wait, err := o.check()
	if err != nil {
		return err
	}
	if _, err := batchOf(o.batchSize, 1); err != nil {
		return err
	}
	c, stub, err := named(ctx, e, args, "job", e.findJob)
	if err != nil {
		return err
	}
	job, _, err := c.Jobs().Info(ctx, stub.ID, api.ListOptions{Namespace: stub.Namespace})
	if err != nil {
		return err
	}
	if err := o.checkJob(job); err != nil {
		return err
	}
	allocs, err := o.running(ctx, c, job)
	if err != nil {
		return err
	}
	if len(allocs) == 0 {
		e.say("Nothing of job %q runs that could be restarted.", job.ID)
		return nil
	}
	size, err := batchOf(o.batchSize, len(allocs))
	if err != nil {
		return err
	}
	r := &restarter{e: e, c: c, o: o, job: job}
	done := 0
	for batch := range slices.Chunk(allocs, size) {
		if done > 0 {
			if err := r.pause(ctx, wait, len(allocs)-done); err != nil {
				return err
			}
		}
		e.say("%s %s of %d", e.out.cyan("==>"), plural(len(batch), "allocation"), len(allocs))
		if err := r.batch(ctx, batch); err != nil {
			return err
		}
		done += len(batch)
	}
	if r.failed > 0 {
		return api.Errorf(api.CodeConflict, "%s not restarted", plural(r.failed, "allocation"))
	}
	e.say("%s %s of job %q restarted", e.out.green("==>"), plural(done, "allocation"), job.ID)
	return nil
}

func (o *jobRestartOptions) checkJob(job *api.Job) error {
	if job.Stop {
		return api.Errorf(api.CodeInvalid, "job %q is stopped: there is nothing to restart", job.ID)
	}
	if o.reschedule && (job.Type == api.JobTypeSystem || job.Type == api.JobTypeSysBatch) {
		return api.Errorf(api.CodeInvalid, "-reschedule: job %q is a %s job, whose allocations stay on their nodes", job.ID, job.Type)
	}
	for _, name := range o.groups {
		if job.Group(name) == nil {
			return api.Errorf(api.CodeInvalid, "-group %q: job %q has no such group", name, job.ID)
		}
	}
	for _, name := range o.tasks {
		if !slices.ContainsFunc(job.TaskGroups, func(g *api.TaskGroup) bool {
			return (len(o.groups) == 0 || slices.Contains(o.groups, g.Name)) && g.Task(name) != nil
		}) {
			return api.Errorf(api.CodeInvalid, "-task %q: no such task in the groups of job %q that are restarted", name, job.ID)
		}
	}
	return nil
}

// running returns what is to be restarted, the oldest first.
func (o *jobRestartOptions) running(ctx context.Context, c *client.Client, job *api.Job) ([]*api.AllocListStub, error) {
	list, _, err := c.Jobs().Allocations(ctx, job.ID, false, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(a *api.AllocListStub) bool {
		wanted := len(o.tasks) == 0
		for _, t := range o.tasks {
			wanted = wanted || a.TaskStates[t] != nil
		}
		return a.ClientStatus != api.AllocClientRunning || a.DesiredStatus != api.AllocDesiredRun ||
			len(o.groups) > 0 && !slices.Contains(o.groups, a.TaskGroup) || !wanted
	})
	slices.SortStableFunc(list, func(a, b *api.AllocListStub) int { return int(int64(a.CreateIndex) - int64(b.CreateIndex)) })
	return list, nil
}

// restarter restarts batches of one job's allocations.
type restarter struct {
	e      *env
	c      *client.Client
	o      *jobRestartOptions
	job    *api.Job
	failed int
}

// pause waits before the next batch.
func (r *restarter) pause(ctx context.Context, wait time.Duration, left int) error {
	if wait >= 0 || r.o.yes {
		return sleepFor(ctx, max(wait, 0))
	}
	if !r.e.confirm(fmt.Sprintf("Go on with the next of %s?", plural(left, "allocation"))) {
		return api.Errorf(api.CodeConflict, "%s left as they were", plural(left, "allocation"))
	}
	return nil
}

// batch restarts allocations together and says of each what came of it. The
// error means that nothing more is to be restarted.
func (r *restarter) batch(ctx context.Context, batch []*api.AllocListStub) error {
	said := make([]string, len(batch))
	faults := make([]error, len(batch))
	var g errgroup.Group
	g.SetLimit(maxRestarts)
	for i, a := range batch {
		g.Go(func() error {
			said[i], faults[i] = r.one(ctx, a)
			return nil
		})
	}
	_ = g.Wait() // faults has what went wrong
	var first error
	for i, a := range batch {
		id := idText(a.ID, r.o.full)
		if faults[i] == nil {
			r.e.say("    allocation %s %s", id, said[i])
			continue
		}
		r.failed++
		r.e.note("    %s allocation %s: %s", r.e.err.red("✗"), id, visible(faults[i].Error()))
		if first == nil {
			first = api.Errorf(api.CodeConflict, "allocation %s was not restarted: %w", id, faults[i])
		}
	}
	switch {
	case first == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case r.o.onError == "ask" && !r.o.yes && r.e.confirm("Go on with the others?"):
		return nil
	}
	return first
}

// maxRestarts bounds the restarts of one batch that are on their way at once.
const maxRestarts = 64

// one restarts an allocation and waits until it, or what replaces it, runs.
func (r *restarter) one(ctx context.Context, a *api.AllocListStub) (string, error) {
	if r.o.reschedule {
		_, err := r.c.Allocs().Stop(ctx, a.ID, client.StopOptions{NoShutdownDelay: r.o.noShutdownDelay, Reschedule: a.JobType == api.JobTypeBatch})
		if err != nil {
			return "", err
		}
		next, err := r.replaced(ctx, a)
		return "replaced by " + idText(next, r.o.full), err
	}
	tasks := []string{""}
	if len(r.o.tasks) > 0 {
		tasks = slices.DeleteFunc(slices.Clone(r.o.tasks), func(t string) bool { return a.TaskStates[t] == nil })
	}
	for _, t := range tasks {
		if err := r.c.Allocs().Restart(ctx, a.ID, t, r.o.all); err != nil {
			return "", err
		}
	}
	return "restarted", r.runs(ctx, a.ID, a.ModifyIndex)
}

// follow reads an allocation of the job as it changes, as long as more says so.
func (r *restarter) follow(ctx context.Context, id string, more func(*api.Allocation, api.Meta) bool) error {
	read := func(ctx context.Context, o api.ListOptions) (*api.Allocation, api.Meta, error) {
		return r.c.Allocs().Info(ctx, id, o)
	}
	return client.Follow(ctx, api.ListOptions{Namespace: r.job.Namespace}, read, more)
}

// replaced waits for the allocation that takes the place of a stopped one.
func (r *restarter) replaced(ctx context.Context, a *api.AllocListStub) (string, error) {
	next := ""
	err := r.follow(ctx, a.ID, func(v *api.Allocation, _ api.Meta) bool {
		next = v.NextAllocation
		return next == ""
	})
	if err != nil {
		return "", err
	}
	return next, r.runs(ctx, next, 0)
}

// runs waits until an allocation that changed since an index runs.
func (r *restarter) runs(ctx context.Context, id string, since uint64) error {
	var bad error
	err := r.follow(ctx, id, func(v *api.Allocation, _ api.Meta) bool {
		if v.ClientTerminal() || v.DesiredStatus != api.AllocDesiredRun {
			bad = api.Errorf(api.CodeConflict, "allocation %s is %s", idText(id, r.o.full), v.ClientStatus)
			return false
		}
		return v.ClientStatus != api.AllocClientRunning || v.ModifyIndex <= since
	})
	if err == nil {
		err = bad
	}
	return err
}

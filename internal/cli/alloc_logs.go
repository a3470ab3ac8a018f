package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type allocLogsOptions struct {
	job            bool
	stdout, stderr bool
	follow, toTail bool
	lines, bytes   int64
	task, group    string
	raw, verbose   bool
}

func allocLogsVerb() *verb {
	var o allocLogsOptions
	return &verb{
		name: "alloc logs", aliases: []string{"logs"}, args: "[options] ALLOC [TASK]  |  -job [options] JOB [TASK]", argKind: "alloc",
		short: "Print what tasks wrote, of an allocation or of a whole job",
		long: `
Prints what a task of an allocation wrote, to standard output what it wrote
there and to standard error the other. -stdout or -stderr choose one of them,
which then goes to standard output. With -f it goes on until the task ends, and
waits for a task that has not started.

With -job, prints the logs of all allocations of a job, each line under the ID
of its allocation. With -f, allocations that come later join, so that it goes
on through updates and reschedules; it ends when the job is dead.

On a terminal, control sequences in logs other than colour are made visible
instead of being obeyed; -raw leaves them.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.job, "job", false, "the argument is a job: logs of all its allocations")
			fs.BoolVar(&o.stdout, "stdout", false, "only what was written to standard output")
			fs.BoolVar(&o.stderr, "stderr", false, "only what was written to standard error")
			fs.BoolVar(&o.follow, "f", false, "go on as more is written")
			fs.BoolVar(&o.toTail, "tail", false, "begin near the end")
			fs.Int64Var(&o.lines, "n", -1, "begin with the last `N` lines")
			fs.Int64Var(&o.bytes, "c", -1, "begin with the last `N` bytes")
			fs.StringVar(&o.task, "task", "", "only `TASK`")
			fs.StringVar(&o.group, "group", "", "with -job: only `GROUP`")
			fs.BoolVar(&o.raw, "raw", false, "leave control sequences as they are on a terminal")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocLogs(ctx, e, &o, args) },
	}
}

// kinds are the logs that are wanted.
func (o *allocLogsOptions) kinds() []string {
	switch {
	case o.stdout && !o.stderr:
		return []string{client.Stdout}
	case o.stderr && !o.stdout:
		return []string{client.Stderr}
	}
	return []string{client.Stdout, client.Stderr}
}

func runAllocLogs(ctx context.Context, e *env, o *allocLogsOptions, args []string) error {
	if len(args) == 0 {
		if o.job {
			return usagef("the job is missing")
		}
		return usagef("the allocation is missing")
	}
	task, err := taskArgument(o.task, args[1:])
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	if o.job {
		job, err := e.findJob(ctx, c, args[0])
		if err != nil {
			return err
		}
		return e.newTailer(c, o, task).job(ctx, job)
	}
	a, _, err := e.chooseAlloc(ctx, c, false, "", args[:1])
	if err != nil {
		return err
	}
	if task, err = taskOf(a, task); err != nil {
		return err
	}
	if o.follow {
		return e.newTailer(c, o, task).alloc(ctx, a)
	}
	return e.printLogs(ctx, c, o, a, task)
}

// printLogs prints the logs of one task as they are now.
func (e *env) printLogs(ctx context.Context, c *client.Client, o *allocLogsOptions, a *api.Allocation, task string) error {
	from, lines := tailFrom(o.toTail, o.lines, o.bytes)
	kinds := o.kinds()
	for _, kind := range kinds {
		w := e.safeOut(o.raw)
		if kind == client.Stderr && len(kinds) > 1 {
			w = e.safeErr(o.raw)
		}
		err := printStream(ctx, w, func(so client.StreamOptions) (*client.Stream, error) {
			return c.FS().Logs(ctx, a.ID, task, kind, so)
		}, from, lines)
		if err != nil {
			return err
		}
	}
	return nil
}

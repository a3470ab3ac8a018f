package cli

import (
	"context"
	"flag"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type jobActionOptions struct {
	job, alloc, group, task string
	stdin, tty              optionalBool
	escape                  string
}

func jobActionVerb() *verb {
	o := jobActionOptions{escape: "~"}
	return &verb{
		name: "job action", aliases: []string{"action"}, args: "-job JOB [options] [ACTION]",
		short: "Run a command that a job names",
		long: `
Runs ACTION, a command that a task of JOB names in an action block, where the task
runs, as "drover alloc exec" runs a command. Without ACTION it lists those there
are.

Exit codes: as "drover alloc exec".`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.job, "job", "", "the `JOB`")
			fs.StringVar(&o.alloc, "allocation", "", "in `ALLOC` (default: one that runs)")
			fs.StringVar(&o.alloc, "alloc", "", "the same as -allocation, of `ALLOC`")
			fs.StringVar(&o.group, "group", "", "in an allocation of `GROUP`")
			fs.StringVar(&o.task, "task", "", "of `TASK`, when several have an action of that name")
			fs.Var(&o.stdin, "i", "pass standard input on (default yes)")
			fs.Var(&o.tty, "t", "give the command a terminal (default: if there is one here)")
			fs.StringVar(&o.escape, "e", "~", "escape `CHARACTER`, none to have none")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobAction(ctx, e, &o, args) },
	}
}

func runJobAction(ctx context.Context, e *env, o *jobActionOptions, args []string) error {
	name, err := optional(args, "action")
	switch {
	case err != nil:
		return err
	case o.job == "":
		return usagef("-job is missing")
	case o.escape != "none" && len(o.escape) != 1:
		return usagef("-e %q is not one character and not none", o.escape)
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	job, err := e.findJob(ctx, c, o.job)
	if err != nil {
		return err
	}
	if name == "" {
		return e.listActions(ctx, c, job)
	}
	ask := api.JobActionRequest{Namespace: job.Namespace, JobID: job.ID, Group: o.group, Task: o.task, Action: name}
	if o.alloc != "" {
		a, err := e.findAlloc(ctx, c, o.alloc)
		if err != nil {
			return err
		}
		ask.AllocID = a.ID
	}
	x := &client.ExecOptions{Stdout: e.Out, Stderr: e.Err, TTY: o.tty.or(isTerminal(e.In) && isTerminal(e.Out))}
	if o.stdin.or(true) {
		x.Stdin = e.In
	}
	result, err := e.session(ctx, x, o.escape, func(ctx context.Context) (*api.ExecResult, error) { return c.Jobs().Action(ctx, ask, x) })
	if err != nil {
		return err
	}
	return execCode(result)
}

func (e *env) listActions(ctx context.Context, c *client.Client, job *api.JobListStub) error {
	list, err := c.Jobs().Actions(ctx, job.ID, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		e.say("Job %q has no actions.", job.ID)
		return nil
	}
	t := newTable("Action", "Group", "Task", "Command")
	for _, a := range list {
		t.row(a.Name, a.TaskGroupName, a.TaskName, strings.Join(append([]string{a.Command}, a.Args...), " "))
	}
	e.show(t)
	return nil
}

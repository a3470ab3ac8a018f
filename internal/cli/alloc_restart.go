package cli

import (
	"context"
	"flag"
)

type allocRestartOptions struct {
	task    string
	all     bool
	verbose bool
}

func allocRestartVerb() *verb {
	var o allocRestartOptions
	return &verb{
		name: "alloc restart", args: "[options] ALLOC [TASK]", argKind: "alloc",
		short: "Restart the tasks of an allocation in place",
		long: `
Restarts the running tasks of an allocation, or one of them, on the node where
they are. It returns when the old processes have ended.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.task, "task", "", "only `TASK`")
			fs.BoolVar(&o.all, "all-tasks", false, "every task from the beginning, also those that have ended")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocRestart(ctx, e, &o, args) },
	}
}

func runAllocRestart(ctx context.Context, e *env, o *allocRestartOptions, args []string) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	a, rest, err := e.chooseAlloc(ctx, c, false, "", args)
	if err != nil {
		return err
	}
	task, err := taskArgument(o.task, rest)
	if err != nil {
		return err
	}
	if task != "" {
		if o.all {
			return usagef("-all-tasks and a task exclude each other")
		}
		if task, err = taskOf(a, task); err != nil {
			return err
		}
	}
	if err := c.Allocs().Restart(ctx, a.ID, task, o.all); err != nil {
		return err
	}
	e.say("%s %s of allocation %s restarted", e.out.green("==>"), whichTasks(task, o.all), idText(a.ID, o.verbose))
	return nil
}

// taskArgument is the task that a flag or the one remaining argument names.
func taskArgument(flagged string, rest []string) (string, error) {
	arg, err := optional(rest, "task")
	if err != nil {
		return "", err
	}
	if arg != "" && flagged != "" && arg != flagged {
		return "", usagef("-task %s and the argument %s name different tasks", flagged, arg)
	}
	if arg != "" {
		return arg, nil
	}
	return flagged, nil
}

func whichTasks(task string, all bool) string {
	switch {
	case task != "":
		return "task \"" + task + "\""
	case all:
		return "all tasks"
	}
	return "the running tasks"
}

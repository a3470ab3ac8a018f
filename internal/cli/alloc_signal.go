package cli

import (
	"context"
	"flag"
)

type allocSignalOptions struct {
	signal, task string
	verbose      bool
}

func allocSignalVerb() *verb {
	var o allocSignalOptions
	return &verb{
		name: "alloc signal", args: "[options] ALLOC [TASK]", argKind: "alloc",
		short: "Send a signal to the tasks of an allocation",
		long: `
Sends a signal to every task of an allocation, or to one. What the task makes of
it is its own affair; if it ends, its restart policy decides what follows.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.signal, "s", "SIGKILL", "`SIGNAL` by name")
			fs.StringVar(&o.task, "task", "", "only `TASK`")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocSignal(ctx, e, &o, args) },
	}
}

func runAllocSignal(ctx context.Context, e *env, o *allocSignalOptions, args []string) error {
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
		if task, err = taskOf(a, task); err != nil {
			return err
		}
	}
	if err := c.Allocs().Signal(ctx, a.ID, task, o.signal); err != nil {
		return err
	}
	e.say("%s %s sent to %s of allocation %s", e.out.green("==>"), o.signal, whichTasks(task, task == ""), idText(a.ID, o.verbose))
	return nil
}

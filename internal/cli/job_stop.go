package cli

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/drover-org/drover/api/client"
)

type jobStopOptions struct {
	purge, global, detach, verbose, yes bool
	noShutdownDelay                     bool
	evalPriority                        int
}

func jobStopVerb() *verb {
	var o jobStopOptions
	return &verb{
		name: "job stop", aliases: []string{"stop"}, args: "[options] JOB…", argKind: "job",
		short: "Stop a job",
		long: `
Stops all allocations of the named jobs. A job stays known, and can be started
again, until it is collected; -purge forgets it at once.

JOB is an ID. The beginning of one is taken as well, after a question when
there is a terminal to ask on.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.purge, "purge", false, "forget the job, too")
			fs.BoolVar(&o.global, "global", false, "in all regions of a multi-region job")
			fs.BoolVar(&o.detach, "detach", false, "do not wait for the evaluation")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
			fs.BoolVar(&o.yes, "yes", false, "ask nothing")
			fs.BoolVar(&o.yes, "y", false, "the same as -yes")
			fs.BoolVar(&o.noShutdownDelay, "no-shutdown-delay", false, "skip the delays that tasks ask for")
			fs.IntVar(&o.evalPriority, "eval-priority", 0, "`PRIORITY` of the evaluation (default the job's)")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runJobStop(ctx, e, &o, args) },
	}
}

func runJobStop(ctx context.Context, e *env, o *jobStopOptions, args []string) error {
	if len(args) == 0 {
		return usagef("the job is missing")
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	for _, typed := range args {
		job, err := e.findJob(ctx, c, typed)
		if err != nil {
			return err
		}
		if job.ID != typed && !o.yes && !e.confirm(fmt.Sprintf("Stop job %q?", job.ID)) {
			return usagef("%q is the beginning of job %q: type the whole ID, or -yes", typed, job.ID)
		}
		resp, err := c.Jobs().Deregister(ctx, job.ID, job.Namespace, client.DeregisterOptions{
			Purge: o.purge, Global: o.global, NoShutdownDelay: o.noShutdownDelay, EvalPriority: o.evalPriority,
		})
		if err != nil {
			return err
		}
		if err := e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, fmt.Sprintf("job %q stopped", job.ID)); err != nil {
			return err
		}
	}
	return nil
}

// confirm asks on the terminal; without one the answer is no.
func (e *env) confirm(question string) bool {
	if !isTerminal(e.In) {
		return false
	}
	_, _ = fmt.Fprintf(e.Err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(e.In).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

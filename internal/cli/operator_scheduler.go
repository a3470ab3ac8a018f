package cli

import (
	"context"
	"flag"
	"strconv"

	"github.com/drover-org/drover/api"
)

func schedulerGetConfigVerb() *verb {
	return listVerb("operator scheduler get-config", "Show the configuration of the scheduler", "Shows how the region places allocations, and whether it does at all now.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			cfg, err := c.Operator().SchedulerConfig(ctx)
			return give(e, m, cfg, err, e.schedulerFacts)
		})
}

func (e *env) schedulerFacts(cfg *api.SchedulerConfiguration) {
	f := &facts{}
	f.add("Scheduler algorithm", cfg.SchedulerAlgorithm)
	f.add("Memory oversubscription", strconv.FormatBool(cfg.MemoryOversubscriptionEnabled))
	f.add("Reject job registration", strconv.FormatBool(cfg.RejectJobRegistration))
	f.add("Pause eval broker", strconv.FormatBool(cfg.PauseEvalBroker))
	f.add("Preempt for system jobs", strconv.FormatBool(cfg.PreemptionConfig.SystemSchedulerEnabled))
	f.add("Preempt for service jobs", strconv.FormatBool(cfg.PreemptionConfig.ServiceSchedulerEnabled))
	f.add("Preempt for batch jobs", strconv.FormatBool(cfg.PreemptionConfig.BatchSchedulerEnabled))
	f.add("Preempt for sysbatch jobs", strconv.FormatBool(cfg.PreemptionConfig.SysBatchSchedulerEnabled))
	f.add("Modify index", strconv.FormatUint(cfg.ModifyIndex, 10))
	e.show(f)
	if cfg.PauseEvalBroker {
		e.note("%s scheduling is paused: jobs wait until \"drover operator scheduler set-config -pause-eval-broker=false\"", e.err.yellow("Warning:"))
	}
}

type schedulerSetConfigOptions struct {
	algorithm                        string
	checkIndex                       optionalVersion
	oversubscription, reject, pause  optionalBool
	system, service, batch, sysbatch optionalBool
}

func schedulerSetConfigVerb() *verb {
	var o schedulerSetConfigOptions
	return &verb{
		name: "operator scheduler set-config", args: "[options]",
		short: "Change the configuration of the scheduler",
		long: `
Changes what is given and leaves the rest as it is. A change by somebody else in
between is not lost: then nothing is changed, and the command fails.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.algorithm, "scheduler-algorithm", "", "binpack or spread: `NAME` of the way nodes are chosen")
			fs.Var(&o.oversubscription, "memory-oversubscription", "let tasks use memory_max")
			fs.Var(&o.reject, "reject-job-registration", "refuse jobs, dispatches and scalings but of management tokens")
			fs.Var(&o.pause, "pause-eval-broker", "schedule nothing")
			fs.Var(&o.system, "preempt-system-scheduler", "let system jobs displace others")
			fs.Var(&o.service, "preempt-service-scheduler", "let service jobs displace others")
			fs.Var(&o.batch, "preempt-batch-scheduler", "let batch jobs displace others")
			fs.Var(&o.sysbatch, "preempt-sysbatch-scheduler", "let sysbatch jobs displace others")
			fs.Var(&o.checkIndex, "check-index", "only if the configuration's modify index is still `N`")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runSchedulerSetConfig(ctx, e, &o, args) },
	}
}

func runSchedulerSetConfig(ctx context.Context, e *env, o *schedulerSetConfigOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	cfg, err := c.Operator().SchedulerConfig(ctx)
	if err != nil {
		return err
	}
	if o.checkIndex.set && o.checkIndex.n != cfg.ModifyIndex {
		return api.Errorf(api.CodeConflict, "the configuration has modify index %d, not %d: nothing was changed", cfg.ModifyIndex, o.checkIndex.n)
	}
	if o.algorithm != "" {
		cfg.SchedulerAlgorithm = o.algorithm
	}
	for _, f := range []struct {
		flag *optionalBool
		to   *bool
	}{
		{&o.oversubscription, &cfg.MemoryOversubscriptionEnabled}, {&o.reject, &cfg.RejectJobRegistration}, {&o.pause, &cfg.PauseEvalBroker},
		{&o.system, &cfg.PreemptionConfig.SystemSchedulerEnabled}, {&o.service, &cfg.PreemptionConfig.ServiceSchedulerEnabled},
		{&o.batch, &cfg.PreemptionConfig.BatchSchedulerEnabled}, {&o.sysbatch, &cfg.PreemptionConfig.SysBatchSchedulerEnabled},
	} {
		*f.to = f.flag.or(*f.to)
	}
	updated, err := c.Operator().SetSchedulerConfig(ctx, cfg)
	if err != nil {
		return err
	}
	if !updated {
		return api.Errorf(api.CodeConflict, "the configuration was changed meanwhile: nothing was changed, try again")
	}
	e.say("The configuration of the scheduler is changed.")
	return nil
}

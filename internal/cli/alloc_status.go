package cli

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type allocStatusOptions struct {
	machine               machine
	short, stats, verbose bool
}

func allocStatusVerb() *verb {
	var o allocStatusOptions
	return &verb{
		name: "alloc status", args: "[options] [ALLOC]", argKind: "alloc",
		short: "Show an allocation: tasks, events, resources, ports",
		long: `
Shows where an allocation runs and how its tasks got to where they are. ALLOC is
the beginning of its ID. -verbose adds the nodes that were scored and how.
Without ALLOC the allocations are listed.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.short, "short", false, "without events and resources")
			fs.BoolVar(&o.stats, "stats", false, "with what it uses now")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times, placement scores")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocStatus(ctx, e, &o, args) },
	}
}

func runAllocStatus(ctx context.Context, e *env, o *allocStatusOptions, args []string) error {
	typed, err := optional(args, "allocation")
	if err != nil {
		return err
	}
	if typed == "" {
		return runAllocList(ctx, e, &allocListOptions{machine: o.machine, verbose: o.verbose}, nil)
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	a, _, err := e.chooseAlloc(ctx, c, false, "", args)
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, a)
	}
	e.allocFacts(a, o.verbose)
	usage := e.usage(ctx, c, a, o.stats)
	for _, task := range taskOrder(a) {
		e.taskStatus(a, task, usage, o)
	}
	e.portTable(a)
	e.showChecks(ctx, a)
	if o.verbose && a.Metrics != nil {
		e.heading("Placement")
		e.say("%s evaluated, %d filtered, %d exhausted, in %s", plural(a.Metrics.NodesEvaluated, "node"),
			a.Metrics.NodesFiltered, a.Metrics.NodesExhausted, a.Metrics.AllocationTime)
		e.scoreTable(a.Metrics)
	}
	return nil
}

func (e *env) allocFacts(a *api.Allocation, verbose bool) {
	f := &facts{}
	now := time.Now()
	f.add("ID", a.ID)
	f.add("Name", a.Name)
	f.add("Job", a.JobID)
	if a.Job != nil {
		f.add("Job version", strconv.FormatUint(a.Job.Version, 10))
	}
	f.add("Node", a.NodeName+" ("+idText(a.NodeID, verbose)+")")
	f.add("Evaluation", idText(a.EvalID, verbose))
	f.add("Desired", a.DesiredStatus+colon(a.DesiredDescription))
	f.add("Status", e.out.state(a.ClientStatus)+colon(a.ClientDescription))
	f.add("Created", ago(a.CreateTime, now, verbose))
	f.add("Modified", ago(a.ModifyTime, now, verbose))
	if a.DeploymentID != "" {
		health := "unknown"
		switch {
		case a.DeploymentStatus.IsHealthy():
			health = "healthy"
		case a.DeploymentStatus.IsUnhealthy():
			health = "unhealthy"
		}
		text := e.out.state(health)
		if a.DeploymentStatus.IsCanary() {
			text += ", canary"
		}
		f.add("Deployment", idText(a.DeploymentID, verbose)+" "+text)
	}
	f.addIf("Replaces", idText(a.PreviousAllocation, verbose))
	f.addIf("Replaced by", idText(a.NextAllocation, verbose))
	if t := a.RescheduleTracker; t != nil && len(t.Events) > 0 {
		f.add("Rescheduled", plural(len(t.Events), "time"))
	}
	if a.FollowupEvalID != "" {
		f.add("Follow-up", "evaluation "+idText(a.FollowupEvalID, verbose))
	}
	e.show(f)
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + visible(s)
}

// taskOrder lists an allocation's tasks as the job has them.
func taskOrder(a *api.Allocation) []string {
	g := a.Group()
	if g == nil {
		return keys(a.TaskStates)
	}
	names := make([]string, 0, len(g.Tasks))
	for _, t := range g.Tasks {
		names = append(names, t.Name)
	}
	return names
}

// usage reads what the allocation uses now; an allocation that doesn't run
// uses nothing, and a node that can't be reached is only noted.
func (e *env) usage(ctx context.Context, c *client.Client, a *api.Allocation, wanted bool) *api.AllocResourceUsage {
	if !wanted || a.ClientStatus != api.AllocClientRunning {
		return nil
	}
	u, err := c.Allocs().Stats(ctx, a.ID)
	if err != nil {
		e.warn("no statistics: " + err.Error())
		return nil
	}
	return u
}

func (e *env) taskStatus(a *api.Allocation, task string, usage *api.AllocResourceUsage, o *allocStatusOptions) {
	st := a.TaskStates[task]
	if st == nil {
		e.heading(fmt.Sprintf("Task %q is not known to its node yet", task))
		return
	}
	state := e.out.state(st.State)
	if st.Failed {
		state = e.out.red(st.State + ", failed")
	}
	e.say("\n%s is %s%s", e.out.bold(fmt.Sprintf("Task %q", task)), state, taskTimes(st, o.verbose))
	if o.short {
		return
	}
	e.taskResources(a, task, usage)
	if len(st.Events) == 0 {
		return
	}
	events := slices.Clone(st.Events)
	slices.Reverse(events) // the newest first, also of those of the same moment
	sort.SliceStable(events, func(i, j int) bool { return events[i].Time > events[j].Time })
	t := newTable("  Time", "Event", "Description")
	for _, ev := range events {
		kind := ev.Type
		if failing(ev) {
			kind = e.out.red(kind)
		}
		t.row("  "+when(time.Unix(0, ev.Time)), kind, strings.ReplaceAll(visible(ev.DisplayMessage()), "\n", "\n    "))
	}
	e.show(t)
}

func taskTimes(st *api.TaskState, verbose bool) string {
	now := time.Now()
	text := ""
	if !st.StartedAt.IsZero() {
		text += ", started " + ago(st.StartedAt.UnixNano(), now, verbose)
	}
	if !st.FinishedAt.IsZero() {
		text += ", ended " + ago(st.FinishedAt.UnixNano(), now, verbose)
	}
	if st.Restarts > 0 {
		text += ", " + plural(int(st.Restarts), "restart")
	}
	return text
}

// taskResources prints what a task was given and, when known, uses.
func (e *env) taskResources(a *api.Allocation, task string, usage *api.AllocResourceUsage) {
	if a.AllocatedResources == nil || a.AllocatedResources.Tasks[task] == nil {
		return
	}
	r := a.AllocatedResources.Tasks[task]
	cpu, memory := fmt.Sprintf("%d MHz", r.Cpu.CpuShares), fmt.Sprintf("%d MiB", r.Memory.MemoryMB)
	if len(r.Cpu.ReservedCores) > 0 {
		cpu += fmt.Sprintf(", cores %v", r.Cpu.ReservedCores)
	}
	if r.Memory.MemoryMaxMB > 0 {
		memory += fmt.Sprintf(" (at most %d MiB)", r.Memory.MemoryMaxMB)
	}
	if usage != nil && usage.Tasks[task] != nil && usage.Tasks[task].ResourceUsage != nil {
		u := usage.Tasks[task].ResourceUsage
		if u.CpuStats != nil {
			cpu = fmt.Sprintf("%.0f of %s", u.CpuStats.TotalTicks, cpu)
		}
		if u.MemoryStats != nil {
			memory = bytesText(max(u.MemoryStats.RSS, u.MemoryStats.Usage)) + " of " + memory
		}
	}
	e.say("  %s %s   %s %s   %s %d MiB", e.out.dim("cpu"), cpu, e.out.dim("memory"), memory, e.out.dim("disk"), a.AllocatedResources.Shared.DiskMB)
}

func (e *env) portTable(a *api.Allocation) {
	r := a.AllocatedResources
	if r == nil {
		return
	}
	t := newTable("Label", "Task", "Address", "To")
	for _, p := range r.Shared.Ports {
		t.row(p.Label, "-", p.HostIP+":"+strconv.Itoa(p.Value), toText(p.To))
	}
	for _, name := range keys(r.Tasks) {
		for _, n := range r.Tasks[name].Networks {
			for _, p := range append(append([]api.Port(nil), n.ReservedPorts...), n.DynamicPorts...) {
				t.row(p.Label, name, n.IP+":"+strconv.Itoa(p.Value), toText(p.To))
			}
		}
	}
	if len(t.rows) > 0 {
		e.heading("Ports")
		e.show(t)
	}
}

func toText(port int) string {
	if port == 0 {
		return "-"
	}
	return strconv.Itoa(port)
}

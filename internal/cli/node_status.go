package cli

import (
	"context"
	"flag"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type nodeStatusOptions struct {
	machine                     machine
	short, stats, self, verbose bool
	filter                      string
}

func nodeStatusVerb() *verb {
	var o nodeStatusOptions
	return &verb{
		name: "node status", args: "[options] [NODE]", argKind: "node",
		short: "List nodes, or show one",
		long: `
Without NODE, lists the nodes. With NODE (a name or the beginning of an ID),
shows what it has, what is given away, its drivers, events and allocations;
-verbose adds all its attributes.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.short, "short", false, "only the node itself")
			fs.BoolVar(&o.stats, "stats", false, "with what it uses now")
			fs.BoolVar(&o.self, "self", false, "the node of the agent that answers")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times, attributes")
			fs.StringVar(&o.filter, "filter", "", "only nodes for which `EXPRESSION` holds")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runNodeStatus(ctx, e, &o, args) },
	}
}

func runNodeStatus(ctx context.Context, e *env, o *nodeStatusOptions, args []string) error {
	typed, err := optional(args, "node")
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	if o.self {
		if typed, err = selfNode(ctx, c); err != nil {
			return err
		}
	}
	if typed == "" {
		list, _, err := c.Nodes().List(ctx, false, api.ListOptions{Filter: o.filter})
		switch {
		case err != nil:
			return err
		case o.machine.wanted():
			return o.machine.write(e.Out, list)
		case len(list) == 0:
			e.say("No nodes.")
		default:
			e.show(e.nodeTable(list, o.verbose))
		}
		return nil
	}
	stub, err := e.findNode(ctx, c, typed)
	if err != nil {
		return err
	}
	n, _, err := c.Nodes().Info(ctx, stub.ID, api.ListOptions{})
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, n)
	}
	e.nodeFacts(n, o.verbose)
	if o.short {
		return nil
	}
	return e.nodeDetails(ctx, c, n, o)
}

// selfNode asks the agent for the ID of its node.
func selfNode(ctx context.Context, c *client.Client) (string, error) {
	self, err := c.Agent().Self(ctx)
	if err != nil {
		return "", err
	}
	id := self.Stats["client"]["node_id"]
	if id == "" {
		return "", api.Errorf(api.CodeInvalid, "the agent at %s runs no node", c.Address())
	}
	return id, nil
}

// nodeOrSelf makes a client and finds the node that the arguments name, or with
// self the agent's own. typed is how it was named.
func (e *env) nodeOrSelf(ctx context.Context, args []string, self bool) (c *client.Client, n *api.NodeListStub, typed string, err error) {
	if c, err = e.client(); err != nil {
		return nil, nil, "", err
	}
	if self {
		typed, err = selfNode(ctx, c)
	} else {
		typed, err = one(args, "node")
	}
	if err != nil {
		return nil, nil, "", err
	}
	n, err = e.findNode(ctx, c, typed)
	return c, n, typed, err
}

func (e *env) nodeFacts(n *api.Node, verbose bool) {
	f := &facts{}
	f.add("ID", n.ID)
	f.add("Name", n.Name)
	f.add("Status", e.out.state(n.Status)+colon(n.StatusDescription))
	f.add("Eligibility", e.out.state(n.SchedulingEligibility))
	f.add("Drain", strconv.FormatBool(n.DrainStrategy != nil || n.Drain))
	if d := n.DrainStrategy; d != nil {
		f.add("Drain deadline", drainDeadline(d))
	}
	if d := n.LastDrain; d != nil {
		f.add("Last drain", fmt.Sprintf("%s, started %s", e.out.state(d.Status), when(d.StartedAt)))
		for _, k := range keys(d.Meta) {
			f.add("  "+visible(k), visible(d.Meta[k]))
		}
	}
	f.add("Datacenter", n.Datacenter)
	f.add("Node pool", orDash(n.NodePool))
	f.add("Class", orDash(n.NodeClass))
	f.add("Address", n.HTTPAddr)
	if s, err := strconv.ParseFloat(n.Attributes["unique.uptime"], 64); err == nil {
		f.add("Uptime", brief(time.Duration(s)*time.Second))
	}
	var drivers []string
	for _, d := range keys(n.Drivers) {
		switch info := n.Drivers[d]; {
		case info.Detected && info.Healthy:
			drivers = append(drivers, e.out.green(d))
		case info.Detected:
			drivers = append(drivers, e.out.red(d+" (unhealthy)"))
		case verbose:
			drivers = append(drivers, e.out.dim(d+" (missing)"))
		}
	}
	f.add("Drivers", orDash(strings.Join(drivers, ", ")))
	if len(n.HostVolumes) > 0 {
		f.add("Host volumes", strings.Join(keys(n.HostVolumes), ", "))
	}
	e.show(f)
}

func (e *env) nodeDetails(ctx context.Context, c *client.Client, n *api.Node, o *nodeStatusOptions) error {
	allocs, _, err := c.Nodes().Allocations(ctx, n.ID, api.ListOptions{})
	if err != nil {
		return err
	}
	e.nodeResources(n, allocs)
	if o.stats {
		e.hostStats(ctx, c, n)
	}
	if len(n.Events) > 0 {
		e.heading("Events")
		events := append([]*api.NodeEvent(nil), n.Events...)
		sort.SliceStable(events, func(i, j int) bool { return events[i].Timestamp.After(events[j].Timestamp) })
		t := newTable("Time", "Subsystem", "Message")
		for _, ev := range events {
			t.row(when(ev.Timestamp), ev.Subsystem, visible(ev.Message))
		}
		e.show(t)
	}
	if o.verbose {
		e.nodeAttributes(n)
	}
	e.heading("Allocations")
	if len(allocs) == 0 {
		e.say("none")
		return nil
	}
	stubs := make([]*api.AllocListStub, len(allocs))
	for i, a := range allocs {
		stubs[i] = a.Stub()
	}
	e.show(e.allocTable(stubs, o.verbose))
	return nil
}

// nodeResources shows what a node has and what its allocations were given.
func (e *env) nodeResources(n *api.Node, allocs []*api.Allocation) {
	if n.NodeResources == nil {
		return
	}
	var cpu, memory, disk, count int64
	for _, a := range allocs {
		if a.ClientTerminal() || a.AllocatedResources == nil {
			continue
		}
		count++
		disk += a.AllocatedResources.Shared.DiskMB
		for _, t := range a.AllocatedResources.Tasks {
			cpu += t.Cpu.CpuShares
			memory += t.Memory.MemoryMB
		}
	}
	r := n.NodeResources
	haveCPU, haveMemory, haveDisk := r.Cpu.CpuShares, r.Memory.MemoryMB, r.Disk.DiskMB
	if k := n.ReservedResources; k != nil {
		haveCPU -= int64(k.Cpu.CpuShares)
		haveMemory -= int64(k.Memory.MemoryMB)
		haveDisk -= int64(k.Disk.DiskMB)
	}
	e.heading("Allocated of what there is")
	t := newTable("CPU", "Memory", "Disk", "Allocations")
	t.row(fmt.Sprintf("%d of %d MHz", cpu, haveCPU), fmt.Sprintf("%s of %s", mib(memory), mib(haveMemory)),
		fmt.Sprintf("%s of %s", mib(disk), mib(haveDisk)), itoa(count))
	e.show(t)
}

func mib(n int64) string { return bytesText(uint64(max(n, 0)) << 20) }

func (e *env) hostStats(ctx context.Context, c *client.Client, n *api.Node) {
	s, err := c.Nodes().Stats(ctx, n.ID)
	if err != nil {
		e.warn("no statistics: " + err.Error())
		return
	}
	e.heading("In use now")
	f := &facts{}
	f.add("CPU", fmt.Sprintf("%.0f MHz", s.CPUTicksConsumed))
	if m := s.Memory; m != nil {
		f.add("Memory", bytesText(m.Used)+" of "+bytesText(m.Total))
	}
	if d := s.AllocDirStats; d != nil {
		f.add("Disk", fmt.Sprintf("%s of %s (%s)", bytesText(d.Used), bytesText(d.Size), d.Mountpoint))
	}
	e.show(f)
}

func (e *env) nodeAttributes(n *api.Node) {
	for _, part := range []struct {
		title string
		of    map[string]string
	}{{"Attributes", n.Attributes}, {"Meta", n.Meta}} {
		if len(part.of) == 0 {
			continue
		}
		e.heading(part.title)
		f := &facts{}
		for _, k := range keys(part.of) {
			f.add(k, visible(part.of[k]))
		}
		e.show(f)
	}
}

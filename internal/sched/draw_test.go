package sched_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/drover-org/drover/api"
	"pgregory.net/rapid"
)

// demands are constraints that drawn groups may have, each with its meaning in
// plain Go.
var demands = []struct {
	api.Constraint
	meets func(*api.Node) bool
}{
	{api.Constraint{LTarget: "${attr.kernel.name}", Operand: "=", RTarget: "linux"}, func(n *api.Node) bool { return n.Attributes["kernel.name"] == "linux" }},
	{api.Constraint{LTarget: "${meta.rack}", Operand: "!=", RTarget: "r1"}, func(n *api.Node) bool { return n.Meta["rack"] != "r1" }},
	{api.Constraint{LTarget: "${meta.rack}", Operand: "regexp", RTarget: "^r[02]$"}, func(n *api.Node) bool { return n.Meta["rack"] == "r0" || n.Meta["rack"] == "r2" }},
	{api.Constraint{LTarget: "${meta.rack}", Operand: "set_contains_any", RTarget: "r3,r0"}, func(n *api.Node) bool { return n.Meta["rack"] == "r0" || n.Meta["rack"] == "r3" }},
	{api.Constraint{LTarget: "${meta.rack}", Operand: "is_set"}, func(n *api.Node) bool { return n.Meta["rack"] != "" }},
	{api.Constraint{LTarget: "${node.class}", Operand: "=", RTarget: "big"}, func(n *api.Node) bool { return n.NodeClass == "big" }},
	{api.Constraint{LTarget: "${attr.version}", Operand: "version", RTarget: ">= 2.0"}, func(n *api.Node) bool { return n.Attributes["version"] == "2.10.0" }},
	{api.Constraint{LTarget: "${attr.unique.number}", Operand: ">", RTarget: "5"}, func(n *api.Node) bool {
		return len(n.Attributes["unique.number"]) > 1 || n.Attributes["unique.number"] > "5"
	}},
}

// scopes are lists of datacenters with those that they mean.
var scopes = []struct {
	list []string
	in   map[string]bool
}{
	{[]string{"*"}, map[string]bool{"dc1": true, "dc2": true}},
	{[]string{"dc1"}, map[string]bool{"dc1": true}},
	{[]string{"west", "dc[2-9]"}, map[string]bool{"dc2": true}},
}

func sampled[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

// oneIn is true in one of n cases.
func oneIn(t *rapid.T, n int, label string) bool { return rapid.IntRange(1, n).Draw(t, label) == n }

// drawKind draws what nodes of one kind have in common.
func drawKind(t *rapid.T) func(*api.Node) {
	cpu, memory, disk := sampled[int64](t, "node cpu", 1000, 2000, 8000), sampled[int64](t, "node memory", 512, 2048, 8192), sampled[int64](t, "node disk", 1500, 100000)
	cores, ports, most := sampled(t, "node cores", 0, 2, 4), sampled(t, "node ports", 2, 200), 0
	class, kernel, version := sampled(t, "class", "", "big"), "linux", sampled(t, "version", "1.9.0", "2.10.0")
	dc, pool, sick, volume := sampled(t, "dc", "dc1", "dc1", "dc2"), "default", false, rapid.Bool().Draw(t, "volume")
	switch rapid.IntRange(0, 9).Draw(t, "oddity") {
	case 1:
		kernel = "windows"
	case 2:
		pool = "other"
	case 3:
		sick = true
	case 4:
		most = 3
	}
	return func(n *api.Node) {
		n.NodeResources = &api.NodeResources{
			Cpu: api.NodeCPU{CpuShares: cpu, TotalCpuCores: 4}, Memory: api.NodeMemory{MemoryMB: memory}, Disk: api.NodeDisk{DiskMB: disk},
			MinDynamicPort: 20000, MaxDynamicPort: 20000 + ports,
		}
		for c := range cores {
			n.NodeResources.Cpu.ReservableCpuCores = append(n.NodeResources.Cpu.ReservableCpuCores, uint16(c))
		}
		n.NodeClass, n.Datacenter, n.NodePool, n.NodeMaxAllocs = class, dc, pool, most
		n.Attributes = map[string]string{"kernel.name": kernel, "version": version}
		n.Drivers = map[string]*api.DriverInfo{"raw_exec": {Detected: true, Healthy: !sick}}
		if volume {
			n.HostVolumes = map[string]*api.HostVolumeInfo{"data": {}}
		}
	}
}

// drawJob draws a job for n nodes.
func drawJob(t *rapid.T, id, kind string, n int) *api.Job {
	j := &api.Job{ID: id, Type: kind, Priority: sampled(t, "priority", 20, 50, 55, 80), Meta: map[string]string{}}
	scope := sampled(t, "datacenters", scopes...)
	j.Datacenters = scope.list
	if oneIn(t, 12, "pool") {
		j.NodePool = sampled(t, "node pool", "other", api.AllNodePools)
	}
	j.TaskGroups = append(j.TaskGroups, drawGroup(t, "web", kind, n))
	if oneIn(t, 5, "second group") {
		j.TaskGroups = append(j.TaskGroups, drawGroup(t, "db", kind, n))
	}
	if oneIn(t, 8, "job constraint") {
		j.Constraints = append(j.Constraints, drawDistinct(t))
	}
	j.Canonicalize()
	return j
}

func drawGroup(t *rapid.T, name, kind string, n int) *api.TaskGroup {
	main := &api.Task{Name: "main", Driver: "raw_exec", Config: map[string]any{"command": sampled(t, "command", "x", "y")}, Resources: &api.Resources{
		CPU: sampled(t, "cpu", 20, 100, 300, 600), MemoryMB: sampled(t, "memory", 16, 64, 200, 400),
	}}
	g := &api.TaskGroup{Name: name, Tasks: []*api.Task{main}, EphemeralDisk: &api.EphemeralDisk{SizeMB: ptr(sampled(t, "disk", 10, 10, 300))}}
	everywhere := kind == api.JobTypeSystem || kind == api.JobTypeSysBatch
	count := 1
	if !everywhere {
		count = sampled(t, "count", 0, 1, 3, n/2, n, 3*n)
	}
	g.Count = &count
	if oneIn(t, 3, "oversubscribes") {
		main.Resources.MemoryMaxMB = 2 * main.Resources.MemoryMB
	}
	switch rapid.IntRange(0, 9).Draw(t, "takes") {
	case 1:
		main.Resources.CPU, main.Resources.Cores = 0, sampled(t, "cores", 1, 2)
	case 2:
		g.Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "p", Value: 80}}}}
	case 3, 4:
		g.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "p"}, {Label: "q"}}[:sampled(t, "ports", 1, 2)]}}
	case 5:
		g.Volumes = map[string]*api.VolumeRequest{"d": {Name: "d", Type: "host", Source: "data"}}
	case 6:
		before := &api.Task{Name: "before", Driver: "raw_exec", Config: map[string]any{"command": "z"}, Lifecycle: &api.TaskLifecycle{Hook: api.HookPrestart}}
		before.Resources = &api.Resources{CPU: 150, MemoryMB: 100}
		g.Tasks = append(g.Tasks, before)
	}
	for range rapid.IntRange(0, 2).Draw(t, "constraints") {
		g.Constraints = append(g.Constraints, ptr(sampled(t, "constraint", demands...).Constraint))
	}
	if everywhere {
		if kind == api.JobTypeSystem {
			g.Update = &api.UpdateStrategy{MaxParallel: ptr(sampled(t, "max_parallel", 0, 1+n/3))}
		}
		return g
	}
	if oneIn(t, 5, "distinct") {
		g.Constraints = append(g.Constraints, drawDistinct(t))
	}
	drawPreferences(t, g)
	g.EphemeralDisk.Sticky = oneIn(t, 6, "sticky")
	if kind == api.JobTypeService {
		g.Update = &api.UpdateStrategy{MaxParallel: ptr(sampled(t, "max_parallel", 0, 1+count/3)), Canary: ptr(sampled(t, "canaries", 0, 0, 0, 2))}
	}
	switch rapid.IntRange(0, 5).Draw(t, "disconnect") {
	case 0:
		g.Disconnect = &api.DisconnectStrategy{LostAfter: ptr(api.Duration(1e9 * 60)), Reconcile: sampled(t, "reconcile", "best_score", "keep_original", "keep_replacement", "longest_running")}
	case 1:
		g.Disconnect = &api.DisconnectStrategy{LostAfter: ptr(api.Duration(1e9 * 60)), Replace: ptr(false)}
	}
	return g
}

func drawDistinct(t *rapid.T) *api.Constraint {
	if rapid.Bool().Draw(t, "hosts") {
		return &api.Constraint{Operand: api.OperandDistinctHosts}
	}
	return &api.Constraint{LTarget: "${meta.rack}", Operand: api.OperandDistinctProperty, RTarget: sampled(t, "of a rack", "1", "4")}
}

func drawPreferences(t *rapid.T, g *api.TaskGroup) {
	if oneIn(t, 5, "affinity") {
		g.Affinities = []*api.Affinity{{LTarget: "${meta.rack}", Operand: "=", RTarget: "r2", Weight: ptr(sampled[int8](t, "weight", -100, 30, 100))}}
	}
	switch rapid.IntRange(0, 7).Draw(t, "spread") {
	case 1, 2:
		g.Spreads = []*api.Spread{{Attribute: "${meta.rack}", Weight: ptr(int8(100))}}
	case 3:
		g.Spreads = []*api.Spread{{Attribute: "${meta.rack}", Weight: ptr(int8(100)), SpreadTarget: []*api.SpreadTarget{{Value: "r0", Percent: 60}, {Value: "r2", Percent: 40}}}}
	}
}

// mayRun reports whether a node suits a group, by the letter of the job.
func mayRun(j *api.Job, g *api.TaskGroup, n *api.Node) bool {
	if n.Status != api.NodeReady || n.SchedulingEligibility != api.NodeEligible || n.DrainStrategy != nil {
		return false
	}
	for _, s := range scopes {
		if slices.Equal(s.list, j.Datacenters) && !s.in[n.Datacenter] {
			return false
		}
	}
	if j.NodePool != api.AllNodePools && j.NodePool != n.NodePool {
		return false
	}
	if !n.Drivers["raw_exec"].Healthy || len(g.Volumes) > 0 && n.HostVolumes["data"] == nil {
		return false
	}
	for _, k := range g.Constraints {
		for _, d := range demands {
			if d.Constraint == *k && !d.meets(n) {
				return false
			}
		}
	}
	return true
}

// load is what allocations take of a node, added up by this file's own rules.
type load struct {
	cpu, memory, disk, allocs int64
	ports, cores              [4]uint64 // 80, and 20000 to 20200; bits
	twice                     string    // a port or core that is taken twice
}

// loadOf reads an allocation.
func loadOf(a *api.Allocation) (l load, most int64) {
	l.allocs, l.disk = 1, a.AllocatedResources.Shared.DiskMB
	for name, r := range a.AllocatedResources.Tasks {
		if name == "before" { // over when main starts
			continue
		}
		l.cpu += r.Cpu.CpuShares
		l.memory += r.Memory.MemoryMB
		most += r.Memory.MemoryMaxMB
		for _, c := range r.Cpu.ReservedCores {
			l.core(c)
		}
	}
	if b := a.AllocatedResources.Tasks["before"]; b != nil {
		l.cpu, l.memory = max(l.cpu, b.Cpu.CpuShares), max(l.memory, b.Memory.MemoryMB)
	}
	for _, p := range a.AllocatedResources.Shared.Ports {
		l.port(p.Value)
	}
	return l, most
}

func (l *load) core(c uint16) { l.mark(&l.cores, int(c), "core") }

func (l *load) port(p int) {
	if p == 80 {
		p = 19999
	}
	l.mark(&l.ports, p-19999, "port")
}

func (l *load) mark(bits *[4]uint64, i int, what string) {
	if i < 0 || i > 255 {
		l.twice = fmt.Sprint(what, " ", i, " is out of range")
		return
	}
	if bits[i/64]&(1<<(i%64)) != 0 {
		l.twice = fmt.Sprint(what, " ", i, " is taken twice")
	}
	bits[i/64] |= 1 << (i % 64)
}

func (l *load) add(o *load) {
	l.cpu, l.memory, l.disk, l.allocs = l.cpu+o.cpu, l.memory+o.memory, l.disk+o.disk, l.allocs+o.allocs
	for w := range l.ports {
		if l.ports[w]&o.ports[w] != 0 || l.cores[w]&o.cores[w] != 0 {
			l.twice = "a port or core is taken twice"
		}
		l.ports[w] |= o.ports[w]
		l.cores[w] |= o.cores[w]
	}
}

// over tells what of a node l exceeds, or "".
func (l *load) over(n *api.Node) string {
	r := n.NodeResources
	switch {
	case l.twice != "":
		return l.twice
	case l.cpu > r.Cpu.CpuShares:
		return fmt.Sprintf("cpu: %d of %d", l.cpu, r.Cpu.CpuShares)
	case l.memory > r.Memory.MemoryMB:
		return fmt.Sprintf("memory: %d of %d", l.memory, r.Memory.MemoryMB)
	case l.disk > r.Disk.DiskMB:
		return fmt.Sprintf("disk: %d of %d", l.disk, r.Disk.DiskMB)
	case n.NodeMaxAllocs > 0 && l.allocs > int64(n.NodeMaxAllocs):
		return fmt.Sprintf("allocations: %d of %d", l.allocs, n.NodeMaxAllocs)
	}
	for w := range l.cores {
		for b := range 64 {
			if l.cores[w]&(1<<b) != 0 && !slices.Contains(r.Cpu.ReservableCpuCores, uint16(64*w+b)) {
				return fmt.Sprintf("core %d, which it does not have", 64*w+b)
			}
		}
	}
	return ""
}

// fitsOn reports whether one more allocation of a group has room beside l.
func (l *load) fitsOn(n *api.Node, g *api.TaskGroup) bool {
	more := load{allocs: 1, disk: int64(*g.EphemeralDisk.SizeMB)}
	free := 0
	for _, c := range n.NodeResources.Cpu.ReservableCpuCores {
		if l.cores[c/64]&(1<<(c%64)) == 0 {
			free++
		}
	}
	for _, t := range g.Tasks {
		cpu, memory := int64(t.Resources.CPU), int64(t.Resources.MemoryMB)
		if k := t.Resources.Cores; k > 0 {
			if free < k {
				return false
			}
			cpu = int64(k) * (n.NodeResources.Cpu.CpuShares / int64(n.NodeResources.Cpu.TotalCpuCores))
		}
		more.cpu, more.memory = max(more.cpu, cpu), max(more.memory, memory) // one task follows the other
	}
	sum := *l
	sum.twice = ""
	sum.add(&more)
	for _, net := range g.Networks {
		for _, p := range net.ReservedPorts {
			sum.port(p.Value)
		}
		p := n.NodeResources.MinDynamicPort
		for range net.DynamicPorts {
			for p <= n.NodeResources.MaxDynamicPort && sum.ports[(p-19999)/64]&(1<<((p-19999)%64)) != 0 {
				p++
			}
			if p > n.NodeResources.MaxDynamicPort {
				return false
			}
			sum.port(p)
		}
	}
	return sum.over(n) == ""
}

// shape is what makes an allocation of a group what it is: when it stays, what
// runs may stay.
func shape(j *api.Job, g *api.TaskGroup) string {
	c := *g
	c.Count, c.Update = nil, nil
	text := fmt.Sprint(j.Datacenters, j.NodePool, slices.Sorted(maps.Keys(c.Volumes)), c.Networks, *c.EphemeralDisk.SizeMB, c.EphemeralDisk.Sticky)
	for _, t := range c.Tasks {
		text += fmt.Sprint(t.Name, t.Config, *t.Resources)
	}
	for _, k := range slices.Concat(j.Constraints, c.Constraints) {
		text += fmt.Sprint(*k)
	}
	for _, a := range c.Affinities {
		text += fmt.Sprint(*a, *a.Weight)
	}
	for _, s := range c.Spreads {
		text += fmt.Sprint(s.Attribute, len(s.SpreadTarget))
	}
	return text
}

package fit

import (
	"slices"

	"github.com/drover-org/drover/api"
)

// Usage is what a set of allocations takes from a node. Values are immutable:
// With and Without return new ones, so a snapshot may hold on to an old one.
// The zero value is an idle node.
type Usage struct {
	CPU         int64 // MHz
	MemoryMB    int64
	MemoryMaxMB int64 // with oversubscription; at least MemoryMB
	DiskMB      int64
	Allocs      int
	Ports       []uint16 // host ports in use, ascending, one entry per use
	Cores       []uint16 // cores reserved, ascending
}

// Demand is what one allocation takes.
type Demand = Usage

// Sum adds up what an allocation takes. Tasks that never run at the same time
// share: prestart tasks that are no sidecars, the main tasks, and poststop
// tasks follow each other, so that only the largest of the three counts.
func Sum(r *api.AllocatedResources) *Demand {
	d := &Demand{Allocs: 1}
	if r == nil {
		return d
	}
	d.DiskMB = r.Shared.DiskMB
	var before, main, after, beside amount
	for name, t := range r.Tasks {
		switch lc := r.TaskLifecycles[name]; {
		case lc == nil:
			main.add(t)
		case lc.Sidecar:
			beside.add(t)
		case lc.Hook == api.HookPrestart:
			before.add(t)
		case lc.Hook == api.HookPoststop:
			after.add(t)
		default:
			main.add(t)
		}
		d.Cores = append(d.Cores, t.Cpu.ReservedCores...)
		for _, n := range t.Networks {
			d.addNetwork(n)
		}
	}
	d.CPU = beside.cpu + max(before.cpu, main.cpu, after.cpu)
	d.MemoryMB = beside.memory + max(before.memory, main.memory, after.memory)
	d.MemoryMaxMB = beside.memoryMax + max(before.memoryMax, main.memoryMax, after.memoryMax)
	if len(r.Shared.Ports) > 0 {
		for _, p := range r.Shared.Ports {
			if !p.IgnoreCollision {
				d.Ports = append(d.Ports, uint16(p.Value))
			}
		}
	} else {
		for _, n := range r.Shared.Networks {
			d.addNetwork(n)
		}
	}
	slices.Sort(d.Ports)
	slices.Sort(d.Cores)
	return d
}

// amount is what tasks that run together take.
type amount struct{ cpu, memory, memoryMax int64 }

func (a *amount) add(t *api.AllocatedTaskResources) {
	a.cpu += t.Cpu.CpuShares
	a.memory += t.Memory.MemoryMB
	a.memoryMax += max(t.Memory.MemoryMaxMB, t.Memory.MemoryMB)
}

func (u *Usage) addNetwork(n *api.NetworkResource) {
	for _, list := range [][]api.Port{n.ReservedPorts, n.DynamicPorts} {
		for _, p := range list {
			if p.Value > 0 && !p.IgnoreCollision {
				u.Ports = append(u.Ports, uint16(p.Value))
			}
		}
	}
}

// With returns u with an allocation added.
func (u *Usage) With(r *api.AllocatedResources) *Usage { return u.Plus(Sum(r)) }

// Without returns u with an allocation that was added before taken away.
func (u *Usage) Without(r *api.AllocatedResources) *Usage { return u.Minus(Sum(r)) }

// Plus returns the sum of two usages.
func (u *Usage) Plus(d *Usage) *Usage {
	return &Usage{
		CPU: u.CPU + d.CPU, MemoryMB: u.MemoryMB + d.MemoryMB, MemoryMaxMB: u.MemoryMaxMB + d.MemoryMaxMB,
		DiskMB: u.DiskMB + d.DiskMB, Allocs: u.Allocs + d.Allocs,
		Ports: merge(u.Ports, d.Ports), Cores: merge(u.Cores, d.Cores),
	}
}

// Minus returns u with d taken away.
func (u *Usage) Minus(d *Usage) *Usage {
	return &Usage{
		CPU: u.CPU - d.CPU, MemoryMB: u.MemoryMB - d.MemoryMB, MemoryMaxMB: u.MemoryMaxMB - d.MemoryMaxMB,
		DiskMB: u.DiskMB - d.DiskMB, Allocs: u.Allocs - d.Allocs,
		Ports: remove(u.Ports, d.Ports), Cores: remove(u.Cores, d.Cores),
	}
}

// Beyond returns what u takes more than held: what an allocation adds to a node
// as long as those that have to end before it starts still hold theirs.
func (u *Usage) Beyond(held *Usage) *Usage {
	return &Usage{
		CPU: max(u.CPU-held.CPU, 0), MemoryMB: max(u.MemoryMB-held.MemoryMB, 0), MemoryMaxMB: max(u.MemoryMaxMB-held.MemoryMaxMB, 0),
		DiskMB: max(u.DiskMB-held.DiskMB, 0), Allocs: max(u.Allocs-held.Allocs, 0),
		Ports: remove(u.Ports, held.Ports), Cores: remove(u.Cores, held.Cores),
	}
}

// merge returns the union of two ascending lists, repetitions kept. A list
// that stays as it is gets shared.
func merge(a, b []uint16) []uint16 {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	out := make([]uint16, 0, len(a)+len(b))
	for _, v := range b {
		i, _ := slices.BinarySearch(a, v)
		out = append(append(out, a[:i]...), v)
		a = a[i:]
	}
	return append(out, a...)
}

// remove returns a without one entry for each of b.
func remove(a, b []uint16) []uint16 {
	if len(b) == 0 {
		return a
	}
	out := slices.Clone(a)
	for _, v := range b {
		if i, ok := slices.BinarySearch(out, v); ok {
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

// HasPort reports whether a host port is in use.
func (u *Usage) HasPort(p uint16) bool {
	_, ok := slices.BinarySearch(u.Ports, p)
	return ok
}

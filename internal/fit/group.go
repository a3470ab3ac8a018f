package fit

import "github.com/drover-org/drover/api"

// OfGroup returns what every allocation of a group takes, whatever the node:
// all but ports, reserved cores and devices. oversubscribe says whether the
// region lets tasks use memory above what they reserve.
func OfGroup(g *api.TaskGroup, oversubscribe bool) *api.AllocatedResources {
	r := &api.AllocatedResources{
		Tasks:          make(map[string]*api.AllocatedTaskResources, len(g.Tasks)),
		TaskLifecycles: make(map[string]*api.TaskLifecycle, len(g.Tasks)),
	}
	if d := g.EphemeralDisk; d != nil && d.SizeMB != nil {
		r.Shared.DiskMB = int64(*d.SizeMB)
	}
	for _, t := range g.Tasks {
		own := &api.AllocatedTaskResources{}
		if ask := t.Resources; ask != nil {
			if ask.Cores == 0 {
				own.Cpu.CpuShares = int64(ask.CPU)
			}
			own.Memory.MemoryMB = int64(ask.MemoryMB + ask.SecretsMB)
			if oversubscribe && ask.MemoryMaxMB > ask.MemoryMB {
				own.Memory.MemoryMaxMB = int64(ask.MemoryMaxMB + ask.SecretsMB)
			}
		}
		r.Tasks[t.Name] = own
		r.TaskLifecycles[t.Name] = t.Lifecycle
	}
	return r
}

// Grant returns the resources of one placement on a node: those of its group
// with what only the placement has. Without any of that the group's value is
// shared. n may be nil when the node is gone.
func Grant(group *api.AllocatedResources, p *api.Placement, n *api.Node) *api.AllocatedResources {
	if group == nil || len(p.Networks)+len(p.Ports)+len(p.TaskNetwork)+len(p.TaskCores)+len(p.Devices) == 0 {
		return group
	}
	r := *group
	if len(p.Networks)+len(p.Ports) > 0 {
		r.Shared.Networks, r.Shared.Ports = p.Networks, p.Ports
	}
	if len(p.TaskNetwork)+len(p.TaskCores)+len(p.Devices) == 0 {
		return &r // with the group's tasks
	}
	var coreMHz int64
	if n != nil && len(p.TaskCores) > 0 {
		coreMHz = CapacityOf(n).CoreMHz
	}
	r.Tasks = make(map[string]*api.AllocatedTaskResources, len(group.Tasks))
	for name, t := range group.Tasks {
		own := *t
		if n := p.TaskNetwork[name]; n != nil {
			own.Networks = n
		}
		if cores := p.TaskCores[name]; cores != nil {
			own.Cpu.ReservedCores = cores
			own.Cpu.CpuShares = coreMHz * int64(len(cores))
		}
		if devices := p.Devices[name]; devices != nil {
			own.Devices = devices
		}
		r.Tasks[name] = &own
	}
	return &r
}

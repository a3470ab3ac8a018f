package fit

import (
	"maps"

	"github.com/drover-org/drover/api"
)

// Charge is what an allocation costs a quota. Reserved cores cost cores, and
// not the MHz that they are worth on their node.
func Charge(r *api.AllocatedResources) api.Charge {
	cores := 0
	if r != nil {
		plain := r
		for name, t := range r.Tasks {
			if len(t.Cpu.ReservedCores) == 0 {
				continue
			}
			if plain == r {
				c := *r
				c.Tasks = maps.Clone(r.Tasks)
				plain = &c
			}
			own := *t
			own.Cpu.CpuShares = 0
			plain.Tasks[name] = &own
			cores += len(t.Cpu.ReservedCores)
		}
		r = plain
	}
	return ChargeOf(Sum(r), cores)
}

// ChargeOfGroup is what each allocation of a group costs a quota.
func ChargeOfGroup(g *api.TaskGroup, oversubscribe bool) api.Charge {
	cores := 0
	for _, t := range g.Tasks {
		if t.Resources != nil {
			cores += t.Resources.Cores
		}
	}
	return ChargeOf(Sum(OfGroup(g, oversubscribe)), cores)
}

// ChargeOf is what an allocation costs a quota that uses u, with MHz that aren't
// those of reserved cores, and so many of these.
func ChargeOf(u *Usage, cores int) api.Charge {
	return api.Charge{CPU: u.CPU, Cores: int64(cores), MemoryMB: u.MemoryMB, MemoryMaxMB: u.MemoryMaxMB, Allocations: 1}
}

package agent

import (
	"slices"

	"github.com/drover-org/drover/api"
)

// assignment is what servers want and the agent has not acted on yet.
type assignment struct {
	full   bool
	allocs map[string]*api.Allocation
	gone   map[string]bool
}

// merge adds a later assignment.
func (p *assignment) merge(full bool, allocs []*api.Allocation, gone []string) {
	if full || p.allocs == nil {
		p.allocs, p.gone = map[string]*api.Allocation{}, map[string]bool{}
		p.full = p.full || full
	}
	for _, alloc := range allocs {
		p.allocs[alloc.ID] = alloc
		delete(p.gone, alloc.ID)
	}
	for _, id := range gone {
		p.gone[id] = true
		delete(p.allocs, id)
	}
}

// changes is what the agent has to do. Each list is ordered by ID.
type changes struct {
	start  []*api.Allocation // new here, to be run
	update []*api.Allocation // known here and changed, perhaps to be stopped
	absent []*api.Allocation // not here and not to be run, but servers don't know that
	remove []string          // to be stopped and removed
}

// reconcile compares what is here, with the server's index of each, with what
// is wanted.
func reconcile(have map[string]uint64, want assignment) changes {
	var c changes
	for id, alloc := range want.allocs {
		index, here := have[id]
		switch {
		case here && alloc.AllocModifyIndex > index:
			c.update = append(c.update, alloc)
		case here:
		case !alloc.Terminal():
			c.start = append(c.start, alloc)
		case !alloc.ClientTerminal():
			c.absent = append(c.absent, alloc)
		}
	}
	for id := range have {
		if want.gone[id] || want.full && want.allocs[id] == nil {
			c.remove = append(c.remove, id)
		}
	}
	for _, list := range [][]*api.Allocation{c.start, c.update, c.absent} {
		slices.SortFunc(list, func(a, b *api.Allocation) int {
			if a.ID < b.ID {
				return -1
			}
			return 1
		})
	}
	slices.Sort(c.remove)
	return c
}

func overlap(a, b []int) bool {
	return slices.ContainsFunc(a, func(p int) bool { return slices.Contains(b, p) })
}

func sticky(a *api.Allocation) bool {
	d := a.Group().EphemeralDisk
	return d != nil && (d.Sticky || d.Migrate)
}

// hostPorts returns the ports that an allocation has to itself.
func hostPorts(a *api.Allocation) []int {
	r := a.AllocatedResources
	if r == nil {
		return nil
	}
	var ports []int
	for _, p := range r.Shared.Ports {
		if !p.IgnoreCollision {
			ports = append(ports, p.Value)
		}
	}
	for _, t := range r.Tasks {
		for _, n := range t.Networks {
			for _, p := range n.ReservedPorts {
				if !p.IgnoreCollision {
					ports = append(ports, p.Value)
				}
			}
			for _, p := range n.DynamicPorts {
				ports = append(ports, p.Value)
			}
		}
	}
	return ports
}

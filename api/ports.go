package api

import (
	"cmp"
	"slices"
	"strconv"
)

// AllPorts returns the ports that were granted to an allocation, by label:
// those of the group and those of its tasks.
func (r *AllocatedResources) AllPorts() []PortMapping {
	if r == nil {
		return nil
	}
	ports := slices.Clone(r.Shared.Ports)
	for _, t := range r.Tasks {
		for _, n := range t.Networks {
			for _, p := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
				ports = append(ports, PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: n.IP})
			}
		}
	}
	slices.SortStableFunc(ports, func(a, b PortMapping) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Value, b.Value))
	})
	return slices.CompactFunc(ports, func(a, b PortMapping) bool { return a.Label == b.Label && a.Value == b.Value })
}

// Matches reports whether a port is meant by its label, its number on the host
// or its number in the task's network.
func (p PortMapping) Matches(name string) bool {
	return p.Label == name || strconv.Itoa(p.Value) == name || p.To > 0 && strconv.Itoa(p.To) == name
}

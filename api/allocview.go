package api

import (
	"maps"
	"slices"
)

// AllocView is a full allocation with the members that older clients read:
// the resources in their old shape and the scores as one map. They are
// computed from the members that replaced them.
type AllocView struct {
	*Allocation
	Resources       *Resources
	SharedResources *Resources
	TaskResources   map[string]*Resources
	Metrics         *AllocMetric // shadows the allocation's
}

// View returns the allocation as it is shown in full.
func (a *Allocation) View() *AllocView {
	v := &AllocView{Allocation: a, Metrics: viewMetrics(a.Metrics)}
	r := a.AllocatedResources
	if r == nil {
		return v
	}
	v.SharedResources = &Resources{DiskMB: int(r.Shared.DiskMB), Networks: r.Shared.Networks}
	v.Resources = &Resources{DiskMB: int(r.Shared.DiskMB), Networks: slices.Clone(r.Shared.Networks)}
	v.TaskResources = make(map[string]*Resources, len(r.Tasks))
	for _, name := range slices.Sorted(maps.Keys(r.Tasks)) {
		t := r.Tasks[name]
		v.TaskResources[name] = &Resources{
			CPU: int(t.Cpu.CpuShares), Cores: len(t.Cpu.ReservedCores),
			MemoryMB: int(t.Memory.MemoryMB), MemoryMaxMB: int(t.Memory.MemoryMaxMB), Networks: t.Networks,
		}
		v.Resources.CPU += int(t.Cpu.CpuShares)
		v.Resources.Cores += len(t.Cpu.ReservedCores)
		v.Resources.MemoryMB += int(t.Memory.MemoryMB)
		v.Resources.MemoryMaxMB += int(t.Memory.MemoryMaxMB)
		v.Resources.Networks = append(v.Resources.Networks, t.Networks...)
	}
	return v
}

// viewMetrics fills Scores from the scores by node.
func viewMetrics(m *AllocMetric) *AllocMetric {
	if m == nil || m.Scores != nil || len(m.ScoreMetaData) == 0 {
		return m
	}
	c := *m
	c.Scores = map[string]float64{}
	for _, n := range m.ScoreMetaData {
		for name, score := range n.Scores.Map() {
			c.Scores[n.NodeID+"."+name] = score
		}
	}
	return &c
}

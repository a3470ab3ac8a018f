package fit

import (
	"slices"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

// Capacity is what a node can give to allocations: what it has less what the
// operator keeps back.
type Capacity struct {
	CPU      int64 // MHz
	MemoryMB int64
	DiskMB   int64
	Cores    []uint16 // reservable ones, ascending
	MinPort  int      // dynamic ports, both ends included
	MaxPort  int
	Reserved []uint16 // host ports kept back, ascending
	Allocs   int      // most allocations, 0 for no bound
}

// CapacityOf reads a node's capacity.
func CapacityOf(n *api.Node) Capacity {
	c := Capacity{MinPort: api.DefaultMinDynamicPort, MaxPort: api.DefaultMaxDynamicPort, Allocs: n.NodeMaxAllocs}
	if r := n.NodeResources; r != nil {
		c.CPU, c.MemoryMB, c.DiskMB = r.Cpu.CpuShares, r.Memory.MemoryMB, r.Disk.DiskMB
		c.Cores = r.Cpu.ReservableCpuCores
		if r.MinDynamicPort > 0 {
			c.MinPort = r.MinDynamicPort
		}
		if r.MaxDynamicPort > 0 {
			c.MaxPort = r.MaxDynamicPort
		}
	}
	if r := n.ReservedResources; r != nil {
		c.CPU -= int64(r.Cpu.CpuShares)
		c.MemoryMB -= int64(r.Memory.MemoryMB)
		c.DiskMB -= int64(r.Disk.DiskMB)
		c.Reserved, _ = ParsePorts(r.Networks.ReservedHostPorts)
		if len(r.Cpu.ReservedCpuCores) > 0 {
			c.Cores = slices.DeleteFunc(slices.Clone(c.Cores), func(core uint16) bool {
				return slices.Contains(r.Cpu.ReservedCpuCores, core)
			})
		}
	}
	return c
}

// ParsePorts reads ports and ranges like "22,80,8000-8100", ascending and
// without repetition.
func ParsePorts(s string) ([]uint16, error) {
	var out []uint16
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		from, to, isRange := strings.Cut(part, "-")
		lo, err1 := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
		hi, err2 := lo, error(nil)
		if isRange {
			hi, err2 = strconv.ParseUint(strings.TrimSpace(to), 10, 16)
		}
		if err1 != nil || err2 != nil || lo > hi {
			return nil, api.Errorf(api.CodeInvalid, "reserved ports: %q is neither a port nor a range like 8000-8100", part)
		}
		for p := lo; p <= hi; p++ {
			out = append(out, uint16(p))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Names of what a node can run out of, as metrics show them.
const (
	DimCPU    = "cpu"
	DimMemory = "memory"
	DimDisk   = "disk"
	DimCores  = "cores"
	DimAllocs = "allocs"
	DimPorts  = "network: port collision"
)

// Short returns the first thing of which the capacity is too small for u, or
// "" when u fits.
func (c *Capacity) Short(u *Usage) string {
	switch {
	case u.CPU > c.CPU:
		return DimCPU
	case u.MemoryMB > c.MemoryMB:
		return DimMemory
	case u.DiskMB > c.DiskMB:
		return DimDisk
	case c.Allocs > 0 && u.Allocs > c.Allocs:
		return DimAllocs
	}
	return ""
}

// Fits reports whether an allocation fits on a node beside what is used.
func Fits(n *api.Node, used *Usage, r *api.AllocatedResources) bool {
	d := Sum(r)
	c := CapacityOf(n)
	sum := used.Plus(d)
	if c.Short(sum) != "" {
		return false
	}
	for _, p := range d.Ports {
		if used.HasPort(p) {
			return false
		}
	}
	for i, core := range sum.Cores {
		if i > 0 && sum.Cores[i-1] == core {
			return false
		}
	}
	return true
}

// Grant returns the resources of one placement: those of its group with what
// only the placement has. Without any of that the group's value is shared.
func Grant(group *api.AllocatedResources, p *api.Placement) *api.AllocatedResources {
	if group == nil || len(p.Networks)+len(p.Ports)+len(p.TaskNetwork)+len(p.TaskCores)+len(p.Devices) == 0 {
		return group
	}
	r := *group
	if len(p.Networks)+len(p.Ports) > 0 {
		r.Shared.Networks, r.Shared.Ports = p.Networks, p.Ports
	}
	r.Tasks = make(map[string]*api.AllocatedTaskResources, len(group.Tasks))
	for name, t := range group.Tasks {
		own := *t
		if n := p.TaskNetwork[name]; n != nil {
			own.Networks = n
		}
		if cores := p.TaskCores[name]; cores != nil {
			own.Cpu.ReservedCores = cores
		}
		if devices := p.Devices[name]; devices != nil {
			own.Devices = devices
		}
		r.Tasks[name] = &own
	}
	return &r
}

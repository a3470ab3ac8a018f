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
	CoreMHz  int64    // what one reserved core is worth
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
		if n := int64(r.Cpu.TotalCpuCores); n > 0 {
			c.CoreMHz = r.Cpu.CpuShares / n
		}
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

// HoldsBack reports whether the operator reserved a port.
func (c *Capacity) HoldsBack(port uint16) bool {
	_, ok := slices.BinarySearch(c.Reserved, port)
	return ok
}

// FreeCores returns n cores that used leaves free, the lowest first, or nil
// when there are fewer.
func (c *Capacity) FreeCores(used *Usage, n int) []uint16 {
	free := make([]uint16, 0, n)
	for _, core := range c.Cores {
		if len(free) == n {
			break
		}
		if _, taken := slices.BinarySearch(used.Cores, core); !taken {
			free = append(free, core)
		}
	}
	if len(free) < n {
		return nil
	}
	return free
}

// Fits reports whether d fits on a node beside what is used.
func Fits(n *api.Node, used *Usage, d *Demand) bool {
	c := CapacityOf(n)
	sum := used.Plus(d)
	if c.Short(sum) != "" {
		return false
	}
	for i, p := range d.Ports {
		if used.HasPort(p) || c.HoldsBack(p) || i > 0 && d.Ports[i-1] == p {
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

package api

// MemoryStats is a memory usage in bytes; Measured names the fields that are.
type MemoryStats struct {
	RSS            uint64
	Cache          uint64
	Swap           uint64
	Usage          uint64
	MaxUsage       uint64
	KernelUsage    uint64
	KernelMaxUsage uint64
	Measured       []string
}

// CPUStats is a compute usage: Percent of one core, TotalTicks in MHz,
// ThrottledTime in nanoseconds; Measured names the fields that are.
type CPUStats struct {
	SystemMode       float64
	UserMode         float64
	TotalTicks       float64
	ThrottledPeriods uint64
	ThrottledTime    uint64
	Percent          float64
	Measured         []string
}

// ResourceUsage is what something uses now.
type ResourceUsage struct {
	MemoryStats *MemoryStats
	CpuStats    *CPUStats
	DeviceStats []*DeviceGroupStats
}

// TaskResourceUsage is a task's usage, in all and by process.
type TaskResourceUsage struct {
	ResourceUsage *ResourceUsage
	Timestamp     int64 // Unix nanoseconds
	Pids          map[string]*ResourceUsage
}

// AllocResourceUsage is an allocation's usage, in all and by task.
type AllocResourceUsage struct {
	ResourceUsage *ResourceUsage
	Tasks         map[string]*TaskResourceUsage
	Timestamp     int64
}

// DeviceGroupStats is the usage of a group of devices.
type DeviceGroupStats struct {
	Vendor, Type, Name string
	InstanceStats      map[string]any
}

// HostStats is what a node uses now.
type HostStats struct {
	Memory           *HostMemoryStats
	CPU              []*HostCPUStats
	DiskStats        []*HostDiskStats
	AllocDirStats    *HostDiskStats
	DeviceStats      []*DeviceGroupStats
	Uptime           uint64 // seconds
	CPUTicksConsumed float64
	Timestamp        int64
}

// HostMemoryStats is in bytes.
type HostMemoryStats struct{ Total, Available, Used, Free uint64 }

// HostCPUStats is in percent of one core.
type HostCPUStats struct {
	CPU                       string
	User, System, Idle, Total float64
	TotalPercent, TotalTicks  float64
}

// HostDiskStats is one file system, in bytes.
type HostDiskStats struct {
	Device, Mountpoint             string
	Size, Used, Available          uint64
	UsedPercent, InodesUsedPercent float64
}

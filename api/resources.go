package api

// Resources is what a task asks for: MHz, MiB and networks.
type Resources struct {
	CPU         int // MHz
	Cores       int
	MemoryMB    int
	MemoryMaxMB int
	DiskMB      int
	IOPS        int
	Networks    []*NetworkResource
	Devices     []*RequestedDevice
	NUMA        *NUMAResource
	SecretsMB   int
}

// Defaults of a task's resources.
const (
	DefaultTaskCPU      = 100 // MHz
	DefaultTaskMemoryMB = 300
	DefaultDiskMB       = 300
	MinTaskCPU          = 1
	MinTaskMemoryMB     = 10
	MinDiskMB           = 10
)

// NUMAResource asks for cores near each other.
type NUMAResource struct {
	Affinity string
	Devices  []string
}

// NetworkResource asks for, or on a node or allocation grants, a network.
type NetworkResource struct {
	Mode          string
	Device        string
	CIDR          string
	IP            string
	Hostname      string
	MBits         *int
	DNS           *DNSConfig
	ReservedPorts []Port
	DynamicPorts  []Port
	CNI           *CNIConfig
}

// Port is one labelled port. In a request Value 0 means dynamic; To is the
// port inside the task's network, 0 the same as asked, -1 the same as Value.
type Port struct {
	Label           string
	Value           int
	To              int
	HostNetwork     string
	IgnoreCollision bool
}

// DNSConfig sets a network's resolvers.
type DNSConfig struct{ Servers, Searches, Options []string }

// CNIConfig passes arguments to network plugins.
type CNIConfig struct{ Args map[string]string }

// RequestedDevice asks for instances of a device.
type RequestedDevice struct {
	Name        string
	Count       *uint64
	Constraints []*Constraint
	Affinities  []*Affinity
}

// AllocatedResources is what an allocation was given.
type AllocatedResources struct {
	Tasks          map[string]*AllocatedTaskResources
	TaskLifecycles map[string]*TaskLifecycle
	Shared         AllocatedSharedResources
}

// AllocatedTaskResources is what one task was given.
type AllocatedTaskResources struct {
	Cpu      AllocatedCPU
	Memory   AllocatedMemory
	Networks []*NetworkResource
	Devices  []*AllocatedDevice
}

// AllocatedCPU is a share in MHz, or cores of its own.
type AllocatedCPU struct {
	CpuShares     int64
	ReservedCores []uint16
}

// AllocatedMemory is memory in MiB; MemoryMaxMB 0 means MemoryMB is the limit.
type AllocatedMemory struct{ MemoryMB, MemoryMaxMB int64 }

// AllocatedDevice names instances of a device.
type AllocatedDevice struct {
	Vendor, Type, Name string
	DeviceIDs          []string
}

// AllocatedSharedResources is what the tasks of an allocation share.
type AllocatedSharedResources struct {
	DiskMB   int64
	Networks []*NetworkResource
	Ports    []PortMapping
}

// PortMapping is a granted port: Value on the host, To in the task's network.
type PortMapping struct {
	Label           string
	Value           int
	To              int
	HostIP          string
	IgnoreCollision bool
}

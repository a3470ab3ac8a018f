package api

import "time"

// Node statuses.
const (
	NodeInitializing = "initializing"
	NodeReady        = "ready"
	NodeDown         = "down"
	NodeDisconnected = "disconnected"
)

// Scheduling eligibilities of a node.
const (
	NodeEligible   = "eligible"
	NodeIneligible = "ineligible"
)

// MaxNodeEvents is how many events a node keeps.
const MaxNodeEvents = 10

// Default range of dynamic ports, both ends included.
const (
	DefaultMinDynamicPort = 20000
	DefaultMaxDynamicPort = 32000
)

// Node is a machine that runs allocations.
type Node struct {
	ID                    string
	SecretID              string // never leaves the servers: others read it empty; see Redacted
	Datacenter            string
	Name                  string
	HTTPAddr              string
	TLSEnabled            bool
	Attributes            map[string]string
	NodeResources         *NodeResources
	ReservedResources     *NodeReservedResources
	Resources             *Resources
	Reserved              *Resources
	Links                 map[string]string
	Meta                  map[string]string
	NodeClass             string
	NodePool              string
	ComputedClass         string
	CgroupParent          string
	DrainStrategy         *DrainStrategy
	Drain                 bool
	SchedulingEligibility string
	Status                string
	StatusDescription     string
	StatusUpdatedAt       int64 // Unix seconds
	Events                []*NodeEvent
	Drivers               map[string]*DriverInfo
	HostVolumes           map[string]*HostVolumeInfo
	HostNetworks          map[string]*HostNetworkInfo
	CSIControllerPlugins  map[string]any
	CSINodePlugins        map[string]any
	LastDrain             *DrainMetadata
	NodeMaxAllocs         int
	GCVolumesOnNodeGC     bool
	CreateIndex           uint64
	ModifyIndex           uint64
}

// Ready reports whether new allocations may be placed on the node.
func (n *Node) Ready() bool {
	return n.Status == NodeReady && n.DrainStrategy == nil && n.SchedulingEligibility == NodeEligible
}

// Copy returns a shallow copy.
func (n *Node) Copy() *Node {
	c := *n
	return &c
}

// HostNetwork is where a node can be reached.
type HostNetwork struct{ Device, IP string }

// HostNetwork returns the network that tasks without one of their own share;
// the zero value for nil and for a node without networks.
func (n *Node) HostNetwork() HostNetwork {
	if n == nil || n.NodeResources == nil || len(n.NodeResources.Networks) == 0 {
		return HostNetwork{}
	}
	first := n.NodeResources.Networks[0]
	return HostNetwork{Device: first.Device, IP: first.IP}
}

// Redacted returns the node without its secret.
func (n *Node) Redacted() *Node {
	c := *n
	c.SecretID = ""
	c.Drain = n.DrainStrategy != nil
	return &c
}

// NodeResources is what a node has.
type NodeResources struct {
	Cpu            NodeCPU
	Memory         NodeMemory
	Disk           NodeDisk
	Networks       []*NetworkResource
	NodeNetworks   []*NodeNetworkResource
	Devices        []*NodeDeviceResource
	MinDynamicPort int
	MaxDynamicPort int
}

// NodeCPU is a node's compute: CpuShares is the sum of all cores in MHz.
type NodeCPU struct {
	CpuShares          int64
	TotalCpuCores      uint16
	ReservableCpuCores []uint16
}

// NodeMemory is a node's memory in MiB.
type NodeMemory struct{ MemoryMB int64 }

// NodeDisk is a node's disk in MiB.
type NodeDisk struct{ DiskMB int64 }

// NodeNetworkResource is one interface of a node.
type NodeNetworkResource struct {
	Mode       string
	Device     string
	MacAddress string
	Speed      int
	Addresses  []NodeNetworkAddress
}

// NodeNetworkAddress is one address of an interface.
type NodeNetworkAddress struct {
	Family        string // ipv4 or ipv6
	Alias         string // host network, "default" for the main one
	Address       string
	ReservedPorts string
	Gateway       string
}

// NodeReservedResources is what the operator keeps back.
type NodeReservedResources struct {
	Cpu      NodeReservedCPU
	Memory   NodeReservedMemory
	Disk     NodeReservedDisk
	Networks NodeReservedNetworks
}

// NodeReservedCPU is compute kept back.
type NodeReservedCPU struct {
	CpuShares        uint64
	ReservedCpuCores []uint16
}

// NodeReservedMemory is memory kept back, in MiB.
type NodeReservedMemory struct{ MemoryMB uint64 }

// NodeReservedDisk is disk kept back, in MiB.
type NodeReservedDisk struct{ DiskMB uint64 }

// NodeReservedNetworks is ports kept back, like "22,80,8000-8100".
type NodeReservedNetworks struct{ ReservedHostPorts string }

// NodeDeviceResource is a group of equal devices.
type NodeDeviceResource struct {
	Vendor, Type, Name string
	Instances          []*NodeDevice
	Attributes         map[string]*Attribute
}

// NodeDevice is one device.
type NodeDevice struct {
	ID                string
	Healthy           bool
	HealthDescription string
	Locality          *NodeDeviceLocality
}

// NodeDeviceLocality is where a device is attached.
type NodeDeviceLocality struct{ PciBusID string }

// Attribute is a typed value with a unit.
type Attribute struct {
	FloatVal  *float64 `json:"Float,omitempty"`
	IntVal    *int64   `json:"Int,omitempty"`
	StringVal *string  `json:"String,omitempty"`
	BoolVal   *bool    `json:"Bool,omitempty"`
	Unit      string
}

// DriverInfo is a driver's state on a node.
type DriverInfo struct {
	Attributes        map[string]string
	Detected          bool
	Healthy           bool
	HealthDescription string
	UpdateTime        time.Time
}

// HostVolumeInfo is a directory a node offers.
type HostVolumeInfo struct {
	Path     string
	ReadOnly bool
	ID       string
}

// HostNetworkInfo is a network a node offers for ports.
type HostNetworkInfo struct {
	Name          string
	CIDR          string
	Interface     string
	ReservedPorts string
}

// NodeEvent is something that happened to a node.
type NodeEvent struct {
	Message     string
	Subsystem   string
	Details     map[string]string
	Timestamp   time.Time
	CreateIndex uint64
}

// DrainSpec asks a node to be emptied: Deadline -1 at once by force, 0 without limit.
type DrainSpec struct {
	Deadline         Duration
	IgnoreSystemJobs bool
}

// DrainStrategy is a drain in progress.
type DrainStrategy struct {
	DrainSpec
	ForceDeadline time.Time
	StartedAt     time.Time
}

// DrainMetadata tells of a node's last drain.
type DrainMetadata struct {
	StartedAt  time.Time
	UpdatedAt  time.Time
	Status     string
	AccessorID string
	Meta       map[string]string
}

// NodeListStub is a node in a list.
type NodeListStub struct {
	Address               string
	ID                    string
	Attributes            map[string]string `json:",omitempty"`
	Datacenter            string
	Name                  string
	NodeClass             string
	NodePool              string
	Version               string
	Drain                 bool
	SchedulingEligibility string
	Status                string
	StatusDescription     string
	Drivers               map[string]*DriverInfo
	HostVolumes           map[string]*HostVolumeInfo
	NodeResources         *NodeResources         `json:",omitempty"`
	ReservedResources     *NodeReservedResources `json:",omitempty"`
	LastDrain             *DrainMetadata
	CreateIndex           uint64
	ModifyIndex           uint64
}

// Statuses of a drain.
const (
	DrainDraining = "draining"
	DrainComplete = "complete"
	DrainCanceled = "canceled"
)

// Deadlines of a DrainSpec that are none.
const (
	DrainForce      Duration = -1 // at once
	DrainNoDeadline Duration = 0
)

// MaxDrainMeta bounds the keys of what an operator notes about a drain, and
// MaxDrainText the bytes of each key and value.
const (
	MaxDrainMeta = 64
	MaxDrainText = 4 << 10
)

// NodeDrainRequest starts a drain, changes one, or with no DrainSpec ends it.
type NodeDrainRequest struct {
	NodeID       string `json:",omitempty"`
	DrainSpec    *DrainSpec
	MarkEligible bool
	Meta         map[string]string
}

// Validate checks what is asked for.
func (r *NodeDrainRequest) Validate() error {
	if r.DrainSpec != nil && r.MarkEligible {
		return Errorf(CodeInvalid, "MarkEligible is true, but DrainSpec starts a drain, which makes the node ineligible: leave one of them out")
	}
	if r.DrainSpec != nil && r.DrainSpec.Deadline < DrainForce {
		return Errorf(CodeInvalid, "DrainSpec.Deadline is %v: it must be positive, 0 for no deadline or -1 for at once", r.DrainSpec.Deadline)
	}
	if len(r.Meta) > MaxDrainMeta {
		return Errorf(CodeInvalid, "Meta has %d keys: at most %d are kept", len(r.Meta), MaxDrainMeta)
	}
	for k, v := range r.Meta {
		if len(k) > MaxDrainText || len(v) > MaxDrainText {
			return Errorf(CodeInvalid, "Meta[%.40q] is longer than %d bytes: shorten it", k, MaxDrainText)
		}
	}
	return nil
}

// Strategy returns the drain that a spec asks for when it starts now.
func (s DrainSpec) Strategy(now time.Time) *DrainStrategy {
	d := &DrainStrategy{DrainSpec: s, StartedAt: now.UTC()}
	if s.Deadline > 0 {
		d.ForceDeadline = now.Add(s.Deadline.D()).UTC()
	}
	return d
}

// Forced reports whether nothing is waited for any more.
func (d *DrainStrategy) Forced(now time.Time) bool {
	return d.Deadline < 0 || !d.ForceDeadline.IsZero() && !d.ForceDeadline.After(now)
}

// NodeUpdateResponse answers changes of a node.
type NodeUpdateResponse struct {
	EvalIDs         []string
	EvalCreateIndex uint64
	NodeModifyIndex uint64
	HeartbeatTTL    Duration
	Index           uint64
}

// NodeEligibilityRequest sets a node's eligibility.
type NodeEligibilityRequest struct {
	NodeID      string
	Eligibility string
}

package fingerprint

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
)

// Config is who the node is and what its operator decided.
type Config struct {
	ID         string
	SecretID   string
	Name       string // empty: the host's name
	Region     string
	Datacenter string
	NodeClass  string
	NodePool   string
	HTTPAddr   string // of this agent's API
	TLSEnabled bool
	Version    string // of the agent, such as "1.2.3"
	Revision   string
	Meta       map[string]string
	Attributes map[string]string // added to what is found, and stronger
	AllocDir   string            // the file system that allocations use

	HostVolumes  map[string]*api.HostVolumeInfo
	HostNetworks map[string]*api.HostNetworkInfo
	Reserved     api.NodeReservedResources
	MaxAllocs    int // 0: no bound

	// Overrides of what is found; 0 or empty: what is found.

	NetworkInterface string // default: that of the default route
	NetworkSpeed     int    // Mbit/s
	CPUTotalCompute  int    // MHz
	MemoryTotalMB    int
	DiskTotalMB      int
	DiskFreeMB       int
	ReservableCores  []uint16
	MinDynamicPort   int
	MaxDynamicPort   int
	CgroupParent     string
}

// Node describes the machine. The error says what could not be found out and
// is needed, with the setting that replaces it.
func Node(c Config) (*api.Node, error) {
	n := &api.Node{
		ID: c.ID, SecretID: c.SecretID, Name: c.Name, Datacenter: c.Datacenter, NodeClass: c.NodeClass, NodePool: c.NodePool,
		HTTPAddr: c.HTTPAddr, TLSEnabled: c.TLSEnabled, NodeMaxAllocs: c.MaxAllocs, CgroupParent: c.CgroupParent,
		Attributes: map[string]string{}, Meta: maps.Clone(c.Meta), Links: map[string]string{},
		HostVolumes: c.HostVolumes, HostNetworks: c.HostNetworks, Drivers: map[string]*api.DriverInfo{},
		ReservedResources: &c.Reserved, NodeResources: &api.NodeResources{},
	}
	if n.Meta == nil {
		n.Meta = map[string]string{}
	}
	if err := hostname(n); err != nil {
		return nil, err
	}
	operatingSystem(n.Attributes)
	n.Attributes["nomad.version"] = c.Version
	n.Attributes["nomad.revision"] = c.Revision
	n.Attributes["nomad.advertise.address"] = c.HTTPAddr
	if err := compute(n, c); err != nil {
		return nil, err
	}
	if err := memory(n, c); err != nil {
		return nil, err
	}
	if err := storage(n, c); err != nil {
		return nil, err
	}
	if err := network(n, c); err != nil {
		return nil, err
	}
	n.NodeResources.MinDynamicPort = orDefault(c.MinDynamicPort, api.DefaultMinDynamicPort)
	n.NodeResources.MaxDynamicPort = orDefault(c.MaxDynamicPort, api.DefaultMaxDynamicPort)
	maps.Copy(n.Attributes, c.Attributes)
	legacy(n)
	return n, nil
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

func hostname(n *api.Node) error {
	name, err := os.Hostname()
	if err != nil && n.Name == "" {
		return fmt.Errorf("the host has no name (%w): set \"name\" in the agent's configuration", err)
	}
	if n.Name == "" {
		n.Name = name
	}
	n.Attributes["unique.hostname"] = name
	return nil
}

func compute(n *api.Node, c Config) error {
	cores := runtime.NumCPU()
	if found, err := cpu.Counts(true); err == nil && found > 0 {
		cores = found
	}
	var mhz float64
	a := n.Attributes
	if infos, err := cpu.Info(); err == nil && len(infos) > 0 {
		a["cpu.modelname"] = infos[0].ModelName
		for _, i := range infos {
			mhz = max(mhz, i.Mhz)
		}
	}
	total := int(mhz) * cores
	if c.CPUTotalCompute > 0 {
		total = c.CPUTotalCompute
	}
	if total == 0 {
		return fmt.Errorf("the CPU's frequency is unknown: set client.cpu_total_compute to the sum of all cores in MHz")
	}
	a["cpu.arch"] = runtime.GOARCH
	a["cpu.numcores"] = strconv.Itoa(cores)
	if mhz > 0 {
		a["cpu.frequency"] = strconv.Itoa(int(mhz))
	}
	a["cpu.totalcompute"] = strconv.Itoa(total)
	a["cpu.usablecompute"] = strconv.Itoa(max(0, total-int(n.ReservedResources.Cpu.CpuShares)))
	reservable := c.ReservableCores
	if reservable == nil {
		for i := range cores {
			reservable = append(reservable, uint16(i))
		}
	}
	a["cpu.reservablecores"] = strconv.Itoa(len(reservable))
	n.NodeResources.Cpu = api.NodeCPU{CpuShares: int64(total), TotalCpuCores: uint16(cores), ReservableCpuCores: reservable}
	return nil
}

func memory(n *api.Node, c Config) error {
	bytes := uint64(c.MemoryTotalMB) << 20
	if bytes == 0 {
		m, err := mem.VirtualMemory()
		if err != nil {
			return fmt.Errorf("the size of the memory is unknown (%w): set client.memory_total_mb", err)
		}
		bytes = m.Total
	}
	n.Attributes["memory.totalbytes"] = strconv.FormatUint(bytes, 10)
	n.NodeResources.Memory.MemoryMB = int64(bytes >> 20)
	return nil
}

func storage(n *api.Node, c Config) error {
	u, err := disk.Usage(c.AllocDir)
	if err != nil {
		return fmt.Errorf("the file system of the allocation directory: %w", err)
	}
	total, free := u.Total, u.Free
	if c.DiskTotalMB > 0 {
		total = uint64(c.DiskTotalMB) << 20
		free = min(free, total)
	}
	if c.DiskFreeMB > 0 {
		free = uint64(c.DiskFreeMB) << 20
	}
	n.Attributes["unique.storage.volume"] = volumeOf(c.AllocDir)
	n.Attributes["unique.storage.bytestotal"] = strconv.FormatUint(total, 10)
	n.Attributes["unique.storage.bytesfree"] = strconv.FormatUint(free, 10)
	n.NodeResources.Disk.DiskMB = int64(free >> 20)
	return nil
}

// volumeOf names the device that holds a directory, or the directory itself.
func volumeOf(dir string) string {
	parts, err := disk.Partitions(true)
	if err != nil {
		return dir
	}
	best, device := "", dir
	for _, p := range parts {
		if len(p.Mountpoint) > len(best) && within(dir, p.Mountpoint) {
			best, device = p.Mountpoint, p.Device
		}
	}
	return device
}

func within(dir, mount string) bool {
	return mount == "/" || dir == mount || len(dir) > len(mount) && dir[:len(mount)] == mount && dir[len(mount)] == '/'
}

func operatingSystem(a map[string]string) {
	a["kernel.name"] = runtime.GOOS
	a["arch"] = runtime.GOARCH
	a["kernel.arch"] = runtime.GOARCH
	if arch, err := host.KernelArch(); err == nil {
		a["kernel.arch"] = arch
	}
	if v, err := host.KernelVersion(); err == nil {
		a["kernel.version"] = v
	}
	a["os.name"], a["os.version"] = osRelease()
	if v := cgroupVersion(); v != "" {
		a["unique.cgroup.version"] = v
		a["os.cgroups.version"] = v
	}
}

// legacy fills the forerunners of NodeResources and ReservedResources, which
// older clients read.
func legacy(n *api.Node) {
	r, k := n.NodeResources, n.ReservedResources
	n.Resources = &api.Resources{
		CPU: int(r.Cpu.CpuShares), MemoryMB: int(r.Memory.MemoryMB), DiskMB: int(r.Disk.DiskMB), Networks: r.Networks,
	}
	n.Reserved = &api.Resources{CPU: int(k.Cpu.CpuShares), MemoryMB: int(k.Memory.MemoryMB), DiskMB: int(k.Disk.DiskMB)}
}

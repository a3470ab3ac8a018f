package agent

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
)

func (a *Agent) allocStats(r *http.Request) (any, error) {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	only := web.ParamsOf(r).String("task")
	u := &api.AllocResourceUsage{Tasks: map[string]*api.TaskResourceUsage{}, Timestamp: a.cfg.Now().UnixNano()}
	sum := &api.ResourceUsage{MemoryStats: &api.MemoryStats{}, CpuStats: &api.CPUStats{}, DeviceStats: []*api.DeviceGroupStats{}}
	for _, name := range run.taskNames() {
		if only != "" && name != only {
			continue
		}
		usage, err := run.task(name).Stats(r.Context())
		if err != nil {
			return nil, fmt.Errorf("usage of task %q: %w", name, err)
		}
		if usage == nil || usage.ResourceUsage == nil {
			continue
		}
		u.Tasks[name] = usage
		addUsage(sum, usage.ResourceUsage)
	}
	u.ResourceUsage = sum
	return u, nil
}

// addUsage adds a task's usage to that of its allocation.
func addUsage(sum, u *api.ResourceUsage) {
	if m, s := u.MemoryStats, sum.MemoryStats; m != nil {
		s.RSS += m.RSS
		s.Cache += m.Cache
		s.Swap += m.Swap
		s.Usage += m.Usage
		s.MaxUsage += m.MaxUsage
		s.KernelUsage += m.KernelUsage
		s.KernelMaxUsage += m.KernelMaxUsage
		s.Measured = union(s.Measured, m.Measured)
	}
	if c, s := u.CpuStats, sum.CpuStats; c != nil {
		s.SystemMode += c.SystemMode
		s.UserMode += c.UserMode
		s.TotalTicks += c.TotalTicks
		s.ThrottledPeriods += c.ThrottledPeriods
		s.ThrottledTime += c.ThrottledTime
		s.Percent += c.Percent
		s.Measured = union(s.Measured, c.Measured)
	}
	sum.DeviceStats = append(sum.DeviceStats, u.DeviceStats...)
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// hostSampler keeps the processors' times of the last look, since a load is
// the difference between two.
type hostSampler struct {
	mu   sync.Mutex // guards last
	last []cpu.TimesStat
}

func (a *Agent) hostStats(*http.Request) (any, error) {
	now := a.cfg.Now()
	s := &api.HostStats{Timestamp: now.UnixNano(), DeviceStats: []*api.DeviceGroupStats{}, DiskStats: []*api.HostDiskStats{}}
	m, err := mem.VirtualMemory()
	if err != nil {
		return nil, fmt.Errorf("memory of the host: %w", err)
	}
	s.Memory = &api.HostMemoryStats{Total: m.Total, Available: m.Available, Used: m.Used, Free: m.Free}
	if s.CPU, err = a.host.cpus(a.mhzPerCore()); err != nil {
		return nil, fmt.Errorf("processors of the host: %w", err)
	}
	for _, c := range s.CPU {
		s.CPUTicksConsumed += c.TotalTicks
	}
	if parts, err := disk.Partitions(false); err == nil {
		for _, p := range parts {
			if u, err := disk.Usage(p.Mountpoint); err == nil {
				s.DiskStats = append(s.DiskStats, diskStats(p.Device, u))
			}
		}
	}
	if u, err := disk.Usage(a.cfg.AllocDir); err == nil {
		s.AllocDirStats = diskStats(a.node.Load().Attributes["unique.storage.volume"], u)
	}
	if s.Uptime, err = host.Uptime(); err != nil {
		return nil, fmt.Errorf("uptime of the host: %w", err)
	}
	return s, nil
}

func (a *Agent) mhzPerCore() float64 {
	return float64(a.node.Load().NodeResources.Cpu.CpuShares) / float64(runtime.NumCPU())
}

func diskStats(device string, u *disk.UsageStat) *api.HostDiskStats {
	return &api.HostDiskStats{
		Device: device, Mountpoint: u.Path, Size: u.Total, Used: u.Used, Available: u.Free,
		UsedPercent: u.UsedPercent, InodesUsedPercent: u.InodesUsedPercent,
	}
}

// cpus returns the load since the last call, or since boot.
func (h *hostSampler) cpus(mhz float64) ([]*api.HostCPUStats, error) {
	now, err := cpu.Times(true)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	last := h.last
	h.last = now
	h.mu.Unlock()
	list := make([]*api.HostCPUStats, len(now))
	for i, t := range now {
		var before cpu.TimesStat
		if i < len(last) && last[i].CPU == t.CPU {
			before = last[i]
		}
		list[i] = load(before, t, mhz)
	}
	return list, nil
}

func load(before, now cpu.TimesStat, mhz float64) *api.HostCPUStats {
	s := &api.HostCPUStats{CPU: now.CPU}
	user := now.User + now.Nice - before.User - before.Nice
	system := now.System + now.Irq + now.Softirq + now.Steal - before.System - before.Irq - before.Softirq - before.Steal
	idle := now.Idle + now.Iowait - before.Idle - before.Iowait
	all := user + system + idle
	if all <= 0 {
		s.Idle = 100
		return s
	}
	s.User, s.System, s.Idle = 100*user/all, 100*system/all, 100*idle/all
	s.Total = s.User + s.System
	s.TotalPercent = s.Total
	s.TotalTicks = s.Total / 100 * mhz
	return s
}

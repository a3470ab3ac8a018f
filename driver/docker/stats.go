package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// cpuSample is a reading of the processor time a container has used.
type cpuSample struct {
	at                  time.Time
	total, user, system uint64 // nanoseconds
}

// Stats asks the Engine for one sample. Processor use is that since the call
// before, at the first call since the container's start.
func (t *task) Stats(ctx context.Context) (*api.TaskResourceUsage, error) {
	select {
	case <-t.done:
		return nil, driver.ErrNotRunning
	default:
	}
	res, err := t.d.cli().ContainerStats(ctx, t.handle.Container, client.ContainerStatsOptions{})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return nil, driver.ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("read the container's usage: %w", err)
	}
	defer res.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return nil, fmt.Errorf("read the container's usage: %w", err)
	}
	if s.Read.Year() <= 1 { // what the Engine says of containers that don't run
		return nil, driver.ErrNotRunning
	}
	return &api.TaskResourceUsage{
		ResourceUsage: &api.ResourceUsage{
			MemoryStats: memoryStats(s.MemoryStats),
			CpuStats:    t.cpuStats(s),
			DeviceStats: []*api.DeviceGroupStats{},
		},
		Timestamp: s.Read.UnixNano(),
		Pids:      map[string]*api.ResourceUsage{},
	}, nil
}

// memoryStats converts what the kernel counts, which differs between the two
// versions of control groups. Usage is without what can be dropped at once,
// as docker stats shows it.
func memoryStats(m container.MemoryStats) *api.MemoryStats {
	usage := &api.MemoryStats{Usage: m.Usage, MaxUsage: m.MaxUsage, Measured: []string{"Usage"}}
	take := func(field *uint64, name string, keys ...string) {
		for _, key := range keys {
			if value, ok := m.Stats[key]; ok {
				*field = value
				usage.Measured = append(usage.Measured, name)
				return
			}
		}
	}
	take(&usage.RSS, "RSS", "total_rss", "rss", "anon")
	take(&usage.Cache, "Cache", "total_cache", "cache", "file")
	take(&usage.Swap, "Swap", "total_swap", "swap")
	take(&usage.KernelUsage, "Kernel Usage", "kernel", "kernel_stack")
	if m.MaxUsage > 0 {
		usage.Measured = append(usage.Measured, "Max Usage")
	}
	for _, key := range []string{"total_inactive_file", "inactive_file"} {
		if inactive, ok := m.Stats[key]; ok {
			if inactive < usage.Usage {
				usage.Usage -= inactive
			}
			break
		}
	}
	return usage
}

func (t *task) cpuStats(s container.StatsResponse) *api.CPUStats {
	now := cpuSample{
		at:     s.Read,
		total:  s.CPUStats.CPUUsage.TotalUsage,
		user:   s.CPUStats.CPUUsage.UsageInUsermode,
		system: s.CPUStats.CPUUsage.UsageInKernelmode,
	}
	t.mu.Lock()
	before := t.sample
	if before.at.IsZero() {
		before.at = t.startedAt
	}
	t.sample = now
	t.mu.Unlock()
	elapsed := now.at.Sub(before.at)
	percent := func(now, before uint64) float64 {
		if elapsed <= 0 || now < before {
			return 0
		}
		return float64(now-before) / float64(elapsed) * 100
	}
	stats := &api.CPUStats{
		Percent:          percent(now.total, before.total),
		UserMode:         percent(now.user, before.user),
		SystemMode:       percent(now.system, before.system),
		ThrottledPeriods: s.CPUStats.ThrottlingData.ThrottledPeriods,
		ThrottledTime:    s.CPUStats.ThrottlingData.ThrottledTime,
		Measured:         []string{"System Mode", "User Mode", "Throttled Periods", "Throttled Time", "Percent"},
	}
	if t.d.cfg.CoreMHz > 0 {
		stats.TotalTicks = stats.Percent / 100 * t.d.cfg.CoreMHz
		stats.Measured = append(stats.Measured, "Total Ticks")
	}
	return stats
}

// coreMHz reads the speed of one core, 0 where the machine doesn't tell.
func coreMHz() float64 {
	if b, err := os.ReadFile("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); err == nil {
		if khz, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64); err == nil {
			return khz / 1000
		}
	}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == "cpu MHz" {
			if mhz, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return mhz
			}
		}
	}
	return 0
}

package rawexec

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/shim/cgroup"
)

// meter turns processor time into a rate, between one reading and the next.
type meter struct {
	mu   sync.Mutex // guards what follows
	at   time.Time
	task cpuTime
	pids map[int]cpuTime
}

// cpuTime is processor time used so far.
type cpuTime struct{ user, system, total time.Duration }

// process is the usage of one process.
type process struct {
	cpu       cpuTime
	rss, swap uint64
}

// Names of what is measured, as the API's clients know them.
var (
	measuredCPU     = []string{"System Mode", "User Mode", "Percent", "Total Ticks"}
	measuredLimits  = []string{"Throttled Periods", "Throttled Time"}
	measuredProcess = []string{"RSS", "Swap"}
	measuredMemory  = []string{"RSS", "Cache", "Swap", "Usage", "Max Usage", "Kernel Usage", "Kernel Max Usage"}
)

// Stats implements driver.Task.
func (t *Task) Stats(ctx context.Context) (*api.TaskResourceUsage, error) {
	if t.ended() != nil {
		return nil, driver.ErrNotRunning
	}
	pids, err := t.alloc.sup.Pids(ctx, t.handle.Task)
	if err != nil {
		return nil, translate(err)
	}
	if len(pids) == 0 {
		return nil, driver.ErrNotRunning
	}
	var usage cgroup.Usage
	if !t.group.Empty() {
		usage = t.group.Usage()
	}
	now := t.d.cfg.Now()
	procs := map[int]process{}
	var sum process
	for _, pid := range pids {
		if p, ok := readProcess(pid); ok {
			procs[pid] = p
			sum.cpu.user += p.cpu.user
			sum.cpu.system += p.cpu.system
			sum.cpu.total += p.cpu.total
			sum.rss += p.rss
			sum.swap += p.swap
		}
	}
	return t.measure(now, usage, sum, procs), nil
}

// measure makes the answer and remembers it for the next one's rates.
func (t *Task) measure(now time.Time, usage cgroup.Usage, sum process, procs map[int]process) *api.TaskResourceUsage {
	cpu := sum.cpu
	if usage.HasCPU {
		cpu = cpuTime{time.Duration(usage.User), time.Duration(usage.System), time.Duration(usage.Total)}
	}
	memory := &api.MemoryStats{RSS: sum.rss, Swap: sum.swap, Measured: measuredProcess}
	if usage.HasMemory {
		memory = &api.MemoryStats{
			RSS: usage.RSS, Cache: usage.Cache, Swap: usage.Swap, Usage: usage.Used, MaxUsage: usage.MaxUsed,
			KernelUsage: usage.KernelUsed, KernelMaxUsage: usage.KernelMaxUsed, Measured: measuredMemory,
		}
	}

	m := &t.usage
	m.mu.Lock()
	defer m.mu.Unlock()
	since := m.at
	if since.IsZero() {
		since = t.startedAt
	}
	elapsed := now.Sub(since)
	total := t.rates(cpu, m.task, elapsed)
	if usage.HasThrottled {
		total.ThrottledPeriods, total.ThrottledTime = usage.ThrottledPeriods, usage.ThrottledTime
		total.Measured = append(measuredCPU[:len(measuredCPU):len(measuredCPU)], measuredLimits...)
	}
	out := &api.TaskResourceUsage{
		ResourceUsage: &api.ResourceUsage{MemoryStats: memory, CpuStats: total},
		Timestamp:     now.UnixNano(),
		Pids:          make(map[string]*api.ResourceUsage, len(procs)),
	}
	last := m.pids
	m.at, m.task, m.pids = now, cpu, make(map[int]cpuTime, len(procs))
	for pid, p := range procs {
		out.Pids[strconv.Itoa(pid)] = &api.ResourceUsage{
			MemoryStats: &api.MemoryStats{RSS: p.rss, Swap: p.swap, Measured: measuredProcess},
			CpuStats:    t.rates(p.cpu, last[pid], elapsed),
		}
		m.pids[pid] = p.cpu
	}
	return out
}

func (t *Task) rates(now, before cpuTime, elapsed time.Duration) *api.CPUStats {
	percent := func(now, before time.Duration) float64 {
		if elapsed <= 0 || now < before {
			return 0
		}
		return 100 * float64(now-before) / float64(elapsed)
	}
	s := &api.CPUStats{
		SystemMode: percent(now.system, before.system),
		UserMode:   percent(now.user, before.user),
		Percent:    percent(now.total, before.total),
		Measured:   measuredCPU,
	}
	s.TotalTicks = s.Percent / 100 * t.d.mhz()
	return s
}

// userHZ is the unit of times in /proc, fixed by the kernel's interface.
const userHZ = 100

// readProcess reads a process's usage; false if it is gone.
func readProcess(pid int) (process, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return process{}, false
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 22 {
		return process{}, false
	}
	ticks := func(s string) time.Duration {
		n, _ := strconv.ParseInt(s, 10, 64)
		return time.Duration(n) * time.Second / userHZ
	}
	p := process{cpu: cpuTime{user: ticks(f[11]), system: ticks(f[12])}}
	p.cpu.total = p.cpu.user + p.cpu.system
	pages, _ := strconv.ParseUint(f[21], 10, 64)
	p.rss = pages * uint64(os.Getpagesize())
	if b, err := os.ReadFile(dir + "/status"); err == nil {
		if _, rest, ok := bytes.Cut(b, []byte("\nVmSwap:")); ok {
			if words := bytes.Fields(rest); len(words) > 0 {
				kib, _ := strconv.ParseUint(string(words[0]), 10, 64)
				p.swap = kib << 10
			}
		}
	}
	return p, true
}

// processorMHz returns the clock of a processor, 0 when the machine doesn't
// tell.
func processorMHz() float64 {
	if b, err := os.ReadFile("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); err == nil {
		if khz, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64); err == nil {
			return khz / 1000
		}
	}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "cpu MHz")
	_, rest, _ = strings.Cut(rest, ":")
	line, _, _ := strings.Cut(rest, "\n")
	mhz, _ := strconv.ParseFloat(strings.TrimSpace(line), 64)
	return mhz
}

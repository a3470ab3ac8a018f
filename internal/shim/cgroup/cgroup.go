package cgroup

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Hierarchies are the mounted control group trees.
type Hierarchies struct {
	Unified string            // mount of version 2, empty if there is none
	V1      map[string]string // controller → mount
}

// useful are the version 1 controllers that tasks are put in.
var useful = []string{"cpu", "cpuacct", "memory", "pids"}

// Mounted reads which trees this process sees.
func Mounted() (Hierarchies, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Hierarchies{}, err
	}
	defer f.Close()
	h := Hierarchies{V1: map[string]string{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		switch kind[0] {
		case "cgroup2":
			if h.Unified == "" {
				h.Unified = fields[4]
			}
		case "cgroup":
			for option := range strings.SplitSeq(kind[2], ",") {
				if slices.Contains(useful, option) && h.V1[option] == "" {
					h.V1[option] = fields[4]
				}
			}
		}
	}
	return h, lines.Err()
}

// Group is a task's directory in each hierarchy; empty where there is none.
type Group struct {
	Unified string            // version 2 directory
	V1      map[string]string // controller → directory
}

// Name returns a file name for a group, of any text.
func Name(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == 0 || r == '\n' {
			return '_'
		}
		return r
	}, s)
}

// At returns the group of a name below parent, whether it exists or not.
func (h Hierarchies) At(parent, name string) Group {
	g := Group{V1: map[string]string{}}
	if h.Unified != "" {
		g.Unified = filepath.Join(h.Unified, parent, Name(name))
	}
	for c, mount := range h.V1 {
		g.V1[c] = filepath.Join(mount, parent, Name(name))
	}
	return g
}

// Create makes the group in every hierarchy that allows it. A group without
// any directory means that this process may not make one.
func (h Hierarchies) Create(parent, name string) (Group, error) {
	if h.Unified != "" {
		// A controller is given to a directory by the one above it. Which
		// of them exist differs by machine; a missing one is not missed.
		_ = os.MkdirAll(filepath.Join(h.Unified, parent), 0o755)
		for _, c := range []string{"+cpu", "+memory", "+pids"} {
			_ = write(filepath.Join(h.Unified, "cgroup.subtree_control"), c)
			_ = write(filepath.Join(h.Unified, parent, "cgroup.subtree_control"), c)
		}
	}
	want := h.At(parent, name)
	got := Group{V1: map[string]string{}}
	for _, dir := range want.dirs() {
		err := os.MkdirAll(dir, 0o755)
		switch {
		case err == nil:
			got.add(want, dir)
		case errors.Is(err, os.ErrPermission), errors.Is(err, unix.EROFS):
		default:
			_ = got.Remove()
			return Group{}, err
		}
	}
	return got, nil
}

func (g *Group) add(from Group, dir string) {
	if from.Unified == dir {
		g.Unified = dir
	}
	for c, d := range from.V1 {
		if d == dir {
			g.V1[c] = d
		}
	}
}

// dirs returns each directory once; controllers may share a hierarchy.
func (g Group) dirs() []string {
	var list []string
	if g.Unified != "" {
		list = append(list, g.Unified)
	}
	for _, c := range useful {
		if d := g.V1[c]; d != "" && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// Dirs returns the directories, the version 2 one first.
func (g Group) Dirs() []string { return g.dirs() }

// Empty reports that there is no directory.
func (g Group) Empty() bool { return len(g.dirs()) == 0 }

// SetShares gives the group a weight of shares against others; 1024 is what a
// process without a group has. It is no limit while the processor is idle.
func (g Group) SetShares(shares int64) error {
	shares = min(max(shares, 2), 262144)
	if d := g.V1["cpu"]; d != "" {
		return write(filepath.Join(d, "cpu.shares"), strconv.FormatInt(shares, 10))
	}
	if g.Unified != "" {
		weight := 1 + (shares-2)*9999/262142
		err := write(filepath.Join(g.Unified, "cpu.weight"), strconv.FormatInt(weight, 10))
		if errors.Is(err, os.ErrNotExist) { // no cpu controller here
			return nil
		}
		return err
	}
	return nil
}

// Remove removes the directories; nobody may be left in them. Absent ones are
// no error.
func (g Group) Remove() error {
	var first error
	for _, dir := range g.dirs() {
		if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT && first == nil {
			first = &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
	}
	return first
}

// IsV2 reports whether dir is in a version 2 hierarchy.
func IsV2(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// Pids returns who is in dir; none when it does not exist.
func Pids(dir string) []int {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var list []int
	for line := range strings.SplitSeq(string(b), "\n") {
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			list = append(list, pid)
		}
	}
	return list
}

// Kill sends SIGKILL to everybody in dir but this process, and keeps them from
// making new processes first where that is possible. It does not wait.
func Kill(dir string) {
	if write(filepath.Join(dir, "cgroup.kill"), "1") == nil {
		return
	}
	_ = write(filepath.Join(dir, "pids.max"), "0")
	for _, pid := range Pids(dir) {
		if pid != os.Getpid() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// OOMKills returns how many processes of dir were killed for lack of memory;
// 0 for a directory without a memory controller.
func OOMKills(dir string) int64 {
	for _, file := range []string{"memory.events", "memory.oom_control"} {
		if n, ok := field(filepath.Join(dir, file), "oom_kill"); ok {
			return int64(n)
		}
	}
	return 0
}

// Usage is what a group uses and has used. A Has field tells whether the
// kernel knew.
type Usage struct {
	HasCPU              bool
	User, System, Total uint64 // nanoseconds of processor time

	HasThrottled     bool
	ThrottledPeriods uint64
	ThrottledTime    uint64 // nanoseconds

	HasMemory                 bool // bytes
	RSS, Cache, Swap, Used    uint64
	MaxUsed                   uint64
	KernelUsed, KernelMaxUsed uint64
}

// Usage reads the group's usage.
func (g Group) Usage() Usage {
	var u Usage
	if d := g.V1["cpuacct"]; d != "" {
		g.cpuV1(d, &u)
	} else if g.Unified != "" {
		cpuV2(g.Unified, &u)
	}
	if d := g.V1["memory"]; d != "" {
		memoryV1(d, &u)
	} else if g.Unified != "" {
		memoryV2(g.Unified, &u)
	}
	return u
}

func (g Group) cpuV1(dir string, u *Usage) {
	total, ok := number(filepath.Join(dir, "cpuacct.usage"))
	if !ok {
		return
	}
	u.HasCPU, u.Total = true, total
	u.User, _ = number(filepath.Join(dir, "cpuacct.usage_user"))
	u.System, _ = number(filepath.Join(dir, "cpuacct.usage_sys"))
	if d := g.V1["cpu"]; d != "" {
		stat := fields(filepath.Join(d, "cpu.stat"))
		u.ThrottledTime, u.HasThrottled = stat["throttled_time"]
		u.ThrottledPeriods = stat["nr_throttled"]
	}
}

func cpuV2(dir string, u *Usage) {
	stat := fields(filepath.Join(dir, "cpu.stat"))
	var total uint64
	if total, u.HasCPU = stat["usage_usec"]; u.HasCPU {
		u.Total, u.User, u.System = total*1000, stat["user_usec"]*1000, stat["system_usec"]*1000
	}
	var throttled uint64
	if throttled, u.HasThrottled = stat["throttled_usec"]; u.HasThrottled {
		u.ThrottledTime, u.ThrottledPeriods = throttled*1000, stat["nr_throttled"]
	}
}

func memoryV1(dir string, u *Usage) {
	stat := fields(filepath.Join(dir, "memory.stat"))
	if u.RSS, u.HasMemory = stat["rss"]; !u.HasMemory {
		return
	}
	u.Cache, u.Swap = stat["cache"], stat["swap"]
	u.Used, _ = number(filepath.Join(dir, "memory.usage_in_bytes"))
	u.MaxUsed, _ = number(filepath.Join(dir, "memory.max_usage_in_bytes"))
	u.KernelUsed, _ = number(filepath.Join(dir, "memory.kmem.usage_in_bytes"))
	u.KernelMaxUsed, _ = number(filepath.Join(dir, "memory.kmem.max_usage_in_bytes"))
}

func memoryV2(dir string, u *Usage) {
	if u.Used, u.HasMemory = number(filepath.Join(dir, "memory.current")); !u.HasMemory {
		return
	}
	stat := fields(filepath.Join(dir, "memory.stat"))
	u.RSS, u.Cache, u.KernelUsed = stat["anon"], stat["file"], stat["kernel"]
	u.Swap, _ = number(filepath.Join(dir, "memory.swap.current"))
	u.MaxUsed, _ = number(filepath.Join(dir, "memory.peak"))
}

func write(file, value string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(value))
	if e := unix.Close(fd); err == nil {
		err = e
	}
	return err
}

func number(file string) (uint64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

func field(file, key string) (uint64, bool) {
	n, ok := fields(file)[key]
	return n, ok
}

// fields reads "key value" lines.
func fields(file string) map[string]uint64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	m := map[string]uint64{}
	for line := range strings.SplitSeq(string(b), "\n") {
		key, value, _ := strings.Cut(line, " ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			m[key] = n
		}
	}
	return m
}

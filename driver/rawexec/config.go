package rawexec

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/taskconfig"
	"github.com/drover-org/drover/internal/shim"
)

// Name is the driver's, in a task's Driver field.
const Name = "raw_exec"

// Config is the driver's, from the agent's plugin block, and what it needs of
// the agent.
type Config struct {
	Enabled        bool     // off unless asked for: the commands have the agent's rights
	DeniedHostUIDs string   // users that no task may run as: "0,1000-2000"
	DeniedHostGIDs string   // groups likewise
	DeniedEnvvars  []string // variables, or patterns with *, that no task is given

	Program      shim.Program // the supervisor; see shim.Install
	CgroupParent string       // below each hierarchy's mount; empty: "drover.slice"
	Log          *slog.Logger
	Now          func() time.Time
}

// settings is a task's config block.
type settings struct {
	command       string
	args          []string
	workDir       string
	cgroupV1      map[string]string // controller → directory, both override the driver's groups
	cgroupV2      string
	oomScoreAdj   int
	deniedEnvvars []string
}

// Bounds of oom_score_adj, the kernel's.
const (
	minOOMScoreAdj = -1000
	maxOOMScoreAdj = 1000
)

func parse(block map[string]any) (*settings, error) {
	r := taskconfig.New(Name, block)
	s := &settings{
		command:       r.String("command"),
		args:          r.Strings("args"),
		workDir:       r.String("work_dir"),
		cgroupV1:      r.Map("cgroup_v1_override"),
		cgroupV2:      r.String("cgroup_v2_override"),
		deniedEnvvars: r.Strings("denied_envvars"),
	}
	r.Require("command")
	n := r.Int("oom_score_adj")
	if n < minOOMScoreAdj || n > maxOOMScoreAdj {
		r.Fail("oom_score_adj", fmt.Sprintf("must be between %d and %d", minOOMScoreAdj, maxOOMScoreAdj))
	}
	s.oomScoreAdj = int(n)
	if !localPath(s.cgroupV2) {
		r.Fail("cgroup_v2_override", "must be a path below the control group mount, without ..")
	}
	for _, controller := range slices.Sorted(maps.Keys(s.cgroupV1)) {
		if dir := s.cgroupV1[controller]; dir == "" || !localPath(dir) {
			r.Fail("cgroup_v1_override", "must map controllers to paths below their mounts, without ..")
		}
	}
	if len(s.cgroupV1) > 0 && s.cgroupV2 != "" {
		r.Fail("cgroup_v2_override", "can't be used together with cgroup_v1_override")
	}
	for _, pattern := range s.deniedEnvvars {
		if _, err := path.Match(pattern, ""); err != nil {
			r.Fail("denied_envvars", "has a malformed pattern")
		}
	}
	return s, r.Err()
}

// localPath reports a path that stays below what it is joined to.
func localPath(p string) bool {
	p = strings.TrimLeft(p, "/")
	return p == "" || filepath.IsLocal(p)
}

// dir returns the working directory of a task.
func (s *settings) dir(cfg *driver.TaskConfig) (string, error) {
	dir := s.workDir
	if dir == "" {
		return cfg.TaskDir, nil
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(cfg.TaskDir, dir)
	}
	if st, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("config: work_dir: %w", err)
	} else if !st.IsDir() {
		return "", fmt.Errorf("config: work_dir: %s is not a directory", dir)
	}
	return dir, nil
}

// defaultPath is where commands are looked for when the task's environment has
// no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns the variables that a task is given, sorted.
func (d *Driver) environment(cfg *driver.TaskConfig, s *settings) []string {
	denied := slices.Concat(d.cfg.DeniedEnvvars, s.deniedEnvvars)
	env := make([]string, 0, len(cfg.Env)+1)
	for k, v := range cfg.Env {
		if !matches(denied, k) {
			env = append(env, k+"="+v)
		}
	}
	if _, ok := lookup(env, "PATH"); !ok && !matches(denied, "PATH") {
		env = append(env, "PATH="+defaultPath)
	}
	slices.Sort(env)
	return env
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name) // patterns were checked
		return ok
	})
}

func lookup(env []string, name string) (string, bool) {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// find returns the program of a command as the task would find it.
func find(command, dir string, env []string) (string, error) {
	searched, ok := lookup(env, "PATH")
	if !ok {
		searched = defaultPath
	}
	return shim.LookPath(command, dir, searched)
}

// idRange is a range of user or group IDs, both ends included.
type idRange struct{ low, high uint32 }

// parseRanges reads "1,1000-2000".
func parseRanges(field, list string) ([]idRange, error) {
	var ranges []idRange
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		low, err := strconv.ParseUint(strings.TrimSpace(first), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no ID or range of IDs such as 1000-2000", field, part)
		}
		high, err := strconv.ParseUint(strings.TrimSpace(last), 10, 32)
		if err != nil || high < low {
			return nil, fmt.Errorf("%s: %q is no ID or range of IDs such as 1000-2000", field, part)
		}
		ranges = append(ranges, idRange{uint32(low), uint32(high)})
	}
	return ranges, nil
}

func contains(ranges []idRange, id uint32) bool {
	return slices.ContainsFunc(ranges, func(r idRange) bool { return r.low <= id && id <= r.high })
}

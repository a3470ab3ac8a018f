package rawexec

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/shim"
	"github.com/drover-org/drover/internal/shim/cgroup"
)

// Driver is the raw_exec driver.
type Driver struct {
	cfg         Config
	deniedUIDs  []idRange
	deniedGIDs  []idRange
	hierarchies cgroup.Hierarchies
	sups        *supervisors
	mhz         func() float64 // of a processor
}

var _ driver.Driver = (*Driver)(nil)

// New checks the configuration. The error names the option.
func New(cfg Config) (*Driver, error) {
	d := &Driver{cfg: cfg, sups: &supervisors{program: cfg.Program, log: cfg.Log, open: map[string]*allocSupervisor{}}}
	var err error
	if d.deniedUIDs, err = parseRanges("denied_host_uids", cfg.DeniedHostUIDs); err != nil {
		return nil, fmt.Errorf("plugin raw_exec: %w", err)
	}
	if d.deniedGIDs, err = parseRanges("denied_host_gids", cfg.DeniedHostGIDs); err != nil {
		return nil, fmt.Errorf("plugin raw_exec: %w", err)
	}
	for _, pattern := range cfg.DeniedEnvvars {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("plugin raw_exec: denied_envvars: malformed pattern %q", pattern)
		}
	}
	if d.cfg.CgroupParent == "" {
		d.cfg.CgroupParent = "drover.slice"
	}
	if os.Geteuid() == 0 {
		if d.hierarchies, err = cgroup.Mounted(); err != nil {
			return nil, fmt.Errorf("plugin raw_exec: find the control groups: %w", err)
		}
	}
	d.mhz = sync.OnceValue(processorMHz)
	return d, nil
}

// Close disconnects from the supervisors. Tasks stay, except in dev mode.
func (d *Driver) Close() error {
	d.sups.close()
	return nil
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return Name }

// Capabilities implements driver.Driver.
func (d *Driver) Capabilities() driver.Capabilities {
	return driver.Capabilities{Signals: true, Exec: true}
}

// Fingerprint implements driver.Driver.
func (d *Driver) Fingerprint(context.Context) driver.Fingerprint {
	switch {
	case !d.cfg.Enabled:
		return driver.Fingerprint{Description: `disabled; enable it with plugin "raw_exec" { config { enabled = true } }`}
	case runtime.GOOS != "linux":
		return driver.Fingerprint{Description: "needs Linux"}
	}
	if _, err := os.Stat(d.cfg.Program.Path); err != nil {
		return driver.Fingerprint{Detected: true, Description: fmt.Sprintf("the supervisor's program is missing (%v); restart the agent", err)}
	}
	return driver.Fingerprint{
		Detected: true, Healthy: true, Description: "Healthy", Attributes: map[string]string{"driver.raw_exec": "1"},
	}
}

// Validate implements driver.Driver.
func (d *Driver) Validate(config map[string]any) error {
	_, err := parse(config)
	return err
}

// handle is the content of a driver.Handle.
type handle struct {
	Task  string `json:"task"`  // in the supervisor
	Run   string `json:"run"`   // of this start
	Group string `json:"group"` // parent of its control group, empty if it has none
}

func (h handle) groupName() string { return h.Task + "." + h.Run }

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, cfg *driver.TaskConfig) (driver.Task, error) {
	if !d.cfg.Enabled {
		return nil, driver.Permanent(errors.New(d.Fingerprint(ctx).Description))
	}
	t, err := d.prepare(cfg)
	if err != nil {
		return nil, driver.Permanent(err)
	}
	path, err := find(t.settings.command, t.dir, t.env)
	if err != nil {
		return nil, driver.Permanent(fmt.Errorf("config: command %q: %w", t.settings.command, err))
	}
	t.handle = handle{Task: cfg.ID, Run: strings.ToLower(rand.Text()[:12]), Group: d.cfg.CgroupParent}
	if t.alloc, err = d.sups.acquire(ctx, cfg); err != nil {
		return nil, err
	}
	if err := t.start(ctx, path); err != nil {
		_ = t.group.Remove()
		d.sups.release(context.WithoutCancel(ctx), t.alloc)
		var start *shim.StartError
		if errors.As(err, &start) {
			err = driver.Permanent(fmt.Errorf("config: command %q: %w", t.settings.command, start))
		}
		return nil, err
	}
	return t, nil
}

// Recover implements driver.Driver.
func (d *Driver) Recover(ctx context.Context, cfg *driver.TaskConfig, encoded driver.Handle) (driver.Task, error) {
	h := handle{Task: cfg.ID, Group: d.cfg.CgroupParent} // any run, of a Start that was cut off
	if len(encoded) > 0 {
		if err := json.Unmarshal(encoded, &h); err != nil {
			return nil, driver.Permanent(fmt.Errorf("handle of task %s: %w", cfg.ID, err))
		}
	}
	if _, err := os.Stat(cfg.StateDir); errors.Is(err, os.ErrNotExist) {
		return nil, driver.ErrGone
	}
	t, err := d.prepare(cfg)
	if err != nil {
		return nil, err
	}
	t.handle = h
	if t.alloc, err = d.sups.acquire(ctx, cfg); err != nil {
		return nil, err
	}
	tasks, err := t.alloc.sup.Tasks(ctx)
	for _, known := range tasks {
		if known.ID == h.Task && (known.Run == h.Run || h.Run == "") {
			t.handle.Run, h.Run = known.Run, known.Run
			t.startedAt = known.StartedAt
			if h.Group != "" {
				t.group = d.hierarchies.At(h.Group, h.groupName())
			}
			return t, nil
		}
	}
	d.sups.release(context.WithoutCancel(ctx), t.alloc)
	if err != nil {
		return nil, err
	}
	return nil, driver.ErrGone
}

// prepare makes a Task of what does not depend on the supervisor.
func (d *Driver) prepare(cfg *driver.TaskConfig) (*Task, error) {
	s, err := parse(cfg.Config)
	if err != nil {
		return nil, err
	}
	t := &Task{d: d, cfg: cfg, settings: s, env: d.environment(cfg, s)}
	if t.dir, err = s.dir(cfg); err != nil {
		return nil, err
	}
	if t.user, err = d.identity(cfg.User); err != nil {
		return nil, err
	}
	return t, nil
}

// start runs the task. On an error nothing but the control groups is left.
func (t *Task) start(ctx context.Context, path string) error {
	spec := shim.TaskSpec{
		ID: t.handle.Task, Run: t.handle.Run, Path: path, Argv: append([]string{t.settings.command}, t.settings.args...),
		Env: t.env, Dir: t.dir, User: t.user, OOMScoreAdj: t.settings.oomScoreAdj,
	}
	var err error
	if spec.Cgroups, err = t.makeGroups(); err != nil {
		return err
	}
	if !t.cfg.Logs.Disabled {
		logs, err := openInside(t.cfg.AllocDir, t.cfg.LogDir)
		if err != nil {
			return err
		}
		defer logs.Close()
		spec.Logs, spec.LogName = logs, t.cfg.Task
		spec.LogFiles, spec.LogSize = t.cfg.Logs.MaxFiles, t.cfg.Logs.MaxFileSize
	}
	started, err := t.alloc.sup.StartTask(ctx, spec)
	if errors.Is(err, shim.ErrBusy) {
		// Left by an earlier start whose handle was lost, or that ended and
		// was not destroyed: there is one at a time.
		if err := t.removeLeft(ctx); err != nil {
			return err
		}
		started, err = t.alloc.sup.StartTask(ctx, spec)
	}
	if err != nil {
		if ctx.Err() != nil { // it may run nevertheless
			_, _ = t.alloc.sup.Remove(context.WithoutCancel(ctx), spec.ID)
		}
		return err
	}
	t.startedAt = started.StartedAt
	return nil
}

// removeLeft removes the task that has this one's name in the supervisor.
func (t *Task) removeLeft(ctx context.Context) error {
	tasks, err := t.alloc.sup.Tasks(ctx)
	if err != nil {
		return err
	}
	if _, err := t.alloc.sup.Remove(ctx, t.handle.Task); err != nil {
		return err
	}
	for _, left := range tasks {
		if left.ID == t.handle.Task {
			h := handle{Task: left.ID, Run: left.Run}
			_ = t.d.hierarchies.At(t.d.cfg.CgroupParent, h.groupName()).Remove()
		}
	}
	return nil
}

// makeGroups makes the task's control groups, except where the job names its
// own.
func (t *Task) makeGroups() ([]shim.Cgroup, error) {
	h, s := t.d.hierarchies, t.settings
	var list []shim.Cgroup
	if s.cgroupV2 != "" {
		if h.Unified == "" {
			return nil, driver.Permanent(errors.New("config: cgroup_v2_override needs root and a version 2 hierarchy on this machine"))
		}
		list = append(list, shim.Cgroup{Path: filepath.Join(h.Unified, s.cgroupV2)})
		h.Unified = ""
	}
	own := cgroup.Hierarchies{Unified: h.Unified, V1: map[string]string{}}
	for controller, mount := range h.V1 {
		if s.cgroupV1[controller] == "" {
			own.V1[controller] = mount
		}
	}
	for controller, dir := range s.cgroupV1 {
		mount := h.V1[controller]
		if mount == "" {
			return nil, driver.Permanent(fmt.Errorf("config: cgroup_v1_override needs root and a version 1 hierarchy of controller %q on this machine", controller))
		}
		list = append(list, shim.Cgroup{Path: filepath.Join(mount, dir)})
	}
	for _, g := range list {
		if err := os.MkdirAll(g.Path, 0o755); err != nil {
			return nil, fmt.Errorf("config: cgroup override: %w", err)
		}
	}
	var err error
	if t.group, err = own.Create(t.handle.Group, t.handle.groupName()); err != nil {
		return nil, fmt.Errorf("make control groups: %w", err)
	}
	if t.group.Empty() {
		t.handle.Group = ""
	}
	for _, dir := range t.group.Dirs() {
		list = append(list, shim.Cgroup{Path: dir, Own: true})
	}
	if r := t.cfg.Resources; r != nil && r.Cpu.CpuShares > 0 {
		if err := t.group.SetShares(r.Cpu.CpuShares); err != nil {
			return nil, fmt.Errorf("set cpu shares: %w", err)
		}
	}
	return list, nil
}

// openInside opens a directory of an allocation; links can't lead out of it.
func openInside(root, dir string) (*os.File, error) {
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return nil, err
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.OpenFile(rel, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

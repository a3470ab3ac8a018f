package rawexec_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/rawexec"
	"github.com/drover-org/drover/internal/shim/cgroup"
)

func TestValidate(t *testing.T) {
	d := newDriver(t, nil)
	for _, c := range []struct {
		block map[string]any
		want  string // in the error; empty: valid
	}{
		{map[string]any{"command": "x", "args": []any{"a", 1.0}, "work_dir": "local", "oom_score_adj": 10.0, "denied_envvars": []any{"AWS_*"}}, ""},
		{map[string]any{"command": "${NOMAD_TASK_DIR}/x", "oom_score_adj": "${NOMAD_META_oom}"}, ""},
		{map[string]any{}, "command of driver raw_exec is missing"},
		{map[string]any{"command": ""}, "command of driver raw_exec is missing"},
		{map[string]any{"command": []any{"x"}}, `command of driver raw_exec must be a string (it is ["x"])`},
		{map[string]any{"comand": "x", "command": "x"}, `no field "comand"; did you mean "command"?`},
		{map[string]any{"command": "x", "args": "a b"}, `args of driver raw_exec must be a list of strings (it is "a b")`},
		{map[string]any{"command": "x", "oom_score_adj": 1001}, "oom_score_adj of driver raw_exec must be between -1000 and 1000 (it is 1001)"},
		{map[string]any{"command": "x", "cgroup_v2_override": "../x"}, "cgroup_v2_override"},
		{map[string]any{"command": "x", "cgroup_v1_override": map[string]any{"cpu": "a/../../x"}}, "cgroup_v1_override"},
		{map[string]any{"command": "x", "cgroup_v2_override": "x", "cgroup_v1_override": map[string]any{"cpu": "x"}}, "can't be used together"},
		{map[string]any{"command": "x", "denied_envvars": []any{"["}}, "denied_envvars of driver raw_exec has a malformed pattern"},
	} {
		err := d.Validate(c.block)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.block, err, c.want)
		}
	}
}

func TestPluginOptions(t *testing.T) {
	for _, c := range []struct {
		edit func(*rawexec.Config)
		want string
	}{
		{func(c *rawexec.Config) { c.DeniedHostUIDs = "0,1-10, 20" }, ""},
		{func(c *rawexec.Config) { c.DeniedHostUIDs = "10-1" }, `denied_host_uids: "10-1"`},
		{func(c *rawexec.Config) { c.DeniedHostGIDs = "wheel" }, `denied_host_gids: "wheel"`},
		{func(c *rawexec.Config) { c.DeniedEnvvars = []string{"["} }, "denied_envvars"},
	} {
		cfg := rawexec.Config{}
		c.edit(&cfg)
		_, err := rawexec.New(cfg)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// allocation makes a task's config; its shell writes to local/out.
func allocation(t *testing.T, script string) *driver.TaskConfig {
	t.Helper()
	base := t.TempDir()
	cfg := &driver.TaskConfig{
		ID: "0a1b/web", AllocID: "0a1b", Task: "web", AllocDir: base, TaskDir: filepath.Join(base, "web"),
		LocalDir: filepath.Join(base, "web/local"), LogDir: filepath.Join(base, "alloc/logs"), StateDir: filepath.Join(base, "state"),
		Config: map[string]any{"command": "/bin/sh", "args": []any{"-c", script}},
		Env:    map[string]string{"A": "1", "SECRET_X": "2"},
		Logs:   driver.LogConfig{MaxFiles: 2, MaxFileSize: 1 << 20},
		Report: func(string, map[string]string) {},
	}
	for _, dir := range []string{cfg.LocalDir, cfg.LogDir, cfg.StateDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// output runs a task to its end and returns what it wrote.
func output(t *testing.T, d *rawexec.Driver, cfg *driver.TaskConfig) string {
	t.Helper()
	task := run(t, d, cfg)
	if _, err := task.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(cfg.LogDir, "web.stdout.0"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lost tasks are those of a driver that was closed.
var lost = map[driver.Task]bool{}

func run(t *testing.T, d *rawexec.Driver, cfg *driver.TaskConfig) driver.Task {
	t.Helper()
	task, err := d.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Not with the test's context, which has ended. The one of
		// TestStartWithoutHandle has lost its driver.
		if err := task.Destroy(context.Background()); err != nil && !lost[task] {
			t.Error(err)
		}
	})
	return task
}

func startError(t *testing.T, d *rawexec.Driver, cfg *driver.TaskConfig, want string) {
	t.Helper()
	task, err := d.Start(t.Context(), cfg)
	if err == nil {
		_ = task.Destroy(t.Context())
		t.Fatalf("no error, want %q", want)
	}
	if !strings.Contains(err.Error(), want) || driver.Recoverable(err) {
		t.Errorf("%v (recoverable %v), want %q", err, driver.Recoverable(err), want)
	}
}

func TestDeniedEnvironment(t *testing.T) {
	d := newDriver(t, func(c *rawexec.Config) { c.DeniedEnvvars = []string{"SECRET_*"} })
	cfg := allocation(t, `echo "$A,$SECRET_X,$B"`)
	cfg.Env["B"] = "3"
	cfg.Config["denied_envvars"] = []any{"B"}
	if got := output(t, d, cfg); got != "1,,\n" {
		t.Errorf("output %q", got)
	}
}

func TestWorkDir(t *testing.T) {
	d := newDriver(t, nil)
	cfg := allocation(t, "pwd")
	if got := output(t, d, cfg); got != cfg.TaskDir+"\n" {
		t.Errorf("output %q", got)
	}
	cfg = allocation(t, "pwd")
	cfg.Config["work_dir"] = "local"
	if got := output(t, d, cfg); got != cfg.LocalDir+"\n" {
		t.Errorf("output %q", got)
	}
	cfg.Config["work_dir"] = "missing"
	startError(t, d, cfg, "work_dir")
}

func TestCommandIsFound(t *testing.T) {
	d := newDriver(t, nil)
	cfg := allocation(t, "")
	if err := os.WriteFile(filepath.Join(cfg.LocalDir, "hello"), []byte("#!/bin/sh\necho hello $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg.Config = map[string]any{"command": "local/hello", "args": []any{"you"}}
	if got := output(t, d, cfg); got != "hello you\n" {
		t.Errorf("relative to the task: %q", got)
	}
	cfg = allocation(t, "")
	cfg.Config = map[string]any{"command": "echo", "args": []any{"path"}}
	if got := output(t, d, cfg); got != "path\n" {
		t.Errorf("in PATH: %q", got)
	}
	cfg.Config = map[string]any{"command": "no-such-command"}
	startError(t, d, cfg, `command "no-such-command"`)
	cfg.Config = map[string]any{"command": "/etc/passwd"}
	startError(t, d, cfg, `command "/etc/passwd"`)
	if err := os.WriteFile(filepath.Join(cfg.LocalDir, "garbage"), []byte("\x00\x01"), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg.Config = map[string]any{"command": "local/garbage"}
	startError(t, d, cfg, "exec format error")
}

func TestDisabled(t *testing.T) {
	d := newDriver(t, func(c *rawexec.Config) { c.Enabled = false })
	if f := d.Fingerprint(t.Context()); f.Detected || !strings.Contains(f.Description, "enabled = true") {
		t.Errorf("fingerprint %+v", f)
	}
	startError(t, d, allocation(t, "true"), "enabled = true")
}

func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestUser(t *testing.T) {
	root(t)
	d := newDriver(t, func(c *rawexec.Config) { c.DeniedHostUIDs = "0"; c.DeniedHostGIDs = "4" })
	for user, want := range map[string]string{"65534": "65534:65534\n", "nobody:3": "65534:3\n"} {
		cfg := allocation(t, `echo $(id -u):$(id -g)`)
		cfg.User = user
		cfg.Config["work_dir"] = "/"
		if got := output(t, d, cfg); got != want {
			t.Errorf("user %s: %q", user, got)
		}
	}
	for user, want := range map[string]string{
		"":         "denied_host_uids",
		"root":     "denied_host_uids",
		"nobody:4": "denied_host_gids",
		"no-such":  "no-such",
	} {
		cfg := allocation(t, "true")
		cfg.User = user
		startError(t, d, cfg, want)
	}
}

// A task's log directory that was made to lead elsewhere is not followed.
func TestLogDirectoryStaysInside(t *testing.T) {
	d := newDriver(t, nil)
	cfg := allocation(t, "echo evil")
	outside := t.TempDir()
	if err := os.Remove(cfg.LogDir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, cfg.LogDir); err != nil {
		t.Fatal(err)
	}
	if task, err := d.Start(t.Context(), cfg); err == nil {
		_ = task.Destroy(t.Context())
		t.Error("no error")
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("written outside: %v", entries)
	}
}

func TestOOMScore(t *testing.T) {
	d := newDriver(t, nil)
	cfg := allocation(t, "cat /proc/self/oom_score_adj")
	cfg.Config["oom_score_adj"] = 500
	if got := output(t, d, cfg); got != "500\n" {
		t.Errorf("output %q", got)
	}
}

// groups returns the lines of /proc/self/cgroup that name a group of ours.
func groups(text string) []string {
	var list []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, "/drover-test/") {
			list = append(list, line)
		}
	}
	return list
}

func TestControlGroups(t *testing.T) {
	root(t)
	h, err := cgroup.Mounted()
	if err != nil {
		t.Fatal(err)
	}
	if h.Unified == "" && len(h.V1) == 0 {
		t.Skip("no control groups here")
	}
	d := newDriver(t, nil)
	cfg := allocation(t, "cat /proc/self/cgroup; exec sleep 1000")
	cfg.Resources = &api.AllocatedTaskResources{Cpu: api.AllocatedCPU{CpuShares: 512}}
	task := run(t, d, cfg)
	log := func() []string {
		b, _ := os.ReadFile(filepath.Join(cfg.LogDir, "web.stdout.0"))
		return groups(string(b))
	}
	want := len(h.V1)
	if h.Unified != "" {
		want++
	}
	for len(log()) < want {
		if t.Context().Err() != nil {
			t.Fatal(log())
		}
	}
	// A command joins them; its supervisor is in none.
	var out strings.Builder
	r, err := task.Exec(t.Context(), &driver.ExecOptions{Command: []string{"cat", "/proc/self/cgroup", "/proc/1/cgroup"}, Stdout: &out})
	if err != nil || r.ExitCode != 0 || len(groups(out.String())) != want {
		t.Errorf("command: %+v, %v, %s", r, err, out.String())
	}
	if dir := h.V1["cpu"]; dir != "" {
		shares, _ := filepath.Glob(filepath.Join(dir, "drover-test/0a1b_web.*/cpu.shares"))
		if len(shares) != 1 {
			t.Fatalf("groups %v", shares)
		}
		if b, err := os.ReadFile(shares[0]); err != nil || string(b) != "512\n" {
			t.Errorf("shares %q, %v", b, err)
		}
	}
	u, err := task.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h.V1["memory"] != "" && u.ResourceUsage.MemoryStats.Usage == 0 {
		t.Errorf("memory %+v", u.ResourceUsage.MemoryStats)
	}
	if len(u.Pids) != 1 {
		t.Errorf("processes %v", u.Pids)
	}
	if err := task.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, mount := range []string{h.Unified, h.V1["cpu"], h.V1["memory"]} {
		if left, _ := filepath.Glob(filepath.Join(mount, "drover-test/0a1b_web.*")); mount != "" && len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestControlGroupOverride(t *testing.T) {
	root(t)
	h, err := cgroup.Mounted()
	if err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, nil)
	check := func(mount string, block map[string]any) {
		t.Helper()
		dir := filepath.Join(mount, "drover-test-override")
		cfg := allocation(t, "cat /proc/self/cgroup; sleep 1000 & exit 0")
		for k, v := range block {
			cfg.Config[k] = v
		}
		if got := output(t, d, cfg); !strings.Contains(got, ":/drover-test-override\n") {
			t.Errorf("%v: groups %s", block, got)
		}
		if pids := cgroup.Pids(dir); len(pids) > 0 {
			t.Errorf("%v: left in the group: %v", block, pids)
		}
		if err := unix.Rmdir(dir); err != nil { // the job's, not the driver's
			t.Errorf("%v: %v", block, err)
		}
	}
	if h.Unified != "" {
		check(h.Unified, map[string]any{"cgroup_v2_override": "drover-test-override"})
	}
	if h.V1["cpu"] != "" {
		check(h.V1["cpu"], map[string]any{"cgroup_v1_override": map[string]any{"cpu": "drover-test-override"}})
	}
}

// The agent died after it had started the task and before it wrote that down:
// the next start replaces the task instead of running it twice.
func TestStartWithoutHandle(t *testing.T) {
	d := newDriver(t, nil)
	cfg := allocation(t, "echo $$; exec sleep 1000")
	first := run(t, d, cfg)
	lost[first] = true
	_ = d.Close()
	d = newDriver(t, nil)
	second := run(t, d, cfg)
	if string(first.Handle()) == string(second.Handle()) {
		t.Error("both have the same handle")
	}
	u, err := second.Stats(t.Context())
	if err != nil || len(u.Pids) != 1 {
		t.Errorf("processes %v, %v", u, err)
	}
	if _, err := d.Recover(t.Context(), cfg, first.Handle()); err == nil {
		t.Error("the first one still exists")
	}
	if err := second.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}

package docker

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

func newDriver(t *testing.T, change ...func(*Config)) *Driver {
	t.Helper()
	cfg := DefaultConfig()
	for _, c := range change {
		c(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestValidate(t *testing.T) {
	d := newDriver(t)
	free := newDriver(t, func(c *Config) {
		c.AllowPrivileged, c.Volumes.Enabled = true, true
		c.AllowCaps = []string{"all"}
		c.AllowRuntimes = append(c.AllowRuntimes, "kata")
		host := []string{"host", "container"}
		c.AllowedModes = AllowedModes{PID: host, IPC: host, UserNS: host, UTS: host}
	})
	for _, test := range []struct {
		config string // besides image
		code   api.Code
		want   string // in the error
		free   bool   // allowed where the operator allows everything
	}{
		{`{}`, "", "", true},
		{`{"imge": 1}`, api.CodeInvalid, `"image"`, false},
		{`{"port_mapp": {}}`, api.CodeInvalid, `"port_map"`, false},
		{`{"mount": [{"type": "bind", "taget": "/x"}]}`, api.CodeInvalid, `config.mount[0].taget: unknown key; the nearest known one is "target"`, false},
		{`{"force_pull": "maybe"}`, api.CodeInvalid, "config.force_pull", false},
		{`{"port_map": [{"db": "6379"}], "ports": "db", "args": [1, true, 1.5], "labels": [{"a": 1}, {"b": "c"}]}`, "", "", true},
		{`{"cpu_cfs_period": 100000.5}`, api.CodeInvalid, "whole number", false},
		{`{"auth": [{"username": "a"}, {"username": "b"}]}`, api.CodeInvalid, "only one", false},
		{`{"image_pull_timeout": "10 minutes"}`, api.CodeInvalid, "duration", false},
		{`{"cpu_hard_limit": "${meta.hard}", "port_map": {"db": "${meta.port}"}, "network_mode": "${meta.net}", "volumes": ["${meta.v}"]}`, "", "", true},
		{`{"privileged": true}`, api.CodeForbidden, "allow_privileged", true},
		{`{"cap_add": ["cap_net_raw"]}`, api.CodeForbidden, "NET_RAW", true},
		{`{"cap_add": ["ALL"]}`, api.CodeForbidden, "ALL", true},
		{`{"cap_add": ["chown"], "cap_drop": ["all"]}`, "", "", true},
		{`{"runtime": "kata"}`, api.CodeForbidden, "allow_runtimes", true},
		{`{"pid_mode": "host"}`, api.CodeForbidden, "allowed_modes.pid", true},
		{`{"pid_mode": "container:abc"}`, api.CodeForbidden, "allowed_modes.pid", true},
		{`{"ipc_mode": "host"}`, api.CodeForbidden, "allowed_modes.ipc", true},
		{`{"userns_mode": "host"}`, api.CodeForbidden, "allowed_modes.userns", true},
		{`{"uts_mode": "host"}`, api.CodeForbidden, "allowed_modes.uts", true},
		{`{"uts_mode": "wild"}`, api.CodeInvalid, "uts_mode", false},
		{`{"security_opt": ["seccomp=unconfined"]}`, api.CodeForbidden, "allow_privileged", true},
		{`{"security_opt": ["apparmor:unconfined"]}`, api.CodeForbidden, "allow_privileged", true},
		{`{"security_opt": ["systempaths=unconfined"]}`, api.CodeInvalid, "security_opt", false},
		{`{"devices": [{"host_path": "/dev/sda"}]}`, api.CodeForbidden, "allow_devices", true},
		{`{"volume_driver": "nfs"}`, api.CodeForbidden, "volumes.enabled", true},
		{`{"volumes": ["nothing"]}`, api.CodeInvalid, "volumes", false},
		{`{"volumes": ["a:/b:weird"]}`, api.CodeInvalid, "weird", false},
		{`{"mounts": [{"target": "/x", "volume_options": {"driver_config": {"name": "local"}}}]}`, api.CodeForbidden, "driver_config", true},
		{`{"mounts": [{"type": "npipe", "target": "/x"}]}`, api.CodeInvalid, "npipe", false},
		{`{"mounts": [{"type": "tmpfs", "target": "x"}]}`, api.CodeInvalid, "absolute", false},
		{`{"isolation": "hyperv"}`, api.CodeUnsupported, "Windows", false},
		{`{"network_aliases": ["a"]}`, api.CodeInvalid, "network_mode", false},
		{`{"network_aliases": ["a"], "network_mode": "mine", "ipv4_address": "10.0.0.9"}`, "", "", true},
		{`{"ipv4_address": "::1", "network_mode": "mine"}`, api.CodeInvalid, "ipv4_address", false},
		{`{"mac_address": "nonsense"}`, api.CodeInvalid, "mac_address", false},
		{`{"labels": {"org.drover.alloc_id": "x"}}`, api.CodeInvalid, "labels", false},
		{`{"ulimit": {"nofile": "many"}}`, api.CodeInvalid, "ulimit", false},
		{`{"oom_score_adj": -5}`, api.CodeInvalid, "oom_score_adj", false},
		{`{"work_dir": "relative"}`, api.CodeInvalid, "work_dir", false},
		{`{"cgroupns": "shared"}`, api.CodeInvalid, "cgroupns", false},
	} {
		config := fromJSON(t, test.config)
		config["image"] = "redis:3.2"
		err := d.Validate(config)
		if api.ErrorCode(err) != test.code || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want code %q with %q", test.config, err, test.code, test.want)
		}
		if err := free.Validate(config); (err == nil) != test.free {
			t.Errorf("%s where all is allowed: %v", test.config, err)
		}
	}
	for _, config := range []map[string]any{nil, {"image": ""}, {"image": "Not An Image"}} {
		if err := d.Validate(config); api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%v: %v", config, err)
		}
	}
}

// Every key that other agents know is known here: implemented, or refused
// with a reason.
func TestEveryKeyIsKnown(t *testing.T) {
	known := map[string]bool{}
	fields := reflect.TypeFor[taskConfig]()
	for i := range fields.NumField() {
		known[fields.Field(i).Tag.Get("config")] = true
	}
	for key := range strings.FieldsSeq(`image args command entrypoint auth auth_soft_fail advertise_ipv6_address cap_add cap_drop cgroupns
		cpuset_cpus cpu_hard_limit cpu_cfs_period container_exists_attempts devices dns_servers dns_search_domains dns_options
		extra_hosts force_pull group_add healthchecks hostname init interactive ipc_mode ipv4_address ipv6_address isolation labels
		load logging mac_address memory_hard_limit mount mounts network_aliases network_mode oom_score_adj pids_limit pid_mode ports
		port_map privileged image_pull_timeout readonly_rootfs runtime security_opt shm_size storage_opt sysctl tty ulimit userns_mode
		uts_mode volumes volume_driver work_dir`) {
		if !known[key] {
			t.Errorf("%s is not known", key)
		}
	}
}

func TestParseConfig(t *testing.T) {
	cfg, err := ParseConfig(fromJSON(t, `{
		"allow_privileged": "true", "volumes": [{"enabled": true}], "pids_limit": "100", "pull_activity_timeout": "10s",
		"gc": [{"image": false, "dangling_containers": [{"enabled": true, "period": "1m", "dry_run": true}]}],
		"auth": [{"config": "/etc/docker.json"}], "extra_labels": ["task*"], "allowed_modes": {"pid": ["host"]}, "allow_devices": ["/dev/dri/*"]
	}`))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultConfig()
	want.AllowPrivileged, want.Volumes.Enabled, want.PidsLimit, want.PullActivityTimeout = true, true, 100, 10*time.Second
	want.GC.Image = false
	want.GC.Dangling.Period, want.GC.Dangling.DryRun = time.Minute, true
	want.Auth.Config, want.ExtraLabels = "/etc/docker.json", []string{"task*"}
	want.AllowedModes.PID, want.AllowDevices = []string{"host"}, []string{"/dev/dri/*"}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		`{"infra_image": "pause"}`, `{"allow_privilegd": true}`, `{"tls": {"cert": "a"}}`, `{"pids_limit": -1}`, `{"extra_labels": ["colour"]}`,
		`{"allowed_modes": {"pid": ["wild"]}}`, `{"allow_caps": ["!"]}`, `{"endpoint": ""}`, `{"allow_devices": ["["]}`, `{"image_pull_timeout": "0s"}`,
	} {
		if _, err := ParseConfig(fromJSON(t, bad)); err == nil || !strings.HasPrefix(err.Error(), "docker.") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestHostPathsStayInside(t *testing.T) {
	cfg, _ := newTask(t, nil)
	outside := t.TempDir()
	for name, target := range map[string]string{"out": outside, "up": "../../..", "loose": "/no/such/place", "in": "data"} {
		if err := os.Symlink(target, filepath.Join(cfg.LocalDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(cfg.LocalDir+"/data", 0o755); err != nil {
		t.Fatal(err)
	}
	strict, free := DefaultConfig(), DefaultConfig()
	free.Volumes.Enabled = true
	for source, want := range map[string]string{
		"local/data":           cfg.LocalDir + "/data",
		"local/in":             cfg.LocalDir + "/data",
		"local/new/deep":       cfg.LocalDir + "/new/deep",
		"../alloc":             cfg.SharedDir,
		cfg.LocalDir + "/data": cfg.LocalDir + "/data",
		"local/out":            "",
		"local/out/new":        "",
		"local/up":             "",
		"local/loose":          "",
		"../../etc":            "",
		"/etc":                 "",
		outside:                "",
		cfg.AllocDir + "/../x": "",
	} {
		got, err := strict.hostPath("volumes", cfg, source)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", source, got, err, want)
		}
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("something was made outside: %v", entries)
	}
	if got, err := free.hostPath("volumes", cfg, "/etc"); got != "/etc" || err != nil {
		t.Errorf("with volumes enabled: %q, %v", got, err)
	}
}

func TestNameConflicts(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, shell("sleep 1000"))
	old := startTask(t, d, cfg)
	again := startTask(t, d, cfg) // the handle of the first was lost
	if result := wait(t, old); result.Successful() {
		t.Errorf("the first container ended with %+v", result)
	}
	if err := again.Destroy(deadline(t)); err != nil {
		t.Fatal(err)
	}
	name := containerName(cfg)
	if out, err := exec.Command("docker", "create", "--name", name, busybox, "true").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer removeContainer(t, name)
	if _, err := d.Start(deadline(t), cfg); err == nil || driver.Recoverable(err) || !strings.Contains(err.Error(), name) {
		t.Errorf("Start beside a stranger: %v", err)
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, map[string]any{"image": busybox, "command": "/no/such/program"})
	if _, err := d.Start(deadline(t), cfg); err == nil || driver.Recoverable(err) {
		t.Fatalf("Start: %v, want a permanent error", err)
	}
	out, err := exec.Command("docker", "ps", "-aq", "--filter", "label="+LabelAlloc+"="+cfg.AllocID).Output()
	if err != nil || len(out) != 0 {
		t.Errorf("left: %q, %v", out, err)
	}
}

func TestKeptContainers(t *testing.T) {
	d, _ := startDriver(t, func(c *Config) { c.GC.Container = false })
	cfg, _ := newTask(t, shell("true"))
	first := startTask(t, d, cfg)
	wait(t, first)
	if err := first.Destroy(deadline(t)); err != nil {
		t.Fatal(err)
	}
	inspect(t, d, first.handle.Container)
	second := startTask(t, d, cfg)
	wait(t, second)
	if name := inspect(t, d, first.handle.Container).Container.Name; name == "/"+containerName(cfg) {
		t.Errorf("the old container kept its name %s", name)
	}
}

func TestDanglingContainersAreRemoved(t *testing.T) {
	change := func(c *Config) {
		c.NodeID = testNode + "-dangling"
		c.GC.Dangling = DanglingConfig{Enabled: true, Period: 20 * time.Millisecond}
	}
	d, end := startDriver(t, change, func(c *Config) { c.GC.Dangling.Enabled = false })
	lostConfig, _ := newTask(t, shell("sleep 1000"))
	lost := startTask(t, d, lostConfig)
	keptConfig, _ := newTask(t, shell("sleep 1000"))
	kept := startTask(t, d, keptConfig)
	end()
	other, _ := startDriver(t)
	foreignConfig, _ := newTask(t, shell("sleep 1000"))
	foreign := startTask(t, other, foreignConfig)

	// Recover before anything is reaped: reaping begins with a tick.
	d, _ = startDriver(t, change, func(c *Config) { c.GC.Dangling.Period = time.Second })
	if _, err := d.Recover(deadline(t), keptConfig, kept.Handle()); err != nil {
		t.Fatal(err)
	}
	until(t, "the removal", func() bool {
		_, err := d.Recover(deadline(t), lostConfig, lost.Handle())
		if err == nil {
			d.untrack(d.tracked(lost.handle.Container))
		}
		return errors.Is(err, driver.ErrGone)
	})
	for _, c := range []*task{kept, foreign} {
		if !inspect(t, d, c.handle.Container).Container.State.Running {
			t.Errorf("container %s does not run any more", c.handle.Container)
		}
	}
}

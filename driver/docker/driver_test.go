package docker

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client/pkg/versions"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

func TestTaskRunsAndEnds(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, shell(`echo out $COLOUR; echo err >&2; printf unfinished; exit 3`))
	task := startTask(t, d, cfg)
	result := wait(t, task)
	if result.ExitCode != 3 || result.Successful() || result.OOMKilled {
		t.Errorf("result %+v, want exit code 3", result)
	}
	if result.EndedAt.IsZero() || time.Since(result.EndedAt) > time.Minute {
		t.Errorf("ended at %v", result.EndedAt)
	}
	if got := logged(t, cfg, "stdout"); got != "out green\nunfinished" {
		t.Errorf("stdout %q", got)
	}
	if got := logged(t, cfg, "stderr"); got != "err\n" {
		t.Errorf("stderr %q", got)
	}
	if err := task.Signal(deadline(t), "HUP"); !errors.Is(err, driver.ErrNotRunning) {
		t.Errorf("Signal of an ended task: %v", err)
	}
	for range 2 {
		if err := task.Destroy(deadline(t)); err != nil {
			t.Errorf("Destroy: %v", err)
		}
	}
	if _, err := d.Recover(deadline(t), cfg, task.Handle()); !errors.Is(err, driver.ErrGone) {
		t.Errorf("Recover of a destroyed task: %v", err)
	}
	if entries, _ := os.ReadDir(cfg.StateDir); len(entries) != 0 {
		t.Errorf("left in the state directory: %v", entries)
	}
}

func TestSignalAndStop(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, shell(`trap 'echo hup' HUP; trap 'echo term; exit 4' TERM; echo ready; while :; do sleep 0.05; done`))
	task := startTask(t, d, cfg)
	until(t, "ready", func() bool { return logged(t, cfg, "stdout") == "ready\n" })
	if err := task.Signal(deadline(t), "SIGNONE"); !errors.Is(err, driver.ErrBadSignal) {
		t.Errorf("unknown signal: %v", err)
	}
	if err := task.Signal(deadline(t), "hup"); err != nil {
		t.Errorf("Signal: %v", err)
	}
	until(t, "hup", func() bool { return logged(t, cfg, "stdout") == "ready\nhup\n" })
	if err := task.Stop(deadline(t), "", 20*time.Second); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if result := wait(t, task); result.ExitCode != 4 {
		t.Errorf("result %+v, want the handler's exit code", result)
	}
	if err := task.Stop(deadline(t), "", time.Second); err != nil {
		t.Errorf("Stop of an ended task: %v", err)
	}
}

func TestStopKillsAfterTheTimeout(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, shell(`trap '' TERM; echo ready; while :; do sleep 0.05; done`))
	task := startTask(t, d, cfg)
	until(t, "ready", func() bool { return logged(t, cfg, "stdout") != "" })
	if err := task.Stop(deadline(t), "SIGTERM", 100*time.Millisecond); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if result := wait(t, task); result.ExitCode != 137 {
		t.Errorf("result %+v, want killed", result)
	}
}

func TestOutOfMemory(t *testing.T) {
	d, _ := startDriver(t)
	_, result := run(t, d, shell(`dd if=/dev/zero of=/dev/null bs=200M count=1`), func(cfg *driver.TaskConfig) {
		cfg.Resources.Memory.MemoryMB = 20
	})
	if result.Successful() || !result.OOMKilled && result.ExitCode != 137 {
		t.Errorf("result %+v, want out of memory", result)
	}
}

func TestDirectoriesAndMounts(t *testing.T) {
	d, _ := startDriver(t)
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/given", []byte("given\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := shell(`echo shared >/alloc/s; echo local >/local/l; echo secret >/secrets/x; cat /given/given /data/seed; touch /given/no; df -t tmpfs | grep -c /scratch; echo $NOMAD_TASK_DIR; cat /also/seed`)
	config["volumes"] = []any{"local/data:/data:ro"}
	config["mount"] = []any{
		map[string]any{"type": "tmpfs", "target": "/scratch", "tmpfs_options": []any{map[string]any{"size": 1000000.0}}},
		map[string]any{"type": "bind", "source": "local/data", "target": "/also", "readonly": true},
	}
	cfg, _ := newTask(t, config)
	cfg.Mounts = []driver.Mount{{HostPath: outside, TaskPath: "/given", ReadOnly: true}}
	cfg.Env["NOMAD_TASK_DIR"] = cfg.LocalDir
	if err := os.MkdirAll(cfg.LocalDir+"/data", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.LocalDir+"/data/seed", []byte("seed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wait(t, startTask(t, d, cfg))
	if got, want := logged(t, cfg, "stdout"), "given\nseed\n1\n/local\nseed\n"; got != want {
		t.Errorf("stdout %q, want %q; stderr %q", got, want, logged(t, cfg, "stderr"))
	}
	for file, want := range map[string]string{cfg.SharedDir + "/s": "shared\n", cfg.LocalDir + "/l": "local\n", cfg.SecretsDir + "/x": "secret\n"} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	if _, err := os.Stat(outside + "/no"); err == nil {
		t.Error("a read-only mount was written")
	}
}

func TestPortsArePublished(t *testing.T) {
	d, _ := startDriver(t)
	for name, config := range map[string]map[string]any{
		"port_map": {"image": "redis:3.2", "port_map": []any{map[string]any{"db": 6379.0}}},
		"ports":    {"image": "redis:3.2", "ports": []any{"db"}},
	} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			cfg, _ := newTask(t, config)
			cfg.Ports = []api.PortMapping{{Label: "db", Value: port, To: 6379, HostIP: "127.0.0.1"}}
			if name == "port_map" {
				cfg.Ports[0].To = 0
			}
			task := startTask(t, d, cfg)
			if n := task.Network(); n == nil || net.ParseIP(n.Address) == nil {
				t.Errorf("Network: %+v", n)
			}
			until(t, "an answer from the port", func() bool { return ping(port) })
			if err := task.Destroy(deadline(t)); err != nil {
				t.Fatal(err)
			}
			if ping(port) {
				t.Error("the port answers after Destroy")
			}
		})
	}
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func ping(port int) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, "PING\n"); err != nil {
		return false
	}
	answer := make([]byte, 7)
	_, err = io.ReadFull(conn, answer)
	return err == nil && string(answer) == "+PONG\r\n"
}

func TestWhatTheContainerGets(t *testing.T) {
	d, _ := startDriver(t, func(c *Config) {
		c.ExtraLabels = []string{"job_*"}
		c.AllowCaps = append(c.AllowCaps, "NET_RAW")
		c.PidsLimit = 500
		c.CoreMHz = 1000
	})
	config := shell(`sleep 1000`)
	for key, value := range fromJSON(t, `{
		"hostname": "db1", "work_dir": "/tmp", "labels": [{"team": "red"}, {"n": 3}],
		"dns_servers": ["192.0.2.1"], "dns_search_domains": ["example.com"], "dns_options": "ndots:2", "extra_hosts": ["db:192.0.2.9"],
		"cap_add": ["net_raw"], "cap_drop": ["CAP_MKNOD"], "readonly_rootfs": true, "shm_size": 1048576,
		"ulimit": [{"nofile": "100:200", "nproc": 50}], "sysctl": [{"net.core.somaxconn": 128}],
		"security_opt": ["no-new-privileges"], "init": true, "pids_limit": "64", "cpu_hard_limit": true, "cpuset_cpus": "0",
		"memory_hard_limit": 128, "oom_score_adj": 10, "group_add": ["100"], "healthchecks": {"disable": true}, "ipc_mode": "private",
		"logging": [{"type": "json-file", "config": [{"max-size": "1m"}]}]
	}`) {
		config[key] = value
	}
	cfg, _ := newTask(t, config)
	cfg.User = "65534"
	task := startTask(t, d, cfg)
	c := inspect(t, d, task.handle.Container).Container
	host := c.HostConfig
	var out strings.Builder
	if _, err := task.Exec(deadline(t), &driver.ExecOptions{Command: []string{"sh", "-c", "hostname; pwd; id -u; ulimit -n; grep CapBnd /proc/1/status; cat /etc/resolv.conf; cat /proc/sys/net/core/somaxconn"}, Stdout: &out, Stderr: &out}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"db1\n/tmp\n65534\n", "192.0.2.1", "example.com", "\n128\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
	for label, want := range map[string]string{"team": "red", "n": "3", LabelAlloc: cfg.AllocID, LabelTask: "web", LabelNode: testNode, labelPrefix + "job_id": "job"} {
		if c.Config.Labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, c.Config.Labels[label], want)
		}
	}
	if slices.Contains(host.CapAdd, "CAP_MKNOD") || !slices.Contains(host.CapAdd, "CAP_NET_RAW") || !slices.Contains(host.CapDrop, "ALL") && !slices.Contains(host.CapDrop, "CAP_ALL") {
		t.Errorf("capabilities added %v, dropped %v", host.CapAdd, host.CapDrop)
	}
	if host.Memory != 128<<20 || host.MemoryReservation != 64<<20 || host.MemorySwap != host.Memory {
		t.Errorf("memory %d, reservation %d, swap %d", host.Memory, host.MemoryReservation, host.MemorySwap)
	}
	if *host.PidsLimit != 64 || host.CPUQuota != 10000 || host.CPUPeriod != 100000 || host.CpusetCpus != "0" || host.CPUShares != 100 {
		t.Errorf("pids %d, quota %d of %d, cpus %q, shares %d", *host.PidsLimit, host.CPUQuota, host.CPUPeriod, host.CpusetCpus, host.CPUShares)
	}
	if !host.ReadonlyRootfs || host.ShmSize != 1<<20 || !*host.Init || host.OomScoreAdj != 10 || host.LogConfig.Config["max-size"] != "1m" {
		t.Errorf("host config %+v", host)
	}
	if hc := c.Config.Healthcheck; hc == nil || hc.Test[0] != "NONE" {
		t.Errorf("healthcheck %+v", hc)
	}
}

func TestStats(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, shell(`while :; do :; done`))
	task := startTask(t, d, cfg)
	first, err := task.Stats(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "processor time", func() bool {
		s, err := task.Stats(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		return s.ResourceUsage.CpuStats.Percent > 10 && s.ResourceUsage.CpuStats.Percent < 150
	})
	m := first.ResourceUsage.MemoryStats
	if m.Usage == 0 || m.Usage > 64<<20 || m.RSS == 0 || !slices.Contains(m.Measured, "RSS") {
		t.Errorf("memory %+v", m)
	}
	if err := task.Stop(deadline(t), "KILL", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := task.Stats(deadline(t)); !errors.Is(err, driver.ErrNotRunning) {
		t.Errorf("Stats of an ended task: %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	d, _ := startDriver(t, func(c *Config) { c.Volumes.Enabled = true })
	fp := d.Fingerprint(deadline(t))
	if !fp.Detected || !fp.Healthy {
		t.Fatalf("%+v", fp)
	}
	for _, name := range []string{"driver.docker", "driver.docker.version", "driver.docker.bridge_ip", "driver.docker.os_type", "driver.docker.runtimes"} {
		if fp.Attributes[name] == "" {
			t.Errorf("no %s in %v", name, fp.Attributes)
		}
	}
	if fp.Attributes["driver.docker.volumes.enabled"] != "true" || fp.Attributes["driver.docker.privileged.enabled"] != "" {
		t.Errorf("attributes %v", fp.Attributes)
	}
	cfg := DefaultConfig()
	cfg.Endpoint = "unix://" + t.TempDir() + "/none.sock"
	absent, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if fp := absent.Fingerprint(deadline(t)); fp.Detected || fp.Healthy || fp.Description == "" {
		t.Errorf("without an Engine: %+v", fp)
	}
}

func TestNetworkOfTheOperator(t *testing.T) {
	d, _ := startDriver(t)
	name := testNode + "-net"
	if out, err := exec.Command("docker", "network", "create", "--subnet", "10.213.7.0/24", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", name).Run() })
	config := with(with(with(shell("sleep 1000"), "network_mode", name), "ipv4_address", "10.213.7.9"), "network_aliases", []any{"db"})
	cfg, _ := newTask(t, config)
	task := startTask(t, d, cfg)
	if n := task.Network(); n == nil || n.Address != "10.213.7.9" || n.InterfaceName != name {
		t.Errorf("Network %+v", n)
	}
	if got := inspect(t, d, task.handle.Container).Container.NetworkSettings.Networks[name].Aliases; !slices.Contains(got, "db") {
		t.Errorf("aliases %v", got)
	}
	if err := task.Destroy(deadline(t)); err != nil {
		t.Fatal(err)
	}
	cfg.Config["mac_address"] = "02:00:00:00:00:09"
	_, err := d.Start(deadline(t), cfg)
	if old := versions.LessThan(d.cli().ClientVersion(), "1.44"); old != (api.ErrorCode(err) == api.CodeUnsupported) {
		t.Errorf("mac_address with API %s: %v", d.cli().ClientVersion(), err)
	}
	removeContainer(t, containerName(cfg))

	cfg, _ = newTask(t, with(shell("sleep 1000"), "network_mode", "host"))
	if n := startTask(t, d, cfg).Network(); n != nil {
		t.Errorf("in the host's network: %+v", n)
	}
}

func TestVolumesWhereTheyAreAllowed(t *testing.T) {
	d, _ := startDriver(t, func(c *Config) { c.Volumes.Enabled = true })
	host, name := t.TempDir(), testNode+"-volume"
	t.Cleanup(func() { _ = exec.Command("docker", "volume", "rm", "-f", name).Run() })
	config := shell("echo host >/host/file; echo volume >/named/file; cat /again/file")
	config["volumes"] = []any{host + ":/host", name + ":/named"}
	config["volume_driver"] = "local"
	config["mount"] = map[string]any{"target": "/again", "source": name, "volume_options": map[string]any{"no_copy": true}}
	if stdout, result := run(t, d, config); stdout != "volume\n" {
		t.Errorf("%q, %+v", stdout, result)
	}
	if got, err := os.ReadFile(host + "/file"); string(got) != "host\n" {
		t.Errorf("%q, %v", got, err)
	}
}

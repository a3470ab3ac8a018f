package docker

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drover-org/drover/driver"
)

// ownEngine is an Engine that a test may stop, with a containerd that stays.
type ownEngine struct {
	t          *testing.T
	dir        string
	host       string
	containerd *exec.Cmd
	cmd        *exec.Cmd
}

func newOwnEngine(t *testing.T) *ownEngine {
	t.Helper()
	needEngine(t)
	if _, err := exec.LookPath("dockerd"); err != nil || os.Getuid() != 0 {
		if os.Getenv("DROVER_TEST_REQUIRE_DOCKER") != "" {
			t.Fatal("an Engine of its own needs dockerd and root")
		}
		t.Skip("an Engine of its own needs dockerd and root")
	}
	dir, err := os.MkdirTemp("", "drover-engine") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	e := &ownEngine{t: t, dir: dir, host: "unix://" + dir + "/d.sock"}
	e.containerd = e.command("containerd", "--address", dir+"/c.sock", "--root", dir+"/c", "--state", dir+"/cs")
	t.Cleanup(func() {
		e.end(syscall.SIGTERM)
		_ = e.containerd.Process.Signal(syscall.SIGTERM)
		_ = e.containerd.Wait()
		mounts, _ := os.ReadFile("/proc/mounts")
		for line := range strings.Lines(string(mounts)) {
			if point := strings.Fields(line)[1]; strings.HasPrefix(point, dir) {
				_ = syscall.Unmount(point, syscall.MNT_DETACH)
			}
		}
		_ = os.RemoveAll(dir)
	})
	return e
}

func (e *ownEngine) start() {
	e.t.Helper()
	e.cmd = e.command("dockerd", "-H", e.host, "--data-root", e.dir+"/data", "--exec-root", e.dir+"/exec", "--containerd", e.dir+"/c.sock",
		"--pidfile", e.dir+"/pid", "--bridge=none", "--iptables=false", "--ip6tables=false")
	until(e.t, "the Engine's answer", func() bool { return e.docker("version") == nil })
}

func (e *ownEngine) command(name string, args ...string) *exec.Cmd {
	e.t.Helper()
	log, err := os.OpenFile(e.dir+"/"+name+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// An Engine without a bridge would remove that of the other one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	return cmd
}

func (e *ownEngine) end(signal syscall.Signal) {
	if e.cmd == nil {
		return
	}
	_ = e.cmd.Process.Signal(signal)
	_ = e.cmd.Wait()
	e.cmd = nil
}

func (e *ownEngine) docker(args ...string) error {
	out, err := exec.Command("docker", append([]string{"-H", e.host}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker %v: %w: %s", args, err, out)
	}
	return nil
}

// The Engine stops its containers, and comes back.
func TestEngineRestart(t *testing.T) {
	t.Run("and agent", func(t *testing.T) { testEngineRestart(t, syscall.SIGTERM, false) })
	t.Run("under an agent", func(t *testing.T) { testEngineRestart(t, syscall.SIGTERM, true) })
}

// The Engine dies; its containers are ended when it comes back.
func TestEngineCrash(t *testing.T) {
	t.Run("and agent", func(t *testing.T) { testEngineRestart(t, syscall.SIGKILL, false) })
	t.Run("under an agent", func(t *testing.T) { testEngineRestart(t, syscall.SIGKILL, true) })
}

func testEngineRestart(t *testing.T, signal syscall.Signal, agentStays bool) {
	e := newOwnEngine(t)
	e.start()
	image := filepath.Join(t.TempDir(), "image.tar")
	if out, err := exec.Command("docker", "save", "-o", image, busybox).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := e.docker("load", "-i", image); err != nil {
		t.Fatal(err)
	}
	d, end := startDriver(t, func(c *Config) { c.Endpoint = e.host })
	healthy := func() bool { return d.Fingerprint(deadline(t)).Healthy }
	until(t, "health", healthy)

	config := shell(`trap 'echo stopped; exit 5' TERM; i=0; while :; do echo "line $i"; i=$((i+1)); usleep 2000; done`)
	cfg, _ := newTask(t, with(config, "network_mode", "none"))
	started, err := d.Start(deadline(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	first := started.(*task)
	until(t, "output", func() bool { return len(logged(t, cfg, "stdout")) > 200 })
	e.end(signal)
	if fp := d.Fingerprint(deadline(t)); fp.Healthy || !fp.Detected || fp.Description == "" {
		t.Errorf("while the Engine is down: %+v", fp)
	}
	recovered := started
	if !agentStays { // a new one comes up before the Engine does
		end()
		d, _ = startDriver(t, func(c *Config) { c.Endpoint = e.host })
		if recovered, err = d.Recover(deadline(t), cfg, first.Handle()); err != nil {
			t.Fatalf("Recover without an Engine: %v", err)
		}
	}
	e.start()
	result := wait(t, recovered)
	if result.EndedAt.IsZero() || signal == syscall.SIGTERM && result.ExitCode != 5 {
		t.Errorf("result %+v, want the exit code of the trap", result)
	}
	until(t, "health again", func() bool { return d.Fingerprint(deadline(t)).Healthy })
	stdout := logged(t, cfg, "stdout")
	lines := strings.Split(strings.TrimSuffix(stdout, "stopped\n"), "\n")
	for i, line := range lines[:len(lines)-1] {
		if line != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if signal == syscall.SIGTERM && !strings.HasSuffix(stdout, "\nstopped\n") {
		t.Errorf("the last words are missing: %q", stdout[max(0, len(stdout)-60):])
	}
	if err := recovered.Destroy(deadline(t)); err != nil {
		t.Error(err)
	}
	if _, err := d.Recover(deadline(t), cfg, first.Handle()); err != driver.ErrGone {
		t.Errorf("Recover after Destroy: %v", err)
	}
}

package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// diskAgent is an agent that is server and node and keeps its state in a
// folder, so it can be killed and started again.
type diskAgent struct {
	t      *testing.T
	data   string // its data_dir
	config string
	log    string
	url    string // of the HTTP API
	cmd    *exec.Cmd
}

// newDiskAgent prepares an agent on free ports without starting it; what runs
// at the end of the test is killed, its tasks included.
func newDiskAgent(t *testing.T, config string) *diskAgent {
	t.Helper()
	dir := t.TempDir()
	var ports [2]any
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	a := &diskAgent{
		t: t, data: filepath.Join(dir, "data"), config: filepath.Join(dir, "agent.hcl"), log: filepath.Join(dir, "agent.log"),
		url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
	}
	text := fmt.Sprintf("ports {\n  http = %d\n  rpc = %d\n}\n", ports[:]...) +
		fmt.Sprintf("name = \"disk\"\ndata_dir = %q\nserver {\n  enabled = true\n  bootstrap_expect = 1\n}\n", a.data) + config
	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.cleanup)
	return a
}

func (a *diskAgent) cleanup() {
	if a.cmd != nil {
		a.end(syscall.SIGKILL)
	}
	for _, p := range processes(a.data) {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	if a.t.Failed() {
		text, _ := os.ReadFile(a.log)
		a.t.Logf("--- end of the agent's log\n%s", text[max(0, len(text)-logTail):])
	}
}

// start runs the agent and returns when its API says that it is healthy.
func (a *diskAgent) start() {
	a.t.Helper()
	a.launch()
	a.healthy()
}

// launch runs the agent.
func (a *diskAgent) launch() {
	a.t.Helper()
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		a.t.Fatal(err)
	}
	defer log.Close()
	a.cmd = exec.Command(binary, "agent", "-config", a.config)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
}

// healthy returns when the agent's API says that it is healthy.
func (a *diskAgent) healthy() {
	a.t.Helper()
	until(a.t, "healthy agent", func() bool {
		resp, err := http.Get(a.url + "/v1/agent/health")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (a *diskAgent) end(sig syscall.Signal) {
	_ = a.cmd.Process.Signal(sig)
	_ = a.cmd.Wait()
	a.cmd = nil
}

// read returns the body of an answer.
func (a *diskAgent) read(path string) []byte {
	a.t.Helper()
	resp, err := http.Get(a.url + path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		a.t.Fatalf("GET %s: %s, %v: %s", path, resp.Status, err, text)
	}
	return text
}

func (a *diskAgent) readJSON(path string, out any) {
	a.t.Helper()
	if err := json.Unmarshal(a.read(path), out); err != nil {
		a.t.Fatalf("GET %s: %v", path, err)
	}
}

// send makes a request with a body and returns the status and the answer.
func (a *diskAgent) send(method, path, body string) (int, []byte, error) {
	req, err := http.NewRequest(method, a.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

func (a *diskAgent) mustSend(method, path, body string) {
	a.t.Helper()
	if status, text, err := a.send(method, path, body); err != nil || status != http.StatusOK {
		a.t.Fatalf("%s %s: %d, %v: %s", method, path, status, err, text)
	}
}

// ready waits until the one node is.
func (a *diskAgent) ready() {
	a.t.Helper()
	until(a.t, "ready node", func() bool {
		var nodes []struct{ Status string }
		a.readJSON("/v1/nodes", &nodes)
		return len(nodes) == 1 && nodes[0].Status == "ready"
	})
}

// process is one that has something to do with what processes looked for.
type process struct{ pid, parent int }

// processes finds those that mention text in their command line, environment,
// working directory, open files or control groups. This test's own is not
// among them.
func processes(text string) []process {
	var found []process
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		var pid, parent int
		_, _ = fmt.Sscan(filepath.Base(dir), &pid)
		if pid == os.Getpid() || !mentions(dir, text) || !alive(pid) {
			continue
		}
		if stat, err := os.ReadFile(filepath.Join(dir, "stat")); err == nil {
			_, _ = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d", new(rune), &parent)
		}
		found = append(found, process{pid, parent})
	}
	return found
}

func mentions(dir, text string) bool {
	for _, file := range []string{"cmdline", "environ", "cgroup"} {
		if b, err := os.ReadFile(filepath.Join(dir, file)); err == nil && bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	links, _ := filepath.Glob(filepath.Join(dir, "fd", "*"))
	for _, link := range append(links, filepath.Join(dir, "cwd")) {
		if target, err := os.Readlink(link); err == nil && strings.Contains(target, text) {
			return true
		}
	}
	return false
}

// eventually is until for what a job leaves behind: it names what is left.
func eventually(t *testing.T, what string, left func() []string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		names := left()
		if len(names) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s after %v: %s", what, patience, strings.Join(names, "\n"))
		}
		<-time.After(50 * time.Millisecond)
	}
}

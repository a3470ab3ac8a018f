package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/rogpeppe/go-internal/testscript"
)

// agentKey is where a story keeps its agents.
type agentKey struct{}

// agents are those of one story.
type agents struct {
	mu   sync.Mutex // guards all: the end of a story may be another goroutine
	all  map[string]*agent
	work string
}

// agent is one process, or what is needed to start it again.
type agent struct {
	name  string
	args  []string
	url   string // of the HTTP API
	log   string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has
	err   error         // how; read after ended
}

func setup(e *testscript.Env) error {
	e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+e.Getenv("PATH"))
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("TERM", "xterm")
	a := &agents{all: map[string]*agent{}, work: e.WorkDir}
	e.Values[agentKey{}] = a
	t := e.T()
	e.Defer(func() {
		if f, ok := t.(interface{ Failed() bool }); ok && f.Failed() {
			a.tellLogs(t)
			a.tellTasks(t)
		}
		a.killAll()
	})
	return nil
}

const logTail = 4 << 10 // bytes of an agent's log that a failed story shows

func (as *agents) tellLogs(t testscript.T) {
	as.mu.Lock()
	defer as.mu.Unlock()
	for _, a := range as.all {
		text, err := os.ReadFile(a.log)
		if err == nil {
			t.Log(fmt.Sprintf("--- end of the log of agent %s\n%s", a.name, text[max(0, len(text)-logTail):]))
		}
	}
}

// tellTasks shows what became of tasks, as the agents that answer tell it.
func (as *agents) tellTasks(t testscript.T) {
	as.mu.Lock()
	defer as.mu.Unlock()
	c := &http.Client{Timeout: 5 * time.Second}
	for _, a := range as.all {
		resp, err := c.Get(a.url + "/v1/allocations?namespace=*")
		if err != nil {
			continue
		}
		var list []*api.AllocationListStub
		err = json.NewDecoder(resp.Body).Decode(&list)
		_ = resp.Body.Close()
		if err != nil {
			continue
		}
		for _, alloc := range list {
			for name, task := range alloc.TaskStates {
				text := fmt.Sprintf("--- agent %s: allocation %s %s, task %s %s", a.name, alloc.ID, alloc.ClientStatus, name, task.State)
				for _, e := range task.Events {
					text += fmt.Sprintf("\n    %s %s: %s", time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano), e.Type, e.DisplayMessage)
				}
				t.Log(text)
			}
		}
	}
}

func (as *agents) killAll() {
	as.mu.Lock()
	defer as.mu.Unlock()
	for _, a := range as.all {
		if a.cmd == nil {
			continue
		}
		_ = a.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-a.ended:
		case <-time.After(10 * time.Second):
			_ = a.cmd.Process.Kill()
			<-a.ended
		}
	}
	for _, p := range processes(as.work) { // tasks and supervisors that outlive their agent
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

func cmdAgent(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "agent start|stop|kill9|restart|freeze|thaw|wait NAME [ARG…]"
	need(ts, !neg && len(args) >= 2, usage)
	as := ts.Value(agentKey{}).(*agents)
	name := args[1]
	as.mu.Lock()
	a := as.all[name]
	as.mu.Unlock()
	if args[0] == "start" && a == nil {
		a = as.add(ts, name, args[2:])
	}
	if a == nil {
		ts.Fatalf("there is no agent %s", name)
	}
	switch args[0] {
	case "start":
		a.start(ts)
	case "stop":
		a.end(ts, syscall.SIGTERM)
	case "kill9":
		a.end(ts, syscall.SIGKILL)
	case "restart":
		a.end(ts, syscall.SIGTERM)
		a.start(ts)
	case "freeze":
		ts.Check(a.cmd.Process.Signal(syscall.SIGSTOP))
	case "thaw":
		ts.Check(a.cmd.Process.Signal(syscall.SIGCONT))
	case "wait":
		a.wait(ts)
	default:
		need(ts, false, usage)
	}
}

// add gives an agent its ports and its configuration. Its node doesn't clear
// away what has ended because the disk of the machine is full of other things.
func (as *agents) add(ts *testscript.TestScript, name string, args []string) *agent {
	ports := freePorts(ts, 3)
	scheme := "http"
	if ts.Getenv("NOMAD_CACERT") != "" {
		scheme = "https"
	}
	a := &agent{name: name, url: fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[0]), log: filepath.Join(as.work, name+".log")}
	config := filepath.Join(as.work, name+".ports.hcl")
	text := fmt.Sprintf("name = %q\nports {\n  http = %d\n  rpc  = %d\n  serf = %d\n}\nclient {\n  gc_disk_usage_threshold = 100\n  gc_inode_usage_threshold = 100\n}\n", name, ports[0], ports[1], ports[2])
	ts.Check(os.WriteFile(config, []byte(text), 0o644))
	a.args = append([]string{"agent", "-config", config}, args...)
	if !has(args, "-dev") && !has(args, "-data-dir") {
		a.args = append(a.args, "-data-dir", filepath.Join(as.work, name+".data"))
	}
	ts.Setenv(name+"_ADDR", a.url)
	ts.Setenv(name+"_PORT", fmt.Sprint(ports[0]))
	ts.Setenv(name+"_RPC", fmt.Sprintf("127.0.0.1:%d", ports[1]))
	if ts.Getenv("NOMAD_ADDR") == "" {
		ts.Setenv("NOMAD_ADDR", a.url)
	}
	as.mu.Lock()
	as.all[name] = a
	as.mu.Unlock()
	return a
}

func has(args []string, flag string) bool {
	for _, s := range args {
		if s == flag || s == "-"+flag || strings.HasPrefix(s, flag+"=") {
			return true
		}
	}
	return false
}

// freePorts finds ports that nobody listens on now.
func freePorts(ts *testscript.TestScript, n int) []int {
	var ports []int
	for len(ports) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// start runs the process and returns when it is healthy.
func (a *agent) start(ts *testscript.TestScript) {
	if a.cmd != nil {
		ts.Fatalf("agent %s runs already", a.name)
	}
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	cmd := exec.Command(binary, a.args...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TMPDIR="+ts.Getenv("TMPDIR"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	a.cmd, a.ended = cmd, ended
	ts.Setenv(a.name+"_PID", fmt.Sprint(cmd.Process.Pid))
	go func() {
		a.err = cmd.Wait()
		close(ended)
	}()
	retry(ts, "agent "+a.name+" to be healthy", func() (bool, string) {
		select {
		case <-ended:
			ts.Fatalf("agent %s has ended: %v", a.name, a.err)
		default:
		}
		resp, err := webClient(ts).Get(a.url + "/v1/agent/health")
		if err != nil {
			return false, err.Error()
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, resp.Status
	})
}

// end sends a signal and waits for the process; a polite one must end well.
func (a *agent) end(ts *testscript.TestScript, sig syscall.Signal) {
	if a.cmd == nil {
		ts.Fatalf("agent %s does not run", a.name)
	}
	ts.Check(a.cmd.Process.Signal(sig))
	a.wait(ts)
	if sig == syscall.SIGTERM && a.err != nil {
		ts.Fatalf("agent %s ended with %v", a.name, a.err)
	}
}

func (a *agent) wait(ts *testscript.TestScript) {
	select {
	case <-a.ended:
		a.cmd = nil
	case <-time.After(patience):
		ts.Fatalf("agent %s has not ended within %v", a.name, patience)
	}
}

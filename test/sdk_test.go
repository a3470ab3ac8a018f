package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The Go SDK that programs of the ecosystem are written with works against
// Drover unmodified. It is a test-only client.

// devAgent starts a dev agent of its own and returns an SDK client for it.
func devAgent(t *testing.T) *api.Client {
	t.Helper()
	return devAgentWith(t, "")
}

// devAgentWith is devAgent with more in its configuration.
func devAgentWith(t *testing.T, more string) *api.Client {
	t.Helper()
	dir := t.TempDir()
	var ports [3]int
	var held []net.Listener
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	config := filepath.Join(dir, "agent.hcl")
	text := fmt.Sprintf("ports {\n  http = %d\n  rpc = %d\n  serf = %d\n}\n", ports[0], ports[1], ports[2])
	if err := os.WriteFile(config, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "agent.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range held {
		l.Close()
	}
	cmd := exec.Command(binary, "agent", "-dev", "-config", config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("--- the agent's log\n%s", b)
		}
	})
	t.Setenv("NOMAD_ADDR", fmt.Sprintf("http://127.0.0.1:%d", ports[0]))
	client, err := api.NewClient(api.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	until(t, "ready node", func() bool {
		nodes, _, err := client.Nodes().List(nil)
		return err == nil && len(nodes) == 1 && nodes[0].Status == "ready"
	})
	return client
}

// until asks again and again, for a minute, until ok holds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("there is no %s after a minute", what)
		}
	}
}

func sdkJob(id, script string) *api.Job {
	job := api.NewServiceJob(id, id, "global", 50)
	task := api.NewTask("main", "raw_exec")
	task.SetConfig("command", "/bin/sh").SetConfig("args", []string{"-c", script})
	task.Require(&api.Resources{CPU: new(20), MemoryMB: new(32)})
	return job.AddDatacenter("*").AddTaskGroup(api.NewTaskGroup("group", 1).AddTask(task))
}

func TestSDK(t *testing.T) {
	c := devAgent(t)
	script := `trap 'echo got a hangup' HUP; echo started; while :; do sleep 0.05; done`
	job := sdkJob("sdk", script)

	plan, _, err := c.Jobs().Plan(job, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Diff == nil || plan.Diff.Type != "Added" || plan.Annotations.DesiredTGUpdates["group"].Place != 1 {
		t.Errorf("plan of a new job: %+v, %+v", plan.Diff, plan.Annotations)
	}
	if jobs, _, err := c.Jobs().List(nil); err != nil || len(jobs) != 0 {
		t.Errorf("a dry run left %d jobs (%v)", len(jobs), err)
	}

	reg, _, err := c.Jobs().Register(job, nil)
	if err != nil {
		t.Fatal(err)
	}
	eval, _, err := c.Evaluations().Info(reg.EvalID, nil)
	if err != nil || eval.JobID != "sdk" || eval.TriggeredBy != "job-register" {
		t.Fatalf("evaluation %+v (%v)", eval, err)
	}
	info, _, err := c.Jobs().Info("sdk", nil)
	if err != nil || *info.Type != "service" || *info.TaskGroups[0].Count != 1 || *info.Version != 0 {
		t.Fatalf("job %+v (%v)", info, err)
	}

	var stub *api.AllocationListStub
	until(t, "running allocation", func() bool {
		list, _, err := c.Allocations().List(nil)
		if err != nil || len(list) != 1 {
			return false
		}
		stub = list[0]
		return stub.ClientStatus == "running"
	})
	if stub.JobID != "sdk" || stub.Name != "sdk.group[0]" || stub.TaskStates["main"].State != "running" {
		t.Errorf("stub %+v", stub)
	}
	alloc, meta, err := c.Allocations().Info(stub.ID, nil)
	if err != nil || alloc.Job == nil || alloc.Metrics.NodesEvaluated != 1 || len(alloc.Metrics.ScoreMetaData) != 1 || meta.LastIndex < alloc.ModifyIndex {
		t.Fatalf("allocation %+v (%v)", alloc, err)
	}
	if byPrefix, _, err := c.Allocations().PrefixList(stub.ID[:8]); err != nil || len(byPrefix) != 1 {
		t.Errorf("by prefix: %d (%v)", len(byPrefix), err)
	}
	if evals, _, err := c.Evaluations().List(nil); err != nil || len(evals) == 0 {
		t.Errorf("evaluations: %d (%v)", len(evals), err)
	}
	if node, _, err := c.Nodes().Info(alloc.NodeID, nil); err != nil || !node.Drivers["raw_exec"].Healthy || node.NodeResources.Cpu.CpuShares == 0 {
		t.Errorf("node %+v (%v)", node, err)
	}

	t.Run("exec", func(t *testing.T) { testSDKExec(t, c, alloc) })
	t.Run("stats", func(t *testing.T) {
		until(t, "memory in the stats", func() bool {
			s, err := c.Allocations().Stats(alloc, nil)
			return err == nil && s.Tasks["main"] != nil && s.Tasks["main"].ResourceUsage.MemoryStats.RSS > 0
		})
	})
	t.Run("signal", func(t *testing.T) {
		if err := c.Allocations().Signal(alloc, nil, "main", "SIGHUP"); err != nil {
			t.Fatal(err)
		}
		if got := sdkLogs(t, c, alloc, "got a hangup"); !strings.HasPrefix(got, "started\n") {
			t.Errorf("log %q", got)
		}
		if err := c.Allocations().Signal(alloc, nil, "none", "SIGHUP"); err == nil || !strings.Contains(err.Error(), "none") {
			t.Errorf("signal to a task that doesn't exist: %v", err)
		}
	})
	t.Run("restart", func(t *testing.T) {
		if err := c.Allocations().Restart(alloc, "main", nil); err != nil {
			t.Fatal(err)
		}
		until(t, "restarted task", func() bool {
			a, _, err := c.Allocations().Info(alloc.ID, nil)
			return err == nil && a.TaskStates["main"].Restarts == 1 && a.TaskStates["main"].State == "running"
		})
	})
	t.Run("files", func(t *testing.T) {
		files, _, err := c.AllocFS().List(alloc, "/alloc/logs", nil)
		if err != nil || len(files) < 2 {
			t.Errorf("files %v (%v)", files, err)
		}
		r, err := c.AllocFS().Cat(alloc, "/alloc/logs/main.stdout.0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if b, _ := io.ReadAll(r); !bytes.HasPrefix(b, []byte("started\n")) {
			t.Errorf("file %q", b)
		}
	})
	t.Run("stop", func(t *testing.T) {
		res, err := c.Allocations().Stop(alloc, nil)
		if err != nil || res.EvalID == "" {
			t.Fatalf("stop: %+v, %v", res, err)
		}
		until(t, "replacement", func() bool {
			list, _, err := c.Jobs().Allocations("sdk", false, nil)
			if err != nil || len(list) != 2 {
				return false
			}
			old, _, err := c.Allocations().Info(alloc.ID, nil)
			return err == nil && old.ClientStatus == "complete" && old.NextAllocation != ""
		})
	})
	if _, _, err := c.Jobs().Deregister("sdk", true, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Jobs().Info("sdk", nil); err == nil {
		t.Error("a purged job can still be read")
	}
}

func testSDKExec(t *testing.T, c *api.Client, alloc *api.Allocation) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code, err := c.Allocations().Exec(ctx, alloc, "main", false, []string{"/bin/sh", "-c", "cat; echo to stderr >&2; exit 7"},
		strings.NewReader("through stdin"), &out, &errs, nil, nil)
	if err != nil || code != 7 || out.String() != "through stdin" || errs.String() != "to stderr\n" {
		t.Errorf("exec: code %d, out %q, err %q, %v", code, &out, &errs, err)
	}
	sizes := make(chan api.TerminalSize, 1)
	sizes <- api.TerminalSize{Height: 11, Width: 37}
	out.Reset()
	code, err = c.Allocations().Exec(ctx, alloc, "main", true, []string{"/bin/sh", "-c", "while [ \"$(stty size)\" != '11 37' ]; do sleep 0.01; done; stty size; test -t 0 && test -t 1"},
		strings.NewReader(""), &out, &errs, sizes, nil)
	if err != nil || code != 0 || strings.TrimSpace(out.String()) != "11 37" {
		t.Errorf("exec with a terminal: code %d, out %q, %v", code, &out, err)
	}
}

// sdkLogs follows a task's stdout until it holds want.
func sdkLogs(t *testing.T, c *api.Client, alloc *api.Allocation, want string) string {
	t.Helper()
	cancel := make(chan struct{})
	defer close(cancel)
	frames, errs := c.AllocFS().Logs(alloc, true, "main", "stdout", "start", 0, cancel, nil)
	var got strings.Builder
	timeout := time.After(time.Minute)
	for !strings.Contains(got.String(), want) {
		select {
		case f := <-frames:
			if f != nil {
				got.Write(f.Data)
			}
		case err := <-errs:
			t.Fatal(err)
		case <-timeout:
			t.Fatalf("no %q in the log after a minute: %q", want, got.String())
		}
	}
	return got.String()
}

package task

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/agent/allocdir"
	"github.com/drover-org/drover/internal/agent/localdb"
)

// rig runs one task with a scripted driver in virtual time.
type rig struct {
	t    *testing.T
	d    *scripted
	task *Task
	cfg  Config
	stop context.CancelFunc
	err  error
	wg   sync.WaitGroup
	save int
}

func newRig(t *testing.T, change func(*Config, *scripted)) *rig {
	t.Helper()
	tree, err := allocdir.NewTree(filepath.Join(t.TempDir(), "allocs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	spec := &api.Task{
		Name: "main", Driver: "scripted", KillTimeout: ptr(api.Duration(5 * time.Second)),
		RestartPolicy: &api.RestartPolicy{Attempts: ptr(1), Interval: ptr(api.Duration(time.Minute)), Delay: ptr(api.Duration(10 * time.Second)), Mode: "fail"},
	}
	job := &api.Job{ID: "job", Name: "job", Type: api.JobTypeService, TaskGroups: []*api.TaskGroup{{Name: "group", Tasks: []*api.Task{spec}}}}
	alloc := &api.Allocation{ID: api.NewID(), Name: "job.group[0]", Namespace: "default", JobID: "job", Job: job, TaskGroup: "group"}
	dir, err := tree.Dir(alloc.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Build(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, d: &scripted{}}
	r.cfg = Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Rand: func() float64 { return 0 }, Alloc: alloc, Task: spec,
		Node: func() *api.Node { return &api.Node{ID: "node"} }, Dir: dir, Driver: r.d, MaxKillTimeout: 30 * time.Second,
		Save: func() error { r.save++; return nil }, Changed: func() {},
	}
	if change != nil {
		change(&r.cfg, r.d)
	}
	r.task = New(r.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.wg.Go(func() { r.err = r.task.Run(ctx) })
	t.Cleanup(func() { cancel(); r.wg.Wait() })
	return r
}

func (r *rig) events() []string {
	var kinds []string
	for _, e := range r.task.State().Events {
		kinds = append(kinds, e.Type)
	}
	return kinds
}

// expect waits until nothing moves any more and compares.
func (r *rig) expect(state string, events ...string) {
	r.t.Helper()
	synctest.Wait()
	s := r.task.State()
	if s.State != state || !slices.Equal(r.events(), events) {
		r.t.Errorf("state %s, events %q\nwant  %s, events %q", s.State, r.events(), state, events)
	}
	if !slices.IsSortedFunc(s.Events, func(a, b *api.TaskEvent) int { return int(a.Time - b.Time) }) {
		r.t.Errorf("events are out of order: %q", r.events())
	}
}

func (r *rig) begin() { r.task.Begin(); synctest.Wait() }

func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestLifeOfAService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.expect("pending", "Received")
		r.begin()
		r.expect("running", "Received", "Task Setup", "Started")
		first := r.d.last()
		first.end(driver.ExitResult{ExitCode: 2, OOMKilled: true})
		r.expect("pending", "Received", "Task Setup", "Started", "Terminated", "Restarting")
		s := r.task.State()
		if e := s.Events[3]; e.Details["exit_code"] != "2" || e.Details["oom_killed"] != "true" {
			t.Errorf("Terminated = %v", e.Details)
		}
		if e := s.Events[4]; e.Details["start_delay"] != "10000000000" || s.Restarts != 1 || s.LastRestart.IsZero() {
			t.Errorf("Restarting = %v, %+v", e.Details, s)
		}
		if !first.destroyed {
			t.Error("the first process was not cleaned up")
		}
		time.Sleep(10 * time.Second) // virtual
		r.expect("running", "Received", "Task Setup", "Started", "Terminated", "Restarting", "Task Setup", "Started")
		if r.save != 1 {
			t.Errorf("the second start was not durable before: %d", r.save)
		}
		r.d.last().end(driver.ExitResult{ExitCode: 1})
		synctest.Wait()
		s = r.task.State()
		if s.State != "dead" || !s.Failed || s.FinishedAt.IsZero() || s.Events[len(s.Events)-1].Type != "Not Restarting" || !s.Events[len(s.Events)-1].FailsTask() {
			t.Errorf("state = %+v, events %q", s, r.events())
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.begin()
		for range 20 {
			if err := r.task.Signal(t.Context(), "SIGHUP"); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(r.task.State().Events); n != api.MaxTaskEvents {
			t.Errorf("%d events are kept", n)
		}
	})
}

// A program that is gone before its start is noted ends after it started.
func TestEventTimesGoForward(t *testing.T) {
	s := &api.TaskState{}
	for _, at := range []int64{10, 30, 20, 20, 50} {
		appendEvent(s, &api.TaskEvent{Time: at})
	}
	var got []int64
	for _, e := range s.Events {
		got = append(got, e.Time)
	}
	if !slices.Equal(got, []int64{10, 30, 31, 32, 50}) {
		t.Errorf("times %v", got)
	}
}

func TestKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *scripted) {
			c.Task.KillSignal, c.Task.ShutdownDelay = "SIGINT", api.Duration(3*time.Second)
			c.Task.KillTimeout = ptr(api.Duration(time.Hour))
		})
		r.begin()
		start := time.Now()
		r.task.Kill(Order{})
		synctest.Wait()
		if r.d.last().over() {
			t.Error("killed before the shutdown delay")
		}
		<-r.task.Done()
		r.expect("dead", "Received", "Task Setup", "Started", "Killing", "Waiting for shutdown delay", "Terminated", "Killed")
		task := r.d.last()
		if took := time.Since(start); took != 3*time.Second || task.stops[0] != "SIGINT" || task.timeout != 30*time.Second || !task.destroyed {
			t.Errorf("took %v, %+v", took, task)
		}
		if s := r.task.State(); s.Failed || s.FinishedAt.IsZero() {
			t.Errorf("state = %+v", s)
		}
	})
}

func TestHurry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *scripted) { c.Task.ShutdownDelay = api.Duration(time.Hour) })
		r.begin()
		r.task.Kill(Order{})
		synctest.Wait()
		start := time.Now()
		r.task.Kill(Order{Hurry: true})
		<-r.task.Done()
		if time.Since(start) != 0 || !slices.Contains(r.events(), api.EventSkippingShutdownDelay) {
			t.Errorf("took %v, events %q", time.Since(start), r.events())
		}
	})
}

func TestKillBeforeStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.task.Kill(Order{Event: api.NewTaskEvent(api.EventSiblingFailed, time.Now())})
		r.expect("dead", "Received", "Sibling Task Failed")
		if r.d.starts() != 0 {
			t.Error("it was started")
		}
	})
}

func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		if err := r.task.Restart(t.Context(), "why"); api.ErrorCode(err) != api.CodeConflict {
			t.Errorf("Restart before the start = %v", err)
		}
		r.begin()
		for range 3 { // more than the policy allows: it does not count
			if err := r.task.Restart(t.Context(), "why"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		s := r.task.State()
		if s.State != "running" || s.Restarts != 3 || r.d.starts() != 4 {
			t.Errorf("state = %+v, %d starts", s, r.d.starts())
		}
		events := r.events()
		if got := events[len(events)-5:]; !slices.Equal(got, []string{"Restart Signaled", "Terminated", "Restarting", "Task Setup", "Started"}) {
			t.Errorf("events = %q", got)
		}
	})
}

func TestSignal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.begin()
		if err := r.task.Signal(t.Context(), "SIGBAD"); api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("bad signal = %v", err)
		}
		if err := r.task.Signal(t.Context(), "SIGKILL"); err != nil {
			t.Fatal(err)
		}
		r.expect("pending", "Received", "Task Setup", "Started", "Signaling", "Terminated", "Restarting")
		if err := r.task.Signal(t.Context(), "SIGHUP"); api.ErrorCode(err) != api.CodeConflict {
			t.Errorf("signal to nothing = %v", err)
		}
	})
}

func TestStartFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(_ *Config, d *scripted) {
			d.startErrs = []error{errors.New("busy"), driver.Permanent(errors.New("no such image"))}
		})
		r.begin()
		r.expect("pending", "Received", "Task Setup", "Driver Failure", "Restarting")
		time.Sleep(10 * time.Second)
		r.expect("dead", "Received", "Task Setup", "Driver Failure", "Restarting", "Task Setup", "Driver Failure", "Not Restarting")
	})
}

func TestValidation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(_ *Config, d *scripted) { d.bad = errors.New(`field "command" is required`) })
		r.begin()
		r.expect("dead", "Received", "Failed Validation", "Not Restarting")
	})
}

// TestAgentRestart leaves a running task and finds it again.
func TestAgentRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := newRig(t, nil)
		first.begin()
		process, rec := first.d.last(), first.task.Record()
		first.stop()
		first.wg.Wait()
		if first.err == nil || process.over() || string(rec.Handle) != "handle" {
			t.Fatalf("Run = %v, over %v, record %+v", first.err, process.over(), rec)
		}
		endedAt := time.Now().Add(time.Second)
		process.end(driver.ExitResult{ExitCode: 3, EndedAt: endedAt})
		time.Sleep(5 * time.Second)
		second := newRig(t, func(c *Config, d *scripted) {
			c.Record, c.Restore = rec, true
			d.recover = func(driver.Handle) (driver.Task, error) { return process, nil }
		})
		second.expect("pending", "Received", "Task Setup", "Started", "Terminated", "Restarting")
		if s := second.task.State(); s.Events[3].Time != endedAt.UnixNano() || s.Events[3].Details["exit_code"] != "3" || second.d.starts() != 0 {
			t.Errorf("Terminated = %+v", s.Events[3])
		}
	})
}

// TestCutOffStart finds a task whose handle was never stored.
func TestCutOffStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		process := newScriptedTask()
		asked := 0
		r := newRig(t, func(c *Config, d *scripted) {
			c.Restore = true
			d.recover = func(h driver.Handle) (driver.Task, error) {
				if asked++; asked < 3 {
					return nil, errors.New("the engine is not up")
				}
				if h != nil {
					t.Errorf("handle = %q", h)
				}
				return process, nil
			}
		})
		time.Sleep(time.Minute)
		r.expect("running", "Received", "Started")
		if r.d.starts() != 0 || asked != 3 {
			t.Errorf("%d starts, asked %d times", r.d.starts(), asked)
		}
	})
}

func TestLostTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *scripted) {
			c.Restore = true
			c.Record = &localdb.TaskRecord{State: &api.TaskState{State: api.TaskStateRunning, StartedAt: time.Now()}, Handle: []byte("x")}
		})
		r.expect("pending", "Failed Restoring Task", "Restarting")
		time.Sleep(10 * time.Second)
		r.expect("running", "Failed Restoring Task", "Restarting", "Task Setup", "Started")
	})
}

func TestEndsWithAgent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *scripted) { c.KillWithAgent = true })
		r.begin()
		r.stop()
		<-r.task.Done()
		r.expect("dead", "Received", "Task Setup", "Started", "Killing", "Terminated", "Killed")
	})
}

func TestTaskConfig(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *scripted) {
			c.Alloc.Job.Payload = []byte("payload")
			c.Task.DispatchPayload = &api.DispatchPayloadConfig{File: "in/data"}
			c.Task.Config = map[string]any{"args": []any{"${NOMAD_TASK_NAME}", "${node.unique.id}", "${HOME:-x}"}}
		})
		r.begin()
		cfg := r.d.configs[0]
		if got := cfg.Config["args"].([]any); got[0] != "main" || got[1] != "node" || got[2] != "${HOME:-x}" {
			t.Errorf("args = %v", got)
		}
		b, err := os.ReadFile(filepath.Join(cfg.LocalDir, "in", "data"))
		if err != nil || string(b) != "payload" {
			t.Errorf("payload = %q, %v", b, err)
		}
		if !strings.HasPrefix(cfg.ID, r.cfg.Alloc.ID) || cfg.Logs.MaxFiles != defaultLogFiles {
			t.Errorf("config = %+v", cfg)
		}
	})
}

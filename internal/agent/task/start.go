package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// Waits between attempts to reach a driver about a task that may run.
const (
	minRecoverWait = 500 * time.Millisecond
	maxRecoverWait = 15 * time.Second
)

// prepare checks the task and makes its directories.
func (t *Task) prepare(ctx context.Context) (phase, time.Duration) {
	t.mu.Lock()
	spec, alloc := t.spec, t.alloc
	t.mu.Unlock()
	if err := t.validate(spec); err != nil {
		t.event(api.EventFailedValidation, api.DetailValidationError, err.Error(), api.DetailFailsTask, "true")
		return t.conclude(outcome{permanent: true})
	}
	t.event(api.EventTaskSetup, api.DetailMessage, "Building Task Directory")
	if err := t.setup(alloc, spec); err != nil {
		t.event(api.EventSetupFailure, api.DetailSetupError, err.Error())
		return t.conclude(outcome{permanent: api.ErrorCode(err) != api.CodeInternal})
	}
	return t.identify(ctx, spec)
}

func (t *Task) validate(spec *api.Task) error {
	if t.cfg.Driver == nil {
		return fmt.Errorf("driver %q does not exist on this node", spec.Driver)
	}
	if err := t.cfg.Driver.Validate(spec.Config); err != nil {
		return fmt.Errorf("config of task %q: %w", spec.Name, err)
	}
	return nil
}

func (t *Task) setup(alloc *api.Allocation, spec *api.Task) error {
	if err := t.cfg.Dir.BuildTask(spec.Name, spec.User); err != nil {
		return err
	}
	if p := spec.DispatchPayload; p != nil && p.File != "" {
		return writePayload(t.cfg.Dir.Local(spec.Name), p.File, alloc.Job.Payload)
	}
	return nil
}

// writePayload writes a dispatched job's payload below the task's local
// directory and not beyond.
func writePayload(dir, name string, data []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if parent := filepath.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o777); err != nil {
			return fmt.Errorf("dispatch payload %q: %w", name, err)
		}
	}
	if err := root.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("dispatch payload %q: %w", name, err)
	}
	return nil
}

// start has the driver start the task.
func (t *Task) start(ctx context.Context) (phase, time.Duration) {
	if err := t.intend(); err != nil {
		t.event(api.EventSetupFailure, api.DetailSetupError, err.Error())
		return t.conclude(outcome{})
	}
	startCtx, cancel := t.untilKilled(ctx)
	defer cancel()
	task, err := t.cfg.Driver.Start(startCtx, t.taskConfig())
	switch {
	case err == nil:
		t.started(task, true)
		return running, 0
	case errors.Is(context.Cause(startCtx), errKilled):
		return t.dieUnstarted(), 0
	case ctx.Err() != nil:
		return left, 0
	}
	t.event(api.EventDriverFailure, api.DetailDriverError, err.Error())
	return t.conclude(outcome{permanent: !driver.Recoverable(err)})
}

// intend forgets the handle of an earlier start, durably: from here on only
// the driver can tell whether the task runs. Before the first start the
// stored allocation says the same.
func (t *Task) intend() error {
	t.mu.Lock()
	first := t.handle == nil && t.state.StartedAt.IsZero()
	t.handle = nil
	t.mu.Unlock()
	if first {
		return nil
	}
	return t.cfg.Save()
}

// started notes a task that runs, new or found again.
func (t *Task) started(task driver.Task, event bool) {
	now := t.cfg.Now()
	t.mu.Lock()
	t.running, t.handle = task, task.Handle()
	select {
	case <-t.kill:
	default:
		t.leaving = false
	}
	t.mu.Unlock()
	t.change(func(s *api.TaskState) {
		if event {
			appendEvent(s, api.NewTaskEvent(api.EventStarted, now))
			s.StartedAt = now
		}
		s.State = api.TaskStateRunning
	})
}

// recover asks the driver for the task of an earlier agent. A driver that
// can't tell is asked again: giving up could run the task twice.
func (t *Task) recover(ctx context.Context) (phase, time.Duration) {
	if t.cfg.Driver == nil {
		t.event(api.EventFailedRestoring, api.DetailMessage, "the node has no driver of that name any more")
		return t.conclude(outcome{permanent: true})
	}
	rec := t.Record()
	known := rec.Handle != nil || rec.State.State == api.TaskStateRunning
	for wait := minRecoverWait; ; wait = min(2*wait, maxRecoverWait) {
		task, err := t.cfg.Driver.Recover(ctx, t.taskConfig(), rec.Handle)
		switch {
		case err == nil:
			t.started(task, rec.State.State != api.TaskStateRunning)
			return running, 0
		case errors.Is(err, driver.ErrGone):
			if !known {
				return t.resume(rec.State)
			}
			t.event(api.EventFailedRestoring, api.DetailMessage, "the task is gone, for instance because the machine was restarted")
			t.forget()
			select {
			case <-t.kill:
				return t.dieUnstarted(), 0
			default:
				return t.conclude(outcome{})
			}
		}
		if ctx.Err() == nil && !driver.Recoverable(err) {
			t.event(api.EventFailedRestoring, api.DetailMessage, err.Error())
			t.forget()
			return t.conclude(outcome{permanent: true})
		}
		t.cfg.Log.Warn("the driver can't tell of a task yet, asking again", "alloc", t.cfg.Alloc.ID, "task", t.spec.Name, "error", err, "wait", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return left, 0
		}
	}
}

// resume continues a task of which nothing runs: one that was never started
// waits for its turn, one that was between two starts waits the rest of its
// delay.
func (t *Task) resume(s *api.TaskState) (phase, time.Duration) {
	for i := len(s.Events) - 1; i >= 0; i-- {
		if e := s.Events[i]; e.Type == api.EventRestarting {
			delay, _ := strconv.ParseInt(e.Details[api.DetailStartDelay], 10, 64)
			return delayed, max(0, time.Unix(0, e.Time).Add(time.Duration(delay)).Sub(t.cfg.Now()))
		}
	}
	return waiting, 0
}

func (t *Task) forget() {
	t.mu.Lock()
	t.running, t.handle = nil, nil
	t.mu.Unlock()
}

// taskConfig describes the task to its driver.
func (t *Task) taskConfig() *driver.TaskConfig {
	t.mu.Lock()
	alloc, spec, tokens := t.alloc, t.spec, t.tokens
	t.mu.Unlock()
	caps, dir, node := t.cfg.Driver.Capabilities(), t.cfg.Dir, t.cfg.Node()
	src := envSource{alloc: alloc, task: spec, node: node, region: t.cfg.Region, dir: dir, remaps: caps.RemapsPorts}
	if !caps.Isolated {
		src.host = t.cfg.HostEnv
	}
	src.tokens = tokens
	sc := newScope(src)
	res := taskResources(alloc, spec)
	c := &driver.TaskConfig{
		ID: alloc.ID + "/" + spec.Name, AllocID: alloc.ID, Namespace: alloc.Namespace,
		JobID: alloc.JobID, JobName: alloc.Job.Name, Group: alloc.TaskGroup, Task: spec.Name, NodeID: node.ID,
		Env: sc.env, User: spec.User,
		AllocDir: dir.Path(), SharedDir: dir.Shared(), TaskDir: dir.Task(spec.Name), LocalDir: dir.Local(spec.Name),
		SecretsDir: dir.Secrets(spec.Name), LogDir: dir.Logs(), StateDir: dir.State(),
		Logs: logConfig(spec.LogConfig), Resources: res, Ports: networkPorts(res),
		Mounts: mounts(alloc, spec, node), KillWithAgent: t.cfg.KillWithAgent,
		Report: func(message string, annotations map[string]string) {
			details := []string{api.DetailDriverMessage, message}
			for k, v := range annotations {
				details = append(details, k, v)
			}
			t.event(api.EventDriver, details...)
		},
	}
	c.Config, _ = sc.expandValue(spec.Config).(map[string]any)
	if r := alloc.AllocatedResources; r != nil {
		c.Ports = append(c.Ports, r.Shared.Ports...)
	}
	if g := alloc.Group(); g != nil && len(g.Networks) > 0 {
		c.DNS = g.Networks[0].DNS
	}
	return c
}

// Bounds of log files that a job without them has.
const (
	defaultLogFiles  = 10
	defaultLogFileMB = 10
)

func logConfig(l *api.LogConfig) driver.LogConfig {
	c := driver.LogConfig{MaxFiles: defaultLogFiles, MaxFileSize: defaultLogFileMB << 20}
	if l == nil {
		return c
	}
	if l.MaxFiles != nil && *l.MaxFiles > 0 {
		c.MaxFiles = *l.MaxFiles
	}
	if l.MaxFileSizeMB != nil && *l.MaxFileSizeMB > 0 {
		c.MaxFileSize = int64(*l.MaxFileSizeMB) << 20
	}
	c.Disabled = l.Disabled != nil && *l.Disabled
	return c
}

// mounts resolves a task's volume mounts to directories that the node offers.
func mounts(alloc *api.Allocation, spec *api.Task, node *api.Node) []driver.Mount {
	group := alloc.Group()
	var list []driver.Mount
	for _, m := range spec.VolumeMounts {
		v := group.Volumes[m.Volume]
		if v == nil {
			continue
		}
		if host := node.HostVolumes[v.Source]; host != nil {
			list = append(list, driver.Mount{HostPath: host.Path, TaskPath: m.Destination, ReadOnly: m.ReadOnly || v.ReadOnly || host.ReadOnly})
		}
	}
	return list
}

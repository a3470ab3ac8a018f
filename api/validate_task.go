package api

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

func (t *Task) validate(at spot, j *Job, g *TaskGroup) {
	t.validateName(at)
	if t.Driver == "" {
		at.bad("Driver", "is missing: name what runs the task, such as docker or raw_exec")
	}
	if slices.Contains(driversExpected, t.Driver) {
		at.warn("Driver", "%q is not supported in this release: allocations wait for a node that has it", t.Driver)
	}
	if strings.ContainsAny(t.User, "\x00\n") || len(t.User) > maxNameLen {
		at.bad("User", "%q is not a user name", clip(t.User))
	}
	at.meta("Meta", t.Meta)
	at.meta("Env", t.Env)
	validatePlacement(at, j, t.Constraints, t.Affinities, nil)
	t.Resources.validate(at.in("Resources"))
	if t.RestartPolicy != nil {
		t.RestartPolicy.validate(at.in("RestartPolicy"))
	}
	at.duration("KillTimeout", t.KillTimeout, 0)
	at.duration("ShutdownDelay", &t.ShutdownDelay, 0)
	at.signal("KillSignal", t.KillSignal)
	t.validateLifecycle(at)
	t.validateDispatch(at.in("DispatchPayload"), j)
	t.LogConfig.validate(at.in("LogConfig"))
	t.validateMounts(at, g)
	validateServices(at, t.Services, g, t)
	at.elements("Templates", len(t.Templates))
	at.elements("Artifacts", len(t.Artifacts))
	t.validateActions(at)
	t.validateIdentities(at)
}

// validateName refuses names that collide with others in an allocation's directory.
func (t *Task) validateName(at spot) {
	at.label("Name", t.Name)
	switch {
	case strings.ContainsAny(t.Name, `/\`):
		at.bad("Name", "%q holds a path separator: it is the name of the task's directory", clip(t.Name))
	case t.Name == "alloc" || t.Name == "tmp" || t.Name == "." || t.Name == "..":
		at.bad("Name", "%q is taken in every allocation's directory: choose another name", t.Name)
	}
}

func (t *Task) validateLifecycle(at spot) {
	l := t.Lifecycle
	if l == nil {
		return
	}
	in := at.in("Lifecycle")
	if l.Hook == "" {
		in.bad("Hook", "is missing: use prestart, poststart or poststop, or remove the block")
	}
	in.oneOf("Hook", l.Hook, HookPrestart, HookPoststart, HookPoststop)
	if l.Hook == HookPoststop && l.Sidecar {
		in.bad("Sidecar", "a poststop task runs after the others and can't be a sidecar: set it to false")
	}
	if t.Leader {
		at.bad("Leader", "a task with a lifecycle can't lead: the main tasks follow the leader's end")
	}
}

func (t *Task) validateMounts(at spot, g *TaskGroup) {
	at.elements("VolumeMounts", len(t.VolumeMounts))
	seen := make(map[string]bool)
	for i, m := range t.VolumeMounts {
		if m == nil {
			at.bad(fmt.Sprintf("VolumeMounts[%d]", i), "is null: remove it")
			continue
		}
		in := at.in("volume_mount[%d]", i)
		if _, ok := g.Volumes[m.Volume]; !ok {
			in.bad("Volume", "%q is not a volume of the group: add a volume block or correct the name", clip(m.Volume))
		}
		if !path.IsAbs(m.Destination) && !isDynamic(m.Destination) {
			in.bad("Destination", "%q is not an absolute path", clip(m.Destination))
		}
		if seen[m.Destination] {
			in.bad("Destination", "%q is mounted twice: change one", clip(m.Destination))
		}
		seen[m.Destination] = true
		in.oneOf("PropagationMode", m.PropagationMode, "private", "host-to-task", "bidirectional")
	}
}

func (t *Task) validateActions(at spot) {
	at.elements("Actions", len(t.Actions))
	names := make(map[string]bool)
	for i, a := range t.Actions {
		switch {
		case a == nil:
			at.bad(fmt.Sprintf("Actions[%d]", i), "is null: remove it")
		case a.Name == "" || a.Command == "":
			at.bad(fmt.Sprintf("Actions[%d]", i), "needs both Name and Command")
		case names[a.Name]:
			at.bad("Actions", "has two actions named %q: rename one", clip(a.Name))
		default:
			names[a.Name] = true
		}
	}
}

func (r *Resources) validate(at spot) {
	if r == nil {
		return
	}
	if r.Cores != 0 {
		at.within("Cores", r.Cores, 1, 4096)
		if r.CPU != 0 {
			at.bad("CPU", "%d MHz and %d Cores exclude each other: keep one", r.CPU, r.Cores)
		}
	} else {
		at.within("CPU", r.CPU, MinTaskCPU, maxMB)
	}
	at.within("MemoryMB", r.MemoryMB, MinTaskMemoryMB, maxMB)
	if r.MemoryMaxMB != 0 {
		at.within("MemoryMaxMB", r.MemoryMaxMB, r.MemoryMB, maxMB)
	}
	at.within("DiskMB", r.DiskMB, 0, maxMB)
	at.within("IOPS", r.IOPS, 0, maxMB)
	at.within("SecretsMB", r.SecretsMB, 0, maxMB)
	at.elements("Devices", len(r.Devices))
	for i, d := range r.Devices {
		if d == nil || d.Name == "" {
			at.bad(fmt.Sprintf("Devices[%d]", i), "has no Name: name vendor/type/model, vendor/type or type")
		}
	}
	if r.NUMA != nil {
		at.in("NUMA").oneOf("Affinity", r.NUMA.Affinity, "none", "prefer", "require")
	}
}

func (l *LogConfig) validate(at spot) {
	if l == nil {
		return
	}
	if l.MaxFiles != nil {
		at.within("MaxFiles", *l.MaxFiles, 1, 10000)
	}
	if l.MaxFileSizeMB != nil {
		at.within("MaxFileSizeMB", *l.MaxFileSizeMB, 1, maxMB)
	}
	if l.Enabled != nil && l.Disabled != nil && *l.Enabled == *l.Disabled {
		at.bad("Enabled", "contradicts Disabled: remove it")
	}
}

// signals are the names a task can be signalled with.
var signals = strings.Fields(`ABRT ALRM BUS CHLD CONT FPE HUP ILL INT IO IOT KILL PIPE PROF PWR QUIT SEGV
	STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ`)

// signal checks the name of a signal, with or without SIG; empty is fine.
func (s spot) signal(field, name string) {
	if name == "" || isDynamic(name) {
		return
	}
	if !slices.Contains(signals, strings.TrimPrefix(strings.ToUpper(name), "SIG")) {
		s.bad(field, "%q is not a signal: use a name like SIGTERM", clip(name))
	}
}

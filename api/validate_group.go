package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (g *TaskGroup) validate(at spot, j *Job) {
	at.label("Name", g.Name)
	g.validateCount(at, j)
	at.meta("Meta", g.Meta)
	validatePlacement(at, j, g.Constraints, g.Affinities, g.Spreads)
	g.validatePolicies(at, j)
	g.validateDisk(at)
	validateNetworks(at, g)
	g.validateVolumes(at)
	validateServices(at, g.Services, g, nil)
	g.checkServiceIDs(at)
	at.duration("ShutdownDelay", g.ShutdownDelay, 0)
	at.duration("MaxRunDuration", g.MaxRunDuration, 1)
	g.validateDisconnect(at)
	if g.Scaling != nil {
		g.Scaling.validate(at.in("Scaling"), g.CountOf())
	}
	g.validateTasks(at, j)
}

func (g *TaskGroup) validateCount(at spot, j *Job) {
	at.within("Count", g.CountOf(), 0, MaxGroupCount)
	if j.Type == JobTypeSystem || j.Type == JobTypeSysBatch {
		if g.CountOf() > 1 {
			at.bad("Count", "%d in a %s job: it runs once on every node, so Count is 0 or 1", g.CountOf(), j.Type)
		}
	}
}

func (g *TaskGroup) validatePolicies(at spot, j *Job) {
	if g.RestartPolicy != nil {
		g.RestartPolicy.validate(at.in("RestartPolicy"))
	}
	if g.ReschedulePolicy != nil {
		g.ReschedulePolicy.validate(at.in("ReschedulePolicy"), j.Type)
	}
	if g.Migrate != nil {
		g.Migrate.validate(at.in("Migrate"))
		if j.Type != JobTypeService {
			at.warn("Migrate", "has no effect in a %s job", j.Type)
		}
	}
	u := g.Update
	if u == nil {
		return
	}
	if !j.rolls() {
		at.warn("Update", "has no effect in a %s job", j.Type)
		return
	}
	in := at.in("Update")
	u.validate(in, j.Type)
	if u.Canary != nil && *u.Canary > 0 && j.Type == JobTypeService && *u.Canary > g.CountOf() {
		in.bad("Canary", "%d is more than the group's Count of %d", *u.Canary, g.CountOf())
	}
}

func (g *TaskGroup) validateDisk(at spot) {
	if g.EphemeralDisk == nil || g.EphemeralDisk.SizeMB == nil {
		return
	}
	size := *g.EphemeralDisk.SizeMB
	at.in("EphemeralDisk").within("SizeMB", size, MinDiskMB, maxMB)
	logs := 0
	for _, t := range g.Tasks {
		if t != nil && t.LogConfig != nil && t.LogConfig.MaxFiles != nil && t.LogConfig.MaxFileSizeMB != nil {
			files, mb := min(*t.LogConfig.MaxFiles, maxMB), min(*t.LogConfig.MaxFileSizeMB, maxMB)
			logs += max(files, 0) * max(mb, 0)
			if files > 0 && mb > 0 && files*mb >= size {
				at.in("task %q", clip(t.Name)).bad("LogConfig", "%d files of %d MB don't fit into the group's EphemeralDisk of %d MB: lower MaxFiles or MaxFileSizeMB, or raise SizeMB", files, mb, size)
				return
			}
		}
	}
	if logs > size {
		at.warn("EphemeralDisk", "SizeMB is %d and the logs of all tasks may take %d: raise SizeMB or lower the tasks' LogConfig", size, logs)
	}
}

func (g *TaskGroup) validateVolumes(at spot) {
	at.elements("Volumes", len(g.Volumes))
	for _, name := range slices.Sorted(maps.Keys(g.Volumes)) {
		v := g.Volumes[name]
		if v == nil {
			at.bad("Volumes", "%q is null: remove it", clip(name))
			continue
		}
		in := at.in("volume %q", clip(name))
		in.label("Name", v.Name)
		in.oneOf("Type", v.Type, "host", "csi")
		if v.Type == "" {
			in.bad("Type", "is missing: use host")
		}
		if v.Source == "" {
			in.bad("Source", "is missing: name a volume of the nodes")
		}
	}
}

func (g *TaskGroup) validateDisconnect(at spot) {
	d := g.Disconnect
	if d == nil {
		return
	}
	in := at.in("Disconnect")
	in.duration("LostAfter", d.LostAfter, 0)
	in.duration("StopOnClientAfter", d.StopOnClientAfter, 0)
	in.oneOf("Reconcile", d.Reconcile, "best_score", "keep_original", "keep_replacement", "longest_running")
	if d.LostAfter != nil && *d.LostAfter > 0 && d.StopOnClientAfter != nil && *d.StopOnClientAfter > 0 {
		in.bad("StopOnClientAfter", "can't be combined with LostAfter: keep one of them")
	}
	differ := func(field string, same bool) {
		if !same {
			at.bad(field, "contradicts the Disconnect block: remove it")
		}
	}
	if v := g.MaxClientDisconnect; v != nil {
		differ("MaxClientDisconnect", d.LostAfter != nil && *v == *d.LostAfter)
	}
	if v := g.StopAfterClientDisconnect; v != nil {
		differ("StopAfterClientDisconnect", d.StopOnClientAfter != nil && *v == *d.StopOnClientAfter)
	}
	if v := g.PreventRescheduleOnLost; v != nil {
		differ("PreventRescheduleOnLost", d.Replace != nil && *d.Replace != *v)
	}
}

// validateTasks checks the tasks and what concerns them together.
func (g *TaskGroup) validateTasks(at spot, j *Job) {
	if len(g.Tasks) == 0 {
		at.bad("Tasks", "is empty: a group needs at least one task")
		return
	}
	at.elements("Tasks", len(g.Tasks))
	names := make(map[string]bool)
	leaders, mains := 0, 0
	for i, t := range g.Tasks {
		if t == nil {
			at.bad(fmt.Sprintf("Tasks[%d]", i), "is null: remove it")
			continue
		}
		if names[t.Name] {
			at.bad("Tasks", "has two tasks named %q: rename one", clip(t.Name))
		}
		names[t.Name] = true
		if t.Leader {
			leaders++
		}
		if t.Lifecycle == nil || t.Lifecycle.Hook == "" {
			mains++
		}
		t.validate(at.in("task %q", clip(t.Name)), j, g)
	}
	if leaders > 1 {
		at.bad("Tasks", "has %d tasks with Leader set: at most one can lead", leaders)
	}
	if mains == 0 {
		at.bad("Tasks", "has lifecycle tasks only: add a task without a lifecycle block")
	}
}

func (s *ScalingPolicy) validate(at spot, count int) {
	if s.Max == nil {
		at.bad("Max", "is missing")
		return
	}
	low := int64(0)
	if s.Min != nil {
		low = *s.Min
	}
	switch n := int64(count); {
	case low < 0:
		at.bad("Min", "%d is negative", low)
	case *s.Max > MaxGroupCount:
		at.bad("Max", "%d is above the maximum of %d", *s.Max, MaxGroupCount)
	case *s.Max < low:
		at.bad("Max", "%d is below Min, which is %d", *s.Max, low)
	case n < low || n > *s.Max:
		at.bad("Max", "the group's Count of %d is outside %d to %d", n, low, *s.Max)
	}
	at.oneOf("Type", s.Type, "horizontal")
}

// isDynamic reports whether text holds ${…}, known only on a node.
func isDynamic(s string) bool { return strings.Contains(s, "${") }

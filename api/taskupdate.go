package api

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// GroupUpdated reports whether going from old to new replaces the allocations
// of the group (true), or changes them in place (false). It adds to
// TasksUpdated the job's Meta, which is part of a task's environment, and the
// job's name and region, which are as well. A group that only one of the jobs
// has counts as updated.
func GroupUpdated(old, new *Job, group string) bool {
	o, n := old.Group(group), new.Group(group)
	if o == nil || n == nil {
		return true
	}
	return old.Name != new.Name || old.Region != new.Region || groupUpdated(old.Meta, new.Meta, o, n)
}

// TasksUpdated reports whether going from old to new needs new allocations:
// something changed that a running task can't take on. Everything else is
// updated in place. Both must be canonical.
func TasksUpdated(old, new *TaskGroup) bool { return groupUpdated(nil, nil, old, new) }

func groupUpdated(oldMeta, newMeta map[string]string, old, new *TaskGroup) bool {
	if len(old.Tasks) != len(new.Tasks) || differs(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), groupInPlace) {
		return true
	}
	for _, o := range old.Tasks {
		n := new.Task(o.Name)
		if n == nil || differs(reflect.ValueOf(o).Elem(), reflect.ValueOf(n).Elem(), taskInPlace) {
			return true
		}
		// A key may move between job, group and task: what counts is what the task sees.
		if !maps.Equal(mergedMeta(oldMeta, old.Meta, o.Meta), mergedMeta(newMeta, new.Meta, n.Meta)) {
			return true
		}
	}
	return false
}

func mergedMeta(levels ...map[string]string) map[string]string {
	m := make(map[string]string)
	for _, l := range levels {
		maps.Copy(m, l)
	}
	return m
}

// groupInPlace are the fields of a group whose change leaves its tasks alone,
// each with the reason. What is not listed (networks, volumes, ephemeral disk,
// consul …) is fixed when an allocation is placed and started.
var groupInPlace = map[string]string{
	"Name":                      "it identifies the group",
	"Count":                     "allocations are added or stopped",
	"Tasks":                     "compared one by one",
	"Meta":                      "compared as each task sees it",
	"Constraints":               "the scheduler checks the node again and moves the allocation if it no longer fits",
	"Affinities":                "they count at the next placement",
	"Spreads":                   "they count at the next placement",
	"RestartPolicy":             "read when a task ends",
	"ReschedulePolicy":          "read when an allocation fails",
	"Disconnect":                "read when a node falls silent",
	"StopAfterClientDisconnect": "as Disconnect",
	"MaxClientDisconnect":       "as Disconnect",
	"PreventRescheduleOnLost":   "as Disconnect",
	"Update":                    "read during a rollout",
	"Migrate":                   "read during a drain",
	"Services":                  "registered anew beside the running task",
	"ShutdownDelay":             "read when the allocation stops",
	"MaxRunDuration":            "read while the allocation runs",
	"Scaling":                   "for autoscalers",
}

// taskInPlace are the same for a task.
var taskInPlace = map[string]string{
	"Name":            "it identifies the task",
	"Meta":            "compared together with that of job and group",
	"Constraints":     "the scheduler checks the node again and moves the allocation if it no longer fits",
	"Affinities":      "they count at the next placement",
	"Services":        "registered anew beside the running task",
	"RestartPolicy":   "read when the task ends",
	"KillTimeout":     "read when the task is stopped",
	"KillSignal":      "read when the task is stopped",
	"ShutdownDelay":   "read when the task is stopped",
	"ScalingPolicies": "for autoscalers",
	"Actions":         "read when one is run",
}

// differs reports whether two structs differ in a field that is not excepted.
func differs(old, new reflect.Value, except map[string]string) bool {
	for f := range fieldsOf(old.Type()) {
		if _, ok := except[f.Name]; !ok && signature(old.FieldByIndex(f.Index)) != signature(new.FieldByIndex(f.Index)) {
			return true
		}
	}
	return false
}

// signature renders all that v holds, such that equal signatures mean no
// visible difference: nil and empty are the same, numbers compare by their
// text, and order counts.
func signature(v reflect.Value) string {
	var b strings.Builder
	sign(&b, v)
	return b.String()
}

func sign(b *strings.Builder, v reflect.Value) {
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
		v = v.Elem()
	}
	switch {
	case !v.IsValid():
	case v.Kind() == reflect.Struct:
		for f := range fieldsOf(v.Type()) {
			if m := v.FieldByIndex(f.Index); !m.IsZero() {
				b.WriteString(f.Name)
				b.WriteByte('{')
				sign(b, m)
				b.WriteByte('}')
			}
		}
	case v.Kind() == reflect.Map && v.Len() > 0:
		b.WriteByte('{')
		for _, k := range sortedKeys(v) {
			fmt.Fprintf(b, "%q:", k.String())
			sign(b, v.MapIndex(k))
			b.WriteByte(',')
		}
		b.WriteByte('}')
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() != reflect.Uint8:
		b.WriteByte('[')
		for i := range v.Len() {
			sign(b, v.Index(i))
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case v.Kind() == reflect.Map || v.Kind() == reflect.Slice && v.Len() == 0:
	default:
		fmt.Fprintf(b, "%q", text(v))
	}
}

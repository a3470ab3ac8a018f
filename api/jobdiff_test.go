package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// renderDiff prints what changed, one line each.
func renderDiff(d *JobDiff) string {
	var b strings.Builder
	var objects func(indent string, list []*ObjectDiff)
	fields := func(indent string, list []*FieldDiff) {
		for _, f := range list {
			if f.Type != DiffNone {
				fmt.Fprintf(&b, "%s%s %s: %q => %q\n", indent, f.Type, f.Name, f.Old, f.New)
			}
		}
	}
	objects = func(indent string, list []*ObjectDiff) {
		for _, o := range list {
			fmt.Fprintf(&b, "%s%s %s {}\n", indent, o.Type, o.Name)
			fields(indent+"  ", o.Fields)
			objects(indent+"  ", o.Objects)
		}
	}
	fmt.Fprintf(&b, "%s job %s\n", d.Type, d.ID)
	fields("  ", d.Fields)
	objects("  ", d.Objects)
	for _, g := range d.TaskGroups {
		fmt.Fprintf(&b, "  %s group %s\n", g.Type, g.Name)
		fields("    ", g.Fields)
		objects("    ", g.Objects)
		for _, t := range g.Tasks {
			fmt.Fprintf(&b, "    %s task %s\n", t.Type, t.Name)
			fields("      ", t.Fields)
			objects("      ", t.Objects)
		}
	}
	return b.String()
}

func TestDiffJobs(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new func(*Job)
		want     string
	}{
		{"what servers set", nil, func(j *Job) {
			j.Status, j.Version, j.ModifyIndex, j.SubmitTime, j.Stable, j.NomadTokenID = "running", 7, 99, 12345, true, "x"
			j.VersionTag = &JobVersionTag{Name: "v"}
		}, "None job example\n  None group cache\n    None task redis\n"},
		{"job fields", nil, func(j *Job) { j.Priority, j.Meta = 70, map[string]string{"team": "db"} },
			"Edited job example\n  Added Meta[team]: \"\" => \"db\"\n  Edited Priority: \"50\" => \"70\"\n  None group cache\n    None task redis\n"},
		{"datacenters are a set", func(j *Job) { j.Datacenters = []string{"a", "b"} }, func(j *Job) { j.Datacenters = []string{"c", "b"} },
			"Edited job example\n  Edited Datacenters {}\n    Deleted Datacenters: \"a\" => \"\"\n    Added Datacenters: \"\" => \"c\"\n  None group cache\n    None task redis\n"},
		{"order of a set", func(j *Job) { j.Datacenters = []string{"a", "b"} }, func(j *Job) { j.Datacenters = []string{"b", "a"} },
			"None job example\n  None group cache\n    None task redis\n"},
		{"count", nil, func(j *Job) { group(j).Count = ptr(3) },
			"Edited job example\n  Edited group cache\n    Edited Count: \"1\" => \"3\"\n    None task redis\n"},
		{"a group more", nil, func(j *Job) {
			j.TaskGroups = append([]*TaskGroup{{Name: "a"}}, j.TaskGroups...)
		}, "Added group a\n"},
		{"a group less", func(j *Job) { j.TaskGroups = append(j.TaskGroups, &TaskGroup{Name: "z"}) }, nil, "Deleted group z\n"},
		{"config", nil, func(j *Job) { task(j).Config = map[string]any{"image": "redis:8", "args": []any{"-v", 2.0}} },
			"      Edited Config {}\n        Added args[0]: \"\" => \"-v\"\n        Added args[1]: \"\" => \"2\"\n        Edited image: \"redis:7\" => \"redis:8\"\n"},
		{"numbers from HCL and JSON", func(j *Job) { task(j).Config["port"] = 6379 }, func(j *Job) { task(j).Config["port"] = 6379.0 },
			"None job example\n  None group cache\n    None task redis\n"},
		{"durations read as text", nil, func(j *Job) { task(j).KillTimeout = ptr(seconds(90)) }, "Edited KillTimeout: \"5s\" => \"1m30s\"\n"},
		{"constraints are a set", func(j *Job) {
			j.Constraints = []*Constraint{{LTarget: "a", RTarget: "1"}, {LTarget: "b", RTarget: "2"}}
		}, func(j *Job) {
			j.Constraints = []*Constraint{{LTarget: "b", RTarget: "2"}, {LTarget: "a", RTarget: "3"}}
		}, "  Deleted Constraint {}\n    Deleted LTarget: \"a\" => \"\"\n    Deleted Operand: \"=\" => \"\"\n    Deleted RTarget: \"1\" => \"\"\n  Added Constraint {}\n    Added LTarget: \"\" => \"a\"\n    Added Operand: \"\" => \"=\"\n    Added RTarget: \"\" => \"3\"\n"},
		{"services by name", func(j *Job) { task(j).Services = []*Service{{Name: "x", PortLabel: "80"}, {Name: "y"}} },
			func(j *Job) { task(j).Services = []*Service{{Name: "y"}, {Name: "x", PortLabel: "81"}} },
			"    Edited task redis\n      Edited Service {}\n        Edited PortLabel: \"80\" => \"81\"\n"},
		{"ports by label", func(j *Job) { ports(j, []Port{{Label: "web", Value: 80}}, []Port{{Label: "db"}}) },
			func(j *Job) { ports(j, []Port{{Label: "web", Value: 81}}, []Port{{Label: "db", To: 9}}) },
			"Dynamic Port {}"},
		{"resources", nil, func(j *Job) { task(j).Resources = &Resources{MemoryMB: 512} },
			"      Edited Resources {}\n        Edited MemoryMB: \"300\" => \"512\"\n"},
		{"nil and empty", func(j *Job) { j.Meta, j.Constraints = nil, nil }, func(j *Job) { j.Meta, j.Constraints = map[string]string{}, []*Constraint{} },
			"None job example\n  None group cache\n    None task redis\n"},
	} {
		got := renderDiff(DiffJobs(canonicalJob(tt.old), canonicalJob(tt.new)))
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestDiffOfNewAndGoneJobs(t *testing.T) {
	j := canonicalJob(nil)
	if d := DiffJobs(nil, nil); d.Type != DiffNone {
		t.Errorf("nothing: %s", d.Type)
	}
	added, gone := DiffJobs(nil, j), DiffJobs(j, nil)
	if added.Type != DiffAdded || added.ID != "example" || added.TaskGroups[0].Type != DiffAdded || added.TaskGroups[0].Tasks[0].Type != DiffAdded {
		t.Errorf("added:\n%s", renderDiff(added))
	}
	if gone.Type != DiffDeleted || gone.ID != "example" || gone.TaskGroups[0].Type != DiffDeleted || gone.TaskGroups[0].Tasks[0].Type != DiffDeleted {
		t.Errorf("deleted:\n%s", renderDiff(gone))
	}
}

func TestUnchangedFieldsGiveOrientation(t *testing.T) {
	d := DiffJobs(canonicalJob(nil), canonicalJob(func(j *Job) { task(j).Resources = &Resources{MemoryMB: 512} }))
	o := d.TaskGroups[0].Tasks[0].Objects[0]
	for _, f := range o.Fields {
		if f.Name == "CPU" && f.Type == DiffNone && f.Old == "100" {
			return
		}
	}
	t.Errorf("no CPU in %+v", o)
}

func TestDiffOfAnyJobWithItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := drawJob(t)
		j.Canonicalize()
		b, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		again := new(Job)
		if err := json.Unmarshal(b, again); err != nil {
			t.Fatal(err)
		}
		again.Canonicalize()
		if d := DiffJobs(j, again); d.Type != DiffNone {
			t.Fatalf("a phantom:\n%s", renderDiff(d))
		}
		other := drawJob(t)
		other.Canonicalize()
		one, two := DiffJobs(j, other), DiffJobs(j, other)
		if d := cmp.Diff(one, two); d != "" {
			t.Fatal("not deterministic:\n" + d)
		}
	})
}

// Every field of group and task is either in place, for a reason, or replaces.
func TestTasksUpdatedKnowsItsFields(t *testing.T) {
	check := func(typ reflect.Type, inPlace map[string]string) {
		for name, why := range inPlace {
			if _, ok := typ.FieldByName(name); !ok || why == "" {
				t.Errorf("%s.%s is no field, or has no reason", typ.Name(), name)
			}
		}
	}
	check(reflect.TypeFor[TaskGroup](), groupInPlace)
	check(reflect.TypeFor[Task](), taskInPlace)

	compared := []string{"Name", "Meta", "Tasks"}
	for f := range fieldsOf(reflect.TypeFor[Task]()) {
		if slices.Contains(compared, f.Name) {
			continue
		}
		old, new := canonicalJob(nil), canonicalJob(nil)
		if !setPath(reflect.ValueOf(task(new)), []string{f.Name}) {
			t.Fatalf("can't set %s", f.Name)
		}
		_, inPlace := taskInPlace[f.Name]
		if got := TasksUpdated(group(old), group(new)); got == inPlace {
			t.Errorf("Task.%s changed: updated is %v", f.Name, got)
		}
	}
	for f := range fieldsOf(reflect.TypeFor[TaskGroup]()) {
		if slices.Contains(compared, f.Name) {
			continue
		}
		old, new := canonicalJob(nil), canonicalJob(nil)
		if !setPath(reflect.ValueOf(group(new)), []string{f.Name}) {
			t.Fatalf("can't set %s", f.Name)
		}
		_, inPlace := groupInPlace[f.Name]
		if got := TasksUpdated(group(old), group(new)); got == inPlace {
			t.Errorf("TaskGroup.%s changed: updated is %v", f.Name, got)
		}
	}
}

func TestGroupUpdated(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new func(*Job)
		want     bool
	}{
		{"nothing", nil, nil, false},
		{"priority", nil, func(j *Job) { j.Priority = 80 }, false},
		{"job meta", nil, func(j *Job) { j.Meta = map[string]string{"a": "1"} }, true},
		{"meta moved from job to task", func(j *Job) { j.Meta = map[string]string{"a": "1"} },
			func(j *Job) { task(j).Meta = map[string]string{"a": "1"} }, false},
		{"meta hidden by the task", func(j *Job) { task(j).Meta = map[string]string{"a": "1"} },
			func(j *Job) { task(j).Meta = map[string]string{"a": "1"}; j.Meta = map[string]string{"a": "2"} }, false},
		{"image", nil, func(j *Job) { task(j).Config["image"] = "redis:8" }, true},
		{"task renamed", nil, func(j *Job) { task(j).Name = "other" }, true},
		{"group gone", nil, func(j *Job) { j.TaskGroups = nil }, true},
	} {
		if got := GroupUpdated(canonicalJob(tt.old), canonicalJob(tt.new), "cache"); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

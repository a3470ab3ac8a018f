package api

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// A change of one value anywhere in a job, in a block that a name tells from
// its siblings, shows as that one field and as nothing else.
func TestDiffShowsExactlyWhatChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawJob(t)
		old.Canonicalize()
		for i, g := range old.TaskGroups { // drawn names repeat
			g.Name = "group" + strconv.Itoa(i)
			for k, task := range g.Tasks {
				task.Name = "task" + strconv.Itoa(k)
			}
		}
		changed := copyJob(t, old)
		leaves := plainValues(nil, reflect.ValueOf(changed).Elem(), jobDiffSkips)
		for i, g := range changed.TaskGroups {
			leaves = plainValues(leaves, reflect.ValueOf(changed.TaskGroups[i]).Elem(), groupDiffSkips)
			for k := range g.Tasks {
				leaves = plainValues(leaves, reflect.ValueOf(g.Tasks[k]).Elem(), taskDiffSkips)
			}
		}
		at := rapid.IntRange(0, len(leaves)-1).Draw(t, "leaf")
		before := text(leaves[at].value)
		leaves[at].change()
		d := DiffJobs(old, changed)
		got := changedLeaves(d)
		if d.Type != DiffEdited || len(got) != 1 {
			t.Fatalf("%s was changed from %q, the difference is\n%s", leaves[at].name, before, renderDiff(d))
		}
		if f := got[0]; f.Name != leaves[at].name || f.Old != before || f.New != text(leaves[at].value) {
			t.Fatalf("%s was changed from %q to %q, the difference is\n%s", leaves[at].name, before, text(leaves[at].value), renderDiff(d))
		}
		if back := DiffJobs(changed, copyJob(t, changed)); back.Type != DiffNone {
			t.Fatalf("a phantom:\n%s", renderDiff(back))
		}
	})
}

func copyJob(t *rapid.T, j *Job) *Job {
	b, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	out := new(Job)
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// leaf is a value of a job that can be changed.
type leaf struct {
	name  string // as a difference shows it
	value reflect.Value
}

// change gives it another value.
func (l leaf) change() {
	switch v := l.value; v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	default:
		v.SetInt(v.Int() + 1)
	}
}

// plainValues adds the plain values of a block and of the single blocks in it.
func plainValues(out []leaf, block reflect.Value, skip map[string]bool) []leaf {
	for f := range fieldsOf(block.Type()) {
		v := block.FieldByIndex(f.Index)
		if skip[f.Name] || v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		}
		switch v = indirect(v); v.Kind() {
		case reflect.Struct:
			out = plainValues(out, v, nil)
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int8, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			out = append(out, leaf{f.Name, v})
		}
	}
	return out
}

func changedLeaves(d *JobDiff) []*FieldDiff {
	var out []*FieldDiff
	var objects func([]*ObjectDiff)
	fields := func(all []*FieldDiff) {
		for _, f := range all {
			if f.Type != DiffNone {
				out = append(out, f)
			}
		}
	}
	objects = func(all []*ObjectDiff) {
		for _, o := range all {
			fields(o.Fields)
			objects(o.Objects)
		}
	}
	fields(d.Fields)
	objects(d.Objects)
	for _, g := range d.TaskGroups {
		fields(g.Fields)
		objects(g.Objects)
		for _, t := range g.Tasks {
			fields(t.Fields)
			objects(t.Objects)
		}
	}
	return out
}

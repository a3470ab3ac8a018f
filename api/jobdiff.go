package api

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// DiffJobs returns what changes from old to new; either may be nil. Both must
// be canonical, else defaults show as changes. What servers set (status,
// version, indexes, times …) is left out, nil and empty count as the same,
// and numbers compare by their text, so that a job registered again unchanged
// has a diff of DiffNone.
//
// All groups and tasks are listed, matched by name, unchanged ones with
// DiffNone. Nested blocks with a name, label or destination are matched by it;
// other lists are sets. Order is by name. Fields that did not change appear
// only inside a changed block, for orientation.
func DiffJobs(old, new *Job) *JobDiff {
	o, n := reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem()
	d := &JobDiff{}
	switch {
	case old == nil && new == nil:
		d.Type = DiffNone
		return d
	case new != nil:
		d.ID = new.ID
	default:
		d.ID = old.ID
	}
	b := structDiff(o, n, reflect.TypeFor[Job](), jobDiffSkips)
	d.Fields, d.Objects = b.changedFields(), b.objects
	d.TaskGroups = groupDiffs(groupsOf(old), groupsOf(new))
	inside := slices.ContainsFunc(d.TaskGroups, func(g *TaskGroupDiff) bool { return g.Type != DiffNone })
	d.Type = diffType(old != nil, new != nil, inside || b.changed())
	return d
}

// jobDiffSkips are the fields of a job that its diff leaves out: what servers
// set, what must not be shown, and the groups, which have a part of their own.
var jobDiffSkips = func() map[string]bool {
	skips := map[string]bool{"ID": true, "TaskGroups": true, "ConsulToken": true, "VaultToken": true}
	for _, r := range fieldRules() {
		if r.noun == "Job" && r.Note == serverSet {
			for _, f := range strings.Fields(r.fields) {
				skips[f] = true
			}
		}
	}
	return skips
}()

var (
	groupDiffSkips = map[string]bool{"Name": true, "Tasks": true}
	taskDiffSkips  = map[string]bool{"Name": true}
)

func groupsOf(j *Job) map[string]*TaskGroup {
	m := make(map[string]*TaskGroup)
	if j != nil {
		for _, g := range j.TaskGroups {
			m[g.Name] = g
		}
	}
	return m
}

func tasksOf(g *TaskGroup) map[string]*Task {
	m := make(map[string]*Task)
	if g != nil {
		for _, t := range g.Tasks {
			m[t.Name] = t
		}
	}
	return m
}

func groupDiffs(old, new map[string]*TaskGroup) []*TaskGroupDiff {
	var out []*TaskGroupDiff
	for _, name := range unionKeys(old, new) {
		o, n := old[name], new[name]
		b := structDiff(reflect.ValueOf(o).Elem(), reflect.ValueOf(n).Elem(), reflect.TypeFor[TaskGroup](), groupDiffSkips)
		d := &TaskGroupDiff{Name: name, Fields: b.changedFields(), Objects: b.objects, Tasks: taskDiffs(tasksOf(o), tasksOf(n))}
		inside := slices.ContainsFunc(d.Tasks, func(t *TaskDiff) bool { return t.Type != DiffNone })
		d.Type = diffType(o != nil, n != nil, inside || b.changed())
		out = append(out, d)
	}
	return out
}

func taskDiffs(old, new map[string]*Task) []*TaskDiff {
	var out []*TaskDiff
	for _, name := range unionKeys(old, new) {
		o, n := old[name], new[name]
		b := structDiff(reflect.ValueOf(o).Elem(), reflect.ValueOf(n).Elem(), reflect.TypeFor[Task](), taskDiffSkips)
		out = append(out, &TaskDiff{
			Type: diffType(o != nil, n != nil, b.changed()), Name: name, Fields: b.changedFields(), Objects: b.objects,
		})
	}
	return out
}

func unionKeys[T any](a, b map[string]T) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func diffType(old, new, changed bool) string {
	switch {
	case !old && !new:
		return DiffNone
	case !old:
		return DiffAdded
	case !new:
		return DiffDeleted
	case changed:
		return DiffEdited
	}
	return DiffNone
}

// blockDiff is the difference of two values of one struct type.
type blockDiff struct {
	fields  []*FieldDiff // DiffNone included
	objects []*ObjectDiff
}

func (b *blockDiff) changed() bool { return len(b.objects) > 0 || len(b.changedFields()) > 0 }

func (b *blockDiff) changedFields() []*FieldDiff {
	var out []*FieldDiff
	for _, f := range b.fields {
		if f.Type != DiffNone {
			out = append(out, f)
		}
	}
	return out
}

// object returns the difference as a nested block, or nil if there is none.
func (b *blockDiff) object(name string, old, new bool) *ObjectDiff {
	kind := diffType(old, new, b.changed())
	if kind == DiffNone {
		return nil
	}
	return &ObjectDiff{Type: kind, Name: name, Fields: b.fields, Objects: b.objects}
}

func (b *blockDiff) sort() {
	slices.SortStableFunc(b.fields, func(x, y *FieldDiff) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortStableFunc(b.objects, func(x, y *ObjectDiff) int { return cmp.Compare(x.Name, y.Name) })
}

func (b *blockDiff) add(o *ObjectDiff) {
	if o != nil {
		b.objects = append(b.objects, o)
	}
}

// field adds one plain value; absent ones are "".
func (b *blockDiff) field(name, old, new string) {
	d := &FieldDiff{Name: name, Old: old, New: new}
	switch {
	case old == new:
		if d.Type = DiffNone; old == "" {
			return
		}
	case old == "":
		d.Type = DiffAdded
	case new == "":
		d.Type = DiffDeleted
	default:
		d.Type = DiffEdited
	}
	b.fields = append(b.fields, d)
}

// structDiff compares two structs of type t; an invalid value is an absent one.
func structDiff(old, new reflect.Value, t reflect.Type, skip map[string]bool) *blockDiff {
	b := &blockDiff{}
	for f := range fieldsOf(t) {
		if !skip[f.Name] {
			b.value(f.Name, f.Type, memberOf(old, f), memberOf(new, f))
		}
	}
	b.sort()
	return b
}

func memberOf(v reflect.Value, f reflect.StructField) reflect.Value {
	if !v.IsValid() {
		return v
	}
	return v.FieldByIndex(f.Index)
}

// value compares one field of a struct.
func (b *blockDiff) value(name string, t reflect.Type, old, new reflect.Value) {
	switch {
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		o, n := present(old), present(new)
		b.add(structDiff(o, n, t.Elem(), nil).object(name, o.IsValid(), n.IsValid()))
	case elemType(t).Kind() == reflect.Struct && t.Kind() == reflect.Slice:
		b.list(name, elemType(t), old, new)
	case elemType(t).Kind() == reflect.Struct && t.Kind() == reflect.Map:
		b.named(objectName(name, elemType(t)), elemType(t), mapElements(old), mapElements(new))
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String && name != "Args":
		b.set(name, old, new)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Interface:
		in := &blockDiff{}
		in.flat("", old, new)
		in.sort()
		b.add(in.object(name, length(old) > 0, length(new) > 0))
	default:
		b.flat(name, old, new)
	}
}

// set compares two lists of text whose order has no meaning.
func (b *blockDiff) set(name string, old, new reflect.Value) {
	in := &blockDiff{}
	o, n := counted(old), counted(new)
	for _, k := range unionKeys(o, n) {
		for range min(o[k], n[k]) {
			in.field(name, k, k)
		}
		for range o[k] - n[k] {
			in.field(name, k, "")
		}
		for range n[k] - o[k] {
			in.field(name, "", k)
		}
	}
	b.add(in.object(name, length(old) > 0, length(new) > 0))
}

// list compares two lists of blocks: matched by name where they have one, else as sets.
func (b *blockDiff) list(field string, t reflect.Type, old, new reflect.Value) {
	b.named(objectName(field, t), t, listElements(old), listElements(new))
}

// named compares blocks by their keys.
func (b *blockDiff) named(name string, t reflect.Type, old, new map[string]reflect.Value) {
	for _, k := range unionKeys(old, new) {
		o, n := old[k], new[k]
		b.add(structDiff(o, n, t, nil).object(name, o.IsValid(), n.IsValid()))
	}
}

// flat compares values of any depth as plain fields: args[0], labels[team].
func (b *blockDiff) flat(name string, old, new reflect.Value) {
	o, n := leaves(name, old), leaves(name, new)
	for _, k := range unionKeys(o, n) {
		b.field(k, o[k], n[k])
	}
}

// leaves returns the plain values that v holds, by their path from name.
func leaves(name string, v reflect.Value) map[string]string {
	out := make(map[string]string)
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
			v = v.Elem()
		}
		switch {
		case !v.IsValid():
		case v.Kind() == reflect.Map:
			for _, k := range v.MapKeys() {
				if path == "" {
					walk(k.String(), v.MapIndex(k))
				} else {
					walk(path+"["+k.String()+"]", v.MapIndex(k))
				}
			}
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		default:
			out[path] = text(v)
		}
	}
	walk(name, v)
	return out
}

// listElements keys the elements of a list by what names them, or for
// nameless ones by all they hold, so that equal elements meet; a number tells
// those with equal keys apart.
func listElements(list reflect.Value) map[string]reflect.Value {
	out := make(map[string]reflect.Value)
	for i := range length(list) {
		e := indirect(list.Index(i))
		key := diffKey(e)
		for n := 0; ; n++ {
			k := fmt.Sprintf("%s#%04d", key, n)
			if _, taken := out[k]; !taken {
				out[k] = e
				break
			}
		}
	}
	return out
}

func mapElements(m reflect.Value) map[string]reflect.Value {
	out := make(map[string]reflect.Value)
	if length(m) > 0 {
		for it := m.MapRange(); it.Next(); {
			out[it.Key().String()] = indirect(it.Value())
		}
	}
	return out
}

// diffKey names a block among its siblings.
func diffKey(e reflect.Value) string {
	for _, name := range []string{"Name", "Label", "DestPath", "Destination", "Attribute"} {
		if f := e.FieldByName(name); f.IsValid() && f.Kind() == reflect.String && f.Len() > 0 {
			return f.String()
		}
	}
	return signature(e)
}

// objectNames are the names of blocks that come in lists, where the type's
// name or the field's is not the word.
var objectNames = map[string]string{
	"ReservedPorts": "Static Port", "DynamicPorts": "Dynamic Port", "Networks": "Network", "Checks": "Check",
	"Artifacts": "Artifact", "Volumes": "Volume", "Devices": "Device", "Identities": "Identity",
}

func objectName(field string, t reflect.Type) string {
	if n, ok := objectNames[field]; ok {
		return n
	}
	return t.Name()
}

// present follows a pointer; nil and absent become the invalid value.
func present(v reflect.Value) reflect.Value {
	if !v.IsValid() || v.IsNil() {
		return reflect.Value{}
	}
	return v.Elem()
}

func length(v reflect.Value) int {
	if !v.IsValid() {
		return 0
	}
	return v.Len()
}

func counted(list reflect.Value) map[string]int {
	m := make(map[string]int)
	for i := range length(list) {
		m[list.Index(i).String()]++
	}
	return m
}

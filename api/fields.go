package api

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// SupportLevel says what a field of a job does in this release.
type SupportLevel string

// The levels, from weakest to strictest.
const (
	SupportWorks   SupportLevel = "works"   // has its effect
	SupportWarns   SupportLevel = "warns"   // kept and shown, without effect; the answer says so
	SupportRefused SupportLevel = "refused" // a job that sets it is refused: without the effect it would run wrongly or unsafely
)

// Support is what this release does with one field of a job.
type Support struct {
	Level  SupportLevel
	Values []string // values that work although others get Level
	Note   string
}

// FieldSupport returns the support of every field reachable from Job, by path
// ("Job.TaskGroups.Tasks.Templates.Splay"); lists and maps add nothing to a
// path. A field inside a block has at least the strictness of the block. The
// map is shared and must not be changed.
func FieldSupport() map[string]Support { return fieldSupport() }

var fieldSupport = sync.OnceValue(func() map[string]Support {
	rules := make(map[string]Support)
	for _, r := range fieldRules() {
		for _, f := range strings.Fields(r.fields) {
			rules[r.noun+"."+f] = r.Support
		}
	}
	out := make(map[string]Support)
	var walk func(t reflect.Type, path string, parent Support)
	walk = func(t reflect.Type, path string, parent Support) {
		if t = elemType(t); t.Kind() != reflect.Struct {
			return
		}
		for f := range fieldsOf(t) {
			s, known := effective(parent, rules, t.Name()+"."+f.Name)
			p := path + "." + f.Name
			if known {
				out[p] = s
			}
			walk(f.Type, p, s)
		}
	}
	walk(reflect.TypeFor[Job](), "Job", Support{Level: SupportWorks})
	return out
})

// effective returns the support of a field inside a block: its own rule where
// that is stricter, else the block's. Inside a block that works every field
// needs a rule of its own.
func effective(parent Support, rules map[string]Support, field string) (s Support, known bool) {
	own, ok := rules[field]
	if parent.Level == SupportWorks {
		return own, ok
	}
	if ok && own.Level == SupportRefused && parent.Level == SupportWarns {
		return own, true
	}
	return Support{Level: parent.Level, Note: "as the block"}, true
}

// Unsupported compares the job with FieldSupport: it returns a warning for
// every field that is set and has no effect, and an *Error naming every field
// that is set and refused.
func (j *Job) Unsupported() (warnings []string, err error) {
	r := &report{}
	j.unsupported(r)
	return r.warned(), r.err("job")
}

func (j *Job) unsupported(r *report) {
	w := supportWalk{support: FieldSupport(), report: r}
	w.fields(reflect.ValueOf(j).Elem(), "Job", spot{report: r}, false)
}

// supportWalk visits the fields of a job that are set.
type supportWalk struct {
	support map[string]Support
	report  *report
}

// fields visits the fields of a struct. Inside a block that warns already,
// only refusals are reported.
func (w *supportWalk) fields(v reflect.Value, path string, at spot, warned bool) {
	for f := range fieldsOf(v.Type()) {
		value, p := v.FieldByIndex(f.Index), path+"."+f.Name
		if unset(value) {
			continue
		}
		s := w.support[p]
		inner := warned
		switch {
		case s.Level == SupportWorks || slices.Contains(s.Values, text(value)):
		case s.Level == SupportRefused:
			at.bad(f.Name, "%s", s.because(value))
			continue
		case !warned:
			at.warn(f.Name, "%s", s.because(value))
			inner = true
		}
		w.nested(value, p, at, f.Name, inner)
	}
}

// nested visits what lies under one field.
func (w *supportWalk) nested(v reflect.Value, path string, at spot, name string, warned bool) {
	switch v.Kind() {
	case reflect.Pointer:
		w.nested(v.Elem(), path, at, name, warned)
	case reflect.Struct:
		w.fields(v, path, at.in("%s", name), warned)
	case reflect.Slice:
		for i := range v.Len() {
			if e := indirect(v.Index(i)); e.Kind() == reflect.Struct {
				w.fields(e, path, at.in("%s", element(name, i, e)), warned)
			}
		}
	case reflect.Map:
		for _, k := range sortedKeys(v) {
			if e := indirect(v.MapIndex(k)); e.Kind() == reflect.Struct {
				w.fields(e, path, at.in("%s %q", singular(name), k.String()), warned)
			}
		}
	}
}

// because says why a value is warned of or refused.
func (s Support) because(v reflect.Value) string {
	var b strings.Builder
	if len(s.Values) > 0 {
		fmt.Fprintf(&b, "%q ", text(v))
	}
	if s.Level == SupportRefused {
		b.WriteString("is not supported in this release")
	} else {
		b.WriteString("has no effect in this release")
	}
	if s.Note != "" {
		b.WriteString(": " + s.Note)
	}
	if len(s.Values) > 0 {
		fmt.Fprintf(&b, "; supported: %s", strings.Join(s.Values, ", "))
	}
	return b.String()
}

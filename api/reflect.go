package api

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// fieldsOf yields the fields of a struct type that appear in JSON.
func fieldsOf(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.IsExported() && f.Tag.Get("json") != "-" && !yield(f) {
				return
			}
		}
	}
}

// elemType returns what t is a list, map or pointer of, at any depth.
func elemType(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

func indirect(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v
}

// unset reports whether v is zero, empty, or a pointer to zero.
func unset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Pointer:
		return v.IsNil() || v.Elem().IsZero()
	}
	return v.IsZero()
}

// sortedKeys returns the keys of a map with text keys, in order.
func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// text renders a plain value for people: durations as "10s", numbers without
// an exponent, so that 6379 reads the same from HCL and from JSON, and nil as
// nothing.
func text(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return ""
		}
		return text(v.Elem())
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return string(v.Bytes())
		}
	}
	return fmt.Sprint(v.Interface())
}

// singularNames are the words for an element of a list or map field whose
// word is not the field's name without its s.
var singularNames = map[string]string{
	"TaskGroups": "group", "Tasks": "task", "Services": "service", "Checks": "check", "Volumes": "volume",
	"Networks": "network", "Templates": "template", "Artifacts": "artifact", "Devices": "device",
	"Constraints": "constraint", "Affinities": "affinity", "Spreads": "spread", "Actions": "action",
	"Secrets": "secret", "VolumeMounts": "volume_mount", "Identities": "identity",
}

func singular(field string) string {
	if s, ok := singularNames[field]; ok {
		return s
	}
	return strings.TrimSuffix(field, "s")
}

// element names one element of a list: by its name where it has one, else by
// its position.
func element(field string, i int, e reflect.Value) string {
	if n := labelOf(e); n != "" {
		return fmt.Sprintf("%s %q", singular(field), n)
	}
	return fmt.Sprintf("%s[%d]", field, i)
}

// labelOf returns what identifies a struct among its siblings, or "".
func labelOf(e reflect.Value) string {
	for _, name := range []string{"Name", "Label"} {
		if f := e.FieldByName(name); f.IsValid() && f.Kind() == reflect.String && f.Len() > 0 {
			return f.String()
		}
	}
	return ""
}

package jobspec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
)

// parseJSON reads a job file in JSON, the job itself or {"Job": …}. A member
// that no field takes is an error, as a mistyped name in HCL is; null ones
// mean nothing and pass.
func parseJSON(name string, src []byte) (*api.Job, error) {
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(src, &outer); err != nil {
		return nil, jsonError(name, src, 0, err)
	}
	text, base := src, 0
	if inner, ok := wrapped(outer); ok {
		base = bytes.Index(src, inner)
		text = inner
	}
	job := new(api.Job)
	if err := json.Unmarshal(text, job); err != nil {
		return nil, jsonError(name, src, base, err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, jsonError(name, src, base, err)
	}
	var problems []string
	unknownMembers(reflect.TypeFor[api.Job](), tree, "Job", &problems)
	if len(problems) > 0 {
		return nil, api.Errorf(api.CodeInvalid, "%s: %s", name, strings.Join(problems, "\n"+name+": "))
	}
	if job.ID == "" && job.TaskGroups == nil {
		return nil, api.Errorf(api.CodeInvalid, "%s: the file holds no job: write {\"Job\": {\"ID\": …}} or the job itself", name)
	}
	return job, nil
}

// wrapped returns the member Job of {"Job": …}.
func wrapped(outer map[string]json.RawMessage) (json.RawMessage, bool) {
	for k, v := range outer {
		if strings.EqualFold(k, "Job") && bytes.HasPrefix(v, []byte("{")) {
			return v, true
		}
	}
	return nil, false
}

// jsonError gives a decoding error its place. base is where the decoded part
// begins in src.
func jsonError(name string, src []byte, base int, err error) error {
	offset := int64(-1)
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typ):
		offset = typ.Offset
		err = fmt.Errorf("%s: %s is the wrong type of value, %s is needed", typ.Field, typ.Value, typ.Type)
	}
	if offset < 0 {
		return api.Errorf(api.CodeInvalid, "%s: %w", name, err)
	}
	at := min(base+int(offset), len(src))
	line := 1 + bytes.Count(src[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(src[:at], '\n')
	return api.Errorf(api.CodeInvalid, "%s:%d:%d: %w", name, line, column, err)
}

// unknownMembers notes members of a decoded tree that the type has no field for.
func unknownMembers(t reflect.Type, tree any, path string, problems *[]string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch x := tree.(type) {
	case []any:
		if t.Kind() == reflect.Slice {
			for i, e := range x {
				unknownMembers(t.Elem(), e, fmt.Sprintf("%s[%d]", path, i), problems)
			}
		}
	case map[string]any:
		if t.Kind() == reflect.Map {
			for _, k := range slices.Sorted(maps.Keys(x)) {
				unknownMembers(t.Elem(), x[k], path+"["+k+"]", problems)
			}
		}
		if t.Kind() != reflect.Struct {
			return
		}
		known := make(map[string]reflect.StructField)
		names := make([]string, 0, t.NumField())
		for i := range t.NumField() {
			f := t.Field(i)
			known[strings.ToLower(f.Name)] = f
			names = append(names, f.Name)
		}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			e := x[k]
			f, ok := known[strings.ToLower(k)]
			switch {
			case ok:
				unknownMembers(f.Type, e, path+"."+f.Name, problems)
			case e != nil && len(*problems) < maxDiags:
				*problems = append(*problems, fmt.Sprintf("%s has no member %q.%s", path, k, nearest(k, names)))
			}
		}
	}
}

package docker

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"

	"github.com/drover-org/drover/api"
)

// decoder turns the loosely typed maps that job files and agent configuration
// decode to into structs. A field takes the key in its "config" tag.
//
// Values are taken as people write them: a block may be a map or a list of
// maps, a list of one thing may be the thing, numbers and booleans may be
// strings and the other way round. An unknown key is an error that names the
// nearest known one.
type decoder struct {
	// references lets a ${…} reference stand for any value. The field then
	// keeps its zero value.
	references bool
}

// decode fills dst, a pointer to a struct, from m. path names m in errors.
func (d decoder) decode(path string, m map[string]any, dst any) error {
	return d.block(path, m, reflect.ValueOf(dst).Elem())
}

func (d decoder) block(path string, m map[string]any, dst reflect.Value) error {
	fields := map[string]reflect.Value{}
	for i := range dst.NumField() {
		if key := dst.Type().Field(i).Tag.Get("config"); key != "" {
			fields[key] = dst.Field(i)
		}
	}
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys) // the same error every time
	for _, key := range keys {
		field, ok := fields[key]
		if !ok {
			return unknownKey(path, key, fields)
		}
		if err := d.value(join(path, key), m[key], field); err != nil {
			return err
		}
	}
	return nil
}

func unknownKey(path, key string, known map[string]reflect.Value) error {
	best, distance := "", math.MaxInt
	for name := range known {
		n := levenshtein.Distance(key, name, nil)
		if n < distance || n == distance && name < best {
			best, distance = name, n
		}
	}
	return api.Errorf(api.CodeInvalid, "%s: unknown key; the nearest known one is %q", join(path, key), best)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var durationType = reflect.TypeFor[time.Duration]()

func (d decoder) value(path string, v any, dst reflect.Value) error {
	v = plain(v)
	if v == nil {
		return nil
	}
	if d.references && isReference(v) && dst.Kind() != reflect.String {
		return nil
	}
	switch {
	case dst.Type() == durationType:
		return decodeDuration(path, v, dst)
	case dst.Kind() == reflect.Pointer:
		target := reflect.New(dst.Type().Elem())
		if err := d.value(path, v, target.Elem()); err != nil {
			return err
		}
		dst.Set(target)
		return nil
	case dst.Kind() == reflect.Struct:
		m, err := oneBlock(path, v)
		if err != nil {
			return err
		}
		return d.block(path, m, dst)
	case dst.Kind() == reflect.Slice:
		return d.list(path, v, dst)
	case dst.Kind() == reflect.Map:
		return d.table(path, v, dst)
	}
	return scalar(path, v, dst)
}

// plain unwraps the typed lists and maps that Go callers write.
func plain(v any) any {
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Slice:
		if _, ok := v.([]any); ok {
			return v
		}
		list := make([]any, rv.Len())
		for i := range list {
			list[i] = rv.Index(i).Interface()
		}
		return list
	case reflect.Map:
		if _, ok := v.(map[string]any); ok || rv.Type().Key().Kind() != reflect.String {
			return v
		}
		m := make(map[string]any, rv.Len())
		for it := rv.MapRange(); it.Next(); {
			m[it.Key().String()] = it.Value().Interface()
		}
		return m
	}
	return v
}

func isReference(v any) bool {
	s, ok := v.(string)
	return ok && strings.Contains(s, "${")
}

// oneBlock accepts a map, or a list of one.
func oneBlock(path string, v any) (map[string]any, error) {
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case []any:
		if len(v) == 1 {
			if m, ok := plain(v[0]).(map[string]any); ok {
				return m, nil
			}
		}
		if len(v) > 1 {
			return nil, api.Errorf(api.CodeInvalid, "%s: %d blocks given; only one is allowed", path, len(v))
		}
	}
	return nil, wrongType(path, v, "a block")
}

func (d decoder) list(path string, v any, dst reflect.Value) error {
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, item := range items {
		if err := d.value(fmt.Sprintf("%s[%d]", path, i), item, list.Index(i)); err != nil {
			return err
		}
	}
	dst.Set(list)
	return nil
}

// table accepts a map, or a list of maps that are merged.
func (d decoder) table(path string, v any, dst reflect.Value) error {
	parts, ok := v.([]any)
	if !ok {
		parts = []any{v}
	}
	table := reflect.MakeMap(dst.Type())
	for _, part := range parts {
		m, ok := plain(part).(map[string]any)
		if !ok {
			return wrongType(path, part, "a map")
		}
		for key, item := range m {
			value := reflect.New(dst.Type().Elem()).Elem()
			if err := d.value(join(path, key), item, value); err != nil {
				return err
			}
			table.SetMapIndex(reflect.ValueOf(key), value)
		}
	}
	dst.Set(table)
	return nil
}

func scalar(path string, v any, dst reflect.Value) error {
	switch dst.Kind() {
	case reflect.String:
		s, ok := text(v)
		if !ok {
			return wrongType(path, v, "a string")
		}
		dst.SetString(s)
	case reflect.Bool:
		switch v := v.(type) {
		case bool:
			dst.SetBool(v)
		case string:
			b, err := strconv.ParseBool(v)
			if err != nil {
				return wrongType(path, v, "true or false")
			}
			dst.SetBool(b)
		default:
			return wrongType(path, v, "true or false")
		}
	case reflect.Int, reflect.Int64:
		n, ok := integer(v)
		if !ok {
			return wrongType(path, v, "a whole number")
		}
		dst.SetInt(n)
	default:
		return fmt.Errorf("%s: fields of type %s are not supported", path, dst.Type())
	}
	return nil
}

// text spells a scalar as people would write it.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case fmt.Stringer: // json.Number
		return v.String(), true
	}
	rv := reflect.ValueOf(v)
	switch {
	case rv.CanInt():
		return strconv.FormatInt(rv.Int(), 10), true
	case rv.CanUint():
		return strconv.FormatUint(rv.Uint(), 10), true
	}
	return "", false
}

func integer(v any) (int64, bool) {
	if f, ok := v.(float64); ok {
		return int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<53
	}
	if _, ok := v.(bool); ok {
		return 0, false
	}
	s, ok := text(v)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func decodeDuration(path string, v any, dst reflect.Value) error {
	s, ok := v.(string)
	if !ok {
		return wrongType(path, v, `a duration such as "5m"`)
	}
	t, err := time.ParseDuration(s)
	if err != nil || t < 0 {
		return wrongType(path, v, `a duration such as "5m"`)
	}
	dst.SetInt(int64(t))
	return nil
}

func wrongType(path string, v any, want string) error {
	s, ok := text(v)
	if !ok {
		s = fmt.Sprintf("a %T", v)
	} else {
		s = strconv.Quote(s)
	}
	return api.Errorf(api.CodeInvalid, "%s: %s given; it must be %s", path, s, want)
}

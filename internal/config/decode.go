package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder puts values into a Config, as the table allows.
type decoder struct {
	table    *table
	warnings []string
}

// file decodes a whole file over c.
func (d *decoder) file(v *value, c *Config) error {
	return d.object(v, nil, reflect.ValueOf(c).Elem())
}

// object decodes fields; dst is invalid below keys without effect.
func (d *decoder) object(v *value, path []string, dst reflect.Value) error {
	if v.kind == list { // JSON writes blocks as lists of objects as well
		for _, e := range v.list {
			if err := d.object(e, path, dst); err != nil {
				return err
			}
		}
		return nil
	}
	if v.kind != object {
		return fmt.Errorf("%v: %s must be a block, not %s", v.at, dotted(path), v.what())
	}
	for _, f := range v.object {
		if err := d.field(f, append(slices.Clip(path), f.name), dst); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) field(f field, path []string, parent reflect.Value) error {
	row, inner := d.table.find(path)
	switch {
	case row == nil && !inner:
		msg := fmt.Sprintf("%v: unknown key %s", f.value.at, dotted(path))
		if near := d.table.nearest(path); near != "" {
			msg += fmt.Sprintf(": did you mean %q?", near)
		}
		return fmt.Errorf("%s", msg)
	case row == nil:
		dst, done := child(parent, f.name)
		defer done()
		return d.object(f.value, path, dst)
	case row.Effect == Refused:
		if f.value.zero() || f.value.kind == scalar && slices.Contains(row.Harmless, fmt.Sprint(f.value.scalar)) {
			return nil
		}
		return fmt.Errorf("%v: %s can't be honoured: %s", f.value.at, dotted(path), row.Note)
	case row.Effect == Warns:
		d.warnings = append(d.warnings, fmt.Sprintf("%v: %s has no effect: %s", f.value.at, dotted(path), row.Note))
		return nil
	}
	dst, done := child(parent, f.name)
	defer done()
	if !dst.IsValid() {
		return fmt.Errorf("%v: %s has no place in the configuration: this is a bug", f.value.at, dotted(path))
	}
	if err := set(dst, f.value); err != nil {
		return fmt.Errorf("%v: %s %w", f.value.at, dotted(path), err)
	}
	return nil
}

// child returns the place of a key in a struct or map. Maps hold copies, which
// done puts back.
func child(parent reflect.Value, name string) (dst reflect.Value, done func()) {
	done = func() {}
	if !parent.IsValid() {
		return parent, done
	}
	switch parent.Kind() {
	case reflect.Struct:
		t := parent.Type()
		for i := range t.NumField() {
			if t.Field(i).Tag.Get("key") == name {
				return parent.Field(i), done
			}
		}
	case reflect.Map:
		if parent.IsNil() {
			parent.Set(reflect.MakeMap(parent.Type()))
		}
		key := reflect.ValueOf(name)
		item := reflect.New(parent.Type().Elem()).Elem()
		if old := parent.MapIndex(key); old.IsValid() {
			item.Set(old)
		}
		return item, func() { parent.SetMapIndex(key, item) }
	}
	return reflect.Value{}, done
}

// set puts a value where it belongs. The error goes on from the key's name.
func set(dst reflect.Value, v *value) error {
	switch dst.Interface().(type) {
	case time.Duration:
		return setDuration(dst, v)
	case map[string]any:
		if v.kind != object {
			return fmt.Errorf("must be a block, not %s", v.what())
		}
		if dst.IsNil() {
			dst.Set(reflect.ValueOf(map[string]any{}))
		}
		for k, p := range v.plain().(map[string]any) {
			dst.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(p))
		}
		return nil
	}
	return setScalar(dst, v)
}

func setDuration(dst reflect.Value, v *value) error {
	s, ok := v.scalar.(string)
	if !ok {
		return fmt.Errorf("must be a duration like \"30s\" or \"5m\", not %s", v.what())
	}
	dur, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("must be a duration like \"30s\" or \"5m\", not %q", s)
	}
	dst.SetInt(int64(dur))
	return nil
}

func setScalar(dst reflect.Value, v *value) error {
	switch dst.Kind() {
	case reflect.String:
		switch s := v.scalar.(type) {
		case string:
			dst.SetString(s)
			return nil
		case float64:
			dst.SetString(strconv.FormatFloat(s, 'f', -1, 64))
			return nil
		case bool:
			dst.SetString(strconv.FormatBool(s))
			return nil
		}
		return fmt.Errorf("must be text, not %s", v.what())
	case reflect.Bool:
		b, err := strconv.ParseBool(fmt.Sprint(v.scalar))
		if v.kind != scalar || err != nil {
			return fmt.Errorf("must be true or false, not %s", shown(v))
		}
		dst.SetBool(b)
	case reflect.Int, reflect.Float64:
		n, err := strconv.ParseFloat(fmt.Sprint(v.scalar), 64)
		if v.kind != scalar || err != nil {
			return fmt.Errorf("must be a number, not %s", shown(v))
		}
		if dst.Kind() == reflect.Float64 {
			dst.SetFloat(n)
			return nil
		}
		if n != math.Trunc(n) || math.Abs(n) > 1<<40 {
			return fmt.Errorf("must be a whole number, not %v", n)
		}
		dst.SetInt(int64(n))
	case reflect.Slice:
		return setList(dst, v)
	default:
		return fmt.Errorf("can't hold %s: this is a bug", v.what())
	}
	return nil
}

func setList(dst reflect.Value, v *value) error {
	items := v.list
	if v.kind == scalar {
		items = []*value{v}
	} else if v.kind == object {
		return fmt.Errorf("must be a list, not %s", v.what())
	}
	out := reflect.MakeSlice(dst.Type(), len(items), len(items))
	for i, item := range items {
		if err := setScalar(out.Index(i), item); err != nil {
			return fmt.Errorf("(item %d) %w", i+1, err)
		}
	}
	dst.Set(out)
	return nil
}

func shown(v *value) string {
	if v.kind == scalar && v.scalar != nil {
		return strconv.Quote(fmt.Sprint(v.scalar))
	}
	return v.what()
}

func dotted(path []string) string { return strconv.Quote(strings.Join(path, ".")) }

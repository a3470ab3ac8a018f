package api

import "reflect"

// Copy returns a deep copy: nothing reachable from it is shared with j. Nil
// stays nil and empty stays empty.
func (j *Job) Copy() *Job { return deepCopy(j) }

// Copy returns a deep copy of the group.
func (g *TaskGroup) Copy() *TaskGroup { return deepCopy(g) }

// Copy returns a deep copy of the task.
func (t *Task) Copy() *Task { return deepCopy(t) }

// deepCopy copies what v reaches through pointers, slices, maps and
// interfaces. It is for the nouns of this package: trees of exported fields,
// without cycles, channels or functions.
func deepCopy[T any](v T) T {
	var out T
	copyInto(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&v).Elem())
	return out
}

// copyInto sets dst, which is addressable and zero, to a deep copy of src.
func copyInto(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.New(src.Type().Elem()))
		copyInto(dst.Elem(), src.Elem())
	case reflect.Interface:
		if src.IsNil() {
			return
		}
		v := reflect.New(src.Elem().Type()).Elem()
		copyInto(v, src.Elem())
		dst.Set(v)
	case reflect.Slice:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			copyInto(dst.Index(i), src.Index(i))
		}
	case reflect.Map:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
		for it := src.MapRange(); it.Next(); {
			v := reflect.New(src.Type().Elem()).Elem()
			copyInto(v, it.Value())
			dst.SetMapIndex(it.Key(), v)
		}
	case reflect.Struct:
		for i := range src.NumField() {
			copyInto(dst.Field(i), src.Field(i))
		}
	default:
		dst.Set(src)
	}
}

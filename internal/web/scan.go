package web

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// scan walks JSON beside the Go type it was decoded into. It is used only
// when something in a body is wrong or unknown, to say where.
type scan struct {
	dec     *json.Decoder
	data    []byte
	fields  map[reflect.Type]map[string]reflect.Type // by lower-case JSON name
	unknown []string                                 // see Decode; at most maxUnknown

	target   int64 // > 0: look for the value at this offset
	refusals bool  // look for the value that its type's UnmarshalJSON refuses
	found    string
	foundAt  int64
	refused  error
	stopped  bool
}

// maxUnknown bounds how many unknown members are reported.
const maxUnknown = 50

func newScan(data []byte) *scan {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return &scan{dec: dec, data: data, fields: map[reflect.Type]map[string]reflect.Type{}}
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// value reads the next value, which belongs to t. A nil t stands for a place
// that takes anything.
func (s *scan) value(t reflect.Type, path string) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && reflect.PointerTo(t).Implements(unmarshaler) {
		s.custom(t, path)
		return
	}
	tok, err := s.dec.Token()
	if err != nil {
		s.stopped = true
		return
	}
	s.visit(path)
	if s.stopped {
		return
	}
	switch tok {
	case json.Delim('{'):
		s.object(t, path)
	case json.Delim('['):
		s.array(t, path)
	}
}

// visit ends the walk when the value just begun is the one looked for.
func (s *scan) visit(path string) {
	if s.target > 0 && s.dec.InputOffset() >= s.target {
		s.found, s.foundAt, s.stopped = path, s.target, true
	}
}

func (s *scan) object(t reflect.Type, path string) {
	for !s.stopped && s.dec.More() {
		tok, err := s.dec.Token()
		if err != nil {
			s.stopped = true
			return
		}
		name, _ := tok.(string)
		elem, known := s.member(t, name)
		at := name
		if path != "" {
			at = path + "." + name
		}
		if !known {
			s.skip(at)
			continue
		}
		s.value(elem, at)
	}
	s.end()
}

// member returns the type of t's member of that name.
func (s *scan) member(t reflect.Type, name string) (reflect.Type, bool) {
	if t == nil {
		return nil, true
	}
	switch t.Kind() {
	case reflect.Map:
		return t.Elem(), true
	case reflect.Struct:
		byName := s.fields[t]
		if byName == nil {
			byName = map[string]reflect.Type{}
			addFields(byName, t)
			s.fields[t] = byName
		}
		elem, ok := byName[strings.ToLower(name)]
		return elem, ok
	}
	return nil, true
}

// addFields adds the JSON members of a struct, embedded ones included.
func addFields(byName map[string]reflect.Type, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			e := f.Type
			if e.Kind() == reflect.Pointer {
				e = e.Elem()
			}
			if e.Kind() == reflect.Struct {
				addFields(byName, e)
			}
		case !f.IsExported() || f.Tag.Get("json") == "-":
		case tag != "":
			byName[strings.ToLower(tag)] = f.Type
		default:
			byName[strings.ToLower(f.Name)] = f.Type
		}
	}
}

func (s *scan) array(t reflect.Type, path string) {
	var elem reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		elem = t.Elem()
	}
	for i := 0; !s.stopped && s.dec.More(); i++ {
		s.value(elem, path+"["+strconv.Itoa(i)+"]")
	}
	s.end()
}

// end reads the closing delimiter.
func (s *scan) end() {
	if s.stopped {
		return
	}
	if _, err := s.dec.Token(); err != nil {
		s.stopped = true
	}
}

// custom reads a value whose type decodes itself.
func (s *scan) custom(t reflect.Type, path string) {
	var raw json.RawMessage
	if s.dec.Decode(&raw) != nil {
		s.stopped = true
		return
	}
	s.visit(path)
	if s.stopped || !s.refusals {
		return
	}
	if err := json.Unmarshal(raw, reflect.New(t).Interface()); err != nil {
		s.found, s.foundAt, s.refused, s.stopped = path, s.dec.InputOffset(), err, true
	}
}

// skip reads a value that has no place and notes it unless it is empty.
func (s *scan) skip(path string) {
	var raw json.RawMessage
	if s.dec.Decode(&raw) != nil {
		s.stopped = true
		return
	}
	if len(s.unknown) < maxUnknown && !emptyJSON(raw) {
		s.unknown = append(s.unknown, path)
	}
}

// emptyJSON reports whether a value says nothing: null, false, a zero number,
// "", or an array or object of nothing but such.
func emptyJSON(raw []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return false
	}
	return emptyValue(v)
}

func emptyValue(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		f, err := v.Float64()
		return err == nil && f == 0
	case []any:
		for _, e := range v {
			if !emptyValue(e) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, e := range v {
			if !emptyValue(e) {
				return false
			}
		}
		return true
	}
	return false
}

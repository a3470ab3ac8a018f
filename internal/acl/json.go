package acl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// parseJSON reads a policy in JSON into the same items as HCL: an object is a
// block, a list of objects several, anything else an argument.
func parseJSON(src string) ([]*item, error) {
	p := &jsonParser{src: []byte(src), dec: json.NewDecoder(bytes.NewReader([]byte(src)))}
	if _, err := p.token(); err != nil {
		return nil, err
	}
	items, err := p.object(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, p.errorf("there is something after the end of the object")
	}
	return items, nil
}

type jsonParser struct {
	src []byte
	dec *json.Decoder
}

func (p *jsonParser) line() int {
	return 1 + bytes.Count(p.src[:min(int(p.dec.InputOffset()), len(p.src))], []byte("\n"))
}

func (p *jsonParser) errorf(format string, args ...any) error {
	return &syntaxError{p.line(), fmt.Sprintf(format, args...)}
}

func (p *jsonParser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, p.errorf("the JSON ends early")
	}
	if err != nil {
		return nil, p.errorf("%v", err)
	}
	return t, nil
}

// object reads the members of an object whose { has been read.
func (p *jsonParser) object(depth int) ([]*item, error) {
	if depth > maxDepth {
		return nil, p.errorf("objects nest deeper than %d levels", maxDepth)
	}
	var out []*item
	for p.dec.More() {
		key, err := p.token()
		if err != nil {
			return nil, err
		}
		name, line := key.(string), p.line()
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, itemsOf(name, line, v)...)
	}
	_, err := p.token()
	return out, err
}

// itemsOf makes the items of one member.
func itemsOf(name string, line int, v any) []*item {
	switch v := v.(type) {
	case []*item:
		return []*item{{name: name, line: line, block: true, body: v}}
	case []any:
		if len(v) == 0 {
			break
		}
		if _, ok := v[0].([]*item); !ok {
			break
		}
		var out []*item
		for _, e := range v {
			out = append(out, itemsOf(name, line, e)...)
		}
		return out
	}
	return []*item{{name: name, line: line, value: v}}
}

// value reads a value: []*item for an object, []any for a list.
func (p *jsonParser) value(depth int) (any, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	d, ok := t.(json.Delim)
	switch {
	case !ok:
		return t, nil
	case d == '{':
		return p.object(depth + 1)
	case depth > maxDepth:
		return nil, p.errorf("lists nest deeper than %d levels", maxDepth)
	}
	list := []any{}
	for p.dec.More() {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err = p.token()
	return list, err
}

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// value is a piece of a configuration file, HCL or JSON, with its place.
type value struct {
	at     place
	scalar any // string, float64, bool or nil
	list   []*value
	object []field // in the file's order
	kind   kind
}

type kind uint8

const (
	scalar kind = iota
	list
	object
)

type field struct {
	name  string
	value *value
}

// place is where something stands; a flag has no line.
type place struct {
	file string
	line int
}

func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// parse reads a file; what begins with { is JSON.
func parse(file string, src []byte) (*value, error) {
	if trimmed := bytes.TrimSpace(src); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSON(file, src)
	}
	src = blockMaps(src)
	f, diags := hclsyntax.ParseConfig(src, file, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diagError(file, diags)
	}
	return bodyValue(file, 0, f.Body.(*hclsyntax.Body))
}

func diagError(file string, diags hcl.Diagnostics) error {
	d := diags.Errs()[0]
	var diag *hcl.Diagnostic
	if errors.As(d, &diag) && diag.Subject != nil {
		return fmt.Errorf("%v: %s: %s", place{file, diag.Subject.Start.Line}, diag.Summary, diag.Detail)
	}
	return fmt.Errorf("%s: %w", file, d)
}

// blockMaps makes objects of blocks with quoted keys: meta { "a.b" = "c" } is
// what people write, and only an object may have such keys.
func blockMaps(src []byte) []byte {
	tokens, diags := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	if diags.HasErrors() {
		return src // the parser says it better
	}
	var open []int // tokens of open braces
	quoted := map[int]bool{}
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace:
			open = append(open, i)
		case hclsyntax.TokenCBrace:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case hclsyntax.TokenEqual:
			if len(open) > 0 && tokens[i-1].Type == hclsyntax.TokenCQuote {
				quoted[open[len(open)-1]] = true
			}
		}
	}
	var out []byte
	done := 0
	for _, i := range slices.Sorted(maps.Keys(quoted)) {
		if i == 0 || tokens[i-1].Type != hclsyntax.TokenIdent {
			continue
		}
		at := tokens[i].Range.Start.Byte
		out = append(append(out, src[done:at]...), '=')
		done = at
	}
	return append(out, src[done:]...)
}

func bodyValue(file string, line int, body *hclsyntax.Body) (*value, error) {
	out := &value{at: place{file, line}, kind: object}
	attrs := make([]*hclsyntax.Attribute, 0, len(body.Attributes))
	for _, a := range body.Attributes {
		attrs = append(attrs, a)
	}
	slices.SortFunc(attrs, func(a, b *hclsyntax.Attribute) int { return a.NameRange.Start.Byte - b.NameRange.Start.Byte })
	for _, a := range attrs {
		v, err := exprValue(file, a.Expr)
		if err != nil {
			return nil, err
		}
		v.at.line = a.NameRange.Start.Line
		out.object = append(out.object, field{a.Name, v})
	}
	for _, b := range body.Blocks {
		v, err := bodyValue(file, b.TypeRange.Start.Line, b.Body)
		if err != nil {
			return nil, err
		}
		for i := len(b.Labels) - 1; i >= 0; i-- {
			v = &value{at: v.at, kind: object, object: []field{{b.Labels[i], v}}}
		}
		out.object = append(out.object, field{b.Type, v})
	}
	return out, nil
}

func exprValue(file string, e hclsyntax.Expression) (*value, error) {
	at := place{file, e.Range().Start.Line}
	switch e := e.(type) {
	case *hclsyntax.ObjectConsExpr:
		out := &value{at: at, kind: object}
		for _, item := range e.Items {
			key, diags := item.KeyExpr.Value(nil)
			if diags.HasErrors() || key.Type() != cty.String {
				return nil, fmt.Errorf("%v: the key is not text", place{file, item.KeyExpr.Range().Start.Line})
			}
			v, err := exprValue(file, item.ValueExpr)
			if err != nil {
				return nil, err
			}
			out.object = append(out.object, field{key.AsString(), v})
		}
		return out, nil
	case *hclsyntax.TupleConsExpr:
		out := &value{at: at, kind: list}
		for _, item := range e.Exprs {
			v, err := exprValue(file, item)
			if err != nil {
				return nil, err
			}
			out.list = append(out.list, v)
		}
		return out, nil
	}
	v, diags := e.Value(nil)
	if diags.HasErrors() {
		return nil, diagError(file, diags)
	}
	out := &value{at: at}
	switch {
	case v.IsNull():
	case v.Type() == cty.String:
		out.scalar = v.AsString()
	case v.Type() == cty.Bool:
		out.scalar = v.True()
	case v.Type() == cty.Number:
		out.scalar, _ = v.AsBigFloat().Float64()
	default:
		return nil, fmt.Errorf("%v: a value of type %s has no place here", at, v.Type().FriendlyName())
	}
	return out, nil
}

func parseJSON(file string, src []byte) (*value, error) {
	p := &jsonParser{file: file, src: src, dec: json.NewDecoder(bytes.NewReader(src))}
	v, err := p.value()
	if err == nil {
		if _, end := p.dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("there is more after the end of the object")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w", p.at(), err)
	}
	return v, nil
}

type jsonParser struct {
	file string
	src  []byte
	dec  *json.Decoder
}

func (p *jsonParser) at() place {
	return place{p.file, 1 + bytes.Count(p.src[:p.dec.InputOffset()], []byte{'\n'})}
}

func (p *jsonParser) value() (*value, error) {
	t, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	out := &value{at: p.at()}
	switch t {
	case json.Delim('{'):
		out.kind = object
		for p.dec.More() {
			key, err := p.dec.Token()
			if err != nil {
				return nil, err
			}
			at := p.at()
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			v.at = at
			out.object = append(out.object, field{key.(string), v})
		}
		_, err = p.dec.Token()
	case json.Delim('['):
		out.kind = list
		for p.dec.More() {
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			out.list = append(out.list, v)
		}
		_, err = p.dec.Token()
	default:
		out.scalar = t
	}
	return out, err
}

// plain returns v as maps, slices and scalars, for a driver to read. Blocks
// that are repeated become a list.
func (v *value) plain() any {
	switch v.kind {
	case list:
		out := make([]any, len(v.list))
		for i, e := range v.list {
			out[i] = e.plain()
		}
		return out
	case object:
		out := make(map[string]any, len(v.object))
		for _, f := range v.object {
			p := f.value.plain()
			if old, ok := out[f.name]; ok {
				if l, ok := old.([]any); ok {
					p = append(l, p)
				} else {
					p = []any{old, p}
				}
			}
			out[f.name] = p
		}
		return out
	}
	return v.scalar
}

// what names v's type to people.
func (v *value) what() string {
	switch v.kind {
	case list:
		return "a list"
	case object:
		return "a block"
	}
	switch v.scalar.(type) {
	case string:
		return "text"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	}
	return "null"
}

// zero reports whether v asks for nothing: absent, false, empty or 0.
func (v *value) zero() bool {
	switch v.kind {
	case list:
		return len(v.list) == 0
	case object:
		for _, f := range v.object {
			if !f.value.zero() {
				return false
			}
		}
		return true
	}
	switch s := v.scalar.(type) {
	case string:
		return s == "" || strings.EqualFold(s, "false")
	case float64:
		return s == 0
	case bool:
		return !s
	}
	return true
}

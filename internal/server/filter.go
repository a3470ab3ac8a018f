package server

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/drover-org/drover/api"
	"github.com/hashicorp/go-bexpr"
	"github.com/hashicorp/go-bexpr/grammar"
)

// Bounds of a filter expression.
const (
	maxFilterSize  = 8 << 10
	maxFilterSteps = 100_000
)

// newFilter compiles a filter expression over T, a pointer to a struct. The
// whole expression is checked against the type before any object is, so a bad
// one is refused even when there is nothing to filter. An object that lacks
// what the expression looks at, such as a nil pointer on the way, does not
// match. Without an expression the filter is nil.
func newFilter[T any](expr string) (func(T) bool, error) {
	if expr == "" {
		return nil, nil
	}
	if len(expr) > maxFilterSize {
		return nil, api.Errorf(api.CodeInvalid, "query parameter \"filter\" is too long: %d bytes, at most %d", len(expr), maxFilterSize)
	}
	ast, err := grammar.Parse("", []byte(expr), grammar.MaxExpressions(maxFilterSteps))
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "query parameter \"filter\" is not a filter expression: %w", err)
	}
	root, ok := ast.(grammar.Expression)
	if !ok {
		return nil, api.Errorf(api.CodeInvalid, "query parameter \"filter\" is not a filter expression")
	}
	if err := (filterCheck{root: reflect.TypeFor[T]()}).expression(root, nil); err != nil {
		return nil, err
	}
	eval, err := bexpr.CreateEvaluator(expr, bexpr.WithMaxExpressions(maxFilterSteps))
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "query parameter \"filter\" is not a filter expression: %w", err)
	}
	return func(item T) bool {
		ok, err := eval.Evaluate(item)
		return err == nil && ok
	}, nil
}

// filterCheck checks an expression against a type.
type filterCheck struct{ root reflect.Type }

// expression checks e; bound are the names that surrounding any/all clauses
// introduced, whose values are not checked.
func (c filterCheck) expression(e grammar.Expression, bound []string) error {
	switch e := e.(type) {
	case *grammar.UnaryExpression:
		return c.expression(e.Operand, bound)
	case *grammar.BinaryExpression:
		if err := c.expression(e.Left, bound); err != nil {
			return err
		}
		return c.expression(e.Right, bound)
	case *grammar.CollectionExpression:
		if _, err := c.resolve(e.Selector, bound); err != nil {
			return err
		}
		nb := e.NameBinding
		return c.expression(e.Inner, append(bound, nb.Default, nb.Index, nb.Value))
	case *grammar.MatchExpression:
		return c.match(e, bound)
	}
	return nil
}

func (c filterCheck) match(e *grammar.MatchExpression, bound []string) error {
	t, err := c.resolve(e.Selector, bound)
	if err != nil || t == nil {
		return err
	}
	kind := t.Kind()
	wrong := func(need string) error {
		return api.Errorf(api.CodeInvalid, "filter: selector %q is %s, and this operator needs %s", e.Selector.String(), kindWord(kind), need)
	}
	switch e.Operator {
	case grammar.MatchEqual, grammar.MatchNotEqual:
		if isContainer(kind) {
			return wrong("a plain value")
		}
		return c.value(e, kind)
	case grammar.MatchMatches, grammar.MatchNotMatches:
		if kind != reflect.String {
			return wrong("text")
		}
		if _, err := regexp.Compile(e.Value.Raw); err != nil {
			return api.Errorf(api.CodeInvalid, "filter: %q is not a regular expression: %w", e.Value.Raw, err)
		}
	case grammar.MatchIn, grammar.MatchNotIn, grammar.MatchContains, grammar.MatchNotContains, grammar.MatchIsEmpty, grammar.MatchIsNotEmpty:
		if kind != reflect.String && kind != reflect.Map && kind != reflect.Slice {
			return wrong("text, a list or a map")
		}
	}
	return nil
}

// value checks that the literal can be compared with a value of that kind.
func (c filterCheck) value(e *grammar.MatchExpression, kind reflect.Kind) error {
	raw := e.Value.Raw
	var err error
	switch kind {
	case reflect.Bool:
		_, err = strconv.ParseBool(raw)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		_, err = strconv.ParseInt(raw, 0, 64)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		_, err = strconv.ParseUint(raw, 0, 64)
	case reflect.Float32, reflect.Float64:
		_, err = strconv.ParseFloat(raw, 64)
	}
	if err != nil {
		return api.Errorf(api.CodeInvalid, "filter: selector %q is %s, which can't be compared with %q", e.Selector.String(), kindWord(kind), raw)
	}
	return nil
}

// resolve follows a selector through the type; nil when it ends where
// anything may be.
func (c filterCheck) resolve(sel grammar.Selector, bound []string) (reflect.Type, error) {
	t := c.root
	for i, part := range sel.Path {
		if i == 0 {
			for _, name := range bound {
				if name != "" && name == part {
					return nil, nil
				}
			}
		}
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Interface:
			return nil, nil
		case reflect.Map:
			t = t.Elem()
		case reflect.Slice, reflect.Array:
			if n, err := strconv.Atoi(part); err != nil || n < 0 {
				return nil, api.Errorf(api.CodeInvalid, "filter: selector %q: %q is not a position in a list", sel.String(), part)
			}
			t = t.Elem()
		case reflect.Struct:
			f, ok := t.FieldByName(part)
			if !ok || !f.IsExported() {
				return nil, api.Errorf(api.CodeInvalid, "filter: selector %q: there is no %q, %s", sel.String(), part, nearest(t, part))
			}
			t = f.Type
		default:
			return nil, api.Errorf(api.CodeInvalid, "filter: selector %q: %q is %s and has no members", sel.String(), strings.Join(sel.Path[:i], "."), kindWord(t.Kind()))
		}
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface {
		return nil, nil
	}
	return t, nil
}

// nearest names the member of t that looks most like name.
func nearest(t reflect.Type, name string) string {
	best, distance := "", 0
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		d := levenshtein.Distance(strings.ToLower(f.Name), strings.ToLower(name), nil)
		if best == "" || d < distance {
			best, distance = f.Name, d
		}
	}
	return "the nearest is " + strconv.Quote(best)
}

func isContainer(k reflect.Kind) bool {
	return k == reflect.Struct || k == reflect.Map || k == reflect.Slice || k == reflect.Array
}

func kindWord(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Struct:
		return "an object"
	case reflect.Map:
		return "a map"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "a number"
}

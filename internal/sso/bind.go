package sso

import (
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/go-bexpr"
	"github.com/hashicorp/go-bexpr/grammar"
)

// Bounds of a selector.
const (
	maxSelectorSize  = 8 << 10
	maxSelectorSteps = 10_000
)

// Selector says whom a binding rule is for.
type Selector struct{ eval *bexpr.Evaluator }

// ParseSelector reads an expression over value.NAME and list.NAME, such as
// `"ops" in list.groups and value.country != "aq"`. The empty one fits
// everybody.
func ParseSelector(text string) (*Selector, error) {
	if text == "" {
		return &Selector{}, nil
	}
	if len(text) > maxSelectorSize {
		return nil, api.Errorf(api.CodeInvalid, "Selector: it has %d bytes, at most %d are possible", len(text), maxSelectorSize)
	}
	ast, err := grammar.Parse("", []byte(text), grammar.MaxExpressions(maxSelectorSteps))
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "Selector: %q is not an expression: %w", text, err)
	}
	if err := checkSelector(ast, nil); err != nil {
		return nil, err
	}
	eval, err := bexpr.CreateEvaluator(text, bexpr.WithMaxExpressions(maxSelectorSteps))
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "Selector: %q is not an expression: %w", text, err)
	}
	return &Selector{eval}, nil
}

// checkSelector refuses names that no identity has; bound are those that
// surrounding any/all clauses introduced.
func checkSelector(e any, bound []string) error {
	var sel grammar.Selector
	switch e := e.(type) {
	case *grammar.UnaryExpression:
		return checkSelector(e.Operand, bound)
	case *grammar.BinaryExpression:
		if err := checkSelector(e.Left, bound); err != nil {
			return err
		}
		return checkSelector(e.Right, bound)
	case *grammar.CollectionExpression:
		inner := append(slices.Clone(bound), e.NameBinding.Default, e.NameBinding.Index, e.NameBinding.Value)
		if err := checkSelector(e.Inner, inner); err != nil {
			return err
		}
		sel = e.Selector
	case *grammar.MatchExpression:
		sel = e.Selector
	default:
		return nil
	}
	if len(sel.Path) > 0 && (slices.Contains(bound, sel.Path[0]) || sel.Path[0] == "value" || sel.Path[0] == "list") {
		return nil
	}
	return api.Errorf(api.CodeInvalid, "Selector: there is no %q: write value.NAME or list.NAME with a name of the method's ClaimMappings or ListClaimMappings", sel.String())
}

// Matches reports whether somebody fits. A value he lacks is none that it is
// compared with, and a list he lacks holds nothing.
func (s *Selector) Matches(id *Identity) bool {
	if s.eval == nil {
		return true
	}
	ok, err := s.eval.Evaluate(id)
	return err == nil && ok
}

// Template is text in which ${NAME} stands for a value.
type Template struct {
	parts []string // text and names by turns
}

// ParseTemplate reads a template; "$${" stands for "${".
func ParseTemplate(text string) (*Template, error) {
	t := &Template{}
	plain := ""
	for rest := text; ; {
		at := strings.Index(rest, "${")
		if at < 0 {
			t.parts = append(t.parts, plain+rest)
			return t, nil
		}
		if at > 0 && rest[at-1] == '$' {
			plain += rest[:at-1] + "${"
			rest = rest[at+2:]
			continue
		}
		name, after, ok := strings.Cut(rest[at+2:], "}")
		if !ok {
			return nil, api.Errorf(api.CodeInvalid, "%q: \"${\" has no \"}\"", text)
		}
		t.parts = append(t.parts, plain+rest[:at], strings.TrimSpace(name))
		plain, rest = "", after
	}
}

// Names are what the template needs.
func (t *Template) Names() []string {
	var out []string
	for i := 1; i < len(t.parts); i += 2 {
		out = append(out, t.parts[i])
	}
	return out
}

// Expand fills in values. It returns false when one is missing or empty: a
// name with a hole in it is another name.
func (t *Template) Expand(values map[string]string) (string, bool) {
	var b strings.Builder
	for i, part := range t.parts {
		if i%2 == 1 {
			if part = values[part]; part == "" {
				return "", false
			}
		}
		b.WriteString(part)
	}
	return b.String(), true
}

// Vars are the values that templates may name.
func (id *Identity) Vars() map[string]string {
	out := make(map[string]string, len(id.Values))
	for name, v := range id.Values {
		out["value."+name] = v
	}
	return out
}

package jobspec

import (
	"fmt"

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Bounds of a file's structure. The parser and the evaluator recurse over it,
// so what is deep here is deep on the stack.
const (
	maxNesting   = 100     // brackets, braces and templates inside each other
	maxOperators = 20_000  // operators and indexes, which may form one chain
	maxTokens    = 200_000 // all there is
)

// evaluationBudget is how much work the expressions of a file may cause, in
// steps: a value made, 32 bytes of text made, a round of a loop. A whole
// budget takes about half a second; a large job needs some tenths of it.
const evaluationBudget = 300_000

// maxProduct bounds functions whose result grows with the product of their
// arguments' sizes.
const maxProduct = 64 << 20

// maxExponent bounds numbers (2^±n): their text has as many digits.
const maxExponent = 4096

// checkStructure refuses text whose nesting or length would exhaust the parser.
func checkStructure(name string, src []byte) hcl.Diagnostics {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos) // the parser reports what is wrong with them
	refuse := func(at hcl.Range, format string, args ...any) hcl.Diagnostics {
		return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Too complex", Detail: fmt.Sprintf(format, args...), Subject: &at}}
	}
	depth, operators := 0, 0
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenOBrack:
			depth++
			operators++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCParen, hclsyntax.TokenCBrack, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent,
			hclsyntax.TokenBang, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenQuestion, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual,
			hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq:
			operators++
		}
		switch {
		case depth > maxNesting:
			return refuse(t.Range, "Brackets and templates are nested more than %d deep.", maxNesting)
		case operators > maxOperators:
			return refuse(t.Range, "The file has more than %d operators and indexes.", maxOperators)
		case i > maxTokens:
			return refuse(t.Range, "The file has more than %d tokens.", maxTokens)
		}
	}
	return nil
}

// meter counts the work of evaluation and ends it by a panic with overBudget,
// the evaluator having no other way to stop; catch turns it into an error.
type meter struct{ left int }

type overBudget struct{}

func newMeter() *meter { return &meter{left: evaluationBudget} }

func (m *meter) spend(n int) {
	if m.left -= n; m.left < 0 {
		m.left = -1
		panic(overBudget{})
	}
}

// value spends what a value's size is.
func (m *meter) value(v cty.Value) {
	m.spend(1)
	if v.IsMarked() || !v.IsKnown() || v.IsNull() {
		return
	}
	switch t := v.Type(); {
	case t == cty.String:
		m.spend(len(v.AsString()) / 32)
	case t == cty.Number:
		f := v.AsBigFloat()
		if e := f.MantExp(nil); f.IsInf() || e > maxExponent || e < -maxExponent {
			m.spend(m.left + 1)
		}
	case v.CanIterateElements():
		if t.IsTupleType() || t.IsObjectType() { // making a list or map of it compares the types of all with all
			n := v.LengthInt()
			m.spend(n * n / 500)
		}
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			m.value(e)
		}
	}
}

// catch is deferred where evaluation begins.
func (m *meter) catch(name string, err *error) {
	switch r := recover(); r.(type) {
	case nil:
		if m.left < 0 { // a function swallowed the panic
			*err = tooExpensive(name)
		}
	case overBudget:
		*err = tooExpensive(name)
	default:
		panic(r)
	}
}

func tooExpensive(name string) error {
	return api.Errorf(api.CodeInvalid, "%s: evaluating the file takes too much work: make loops, ranges, text and numbers in it smaller", name)
}

// growing are the functions whose result may be as large as the product of
// their arguments.
var growing = map[string]bool{
	"join": true, "replace": true, "regex_replace": true, "setproduct": true, "formatlist": true, "indent": true,
}

// metered returns f with its arguments and result counted. check, if any,
// looks at the arguments first.
func (m *meter) metered(name string, f function.Function, check func([]cty.Value) error) function.Function {
	before := func(args []cty.Value) error {
		product := 1
		for _, a := range args {
			had := m.left
			m.value(a)
			product *= 1 + 32*(had-m.left-1)
			if growing[name] && product > maxProduct {
				return fmt.Errorf("the result may be too large")
			}
			product = min(product, maxProduct)
		}
		if price := prices[name]; price != nil {
			m.spend(price(args))
		}
		if check != nil {
			return check(args)
		}
		return nil
	}
	return function.New(&function.Spec{
		Description: f.Description(),
		Params:      f.Params(),
		VarParam:    f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := before(args); err != nil {
				return cty.DynamicPseudoType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := f.Call(args)
			if err == nil {
				m.value(v)
			}
			return v, err
		},
	})
}

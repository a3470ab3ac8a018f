package jobspec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// onNode reports whether a name is known only where the task runs, so that
// ${name…} stays in the text for the node.
func onNode(root string) bool {
	switch root {
	case "node", "attr", "meta", "env", "device", "volume", "JOB", "TASKGROUP", "TASK", "BASE":
		return true
	}
	return strings.HasPrefix(root, "NOMAD_")
}

// maxPlain is how many elements a written list or map may have before it is
// metered where it stands.
const maxPlain = 1000

// rewriter changes expressions before they are evaluated: what only a node
// knows becomes text, and what takes work is metered. bound are the names that
// loops around the expression give a meaning here.
type rewriter struct {
	src   []byte
	meter *meter
	bound []string
	diags hcl.Diagnostics
}

// with returns a rewriter for inside a loop over names.
func (r *rewriter) with(names ...string) *rewriter {
	return &rewriter{src: r.src, meter: r.meter, bound: append(r.bound[:len(r.bound):len(r.bound)], names...)}
}

// rewriteBody changes every expression in a body. Types and validation rules
// of variables keep their form, which is read statically.
func rewriteBody(body *hclsyntax.Body, r *rewriter) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, a := range body.Attributes {
		a.Expr = r.metered(r.expr(a.Expr, true))
	}
	diags = append(diags, r.diags...)
	r.diags = nil
	for _, b := range body.Blocks {
		inner := r
		switch {
		case b.Type == "variable":
			inner = r.with()
			typ := b.Body.Attributes["type"]
			if typ != nil {
				keep := typ.Expr
				diags = append(diags, rewriteBody(b.Body, inner)...)
				typ.Expr = keep
				continue
			}
		case b.Type == "dynamic" && len(b.Labels) == 1:
			diags = append(diags, r.dynamic(b)...)
			continue
		}
		diags = append(diags, rewriteBody(b.Body, inner)...)
	}
	return diags
}

// dynamic changes a dynamic block: in its labels and content the iterator's
// name has a meaning, for example in dynamic "volume".
func (r *rewriter) dynamic(b *hclsyntax.Block) hcl.Diagnostics {
	name := b.Labels[0]
	iterator := b.Body.Attributes["iterator"]
	if iterator != nil {
		if k := hcl.ExprAsKeyword(iterator.Expr); k != "" {
			name = k
		}
	}
	outside, inside := r.with(), r.with(name)
	for _, a := range b.Body.Attributes {
		switch a.Name {
		case "iterator":
		case "labels":
			a.Expr = r.metered(inside.expr(a.Expr, true))
		default:
			a.Expr = r.metered(outside.expr(a.Expr, true))
		}
	}
	diags := append(outside.diags, inside.diags...)
	inside.diags = nil
	for _, c := range b.Body.Blocks {
		diags = append(diags, rewriteBody(c.Body, inside)...)
	}
	return diags
}

// expr returns e changed. asText says that the value is used as it is, so
// that a reference to the node may stand for it as text.
func (r *rewriter) expr(e hclsyntax.Expression, asText bool) hclsyntax.Expression {
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return r.traversal(e, asText)
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.Number && e.Val.IsKnown() && !e.Val.IsNull() {
			r.meter.value(e.Val)
		}
	case *hclsyntax.TemplateExpr:
		for i, part := range e.Parts {
			if _, plain := part.(*hclsyntax.LiteralValueExpr); !plain {
				part = r.metered(r.expr(part, true))
			}
			e.Parts[i] = part
		}
	case *hclsyntax.TemplateWrapExpr:
		e.Wrapped = r.expr(e.Wrapped, true)
	case *hclsyntax.TemplateJoinExpr:
		e.Tuple = r.expr(e.Tuple, asText)
	case *hclsyntax.ParenthesesExpr:
		e.Expression = r.expr(e.Expression, asText)
	case *hclsyntax.TupleConsExpr:
		for i := range e.Exprs {
			e.Exprs[i] = r.expr(e.Exprs[i], asText)
		}
		if len(e.Exprs) > maxPlain {
			return r.metered(e)
		}
	case *hclsyntax.ObjectConsExpr:
		for i := range e.Items {
			if k, ok := e.Items[i].KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok && (k.ForceNonLiteral || hcl.ExprAsKeyword(k.Wrapped) == "") {
				k.Wrapped = r.expr(k.Wrapped, true)
			}
			e.Items[i].ValueExpr = r.expr(e.Items[i].ValueExpr, asText)
		}
		if len(e.Items) > maxPlain {
			return r.metered(e)
		}
	case *hclsyntax.ConditionalExpr:
		e.Condition = r.expr(e.Condition, false)
		e.TrueResult, e.FalseResult = r.expr(e.TrueResult, asText), r.expr(e.FalseResult, asText)
	case *hclsyntax.ForExpr:
		r.loop(e, asText)
		return r.metered(e)
	case *hclsyntax.FunctionCallExpr:
		for i := range e.Args {
			e.Args[i] = r.expr(e.Args[i], false)
		}
	case *hclsyntax.BinaryOpExpr:
		e.LHS, e.RHS = r.expr(e.LHS, false), r.expr(e.RHS, false)
	case *hclsyntax.UnaryOpExpr:
		e.Val = r.expr(e.Val, false)
	case *hclsyntax.IndexExpr:
		e.Collection, e.Key = r.expr(e.Collection, false), r.expr(e.Key, false)
	case *hclsyntax.RelativeTraversalExpr:
		e.Source = r.expr(e.Source, false)
	case *hclsyntax.SplatExpr:
		e.Source = r.expr(e.Source, false)
		return r.metered(e)
	}
	return e
}

// loop changes a for expression and meters its rounds.
func (r *rewriter) loop(e *hclsyntax.ForExpr, asText bool) {
	e.CollExpr = r.expr(e.CollExpr, false)
	inside := r.with(e.KeyVar, e.ValVar)
	if e.KeyExpr != nil {
		e.KeyExpr = inside.expr(e.KeyExpr, asText)
	}
	e.ValExpr = r.metered(inside.expr(e.ValExpr, asText))
	if e.CondExpr != nil {
		e.CondExpr = r.metered(inside.expr(e.CondExpr, false))
	}
	r.diags = append(r.diags, inside.diags...)
}

func (r *rewriter) traversal(e *hclsyntax.ScopeTraversalExpr, asText bool) hclsyntax.Expression {
	root := e.Traversal.RootName()
	if !onNode(root) {
		return e
	}
	for _, b := range r.bound {
		if b == root {
			return e
		}
	}
	source := string(e.SrcRange.SliceBytes(r.src))
	if !asText {
		r.diags = append(r.diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Value not known yet", Subject: e.SrcRange.Ptr(),
			Detail: source + " is known only on the node: it can be part of a text, but not of a calculation.",
		})
		return e
	}
	return &hclsyntax.LiteralValueExpr{Val: cty.StringVal("${" + source + "}"), SrcRange: e.SrcRange}
}

// metered wraps an expression so that each evaluation is paid for.
func (r *rewriter) metered(e hclsyntax.Expression) hclsyntax.Expression {
	return &meteredExpr{Expression: e, meter: r.meter}
}

type meteredExpr struct {
	hclsyntax.Expression
	meter *meter
}

// Value evaluates the expression and spends the size of the result.
func (e *meteredExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	e.meter.spend(1)
	v, diags := e.Expression.Value(ctx)
	e.meter.value(v)
	return v, diags
}

// UnwrapExpression lets static analysis see the expression itself.
func (e *meteredExpr) UnwrapExpression() hcl.Expression { return e.Expression }

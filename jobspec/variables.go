package jobspec

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// variable is a declared input of a job file.
type variable struct {
	name     string
	at       hcl.Range
	typ      cty.Type
	typed    bool // the type is written, not guessed from the default
	defaults *typeexpr.Defaults
	value    cty.Value // NilVal until it has one
	rules    []*hclsyntax.Block
}

// variables gives every declared variable its value as var.name in ctx.
func (p *parser) variables(ctx *hcl.EvalContext, blocks, shorthands []*hclsyntax.Block) {
	vars := make(map[string]*variable)
	declare := func(v *variable) {
		if old := vars[v.name]; old != nil {
			p.errorf(v.at, "Second variable", "%q is declared at line %d already.", v.name, old.at.Start.Line)
			return
		}
		vars[v.name] = v
	}
	for _, b := range blocks {
		if v := p.declared(ctx, b); v != nil {
			declare(v)
		}
	}
	for _, b := range shorthands {
		p.only(b.Body, nil, nil, true)
		for _, a := range sortedAttrs(b.Body) {
			v := &variable{name: a.Name, at: a.NameRange, typ: cty.DynamicPseudoType}
			v.value = p.eval(ctx, a.Expr)
			declare(v)
		}
	}
	p.assign(vars)
	values := make(map[string]cty.Value)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		v := vars[name]
		if v.value == cty.NilVal {
			p.errorf(v.at, "No value", "Variable %q has neither a value nor a default: give -var %s=…, a variable file or NOMAD_VAR_%s.", name, name, name)
			v.value = cty.DynamicVal
		}
		values[name] = v.value
	}
	ctx.Variables = map[string]cty.Value{"var": cty.ObjectVal(values)}
	if !p.diags.HasErrors() {
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			p.checkRules(ctx, vars[name])
		}
	}
}

// declared reads a variable block.
func (p *parser) declared(ctx *hcl.EvalContext, b *hclsyntax.Block) *variable {
	if len(b.Labels) != 1 {
		p.errorf(b.DefRange(), "Missing name", "Write variable \"name\" { … }.")
		return nil
	}
	p.only(b.Body, []string{"type", "default", "description", "sensitive", "nullable"}, []string{"validation"}, false)
	v := &variable{name: b.Labels[0], at: b.DefRange(), typ: cty.DynamicPseudoType}
	if a := b.Body.Attributes["type"]; a != nil {
		var diags hcl.Diagnostics
		v.typ, v.defaults, diags = typeexpr.TypeConstraintWithDefaults(a.Expr)
		p.add(diags)
		v.typed = true
	}
	if a := b.Body.Attributes["default"]; a != nil {
		v.value = p.converted(v, p.eval(ctx, a.Expr), a.Expr.Range())
	}
	for _, r := range b.Body.Blocks {
		if r.Type == "validation" {
			v.rules = append(v.rules, r)
		}
	}
	return v
}

// only notes attributes and blocks of a body that are not among the named.
func (p *parser) only(body *hclsyntax.Body, attrs, blocks []string, anyAttr bool) {
	for _, a := range sortedAttrs(body) {
		if !anyAttr && !slices.Contains(attrs, a.Name) {
			p.unknown(a.NameRange, "argument", a.Name, attrs)
		}
	}
	for _, b := range body.Blocks {
		if !slices.Contains(blocks, b.Type) {
			p.unknown(b.TypeRange, "block", b.Type, blocks)
		}
	}
}

// assign sets the values given from outside, the strongest last.
func (p *parser) assign(vars map[string]*variable) {
	for _, e := range p.opts.Env {
		name, text, _ := strings.Cut(e, "=")
		if name, ok := strings.CutPrefix(name, "NOMAD_VAR_"); ok && vars[name] != nil {
			p.assignText(vars[name], "NOMAD_VAR_"+name, text)
		}
	}
	for _, f := range p.opts.VarFiles {
		p.varFile(vars, f)
	}
	for _, name := range slices.Sorted(maps.Keys(p.opts.Vars)) {
		if v := vars[name]; v != nil {
			p.assignText(v, "-var "+name, p.opts.Vars[name])
		} else {
			known := slices.Sorted(maps.Keys(vars))
			p.errorf(hcl.Range{Filename: "-var " + name, Start: hcl.InitialPos}, "Unknown variable", "The job declares no variable %q.%s", name, nearest(name, known))
		}
	}
}

// assignText sets a variable from text: as it is for plain types, as an
// expression for others.
func (p *parser) assignText(v *variable, source, text string) {
	typ := v.typ
	if !v.typed && v.value != cty.NilVal {
		typ = v.value.Type()
	}
	if typ.IsPrimitiveType() || typ == cty.DynamicPseudoType {
		v.value = p.converted(v, cty.StringVal(text), hcl.Range{Filename: source, Start: hcl.InitialPos})
		return
	}
	if !p.bounded(source, []byte(text)) {
		return
	}
	e, diags := hclsyntax.ParseExpression([]byte(text), source, hcl.InitialPos)
	if p.add(diags); !diags.HasErrors() {
		v.value = p.converted(v, p.eval(nil, p.paid(e)), e.Range())
	}
}

// bounded checks a variable's source like a job file.
func (p *parser) bounded(name string, src []byte) bool {
	if len(src) > MaxSource {
		p.errorf(hcl.Range{Filename: name, Start: hcl.InitialPos}, "Too large", "%d bytes exceed the limit of %d.", len(src), MaxSource)
		return false
	}
	diags := checkStructure(name, src)
	p.add(diags)
	return !diags.HasErrors()
}

// paid meters an expression from outside the job file.
func (p *parser) paid(e hclsyntax.Expression) hclsyntax.Expression {
	r := &rewriter{meter: p.meter}
	return r.metered(e)
}

// varFile sets the variables that a file names.
func (p *parser) varFile(vars map[string]*variable, f File) {
	if isJSON(f.Src) {
		p.varFileJSON(vars, f)
		return
	}
	if !p.bounded(f.Name, f.Src) {
		return
	}
	file, diags := hclsyntax.ParseConfig(f.Src, f.Name, hcl.InitialPos)
	if p.add(diags); diags.HasErrors() {
		return
	}
	body := file.Body.(*hclsyntax.Body)
	for _, b := range body.Blocks {
		p.errorf(b.DefRange(), "Unexpected block", "A variable file holds lines of name = value only.")
	}
	for _, a := range sortedAttrs(body) {
		if v := vars[a.Name]; v != nil {
			v.value = p.converted(v, p.eval(nil, p.paid(a.Expr)), a.Expr.Range())
		}
	}
}

func (p *parser) varFileJSON(vars map[string]*variable, f File) {
	at := hcl.Range{Filename: f.Name, Start: hcl.InitialPos}
	if !p.bounded(f.Name, nil) || len(f.Src) > MaxSource {
		p.errorf(at, "Too large", "%d bytes exceed the limit of %d.", len(f.Src), MaxSource)
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(f.Src, &members); err != nil {
		p.errorf(at, "Bad JSON", "%v.", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		v := vars[name]
		if v == nil {
			continue
		}
		var s ctyjson.SimpleJSONValue
		if err := s.UnmarshalJSON(members[name]); err != nil {
			p.errorf(at, "Bad value", "%s: %v.", name, err)
			continue
		}
		p.meter.value(s.Value)
		v.value = p.converted(v, s.Value, at)
	}
}

// converted returns a value as the variable's type.
func (p *parser) converted(v *variable, value cty.Value, at hcl.Range) cty.Value {
	if v.defaults != nil && !value.IsNull() {
		value = v.defaults.Apply(value)
	}
	typ := v.typ
	if !v.typed && v.value != cty.NilVal && v.value.Type().IsPrimitiveType() {
		typ = v.value.Type()
	}
	out, err := convert.Convert(value, typ)
	if err != nil {
		p.errorf(at, "Wrong type", "Variable %q: %v; it is declared as %s.", v.name, err, typeexpr.TypeString(typ))
		return cty.DynamicVal
	}
	return out
}

// checkRules evaluates the validation blocks of a variable.
func (p *parser) checkRules(ctx *hcl.EvalContext, v *variable) {
	for _, r := range v.rules {
		p.only(r.Body, []string{"condition", "error_message"}, nil, false)
		condition := r.Body.Attributes["condition"]
		if condition == nil {
			p.errorf(r.DefRange(), "Missing argument", "A validation block needs a condition.")
			continue
		}
		holds, err := convert.Convert(p.eval(ctx, condition.Expr), cty.Bool)
		switch {
		case p.diags.HasErrors():
		case err != nil || holds.IsNull() || !holds.IsKnown():
			p.errorf(condition.Expr.Range(), "Wrong type", "The condition must be true or false.")
		case holds.False():
			message := "the condition does not hold."
			if a := r.Body.Attributes["error_message"]; a != nil {
				if m := p.eval(ctx, a.Expr); m.Type() == cty.String && m.IsKnown() && !m.IsNull() {
					message = m.AsString()
				}
			}
			p.errorf(condition.Expr.Range(), "Invalid value", "Variable %q: %s", v.name, message)
		}
	}
}

// locals evaluates the locals blocks, each name once and after those it needs,
// as local.name in ctx.
func (p *parser) locals(ctx *hcl.EvalContext, blocks []*hclsyntax.Block) {
	attrs := make(map[string]*hclsyntax.Attribute)
	for _, b := range blocks {
		p.only(b.Body, nil, nil, true)
		for _, a := range sortedAttrs(b.Body) {
			if old := attrs[a.Name]; old != nil {
				p.errorf(a.NameRange, "Second local", "%q is set at line %d already.", a.Name, old.NameRange.Start.Line)
			}
			attrs[a.Name] = a
		}
	}
	values := make(map[string]cty.Value)
	ctx.Variables["local"] = cty.EmptyObjectVal
	order := p.localOrder(attrs)
	if p.diags.HasErrors() {
		return
	}
	for _, name := range order {
		p.meter.spend(len(values) / 4) // the object is made anew each time
		values[name] = p.eval(ctx, attrs[name].Expr)
		ctx.Variables["local"] = cty.ObjectVal(values)
	}
}

// localNeeds returns for every local the locals that its value refers to. It
// reads the expressions before they are rewritten, which hides references.
func localNeeds(body *hclsyntax.Body) map[string][]string {
	needs := make(map[string][]string)
	for _, b := range body.Blocks {
		if b.Type != "locals" {
			continue
		}
		for name, a := range b.Body.Attributes {
			for _, t := range a.Expr.Variables() {
				if step, ok := secondStep(t); ok && t.RootName() == "local" {
					needs[name] = append(needs[name], step)
				}
			}
		}
	}
	return needs
}

// localOrder returns the names so that each comes after those it refers to.
func (p *parser) localOrder(attrs map[string]*hclsyntax.Attribute) []string {
	const visiting, done = 1, 2
	state := make(map[string]int)
	var order []string
	var visit func(name string)
	visit = func(name string) {
		switch a := attrs[name]; {
		case a == nil || state[name] == done:
		case state[name] == visiting:
			p.errorf(a.NameRange, "Circular reference", "local.%s needs its own value.", name)
		default:
			state[name] = visiting
			for _, n := range p.needs[name] {
				visit(n)
			}
			state[name] = done
			order = append(order, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		visit(name)
	}
	return order
}

// secondStep returns x of a reference root.x or root["x"].
func secondStep(t hcl.Traversal) (string, bool) {
	if len(t) < 2 {
		return "", false
	}
	switch s := t[1].(type) {
	case hcl.TraverseAttr:
		return s.Name, true
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String {
			return s.Key.AsString(), true
		}
	}
	return "", false
}

// eval evaluates an expression; on failure it notes why and returns an
// unknown value.
func (p *parser) eval(ctx *hcl.EvalContext, e hcl.Expression) cty.Value {
	v, diags := e.Value(ctx)
	if p.add(diags); diags.HasErrors() {
		return cty.DynamicVal
	}
	v, _ = v.UnmarkDeep()
	return v
}

// typeName names a value's type for messages.
func typeName(v cty.Value) string {
	if v.IsNull() {
		return "null"
	}
	return fmt.Sprintf("a %s", v.Type().FriendlyName())
}

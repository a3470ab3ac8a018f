package jobspec

import (
	"fmt"
	"reflect"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// scoped is a block with the values that are known inside it: one block of
// the file, or one of those that a dynamic block stands for.
type scoped struct {
	kind   string
	labels []string
	body   *hclsyntax.Body
	at     hcl.Range
	ctx    *hcl.EvalContext
}

// blocks returns the blocks of a body in order, dynamic ones expanded.
func (p *parser) blocks(ctx *hcl.EvalContext, body *hclsyntax.Body) []scoped {
	var out []scoped
	for _, b := range body.Blocks {
		if b.Type == "dynamic" {
			out = append(out, p.dynamic(ctx, b)...)
			continue
		}
		p.meter.spend(1)
		out = append(out, scoped{kind: b.Type, labels: b.Labels, body: b.Body, at: b.DefRange(), ctx: ctx})
	}
	return out
}

// dynamic expands one dynamic block: its content once per element of for_each.
func (p *parser) dynamic(ctx *hcl.EvalContext, b *hclsyntax.Block) []scoped {
	if len(b.Labels) != 1 {
		p.errorf(b.DefRange(), "Missing label", "Write dynamic \"kind\" { for_each = … content { … } }.")
		return nil
	}
	p.only(b.Body, []string{"for_each", "iterator", "labels"}, []string{"content"}, false)
	each := b.Body.Attributes["for_each"]
	if each == nil || len(b.Body.Blocks) != 1 || b.Body.Blocks[0].Type != "content" {
		p.errorf(b.DefRange(), "Incomplete dynamic block", "A dynamic block needs for_each and one content block.")
		return nil
	}
	name := b.Labels[0]
	if a := b.Body.Attributes["iterator"]; a != nil {
		if name = hcl.ExprAsKeyword(a.Expr); name == "" {
			p.errorf(a.Expr.Range(), "Bad iterator", "The iterator is a name without quotes.")
			return nil
		}
	}
	list := p.eval(ctx, each.Expr)
	if !list.IsKnown() {
		return nil
	}
	if list.IsNull() || !list.CanIterateElements() {
		p.errorf(each.Expr.Range(), "Wrong type", "for_each needs a list, set or map, not %s.", typeName(list))
		return nil
	}
	var out []scoped
	for it := list.ElementIterator(); it.Next(); {
		p.meter.spend(1)
		k, v := it.Element()
		if list.Type().IsSetType() {
			k = v
		}
		child := ctx.NewChild()
		child.Variables = map[string]cty.Value{name: cty.ObjectVal(map[string]cty.Value{"key": k, "value": v})}
		s := scoped{kind: b.Labels[0], body: b.Body.Blocks[0].Body, at: b.DefRange(), ctx: child}
		if a := b.Body.Attributes["labels"]; a != nil {
			if labels := reflect.ValueOf(&s.labels).Elem(); !p.set(labels, p.eval(child, a.Expr), a.Expr.Range(), "labels") {
				return out
			}
		}
		out = append(out, s)
	}
	return out
}

// decode fills the struct v, an api type, from a block.
func (p *parser) decode(b scoped, v reflect.Value) {
	n := nouns()[v.Type()]
	p.label(b, n, v)
	special := specials(v.Type())
	for _, a := range sortedAttrs(b.body) {
		m, known := n.members[a.Name]
		switch {
		case special.attrs[a.Name] != nil:
			special.attrs[a.Name](p, b.ctx, a, v)
		case !known:
			p.unknown(a.NameRange, "argument", a.Name, n.names(v.Type()))
		case m.form == formBlock || m.form == formBlocks:
			p.errorf(a.NameRange, "Not an argument", "%q is a block: write %s { … } without \"=\".", a.Name, a.Name)
		default:
			p.set(v.FieldByIndex(m.field.Index), p.eval(b.ctx, a.Expr), a.Expr.Range(), a.Name)
		}
	}
	seen := make(map[string]bool)
	for _, inner := range p.blocks(b.ctx, b.body) {
		m, known := n.members[inner.kind]
		switch {
		case special.blocks[inner.kind] != nil:
			special.blocks[inner.kind](p, inner, v)
			continue
		case !known:
			p.unknown(inner.at, "block", inner.kind, n.names(v.Type()))
			continue
		case m.form == formAttr:
			p.errorf(inner.at, "Not a block", "%q is an argument: write %s = ….", inner.kind, inner.kind)
			continue
		case m.form != formBlocks && (seen[inner.kind] || b.body.Attributes[inner.kind] != nil):
			p.errorf(inner.at, "Second block", "%q is given already.", inner.kind)
			continue
		}
		seen[inner.kind] = true
		p.block(inner, m.form, v.FieldByIndex(m.field.Index))
	}
}

// label sets the field that the block's label stands for.
func (p *parser) label(b scoped, n *noun, v reflect.Value) {
	switch least, most := n.labels[0], n.labels[1]; {
	case len(b.labels) < least:
		p.errorf(b.at, "Missing name", "Write %s \"name\" { … }.", b.kind)
	case len(b.labels) > most:
		p.errorf(b.at, "Unexpected name", "A %s block has %d name, not %d.", b.kind, most, len(b.labels))
	case len(b.labels) == 1:
		v.FieldByName(n.label).SetString(b.labels[0])
	}
}

// block stores a block into the field of its kind.
func (p *parser) block(b scoped, f form, field reflect.Value) {
	if f == formFree {
		p.freeBlock(b, field)
		return
	}
	t := elem(field.Type())
	e := reflect.New(t)
	p.decode(b, e.Elem())
	switch field.Kind() {
	case reflect.Pointer:
		field.Set(e)
	case reflect.Slice:
		field.Set(reflect.Append(field, e))
	case reflect.Map:
		if field.IsNil() {
			field.Set(reflect.MakeMap(field.Type()))
		}
		key := reflect.ValueOf("")
		if len(b.labels) == 1 {
			key = reflect.ValueOf(b.labels[0])
		}
		if field.MapIndex(key).IsValid() {
			p.errorf(b.at, "Second block", "%s %q is given already.", b.kind, key.String())
		}
		field.SetMapIndex(key, e)
	}
}

// freeBlock stores a block of any content into a map.
func (p *parser) freeBlock(b scoped, field reflect.Value) {
	if len(b.labels) > 0 {
		p.errorf(b.at, "Unexpected name", "A %s block has no name.", b.kind)
		return
	}
	if field.Type().Elem().Kind() == reflect.Interface {
		field.Set(reflect.ValueOf(p.free(b)))
		return
	}
	for _, inner := range b.body.Blocks {
		p.errorf(inner.DefRange(), "Unexpected block", "%s holds lines of name = value only.", b.kind)
	}
	field.Set(reflect.MakeMap(field.Type()))
	for _, a := range sortedAttrs(b.body) {
		value := p.eval(b.ctx, a.Expr)
		if value.IsNull() {
			continue
		}
		e := reflect.New(field.Type().Elem()).Elem()
		if p.set(e, value, a.Expr.Range(), a.Name) {
			field.SetMapIndex(reflect.ValueOf(a.Name), e)
		}
	}
}

// free returns a block's content as plain values; nested blocks become lists
// of maps by their kind, their labels a map around them.
func (p *parser) free(b scoped) map[string]any {
	out := make(map[string]any)
	for _, a := range sortedAttrs(b.body) {
		out[a.Name] = plain(p.eval(b.ctx, a.Expr))
	}
	for _, inner := range p.blocks(b.ctx, b.body) {
		if b.body.Attributes[inner.kind] != nil {
			p.errorf(inner.at, "Second block", "%q is given as an argument already.", inner.kind)
			continue
		}
		content := p.free(inner)
		for i := len(inner.labels) - 1; i >= 0; i-- {
			content = map[string]any{inner.labels[i]: []any{content}}
		}
		list, _ := out[inner.kind].([]any)
		out[inner.kind] = append(list, content)
	}
	return out
}

// plain returns a value as JSON would hold it; whole numbers are int.
func plain(v cty.Value) any {
	if !v.IsKnown() || v.IsNull() {
		return nil
	}
	switch t := v.Type(); {
	case t == cty.String:
		return v.AsString()
	case t == cty.Bool:
		return v.True()
	case t == cty.Number:
		if i, accuracy := v.AsBigFloat().Int64(); accuracy == 0 && int64(int(i)) == i {
			return int(i)
		}
		f, _ := v.AsBigFloat().Float64()
		return f
	case t.IsObjectType() || t.IsMapType():
		out := make(map[string]any)
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			out[k.AsString()] = plain(e)
		}
		return out
	case v.CanIterateElements():
		out := make([]any, 0, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			out = append(out, plain(e))
		}
		return out
	}
	return nil
}

// set stores a value into a field of a plain type, converting it; null leaves
// the field unset. It reports whether the field holds the value now.
func (p *parser) set(field reflect.Value, v cty.Value, at hcl.Range, name string) bool {
	if !v.IsKnown() { // noted already
		return false
	}
	if v.IsNull() {
		return true
	}
	if err := assign(field, v); err != nil {
		p.errorf(at, "Wrong value", "%s: %v.", name, err)
		return false
	}
	return true
}

func assign(field reflect.Value, v cty.Value) error {
	if field.Type() == reflect.TypeFor[api.Duration]() {
		return assignDuration(field, v)
	}
	switch field.Kind() {
	case reflect.Pointer:
		e := reflect.New(field.Type().Elem())
		if err := assign(e.Elem(), v); err != nil {
			return err
		}
		field.Set(e)
	case reflect.String:
		s, err := convert.Convert(v, cty.String)
		if err != nil {
			return fmt.Errorf("a text is needed, not %s", typeName(v))
		}
		field.SetString(s.AsString())
	case reflect.Bool:
		b, err := convert.Convert(v, cty.Bool)
		if err != nil {
			return fmt.Errorf("true or false is needed, not %s", typeName(v))
		}
		field.SetBool(b.True())
	case reflect.Slice:
		return assignList(field, v)
	case reflect.Map:
		return assignMap(field, v)
	case reflect.Interface:
		if x := plain(v); x != nil {
			field.Set(reflect.ValueOf(x))
		}
	default:
		return assignNumber(field, v)
	}
	return nil
}

func assignDuration(field reflect.Value, v cty.Value) error {
	if v.Type() == cty.Number && v.AsBigFloat().Sign() == 0 {
		field.SetInt(0)
		return nil
	}
	if v.Type() != cty.String {
		return fmt.Errorf("a duration like \"30s\" is needed, not %s", typeName(v))
	}
	d, err := time.ParseDuration(v.AsString())
	if err != nil {
		return fmt.Errorf("%q is no duration: write it like \"30s\" or \"5m\"", v.AsString())
	}
	field.SetInt(int64(d))
	return nil
}

func assignNumber(field reflect.Value, v cty.Value) error {
	n, err := convert.Convert(v, cty.Number)
	if err != nil {
		return fmt.Errorf("a number is needed, not %s", typeName(v))
	}
	f := n.AsBigFloat()
	if !f.IsInt() {
		return fmt.Errorf("a whole number is needed, not %s", f.Text('g', 10))
	}
	if field.CanInt() {
		if i, exact := f.Int64(); exact == 0 && !field.OverflowInt(i) {
			field.SetInt(i)
			return nil
		}
	} else if u, exact := f.Uint64(); exact == 0 && !field.OverflowUint(u) {
		field.SetUint(u)
		return nil
	}
	return fmt.Errorf("%s is out of range", f.Text('g', 10))
}

func assignList(field reflect.Value, v cty.Value) error {
	if t := v.Type(); !t.IsListType() && !t.IsTupleType() && !t.IsSetType() {
		return fmt.Errorf("a list like [\"a\", \"b\"] is needed, not %s", typeName(v))
	}
	out := reflect.MakeSlice(field.Type(), 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		x := reflect.New(field.Type().Elem()).Elem()
		if e.IsNull() {
			return fmt.Errorf("element %d is null", out.Len())
		}
		if err := assign(x, e); err != nil {
			return fmt.Errorf("element %d: %w", out.Len(), err)
		}
		out = reflect.Append(out, x)
	}
	field.Set(out)
	return nil
}

func assignMap(field reflect.Value, v cty.Value) error {
	if t := v.Type(); !t.IsObjectType() && !t.IsMapType() {
		return fmt.Errorf("a map like { name = \"value\" } is needed, not %s", typeName(v))
	}
	out := reflect.MakeMap(field.Type())
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if e.IsNull() {
			continue
		}
		x := reflect.New(field.Type().Elem()).Elem()
		if err := assign(x, e); err != nil {
			return fmt.Errorf("%s: %w", k.AsString(), err)
		}
		out.SetMapIndex(reflect.ValueOf(k.AsString()), x)
	}
	field.Set(out)
	return nil
}

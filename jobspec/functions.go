package jobspec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions returns what expressions may call.
func (p *parser) functions() map[string]function.Function {
	out := make(map[string]function.Function)
	for _, set := range []map[string]function.Function{collectionFunctions(), textFunctions(), encodingFunctions(), networkFunctions(), p.fileFunctions()} {
		for name, f := range set {
			out[name] = p.meter.metered(name, f, argumentChecks[name])
		}
	}
	// These evaluate their arguments themselves, which is paid for there.
	out["can"], out["try"], out["convert"] = tryfunc.CanFunc, tryfunc.TryFunc, typeexpr.ConvertFunc
	return out
}

func collectionFunctions() map[string]function.Function {
	return map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc,
		"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc,
		"contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc,
		"flatten": stdlib.FlattenFunc, "floor": stdlib.FloorFunc, "index": indexFunc, "keys": stdlib.KeysFunc,
		"length": lengthFunc, "log": stdlib.LogFunc, "lookup": stdlib.LookupFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc,
		"min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc, "range": stdlib.RangeFunc,
		"reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc,
		"setunion": stdlib.SetUnionFunc, "signum": stdlib.SignumFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc,
		"values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
	}
}

func textFunctions() map[string]function.Function {
	return map[string]function.Function{
		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatdate": stdlib.FormatDateFunc, "formatlist": stdlib.FormatListFunc,
		"indent": stdlib.IndentFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex_replace": stdlib.RegexReplaceFunc,
		"replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "strlen": stdlib.StrlenFunc, "strrev": stdlib.ReverseFunc,
		"substr": stdlib.SubstrFunc, "timeadd": stdlib.TimeAddFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
	}
}

func encodingFunctions() map[string]function.Function {
	out := map[string]function.Function{
		"csvdecode": stdlib.CSVDecodeFunc, "jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"yamldecode": ctyyaml.YAMLDecodeFunc, "yamlencode": ctyyaml.YAMLEncodeFunc,
	}
	maps.Copy(out, cryptoFunctions())
	return out
}

// lengthFunc is the length of a text in characters, or of a collection.
var lengthFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v := args[0]
		switch {
		case v.Type() == cty.String:
			return stdlib.Strlen(v)
		case v.Type().IsObjectType():
			return cty.NumberIntVal(int64(len(v.Type().AttributeTypes()))), nil
		case v.CanIterateElements():
			return v.Length(), nil
		}
		return cty.NilVal, function.NewArgErrorf(0, "a text or a collection is needed")
	},
})

// indexFunc is the position of a value in a list.
var indexFunc = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "list", Type: cty.DynamicPseudoType},
		{Name: "value", Type: cty.DynamicPseudoType},
	},
	Type: function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		list, value := args[0], args[1]
		if t := list.Type(); !t.IsListType() && !t.IsTupleType() {
			return cty.NilVal, function.NewArgErrorf(0, "a list is needed")
		}
		for it := list.ElementIterator(); it.Next(); {
			i, e := it.Element()
			if eq := e.Equals(value); eq.IsKnown() && eq.True() {
				return i, nil
			}
		}
		return cty.NilVal, function.NewArgErrorf(1, "the list does not hold it")
	},
})

// argumentChecks refuse arguments that make a function's result or work as
// large as a number in them says.
var argumentChecks = map[string]func([]cty.Value) error{
	"format":     checkFormat,
	"formatlist": checkFormat,
	"indent":     atMost(0, 1000),
	"bcrypt":     atMost(1, 12),
	"jsondecode": shallow,
	"yamldecode": shorter(0, 64<<10),
	"rsadecrypt": shorter(1, 8<<10),
	"pow":        atMost(1, 1000),
}

// wideVerb is a width or precision of four digits and more.
var wideVerb = regexp.MustCompile(`%[^a-zA-Z%]*[0-9]{4}`)

func checkFormat(args []cty.Value) error {
	if len(args) > 0 && args[0].Type() == cty.String && !args[0].IsNull() && wideVerb.MatchString(args[0].AsString()) {
		return fmt.Errorf("a width or precision above 999 is not allowed")
	}
	return nil
}

// prices are what calls of some functions cost beyond the size of their
// arguments and result, in steps.
var prices = map[string]func(args []cty.Value) int{
	"bcrypt":     func([]cty.Value) int { return evaluationBudget / 5 },
	"rsadecrypt": func([]cty.Value) int { return evaluationBudget / 30 },
	"distinct": func(args []cty.Value) int { // compares all with all
		if !args[0].CanIterateElements() {
			return 0
		}
		n := args[0].LengthInt()
		return n * n / 200
	},
}

// shallow refuses JSON that is nested as deep as a stack: its decoder recurses.
func shallow(args []cty.Value) error {
	if args[0].Type() != cty.String || args[0].IsNull() {
		return nil
	}
	depth := 0
	for _, c := range []byte(args[0].AsString()) { // brackets in texts count as well, which is harmless
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth > 10*maxNesting {
			return fmt.Errorf("the JSON is nested more than %d deep", 10*maxNesting)
		}
	}
	return nil
}

// shorter bounds the text that is argument i, in bytes.
func shorter(i, most int) func([]cty.Value) error {
	return func(args []cty.Value) error {
		if i < len(args) && args[i].Type() == cty.String && !args[i].IsNull() && len(args[i].AsString()) > most {
			return fmt.Errorf("argument %d is longer than %d bytes", i+1, most)
		}
		return nil
	}
}

// atMost bounds the number that is argument i, where it is given.
func atMost(i int, most int64) func([]cty.Value) error {
	return func(args []cty.Value) error {
		if i >= len(args) || args[i].Type() != cty.Number || args[i].IsNull() {
			return nil
		}
		if args[i].GreaterThan(cty.NumberIntVal(most)).True() {
			return fmt.Errorf("argument %d is above the maximum of %d", i+1, most)
		}
		return nil
	}
}

// FunctionNames returns the names of all functions of job files, in order.
func FunctionNames() []string {
	p := &parser{meter: newMeter()}
	return slices.Sorted(maps.Keys(p.functions()))
}

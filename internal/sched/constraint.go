package sched

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/go-version"
)

// target is the compiled side of a constraint: text, or something of a node.
type target struct {
	kind targetKind
	key  string // attribute or meta name, or the text itself
}

type targetKind uint8

const (
	targetText targetKind = iota
	targetAttr
	targetMeta
	targetID
	targetName
	targetDatacenter
	targetClass
	targetPool
	targetRegion
	targetNothing // a reference that no node has
)

// compileTarget reads text like "${attr.kernel.name}".
func compileTarget(s string) target {
	ref, ok := strings.CutPrefix(s, "${")
	if !ok || !strings.HasSuffix(ref, "}") {
		return target{targetText, s}
	}
	ref = strings.TrimSuffix(ref, "}")
	if key, ok := strings.CutPrefix(ref, "attr."); ok {
		return target{targetAttr, key}
	}
	if key, ok := strings.CutPrefix(ref, "meta."); ok {
		return target{targetMeta, key}
	}
	switch ref {
	case "node.unique.id":
		return target{kind: targetID}
	case "node.unique.name":
		return target{kind: targetName}
	case "node.datacenter":
		return target{kind: targetDatacenter}
	case "node.class":
		return target{kind: targetClass}
	case "node.pool":
		return target{kind: targetPool}
	case "node.region":
		return target{kind: targetRegion}
	}
	return target{kind: targetNothing}
}

// escapes reports whether nodes of one class may differ in the target.
func (t target) escapes() bool {
	switch t.kind {
	case targetID, targetName:
		return true
	case targetAttr, targetMeta:
		return strings.HasPrefix(t.key, "unique.")
	}
	return false
}

// of returns the target's value on a node. All nodes are of the job's region.
func (t target) of(n *api.Node, region string) (string, bool) {
	switch t.kind {
	case targetText:
		return t.key, true
	case targetAttr:
		v, ok := n.Attributes[t.key]
		return v, ok
	case targetMeta:
		v, ok := n.Meta[t.key]
		return v, ok
	case targetID:
		return n.ID, true
	case targetName:
		return n.Name, true
	case targetDatacenter:
		return n.Datacenter, true
	case targetClass:
		return n.NodeClass, true
	case targetPool:
		return n.NodePool, true
	case targetRegion:
		return region, true
	}
	return "", false
}

// predicate is a compiled constraint or affinity.
type predicate struct {
	text    string // as metrics show it
	left    target
	right   target
	operand string
	compare func(left, right string) bool // nil for set and unset
}

// compile prepares a condition. One that can't be read matches no node;
// validation refuses it before it gets here.
func compile(left, operand, right string) *predicate {
	p := &predicate{
		text: left + " " + operand + " " + right, operand: operand,
		left: compileTarget(left), right: compileTarget(right),
	}
	literal := p.right.kind == targetText
	switch operand {
	case api.OperandEqual, "==", "is", "":
		p.compare = func(l, r string) bool { return l == r }
	case api.OperandLess:
		p.compare = func(l, r string) bool { return order(l, r) < 0 }
	case api.OperandLessEqual:
		p.compare = func(l, r string) bool { return order(l, r) <= 0 }
	case api.OperandGreater:
		p.compare = func(l, r string) bool { return order(l, r) > 0 }
	case api.OperandGreaterEqual:
		p.compare = func(l, r string) bool { return order(l, r) >= 0 }
	case api.OperandSetContains, api.OperandSetContainsAll:
		p.compare = containsAll
	case api.OperandSetContainsAny:
		p.compare = containsAny
	case api.OperandRegexp:
		p.compare = cached(literal, right, func(text string) func(string) bool {
			re, err := regexp.Compile(text)
			if err != nil {
				return never
			}
			return re.MatchString
		})
	case api.OperandVersion:
		p.compare = cached(literal, right, versionMatcher)
	case api.OperandSemver:
		p.compare = cached(literal, right, semverMatcher)
	case api.OperandNotEqual, "not", api.OperandIsSet, api.OperandIsNotSet:
	default:
		p.compare = func(string, string) bool { return false }
	}
	return p
}

func never(string) bool { return false }

// cached makes a comparison of a matcher that is costly to make: once, when
// the right side is literal.
func cached(literal bool, right string, make func(string) func(string) bool) func(l, r string) bool {
	if literal {
		match := make(right)
		return func(l, _ string) bool { return match(l) }
	}
	return func(l, r string) bool { return make(r)(l) }
}

func (p *predicate) escapes() bool { return p.left.escapes() || p.right.escapes() }

// match reports whether a node satisfies the condition. What is missing on
// either side satisfies only "!=" and "is_not_set".
func (p *predicate) match(n *api.Node, region string) bool {
	l, okl := p.left.of(n, region)
	switch p.operand {
	case api.OperandIsSet:
		return okl
	case api.OperandIsNotSet:
		return !okl
	}
	r, okr := p.right.of(n, region)
	if p.operand == api.OperandNotEqual || p.operand == "not" {
		return okl != okr || l != r
	}
	return okl && okr && p.compare(l, r)
}

// order compares as integers, else as numbers, else as text.
func order(l, r string) int {
	if li, err := strconv.ParseInt(l, 10, 64); err == nil {
		if ri, err := strconv.ParseInt(r, 10, 64); err == nil {
			return cmp.Compare(li, ri)
		}
	}
	if lf, err := strconv.ParseFloat(l, 64); err == nil {
		if rf, err := strconv.ParseFloat(r, 64); err == nil {
			return cmp.Compare(lf, rf)
		}
	}
	return cmp.Compare(l, r)
}

func splitSet(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func containsAll(l, r string) bool {
	have := splitSet(l)
	for _, want := range splitSet(r) {
		if !slices.Contains(have, want) {
			return false
		}
	}
	return true
}

func containsAny(l, r string) bool {
	have := splitSet(l)
	return slices.ContainsFunc(splitSet(r), func(want string) bool { return slices.Contains(have, want) })
}

// versionMatcher matches versions loosely: "1.2" is a version, and a
// prerelease satisfies only a constraint that names one.
func versionMatcher(text string) func(string) bool {
	c, err := version.NewConstraint(text)
	if err != nil {
		return never
	}
	return func(l string) bool {
		v, err := version.NewVersion(l)
		return err == nil && c.Check(v)
	}
}

// semverMatcher matches versions as Semantic Versioning 2.0 orders them:
// prereleases like any other.
func semverMatcher(text string) func(string) bool {
	type bound struct {
		op string
		v  *version.Version
	}
	var bounds []bound
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		op := part[:len(part)-len(strings.TrimLeft(part, "<>=!~"))]
		v, err := version.NewSemver(strings.TrimSpace(part[len(op):]))
		if err != nil || !slices.Contains([]string{"", "=", "!=", "<", "<=", ">", ">="}, op) {
			return never
		}
		bounds = append(bounds, bound{op, v})
	}
	return func(l string) bool {
		v, err := version.NewSemver(l)
		if err != nil {
			return false
		}
		for _, b := range bounds {
			c := v.Compare(b.v)
			ok := false
			switch b.op {
			case "", "=":
				ok = c == 0
			case "!=":
				ok = c != 0
			case "<":
				ok = c < 0
			case "<=":
				ok = c <= 0
			case ">":
				ok = c > 0
			case ">=":
				ok = c >= 0
			}
			if !ok {
				return false
			}
		}
		return true
	}
}

package acl

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/drover-org/drover/api"
)

// MaxRules bounds the text of a policy: a hundred times what long ones need,
// and few enough for every server to read at once.
const MaxRules = 64 << 10

// maxProblems bounds how many mistakes an error lists.
const maxProblems = 10

// Policy is the rules of one policy.
type Policy struct {
	Name     string
	Rules    []*Rule
	Warnings []string // what is known and has no effect
}

// Rule is one block of a policy.
type Rule struct {
	Kind Kind
	Glob string // of names; "" for kinds that name nothing
	Path string // glob of variables' paths, for KindVariables
	Line int
	caps set
}

// String writes the block's head as a policy does.
func (r *Rule) String() string {
	switch {
	case r.Kind == KindVariables:
		return fmt.Sprintf("namespace %q: variables: path %q", r.Glob, r.Path)
	case r.Kind.Named():
		return fmt.Sprintf("%s %q", kinds[r.Kind].block, r.Glob)
	}
	return kinds[r.Kind].block
}

// What globs may hold.
var (
	nameGlob = regexp.MustCompile(`^[a-zA-Z0-9_*-]{1,128}$`)
	anyGlob  = regexp.MustCompile(`^[^[:cntrl:]]{1,128}$`)
	pathGlob = regexp.MustCompile(`^[a-zA-Z0-9_~*-][a-zA-Z0-9_~/*-]{0,255}$`)
)

// Parse reads rules, HCL or, if they begin with {, JSON. The error has
// CodeInvalid and names lines.
func Parse(name, rules string) (*Policy, error) {
	trimmed := strings.TrimSpace(rules)
	switch {
	case len(rules) > MaxRules:
		return nil, api.Errorf(api.CodeInvalid, "Rules has %d bytes: a policy has at most %d; split it", len(rules), MaxRules)
	case trimmed == "":
		return nil, api.Errorf(api.CodeInvalid, "Rules is empty: write at least one block, like namespace \"default\" { policy = \"read\" }")
	}
	p := &parser{policy: &Policy{Name: name}, seen: map[Kind]bool{}, json: trimmed[0] == '{'}
	read := parseHCL
	if p.json {
		read = parseJSON
	}
	items, err := read(rules)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "Rules: %w", err)
	}
	p.file(items)
	if len(p.problems) > 0 {
		if len(p.problems) > maxProblems {
			p.problems = append(p.problems[:maxProblems], "and more")
		}
		return nil, api.Errorf(api.CodeInvalid, "Rules: %s", strings.Join(p.problems, "\nRules: "))
	}
	return p.policy, nil
}

type parser struct {
	policy   *Policy
	problems []string
	seen     map[Kind]bool // kinds that name nothing
	json     bool
}

// fail notes a mistake.
func (p *parser) fail(line int, format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf("line %d: %s", line, fmt.Sprintf(format, args...)))
}

// file reads the blocks of a whole policy.
func (p *parser) file(items []*item) {
	var known []string
	for k := range kinds {
		if Kind(k) != KindVariables {
			known = append(known, kinds[k].block)
		}
	}
	for _, it := range items {
		i := slices.IndexFunc(kinds[:], func(k kind) bool { return k.block == it.name })
		kind := Kind(max(i, 0))
		switch {
		case i < 0 || kind == KindVariables:
			p.fail(it.line, "there is no block %q%s", shorten(it.name), nearest(it.name, known))
		case !it.block:
			p.fail(it.line, "%s must be a block", it.name)
		case !kind.Named():
			p.block(kind, it)
		default:
			for _, b := range p.labelled(it, kind == KindNamespace) {
				p.block(kind, b)
			}
		}
	}
}

// labelled returns the blocks with one label each that an item stands for: in
// JSON the label is the name of a member.
func (p *parser) labelled(it *item, unlabelled bool) []*item {
	if p.json {
		var out []*item
		for _, inner := range it.body {
			if !inner.block {
				p.fail(inner.line, "%s %q must be an object", it.name, shorten(inner.name))
				continue
			}
			out = append(out, &item{name: it.name, line: inner.line, labels: []string{inner.name}, block: true, body: inner.body})
		}
		return out
	}
	if len(it.labels) == 0 && unlabelled {
		it.labels = []string{api.DefaultNamespace}
	}
	if len(it.labels) != 1 {
		p.fail(it.line, "%s needs one label, like %s \"name\" { … }", it.name, it.name)
		return nil
	}
	return []*item{it}
}

// block reads one block.
func (p *parser) block(kind Kind, b *item) {
	rule := &Rule{Kind: kind, Line: b.line}
	if kind.Named() {
		rule.Glob = b.labels[0]
		valid := nameGlob
		if kind == KindHostVolume {
			valid = anyGlob
		}
		if !valid.MatchString(rule.Glob) {
			p.fail(b.line, "%s %q is no name or glob: 1 to 128 letters, digits, - and _, and * for any", b.name, shorten(rule.Glob))
		}
	} else {
		if len(b.labels) > 0 {
			p.fail(b.line, "%s takes no label", b.name)
		}
		if p.seen[kind] {
			p.fail(b.line, "%s is there twice: keep one block of it", b.name)
		}
		p.seen[kind] = true
	}
	p.policy.Rules = append(p.policy.Rules, rule)

	known := []string{"policy"}
	if kind.Named() || kind == KindOperator {
		known = append(known, "capabilities")
	}
	if kind == KindNamespace {
		known = append(known, "variables")
	}
	seen := map[string]bool{}
	for _, it := range b.body {
		switch {
		case !slices.Contains(known, it.name):
			p.fail(it.line, "%s has no %q%s", rule, shorten(it.name), nearest(it.name, known))
		case it.name == "variables":
			p.variables(rule.Glob, it)
		case seen[it.name]:
			p.fail(it.line, "%s of %s is there twice", it.name, rule)
		case it.name == "policy":
			p.coarse(rule, it)
		default:
			p.capabilities(rule, it)
		}
		seen[it.name] = true
	}
	if kind == KindSentinel {
		p.warn(rule, "there are no Sentinel policies, so the block has no effect")
	}
}

func (p *parser) warn(r *Rule, text string) {
	p.policy.Warnings = append(p.policy.Warnings, fmt.Sprintf("Rules: line %d: %s: %s", r.Line, r, text))
}

// variables reads what a namespace says of its variables.
func (p *parser) variables(namespace string, v *item) {
	if !v.block || len(v.labels) > 0 {
		p.fail(v.line, "variables must be a block without a label")
		return
	}
	for _, it := range v.body {
		if it.name != "path" || !it.block {
			p.fail(it.line, "variables has no %q: it holds blocks like path \"project/*\" { capabilities = [\"read\"] }", shorten(it.name))
			continue
		}
		for _, b := range p.labelled(it, false) {
			p.path(namespace, b)
		}
	}
}

// path reads one path of a namespace's variables.
func (p *parser) path(namespace string, b *item) {
	rule := &Rule{Kind: KindVariables, Glob: namespace, Path: b.labels[0], Line: b.line}
	if !pathGlob.MatchString(rule.Path) {
		p.fail(b.line, "path %q is no path or glob: letters, digits, /, ~, - and _, and * for any, without a / in front", shorten(rule.Path))
	}
	p.policy.Rules = append(p.policy.Rules, rule)
	found := false
	for _, it := range b.body {
		switch {
		case it.name != "capabilities":
			p.fail(it.line, "%s has no %q: it has capabilities", rule, shorten(it.name))
		case found:
			p.fail(it.line, "capabilities of %s is there twice", rule)
		default:
			p.capabilities(rule, it)
		}
		found = true
	}
	if !found {
		p.fail(b.line, "%s needs capabilities", rule)
	}
}

// coarse reads a coarse policy.
func (p *parser) coarse(rule *Rule, it *item) {
	name, ok := it.value.(string)
	if !ok {
		p.fail(it.line, "policy of %s must be text", rule)
		return
	}
	list, ok := kinds[rule.Kind].coarse[name]
	if !ok {
		known := slices.Sorted(maps.Keys(kinds[rule.Kind].coarse))
		p.fail(it.line, "policy %q of %s does not exist: it must be one of %s", shorten(name), rule, strings.Join(known, ", "))
		return
	}
	rule.caps |= setOf(rule.Kind, list)
}

// capabilities reads a list of capabilities.
func (p *parser) capabilities(rule *Rule, it *item) {
	list, ok := it.value.([]any)
	if !ok {
		p.fail(it.line, "capabilities of %s must be a list of texts, like [\"read\"]", rule)
		return
	}
	for _, v := range list {
		name, ok := v.(string)
		if !ok {
			p.fail(it.line, "capabilities of %s must be a list of texts", rule)
			return
		}
		n, ok := names[rule.Kind][name]
		if !ok {
			p.fail(it.line, "capability %q of %s does not exist%s", shorten(name), rule, nearest(name, slices.Collect(maps.Keys(names[rule.Kind]))))
			continue
		}
		rule.caps |= 1 << n
	}
}

// nearest proposes the known name most like name.
func nearest(name string, known []string) string {
	best, distance := "", 4
	for _, k := range known {
		if len(name) > 2*len(k) {
			continue
		}
		if d := levenshtein.Distance(name, k, nil); d < distance || d == distance && k < best {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// shorten keeps a message short.
func shorten(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

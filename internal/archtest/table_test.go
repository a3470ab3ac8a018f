package archtest

import (
	"fmt"
	"sort"
	"strings"
)

const module = "github.com/drover-org/drover"

// rule is one line of the table.
type rule struct {
	line    int
	pattern string
	reason  string
	any     bool            // *
	std     bool            // nothing of others
	forbid  []string        // prefixes of others
	allowed map[string]bool // name or pattern → whether it must be used
}

// parseTable reads the fenced block "imports" of a Markdown text.
func parseTable(text string) ([]rule, error) {
	var rules []rule
	inside, found := false, false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case !inside && trimmed == "```imports":
			inside, found = true, true
		case inside && trimmed == "```":
			inside = false
		case inside && trimmed != "" && trimmed[0] != '#':
			r, err := parseRule(trimmed)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			r.line = i + 1
			rules = append(rules, r)
		}
	}
	if !found || inside {
		return nil, fmt.Errorf("no whole block ```imports")
	}
	return rules, nil
}

func parseRule(line string) (rule, error) {
	body, reason, ok := strings.Cut(line, "#")
	if reason = strings.TrimSpace(reason); !ok || reason == "" {
		return rule{}, fmt.Errorf("%q has no # reason", line)
	}
	left, right, ok := strings.Cut(strings.ReplaceAll(body, "→", "->"), "->")
	if !ok || strings.TrimSpace(left) == "" {
		return rule{}, fmt.Errorf("%q has no arrow", line)
	}
	r := rule{pattern: strings.TrimSpace(left), reason: reason, allowed: map[string]bool{}}
	for _, f := range strings.FieldsFunc(right, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' }) {
		switch {
		case f == "*":
			r.any = true
		case f == "std":
			r.std = true
		case f[0] == '!':
			r.forbid = append(r.forbid, f[1:])
		default:
			name, optional := strings.CutSuffix(f, "?")
			r.allowed[name] = !optional && !strings.HasSuffix(name, "/*")
		}
	}
	return r, nil
}

// matches reports whether a pattern covers a package.
func matches(pattern, pkg string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(pkg, prefix+"/")
	}
	return pattern == pkg
}

// ruleFor returns the rule that covers a package best, or nil.
func ruleFor(rules []rule, pkg string) *rule {
	var best *rule
	for i := range rules {
		r := &rules[i]
		if !matches(r.pattern, pkg) {
			continue
		}
		if r.pattern == pkg {
			return r
		}
		if best == nil || len(r.pattern) > len(best.pattern) {
			best = r
		}
	}
	return best
}

// pkg is what the table says something about.
type pkg struct {
	name    string   // relative to the module
	imports []string // as written
}

// check compares packages with the rules and returns what is wrong.
func check(rules []rule, pkgs []pkg) []string {
	var bad []string
	used := map[*rule]map[string]bool{}
	for _, p := range pkgs {
		r := ruleFor(rules, p.name)
		if r == nil {
			bad = append(bad, fmt.Sprintf("%s has no line in the table", p.name))
			continue
		}
		if used[r] == nil {
			used[r] = map[string]bool{}
		}
		for _, imp := range p.imports {
			if why := r.forbids(p.name, imp, used[r]); why != "" {
				bad = append(bad, fmt.Sprintf("%s imports %s: %s (line %d: %s)", p.name, imp, why, r.line, r.reason))
			}
		}
	}
	for i := range rules {
		r := &rules[i]
		if used[r] == nil && !strings.HasSuffix(r.pattern, "/*") {
			bad = append(bad, fmt.Sprintf("line %d: there is no package %s", r.line, r.pattern))
			continue
		}
		for name, needed := range r.allowed {
			if needed && used[r] != nil && !used[r][name] {
				bad = append(bad, fmt.Sprintf("line %d: %s does not import %s (mark it %s? or take it out)", r.line, r.pattern, name, name))
			}
		}
	}
	sort.Strings(bad)
	return bad
}

// forbids says why an import is not allowed, or nothing.
func (r *rule) forbids(from, imp string, used map[string]bool) string {
	if imp == module || strings.HasPrefix(imp, module+"/") {
		name := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
		if r.any {
			return ""
		}
		if _, ok := r.allowed[name]; ok {
			used[name] = true
			return ""
		}
		for pattern := range r.allowed {
			if matches(pattern, name) {
				return ""
			}
		}
		return "not in its line"
	}
	first, _, _ := strings.Cut(imp, "/")
	if r.std && strings.Contains(first, ".") {
		return "only the standard library is allowed"
	}
	for _, f := range r.forbid {
		if imp == f || strings.HasPrefix(imp, f+"/") || strings.HasPrefix(imp, f+"-") {
			return f + " is forbidden"
		}
	}
	return ""
}

package acl

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
)

// ACL is what policies, merged, allow. It never changes.
type ACL struct {
	management bool
	scopes     [numKinds]scope
}

// Management is the ACL of a management token.
var Management = &ACL{management: true}

// scope holds the merged rules of one kind.
type scope struct {
	exact map[string]*entry // names in full
	globs []*entry          // the most specific first
}

// entry is what the rules with one glob say together.
type entry struct {
	glob    string
	caps    set
	sources []source
	paths   *scope // of a namespace's variables; nil: none
}

// source is a rule with the policy it stands in.
type source struct {
	policy string
	rule   *Rule
}

// Compile merges policies.
func Compile(policies []*Policy) *ACL {
	a := &ACL{}
	for _, p := range policies {
		for _, r := range p.Rules {
			if r.Kind == KindVariables {
				ns := a.scopes[KindNamespace].entry(r.Glob)
				if ns.paths == nil {
					ns.paths = &scope{}
				}
				ns.paths.entry(r.Path).add(p.Name, r)
				continue
			}
			a.scopes[r.Kind].entry(r.Glob).add(p.Name, r)
		}
	}
	for k := range a.scopes {
		a.scopes[k].sort()
	}
	return a
}

func (e *entry) add(policy string, r *Rule) {
	e.caps |= r.caps
	e.sources = append(e.sources, source{policy, r})
}

// entry returns the entry of a glob, making it at its first use.
func (s *scope) entry(glob string) *entry {
	if !strings.Contains(glob, "*") {
		e := s.exact[glob]
		if e == nil {
			if s.exact == nil {
				s.exact = map[string]*entry{}
			}
			e = &entry{glob: glob}
			s.exact[glob] = e
		}
		return e
	}
	for _, e := range s.globs {
		if e.glob == glob {
			return e
		}
	}
	e := &entry{glob: glob}
	s.globs = append(s.globs, e)
	return e
}

func (s *scope) sort() {
	slices.SortFunc(s.globs, func(a, b *entry) int {
		return cmp.Or(literals(b.glob)-literals(a.glob), strings.Compare(a.glob, b.glob))
	})
	for _, e := range s.exact {
		if e.paths != nil {
			e.paths.sort()
		}
	}
	for _, e := range s.globs {
		if e.paths != nil {
			e.paths.sort()
		}
	}
}

// deciding calls yield with the entries that decide about a name: one, or
// several globs that are equally specific.
func (s *scope) deciding(name string, yield func(*entry)) {
	if e := s.exact[name]; e != nil {
		yield(e)
		return
	}
	best := -1
	for _, e := range s.globs {
		n := literals(e.glob)
		if n < best {
			return
		}
		if matches(e.glob, name) {
			best = n
			yield(e)
		}
	}
}

// caps returns what the deciding entries give together.
func (s *scope) caps(name string) (out set) {
	if e := s.exact[name]; e != nil { // the usual case, without a closure
		return e.caps
	}
	s.deciding(name, func(e *entry) { out |= e.caps })
	return out
}

// IsManagement reports whether everything is allowed.
func (a *ACL) IsManagement() bool { return a.management }

// Allow reports whether a capability is there: in a namespace, or for the node
// pool or host volume that object names. For capabilities of no object it is
// not looked at.
func (a *ACL) Allow(c api.Capability, object string) bool {
	if a.management {
		return true
	}
	r, ok := rights[c]
	if !ok {
		return false
	}
	if !r.kind.Named() {
		object = ""
	}
	if c == api.CapSeeNamespace {
		return a.sees(object)
	}
	caps := a.scopes[r.kind].caps(object)
	return caps&deny == 0 && caps&r.any != 0
}

// sees reports whether the owner may know of a namespace.
func (a *ACL) sees(namespace string) bool {
	var caps set
	paths := false
	a.scopes[KindNamespace].deciding(namespace, func(e *entry) {
		caps |= e.caps
		paths = paths || e.paths != nil
	})
	return caps&deny == 0 && (caps != 0 || paths)
}

// AllowVariable reports whether a capability of variables is there for a path
// of a namespace.
func (a *ACL) AllowVariable(c api.Capability, namespace, path string) bool {
	if a.management {
		return true
	}
	r, ok := rights[c]
	if !ok || r.kind != KindVariables {
		return false
	}
	caps, _ := a.variable(namespace, path)
	return caps&deny == 0 && caps&r.any != 0
}

// variable returns what is given for a path, and the entries that decide. A
// denied namespace denies its variables.
func (a *ACL) variable(namespace, path string) (caps set, by []*entry) {
	best := -1
	a.scopes[KindNamespace].deciding(namespace, func(ns *entry) {
		if ns.caps&deny != 0 {
			caps, by, best = caps|deny, append(by, ns), math.MaxInt
			return
		}
		if ns.paths == nil {
			return
		}
		ns.paths.deciding(path, func(e *entry) {
			switch n := specificity(e.glob); {
			case n > best:
				caps, by, best = e.caps, []*entry{e}, n
			case n == best:
				caps, by = caps|e.caps, append(by, e)
			}
		})
	})
	return caps, by
}

// specificity orders globs that match the same name.
func specificity(glob string) int {
	n := 2 * literals(glob)
	if !strings.Contains(glob, "*") {
		n++ // in full
	}
	return n
}

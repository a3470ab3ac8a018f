package acl

import (
	"fmt"

	"github.com/drover-org/drover/api"
)

// Explain tells how the ACL decides about a capability and by which rule. For
// a capability of variables, path is the variable's and object its namespace.
func (a *ACL) Explain(c api.Capability, object, path string) *api.ACLReason {
	out := &api.ACLReason{Capability: c}
	switch r, ok := rights[c]; {
	case a.management:
		out.Allowed, out.Granted, out.Reason = true, c, "a management token may do everything"
	case c == api.CapManagement:
		out.Reason = "only a management token has it, no policy does"
	case !ok:
		out.Reason = fmt.Sprintf("there is no capability %q", c)
	case r.kind == KindVariables:
		caps, by := a.variable(object, path)
		a.reason(out, r, caps, by, fmt.Sprintf("variable %q in namespace %q", path, object))
	default:
		var by []*entry
		var caps set
		what := kinds[r.kind].block
		if r.kind.Named() {
			what = fmt.Sprintf("%s %q", what, object)
		} else {
			object = ""
		}
		a.scopes[r.kind].deciding(object, func(e *entry) { caps, by = caps|e.caps, append(by, e) })
		if c == api.CapSeeNamespace && a.sees(object) {
			caps |= 1 << 63 // variables alone show a namespace
		}
		a.reason(out, r, caps, by, what)
	}
	return out
}

// reason fills in which rule among the deciding entries it was.
func (a *ACL) reason(out *api.ACLReason, r right, caps set, by []*entry, what string) {
	take := func(want set) bool {
		for _, e := range by {
			for _, s := range e.sources {
				if want == 0 || s.rule.caps&want != 0 {
					out.Policy, out.Rule, out.Line = s.policy, s.rule.String(), s.rule.Line
					out.Granted = granted(r, s.rule.caps&want)
					return true
				}
			}
		}
		return false
	}
	switch {
	case len(by) == 0:
		out.Reason = "no rule of the policies is about " + what
	case caps&deny != 0:
		take(deny)
		out.Granted = ""
		out.Reason = fmt.Sprintf("%s denies, and deny wins", out.Rule)
	case caps&r.any != 0:
		out.Allowed = true
		if !take(r.self&caps) || r.self&caps == 0 {
			if !take(r.any) {
				take(0)
			}
		}
		out.Reason = out.Rule + " allows it"
		if out.Granted != "" && out.Granted != out.Capability {
			out.Reason += fmt.Sprintf(": %s contains it", out.Granted)
		}
	default:
		take(0)
		out.Granted = ""
		out.Reason = fmt.Sprintf("%s is the most specific rule about %s and does not list it", out.Rule, what)
	}
}

// granted names a capability of a rule, the first of those in s.
func granted(r right, s set) api.Capability {
	for name, n := range names[r.kind] {
		if n != 0 && s&-s == 1<<n {
			return capability(r.kind, name)
		}
	}
	return ""
}

package store

import "github.com/drover-org/drover/api"

// persistACL writes policies, roles and tokens.
func (s *Snapshot) persistACL(w *writer) {
	s.aclPolicies.Scan(func(p *api.ACLPolicy) bool { w.json(recACLPolicy, p); return w.err == nil })
	s.aclRoles.Scan(func(r *api.ACLRole) bool { w.json(recACLRole, r); return w.err == nil })
	s.aclTokens.Scan(func(t *ACLToken) bool { w.json(recACLToken, t); return w.err == nil })
	s.oneTimeTokens.Scan(func(o *OneTimeToken) bool { w.json(recOneTimeToken, o); return w.err == nil })
	s.authMethods.Scan(func(m *AuthMethod) bool { w.json(recAuthMethod, m); return w.err == nil })
	s.bindingRules.Scan(func(r *api.ACLBindingRule) bool { w.json(recBindingRule, r); return w.err == nil })
	w.record(recACLBootstrap, func(e *enc) { e.uint(s.aclBootstrap) })
}

// acl takes what persistACL wrote.
func (r *reader) acl(kind uint64, d *dec) {
	switch kind {
	case recACLPolicy:
		p := &api.ACLPolicy{}
		d.json(p)
		r.t.aclPolicies.Set(p)
	case recACLRole:
		role := &api.ACLRole{}
		d.json(role)
		r.t.aclRoles.Set(role)
	case recACLToken:
		t := &ACLToken{Token: &api.ACLToken{}}
		if d.json(t); t.Token == nil {
			d.fail()
			return
		}
		r.t.aclTokens.Set(t)
		r.t.aclTokensHash.Set(t)
	case recOneTimeToken:
		o := &OneTimeToken{}
		d.json(o)
		r.t.oneTimeTokens.Set(o)
	case recAuthMethod:
		m := &AuthMethod{Method: &api.ACLAuthMethod{}}
		if d.json(m); m.Method == nil {
			d.fail()
			return
		}
		r.t.authMethods.Set(m)
	case recBindingRule:
		rule := &api.ACLBindingRule{}
		d.json(rule)
		r.t.bindingRules.Set(rule)
	case recACLBootstrap:
		r.t.aclBootstrap = d.uint()
	}
}

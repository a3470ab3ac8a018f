package store

import (
	"iter"
	"time"

	"github.com/drover-org/drover/api"
)

// AuthMethod is an auth method as the state holds it: its client secret is
// sealed, and in Method only told to be there (api.RedactedSecret).
type AuthMethod struct {
	Method *api.ACLAuthMethod
	Sealed []byte // nil: there is no secret
}

// MaxAuthMethods bounds the auth methods of a region: servers keep the keys of
// each.
const MaxAuthMethods = 1000

// AuthMethod returns an auth method, or nil.
func (s *Snapshot) AuthMethod(name string) *AuthMethod { return s.authMethod(name) }

func (t *tables) authMethod(name string) *AuthMethod {
	m, _ := t.authMethods.Get(&AuthMethod{Method: &api.ACLAuthMethod{Name: name}})
	return m
}

// AuthMethods yields every auth method by name.
func (s *Snapshot) AuthMethods() iter.Seq[*AuthMethod] {
	return func(yield func(*AuthMethod) bool) { s.authMethods.Scan(yield) }
}

// UpsertAuthMethod adds an auth method or replaces the one of its name; with
// KeepSecret its secret stays. Create and Update refuse the other of the two.
// The value is the *AuthMethod.
type UpsertAuthMethod struct {
	AuthMethod *AuthMethod
	KeepSecret bool
	Create     bool
	Update     bool
	Now        int64
}

func (c *UpsertAuthMethod) apply(t *tx) (any, error) {
	m := *c.AuthMethod.Method
	next := &AuthMethod{Method: &m, Sealed: c.AuthMethod.Sealed}
	now := time.Unix(0, c.Now).UTC()
	m.CreateIndex, m.ModifyIndex, m.CreateTime, m.ModifyTime = t.index, t.index, now, now
	old := t.authMethod(m.Name)
	switch {
	case old == nil && c.Update:
		return nil, notFound("ACL auth method", m.Name)
	case old != nil && c.Create:
		return nil, api.Errorf(api.CodeConflict, "Name: there is an auth method %q already", m.Name)
	case old == nil && t.authMethods.Len() >= MaxAuthMethods:
		return nil, api.Errorf(api.CodeLimited, "there are %d auth methods, which is the most: delete one first", MaxAuthMethods)
	case old != nil && old.Method.Type != m.Type:
		return nil, invalid("Type of auth method %q is %s and can't change: create another", m.Name, old.Method.Type)
	case old != nil:
		m.CreateIndex, m.CreateTime = old.Method.CreateIndex, old.Method.CreateTime
		if c.KeepSecret {
			next.Sealed = old.Sealed
		}
	}
	if m.Default {
		var other string
		t.authMethods.Scan(func(o *AuthMethod) bool {
			if o.Method.Default && o.Method.Type == m.Type && o.Method.Name != m.Name {
				other = o.Method.Name
			}
			return other == ""
		})
		if other != "" {
			return nil, invalid("Default: %q is the default method of type %s already: change that one first", other, m.Type)
		}
	}
	t.authMethods.Set(next)
	t.touchAuthMethod(m.Name)
	t.changed(api.TopicACLAuthMethod, next.Method)
	return next, nil
}

// DeleteAuthMethod deletes an auth method and its binding rules. Tokens it
// made live on until they expire.
type DeleteAuthMethod struct {
	Name string
}

func (c *DeleteAuthMethod) apply(t *tx) (any, error) {
	m := t.authMethod(c.Name)
	if m == nil {
		return nil, notFound("ACL auth method", c.Name)
	}
	t.authMethods.Delete(m)
	t.touchAuthMethod(c.Name)
	t.deleted(api.TopicACLAuthMethod, "ACLAuthMethodDeleted", m.Method)
	var rules []*api.ACLBindingRule
	t.bindingRules.Scan(func(r *api.ACLBindingRule) bool {
		if r.AuthMethod == c.Name {
			rules = append(rules, r)
		}
		return true
	})
	for _, r := range rules {
		t.deleteBindingRule(r)
	}
	return nil, nil
}

func (t *tx) touchAuthMethod(name string) {
	t.bump(TableAuthMethods)
	t.touch(KeyAuthMethods(), KeyAuthMethod(name))
}

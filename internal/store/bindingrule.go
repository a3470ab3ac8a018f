package store

import (
	"iter"
	"time"

	"github.com/drover-org/drover/api"
)

// MaxBindingRules bounds the binding rules of a region: each login looks at
// all of its method.
const MaxBindingRules = 10_000

// BindingRule returns a binding rule, or nil.
func (s *Snapshot) BindingRule(id string) *api.ACLBindingRule {
	r, _ := s.bindingRules.Get(&api.ACLBindingRule{ID: id})
	return r
}

// BindingRules yields every binding rule by ID.
func (s *Snapshot) BindingRules() iter.Seq[*api.ACLBindingRule] {
	return func(yield func(*api.ACLBindingRule) bool) { s.bindingRules.Scan(yield) }
}

// UpsertBindingRule adds a binding rule or, with Update, replaces the one of
// its ID. The value is the rule.
type UpsertBindingRule struct {
	Rule   *api.ACLBindingRule
	Update bool
	Now    int64
}

func (c *UpsertBindingRule) apply(t *tx) (any, error) {
	r := *c.Rule
	now := time.Unix(0, c.Now).UTC()
	r.CreateIndex, r.ModifyIndex, r.CreateTime, r.ModifyTime = t.index, t.index, now, now
	old, exists := t.bindingRules.Get(&r)
	switch {
	case !exists && c.Update:
		return nil, notFound("ACL binding rule", r.ID)
	case !exists && t.bindingRules.Len() >= MaxBindingRules:
		return nil, api.Errorf(api.CodeLimited, "there are %d binding rules, which is the most: delete one first", MaxBindingRules)
	case exists && old.AuthMethod != r.AuthMethod:
		return nil, invalid("AuthMethod of a binding rule can't change: create another rule")
	case exists:
		r.CreateIndex, r.CreateTime = old.CreateIndex, old.CreateTime
	}
	if t.authMethod(r.AuthMethod) == nil {
		return nil, invalid("AuthMethod: there is no auth method %q: create it first", r.AuthMethod)
	}
	t.bindingRules.Set(&r)
	t.touchBindingRule(r.ID)
	t.changed(api.TopicACLBindingRule, &r)
	return &r, nil
}

// DeleteBindingRule deletes a binding rule.
type DeleteBindingRule struct {
	ID string
}

func (c *DeleteBindingRule) apply(t *tx) (any, error) {
	r, ok := t.bindingRules.Get(&api.ACLBindingRule{ID: c.ID})
	if !ok {
		return nil, notFound("ACL binding rule", c.ID)
	}
	t.deleteBindingRule(r)
	return nil, nil
}

func (t *tx) deleteBindingRule(r *api.ACLBindingRule) {
	t.bindingRules.Delete(r)
	t.touchBindingRule(r.ID)
	t.deleted(api.TopicACLBindingRule, "ACLBindingRuleDeleted", r)
}

func (t *tx) touchBindingRule(id string) {
	t.bump(TableBindingRules)
	t.touch(KeyBindingRules(), KeyBindingRule(id))
}

package store

import (
	"iter"

	"github.com/drover-org/drover/api"
)

// ACLPolicy returns a policy, or nil.
func (s *Snapshot) ACLPolicy(name string) *api.ACLPolicy {
	p, _ := s.aclPolicies.Get(&api.ACLPolicy{Name: name})
	return p
}

// ACLPolicies yields every policy by name.
func (s *Snapshot) ACLPolicies() iter.Seq[*api.ACLPolicy] {
	return func(yield func(*api.ACLPolicy) bool) { s.aclPolicies.Scan(yield) }
}

// ACLIndex is the last log index that changed what any token may do.
func (s *Snapshot) ACLIndex() uint64 {
	return max(s.indexes[TableACLPolicies], s.indexes[TableACLTokens], s.indexes[TableACLRoles])
}

// UpsertACLPolicy adds a policy or replaces the one of the same name.
type UpsertACLPolicy struct {
	Policy *api.ACLPolicy
}

func (c *UpsertACLPolicy) apply(t *tx) (any, error) {
	p := *c.Policy
	p.CreateIndex, p.ModifyIndex = t.index, t.index
	if old, ok := t.aclPolicies.Get(&p); ok {
		p.CreateIndex = old.CreateIndex
	}
	t.aclPolicies.Set(&p)
	t.touchACLPolicy(p.Name)
	t.changed(api.TopicACLPolicy, &p)
	return nil, nil
}

// DeleteACLPolicy deletes a policy. Tokens and roles keep its name, which then
// gives them nothing.
type DeleteACLPolicy struct {
	Name string
}

func (c *DeleteACLPolicy) apply(t *tx) (any, error) {
	p, ok := t.aclPolicies.Delete(&api.ACLPolicy{Name: c.Name})
	if !ok {
		return nil, notFound("ACL policy", c.Name)
	}
	t.deleted(api.TopicACLPolicy, "ACLPolicyDeleted", p)
	t.touchACLPolicy(c.Name)
	return nil, nil
}

func (t *tx) touchACLPolicy(name string) {
	t.bump(TableACLPolicies)
	t.touch(KeyACL(), KeyACLPolicies(), KeyACLPolicy(name))
}

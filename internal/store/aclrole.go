package store

import (
	"iter"

	"github.com/drover-org/drover/api"
)

// ACLRole returns a role, or nil.
func (s *Snapshot) ACLRole(id string) *api.ACLRole {
	r, _ := s.aclRoles.Get(&api.ACLRole{ID: id})
	return r
}

// ACLRoles yields every role by ID.
func (s *Snapshot) ACLRoles() iter.Seq[*api.ACLRole] {
	return func(yield func(*api.ACLRole) bool) { s.aclRoles.Scan(yield) }
}

// ACLRoleByName returns the role of a name, or nil.
func (s *Snapshot) ACLRoleByName(name string) *api.ACLRole { return s.roleNamed(name) }

func (t *tables) roleNamed(name string) (found *api.ACLRole) {
	t.aclRoles.Scan(func(r *api.ACLRole) bool {
		if r.Name == name {
			found = r
		}
		return found == nil
	})
	return found
}

// UpsertACLRole adds a role or replaces the one of the same ID. The value is
// the role.
type UpsertACLRole struct {
	Role *api.ACLRole
}

func (c *UpsertACLRole) apply(t *tx) (any, error) {
	r := *c.Role
	r.CreateIndex, r.ModifyIndex = t.index, t.index
	if old, ok := t.aclRoles.Get(&r); ok {
		r.CreateIndex = old.CreateIndex
	}
	if other := t.roleNamed(r.Name); other != nil && other.ID != r.ID {
		return nil, invalid("Name %q is the one of role %s already: choose another", r.Name, other.ID)
	}
	for _, p := range r.Policies {
		if _, ok := t.aclPolicies.Get(&api.ACLPolicy{Name: p.Name}); !ok {
			return nil, invalid("Policies: there is no policy %q: create it first", p.Name)
		}
	}
	t.aclRoles.Set(&r)
	t.touchACLRole(r.ID)
	t.changed(api.TopicACLRole, &r)
	return &r, nil
}

// DeleteACLRole deletes a role. Tokens keep the link, which then gives them
// nothing.
type DeleteACLRole struct {
	ID string
}

func (c *DeleteACLRole) apply(t *tx) (any, error) {
	r, ok := t.aclRoles.Delete(&api.ACLRole{ID: c.ID})
	if !ok {
		return nil, notFound("ACL role", c.ID)
	}
	t.deleted(api.TopicACLRole, "ACLRoleDeleted", r)
	t.touchACLRole(c.ID)
	return nil, nil
}

func (t *tx) touchACLRole(id string) {
	t.bump(TableACLRoles)
	t.touch(KeyACL(), KeyACLRoles(), KeyACLRole(id))
}

package server

import (
	"context"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/store"
)

// ACLRoles lists roles by name: all for management, else the caller's.
func (s *Server) ACLRoles(ctx context.Context, opts api.ListOptions) ([]*api.ACLRole, api.Meta, error) {
	name := func(r *api.ACLRole) string { return r.Name }
	return listACL(ctx, s, opts, store.KeyACLRoles(), store.TableACLRoles, name, aclName.MatchString, func(snap *store.Snapshot, rights *auth.Rights) (out []*api.ACLRole) {
		for r := range snap.ACLRoles() {
			if strings.HasPrefix(r.Name, opts.Prefix) && hasRole(snap, rights, r.ID) {
				out = append(out, r)
			}
		}
		slices.SortFunc(out, func(a, b *api.ACLRole) int { return strings.Compare(a.Name, b.Name) })
		return out
	})
}

// hasRole reports whether the caller may see a role.
func hasRole(snap *store.Snapshot, rights *auth.Rights, id string) bool {
	if rights.Manages() {
		return true
	}
	row := snap.ACLToken(rights.Caller.AccessorID)
	return row != nil && slices.ContainsFunc(row.Token.Roles, func(l *api.ACLTokenRoleLink) bool { return l.ID == id })
}

// ACLRole reads a role that the caller has, or any for management.
func (s *Server) ACLRole(ctx context.Context, opts api.ListOptions, id string) (*api.ACLRole, api.Meta, error) {
	return s.role(ctx, opts, store.KeyACLRole(id), id, func(snap *store.Snapshot) *api.ACLRole { return snap.ACLRole(id) })
}

// ACLRoleByName is ACLRole by name.
func (s *Server) ACLRoleByName(ctx context.Context, opts api.ListOptions, name string) (*api.ACLRole, api.Meta, error) {
	return s.role(ctx, opts, store.KeyACLRoles(), name, func(snap *store.Snapshot) *api.ACLRole { return snap.ACLRoleByName(name) })
}

func (s *Server) role(ctx context.Context, opts api.ListOptions, key store.Key, asked string, find func(*store.Snapshot) *api.ACLRole) (*api.ACLRole, api.Meta, error) {
	if _, err := s.rights(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{key, store.KeyACL()}, func(snap *store.Snapshot) (*api.ACLRole, uint64, error) {
		rights, err := s.rights(ctx, opts.Token)
		if err != nil {
			return nil, 0, err
		}
		r := find(snap)
		switch {
		case r != nil && hasRole(snap, rights, r.ID):
			return r, r.ModifyIndex, nil
		case !rights.Manages():
			return nil, 0, notYours("role", asked)
		}
		return nil, snap.TableIndex(store.TableACLRoles), missing("ACL role")
	})
}

// UpsertACLRole adds a role, which gets an ID, or replaces the one of its ID.
func (s *Server) UpsertACLRole(ctx context.Context, token string, r *api.ACLRole) (role *api.ACLRole, index uint64, err error) {
	if err := s.manages(ctx, token); err != nil {
		return nil, 0, err
	}
	if err := checkACLName("role", r.Name); err != nil {
		return nil, 0, err
	}
	if err := checkDescription(r.Description); err != nil {
		return nil, 0, err
	}
	seen := map[string]bool{}
	r.Policies = slices.DeleteFunc(r.Policies, func(l *api.ACLRolePolicyLink) bool {
		if l == nil || seen[l.Name] {
			return true
		}
		seen[l.Name] = true
		return false
	})
	if len(r.Policies) == 0 {
		return nil, 0, api.Errorf(api.CodeInvalid, "Policies is empty: a role has at least one policy")
	}
	switch {
	case r.ID == "":
		r.ID = s.cfg.NewID()
	case s.store.Snapshot().ACLRole(r.ID) == nil:
		return nil, 0, missing("ACL role")
	}
	res, err := s.propose(ctx, &store.UpsertACLRole{Role: r})
	role, _ = res.Value.(*api.ACLRole)
	return role, res.Index, err
}

// DeleteACLRole deletes a role.
func (s *Server) DeleteACLRole(ctx context.Context, token, id string) (index uint64, err error) {
	if err := s.manages(ctx, token); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteACLRole{ID: id})
	return res.Index, err
}

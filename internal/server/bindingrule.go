package server

import (
	"context"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sso"
	"github.com/drover-org/drover/internal/store"
)

// BindingRules lists binding rules by ID.
func (s *Server) BindingRules(ctx context.Context, opts api.ListOptions) ([]*api.ACLBindingRuleListStub, api.Meta, error) {
	if err := s.manages(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	var next string
	out, meta, err := read(ctx, s, opts, []store.Key{store.KeyBindingRules()}, func(snap *store.Snapshot) (page []*api.ACLBindingRuleListStub, _ uint64, err error) {
		var all []*api.ACLBindingRuleListStub
		for r := range snap.BindingRules() {
			if strings.HasPrefix(r.ID, opts.Prefix) {
				all = append(all, r.Stub())
			}
		}
		page, next, err = byName(opts, all, func(r *api.ACLBindingRuleListStub) string { return r.ID }, isID)
		return page, max(snap.TableIndex(store.TableBindingRules), 1), err
	})
	meta.NextToken = next
	return out, meta, err
}

// BindingRule reads one binding rule.
func (s *Server) BindingRule(ctx context.Context, opts api.ListOptions, id string) (*api.ACLBindingRule, api.Meta, error) {
	if err := s.manages(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyBindingRule(id)}, func(snap *store.Snapshot) (*api.ACLBindingRule, uint64, error) {
		r := snap.BindingRule(id)
		if r == nil {
			return nil, snap.TableIndex(store.TableBindingRules), missing("ACL binding rule")
		}
		return r, r.ModifyIndex, nil
	})
}

// UpsertBindingRule adds a binding rule, which gets an ID, or replaces the one
// of its ID.
func (s *Server) UpsertBindingRule(ctx context.Context, token string, r *api.ACLBindingRule) (*api.ACLBindingRule, uint64, error) {
	if err := s.manages(ctx, token); err != nil {
		return nil, 0, err
	}
	cmd := &store.UpsertBindingRule{Rule: r, Update: r.ID != "", Now: s.now().UnixNano()}
	snap := s.store.Snapshot()
	if cmd.Update {
		old := snap.BindingRule(r.ID)
		if old == nil {
			return nil, 0, missing("ACL binding rule")
		}
		if r.AuthMethod == "" {
			r.AuthMethod = old.AuthMethod
		}
	} else {
		r.ID = s.cfg.NewID()
	}
	if err := r.Validate(); err != nil {
		return nil, 0, err
	}
	if _, err := sso.ParseSelector(r.Selector); err != nil {
		return nil, 0, err
	}
	if err := checkBindName(snap, r); err != nil {
		return nil, 0, err
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, 0, err
	}
	return res.Value.(*api.ACLBindingRule), res.Index, nil
}

// checkBindName refuses names that the method does not map.
func checkBindName(snap *store.Snapshot, r *api.ACLBindingRule) error {
	t, err := sso.ParseTemplate(r.BindName)
	if err != nil {
		return api.Errorf(api.CodeInvalid, "BindName: %w", err)
	}
	m := snap.AuthMethod(r.AuthMethod)
	if m == nil {
		return nil // the log says it
	}
	known := mappedNames(m.Method)
	for _, name := range t.Names() {
		if !slices.Contains(known, name) {
			return api.Errorf(api.CodeInvalid, "BindName: there is no ${%s}: the ClaimMappings of auth method %q give %s", name, r.AuthMethod, listText(known))
		}
	}
	return nil
}

func listText(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// DeleteBindingRule deletes a binding rule.
func (s *Server) DeleteBindingRule(ctx context.Context, token, id string) (index uint64, err error) {
	if err := s.manages(ctx, token); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteBindingRule{ID: id})
	return res.Index, err
}

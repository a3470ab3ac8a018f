package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/store"
)

// ACLTokens lists tokens by accessor ID, without their secrets; with global
// those alone that count in every region.
func (s *Server) ACLTokens(ctx context.Context, opts api.ListOptions, global bool) ([]*api.ACLTokenListStub, api.Meta, error) {
	if err := s.manages(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	id := func(t *api.ACLTokenListStub) string { return t.AccessorID }
	return listACL(ctx, s, opts, store.KeyACLTokens(), store.TableACLTokens, id, isID, func(snap *store.Snapshot, rights *auth.Rights) (out []*api.ACLTokenListStub) {
		for row := range snap.ACLTokens() {
			if strings.HasPrefix(row.Token.AccessorID, opts.Prefix) && (row.Token.Global || !global) && rights.Manages() {
				out = append(out, withRoles(snap, row.Token).Stub())
			}
		}
		return out
	})
}

// ACLToken reads the caller's own token, or any for management, with its
// secret.
func (s *Server) ACLToken(ctx context.Context, opts api.ListOptions, accessor string) (*api.ACLToken, api.Meta, error) {
	if _, err := s.rights(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyACLToken(accessor), store.KeyACL()}, func(snap *store.Snapshot) (*api.ACLToken, uint64, error) {
		rights, err := s.rights(ctx, opts.Token)
		if err != nil {
			return nil, 0, err
		}
		if !rights.Manages() && (rights.Caller.Kind != api.CallerClient || rights.Caller.AccessorID != accessor) {
			return nil, 0, notYours("token", accessor)
		}
		row := snap.ACLToken(accessor)
		if row == nil {
			return nil, snap.TableIndex(store.TableACLTokens), missing("ACL token")
		}
		t, err := s.unsealed(snap, row)
		return t, row.Token.ModifyIndex, err
	})
}

// ACLTokenOfCaller reads the caller's own token.
func (s *Server) ACLTokenOfCaller(ctx context.Context, opts api.ListOptions) (*api.ACLToken, api.Meta, error) {
	rights, err := s.rights(ctx, opts.Token)
	if err != nil {
		return nil, api.Meta{}, err
	}
	if err := ownsToken(rights); err != nil {
		return nil, api.Meta{}, err
	}
	return s.ACLToken(ctx, opts, rights.Caller.AccessorID)
}

// ownsToken refuses callers that have no token of the state's.
func ownsToken(rights *auth.Rights) error {
	if k := rights.Caller.Kind; k != api.CallerClient && k != api.CallerManagement {
		return api.Errorf(api.CodeForbidden, "an ACL token is needed, and the caller is %s: Permission denied", k)
	}
	return nil
}

// unsealed returns a token with its secret.
func (s *Server) unsealed(snap *store.Snapshot, row *store.ACLToken) (*api.ACLToken, error) {
	t := withRoles(snap, row.Token)
	secret, err := s.cfg.ACL.Sealer.Open(auth.SealLabel(t.AccessorID), row.Sealed)
	if err != nil {
		return nil, err
	}
	t.SecretID = string(secret)
	return t, nil
}

// withRoles returns a copy of a token whose links name the roles that exist.
func withRoles(snap *store.Snapshot, t *api.ACLToken) *api.ACLToken {
	c := *t
	c.Roles = nil
	for _, link := range t.Roles {
		if role := snap.ACLRole(link.ID); role != nil {
			c.Roles = append(c.Roles, &api.ACLTokenRoleLink{ID: role.ID, Name: role.Name})
		}
	}
	return &c
}

// UpsertACLToken adds a token or changes name, policies and roles of the one
// of its accessor ID. A client token may bring both of its IDs along.
func (s *Server) UpsertACLToken(ctx context.Context, token string, t *api.ACLToken) (out *api.ACLToken, index uint64, warnings []string, err error) {
	if err := s.manages(ctx, token); err != nil {
		return nil, 0, nil, err
	}
	snap := s.store.Snapshot()
	if len(t.Name) > maxTokenName {
		return nil, 0, nil, api.Errorf(api.CodeInvalid, "Name has %d bytes: at most %d", len(t.Name), maxTokenName)
	}
	if t.Roles, err = linkRoles(snap, t.Roles); err != nil {
		return nil, 0, nil, err
	}
	slices.Sort(t.Policies)
	t.Policies = slices.Compact(t.Policies)
	if old := snap.ACLToken(t.AccessorID); old != nil {
		err = s.changedToken(t, old)
	} else {
		err = s.newToken(t)
	}
	if err != nil {
		return nil, 0, nil, err
	}
	if err := checkTokenType(t); err != nil {
		return nil, 0, nil, err
	}
	for _, name := range t.Policies {
		if snap.ACLPolicy(name) == nil {
			warnings = append(warnings, "Policies: there is no policy \""+name+"\": it gives nothing until it is created")
		}
	}
	out, index, err = s.putToken(ctx, t, func(row *store.ACLToken) store.Command { return &store.UpsertACLToken{Token: row} })
	return out, index, warnings, err
}

// linkRoles resolves links that name a role by ID or name.
func linkRoles(snap *store.Snapshot, links []*api.ACLTokenRoleLink) ([]*api.ACLTokenRoleLink, error) {
	var out []*api.ACLTokenRoleLink
	for _, l := range links {
		if l == nil {
			continue
		}
		role := snap.ACLRole(l.ID)
		if l.ID == "" {
			role = snap.ACLRoleByName(l.Name)
		}
		switch {
		case role == nil && l.ID == "":
			return nil, api.Errorf(api.CodeInvalid, "Roles: there is no role %q: create it first", l.Name)
		case role == nil:
			return nil, api.Errorf(api.CodeInvalid, "Roles: there is no role with ID %q: create it first", l.ID)
		case !slices.ContainsFunc(out, func(o *api.ACLTokenRoleLink) bool { return o.ID == role.ID }):
			out = append(out, &api.ACLTokenRoleLink{ID: role.ID})
		}
	}
	return out, nil
}

func checkTokenType(t *api.ACLToken) error {
	switch {
	case t.Type != api.ACLTokenClient && t.Type != api.ACLTokenManagement:
		return api.Errorf(api.CodeInvalid, "Type is %q: it must be %q or %q", t.Type, api.ACLTokenClient, api.ACLTokenManagement)
	case t.Type == api.ACLTokenClient && len(t.Policies)+len(t.Roles) == 0:
		return api.Errorf(api.CodeInvalid, "Policies and Roles are empty: a client token has at least one of them")
	case t.Type == api.ACLTokenManagement && len(t.Policies)+len(t.Roles) > 0:
		return api.Errorf(api.CodeInvalid, "a management token may do everything: leave Policies and Roles out, or make it a client token")
	}
	return nil
}

// changedToken checks a change of a token: what can't change must be left out
// or be as it was.
func (s *Server) changedToken(t *api.ACLToken, row *store.ACLToken) error {
	old := row.Token
	fixed := func(field string) error {
		return api.Errorf(api.CodeInvalid, "%s of a token can't change: leave it out, or create another token", field)
	}
	if t.Type == "" {
		t.Type = old.Type
	}
	switch {
	case t.Type != old.Type:
		return fixed("Type")
	case t.ExpirationTTL != 0 && t.ExpirationTTL != old.ExpirationTTL:
		return fixed("ExpirationTTL")
	case t.ExpirationTime != nil && (old.ExpirationTime == nil || !t.ExpirationTime.Equal(*old.ExpirationTime)):
		return fixed("ExpirationTime")
	case t.Global != old.Global:
		return fixed("Global")
	}
	secret, err := s.cfg.ACL.Sealer.Open(auth.SealLabel(old.AccessorID), row.Sealed)
	if err != nil {
		return err
	}
	if t.SecretID != "" && t.SecretID != string(secret) { // the caller may read it anyway
		return fixed("SecretID")
	}
	t.SecretID = string(secret)
	return nil
}

// newToken checks a token that does not exist and completes it.
func (s *Server) newToken(t *api.ACLToken) error {
	switch {
	case t.AccessorID == "" && t.SecretID == "":
		t.AccessorID, t.SecretID = s.cfg.NewID(), s.cfg.NewID()
	case t.SecretID == "":
		return missing("ACL token")
	case t.AccessorID == "":
		return api.Errorf(api.CodeInvalid, "SecretID is given, so AccessorID must be as well")
	case t.Type != api.ACLTokenClient:
		return api.Errorf(api.CodeInvalid, "only a client token may bring its own secret: leave AccessorID and SecretID out")
	}
	if err := checkID("AccessorID", t.AccessorID); err != nil {
		return err
	}
	if _, ok := api.ParseID(t.SecretID); !ok { // never repeated in an answer
		return api.Errorf(api.CodeInvalid, "SecretID must be a random UUID")
	}
	t.CreateTime = s.now().UTC()
	return s.expiration(t)
}

// expiration settles when a new token expires.
func (s *Server) expiration(t *api.ACLToken) error {
	c := s.cfg.ACL
	if t.ExpirationTTL != 0 && t.ExpirationTime != nil {
		return api.Errorf(api.CodeInvalid, "ExpirationTTL and ExpirationTime are both given: give one")
	}
	ttl, field := time.Duration(t.ExpirationTTL), "ExpirationTTL"
	switch {
	case t.ExpirationTime != nil:
		ttl, field = t.ExpirationTime.Sub(t.CreateTime), "ExpirationTime"
	case ttl != 0:
		at := t.CreateTime.Add(ttl)
		t.ExpirationTime = &at
	default:
		return nil
	}
	if ttl < c.MinTTL || ttl > c.MaxTTL {
		return api.Errorf(api.CodeInvalid, "%s lets the token live %s: it must be %s to %s (acl.token_min_expiration_ttl and token_max_expiration_ttl)", field, ttl, c.MinTTL, c.MaxTTL)
	}
	return nil
}

// putToken seals a token's secret and proposes it.
func (s *Server) putToken(ctx context.Context, t *api.ACLToken, command func(*store.ACLToken) store.Command) (*api.ACLToken, uint64, error) {
	sealer, secret := s.cfg.ACL.Sealer, t.SecretID
	hash, err := sealer.Hash(ctx, auth.LabelToken, []byte(secret))
	if err != nil {
		return nil, 0, err
	}
	sealed, err := sealer.Seal(ctx, auth.SealLabel(t.AccessorID), []byte(secret))
	if err != nil {
		return nil, 0, err
	}
	row := *t
	row.SecretID = ""
	res, err := s.propose(ctx, command(&store.ACLToken{Token: &row, Hash: hash, Sealed: sealed}))
	if err != nil {
		return nil, 0, err
	}
	out := withRoles(s.store.Snapshot(), res.Value.(*api.ACLToken))
	out.SecretID = secret
	return out, res.Index, nil
}

// DeleteACLToken deletes a token.
func (s *Server) DeleteACLToken(ctx context.Context, token, accessor string) (index uint64, err error) {
	if err := s.manages(ctx, token); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteACLToken{AccessorID: accessor})
	return res.Index, err
}

// BootstrapACL makes the first management token, once, with a secret of the
// caller's choice or a random one. Another time only after an operator wrote
// down the index of the last.
func (s *Server) BootstrapACL(ctx context.Context, secret string) (*api.ACLToken, uint64, error) {
	if err := s.aclOn(); err != nil {
		return nil, 0, err
	}
	if secret == "" {
		secret = s.cfg.NewID()
	} else if _, ok := api.ParseID(secret); !ok {
		return nil, 0, api.Errorf(api.CodeInvalid, "invalid acl token")
	}
	reset, err := s.cfg.ACL.ResetIndex()
	if err != nil {
		return nil, 0, err
	}
	t := &api.ACLToken{
		AccessorID: s.cfg.NewID(), SecretID: secret, Name: "Bootstrap Token", Type: api.ACLTokenManagement, Global: true, CreateTime: s.now().UTC(),
	}
	return s.putToken(ctx, t, func(row *store.ACLToken) store.Command { return &store.BootstrapACL{Token: row, Reset: reset} })
}

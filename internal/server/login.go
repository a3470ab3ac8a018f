package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sso"
	"github.com/drover-org/drover/internal/store"
)

// Login makes a token for who has one of an identity provider.
func (s *Server) Login(ctx context.Context, req *api.ACLLoginRequest) (*api.ACLToken, uint64, error) {
	m, err := s.loginMethod(req.AuthMethodName, api.AuthMethodJWT)
	if err != nil {
		return nil, 0, err
	}
	if req.LoginToken == "" {
		return nil, 0, api.Errorf(api.CodeInvalid, "LoginToken is missing: send the token of your identity provider")
	}
	id, err := s.cfg.ACL.Logins.JWT(ctx, m.Method, req.LoginToken)
	if err != nil {
		return nil, 0, err
	}
	return s.tokenFor(ctx, m.Method, id)
}

// OIDCAuthURL begins a login in a browser.
func (s *Server) OIDCAuthURL(ctx context.Context, req *api.ACLOIDCAuthURLRequest) (*api.ACLOIDCAuthURLResponse, error) {
	m, err := s.loginMethod(req.AuthMethodName, api.AuthMethodOIDC)
	if err != nil {
		return nil, err
	}
	flow, err := s.cfg.ACL.Logins.Begin(m.Method, req.RedirectURI, req.ClientNonce)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(flow)
	if err != nil {
		return nil, err
	}
	sealed, err := s.cfg.ACL.Sealer.Seal(ctx, flowLabel, text)
	if err != nil {
		return nil, err
	}
	url, err := s.cfg.ACL.Logins.URL(ctx, m.Method, flow, base64.RawURLEncoding.EncodeToString(sealed))
	if err != nil {
		return nil, err
	}
	return &api.ACLOIDCAuthURLResponse{AuthURL: url}, nil
}

// flowLabel binds sealed flows to their use.
const flowLabel = "oidc-flow"

// maxState bounds what comes back as the state of a login: a sealed flow has
// less than 2 KiB.
const maxState = 8 << 10

// OIDCCompleteAuth ends a login in a browser and makes its token.
func (s *Server) OIDCCompleteAuth(ctx context.Context, req *api.ACLOIDCCompleteAuthRequest) (*api.ACLToken, uint64, error) {
	m, err := s.loginMethod(req.AuthMethodName, api.AuthMethodOIDC)
	if err != nil {
		return nil, 0, err
	}
	flow, err := s.openFlow(req.State)
	if err != nil {
		return nil, 0, err
	}
	method := m.Method
	if m.Sealed != nil {
		secret, err := s.cfg.ACL.Sealer.Open(secretLabel(method.Name), m.Sealed)
		if err != nil {
			return nil, 0, err
		}
		method = method.WithSecret(string(secret))
	}
	id, err := s.cfg.ACL.Logins.Finish(ctx, method, flow, req)
	if err != nil {
		return nil, 0, err
	}
	return s.tokenFor(ctx, m.Method, id)
}

func (s *Server) openFlow(state string) (*sso.Flow, error) {
	unknown := api.Errorf(api.CodeForbidden, "the login was refused: State is of no login that was begun here: begin again: Permission denied")
	if len(state) > maxState {
		return nil, unknown
	}
	sealed, err := base64.RawURLEncoding.DecodeString(state)
	if err != nil {
		return nil, unknown
	}
	text, err := s.cfg.ACL.Sealer.Open(flowLabel, sealed)
	if err != nil {
		return nil, unknown
	}
	flow := &sso.Flow{}
	if err := json.Unmarshal(text, flow); err != nil {
		return nil, unknown
	}
	return flow, nil
}

// loginMethod finds the auth method of a login: the named one, or the default
// one of its type.
func (s *Server) loginMethod(name, kind string) (*store.AuthMethod, error) {
	if err := s.aclOn(); err != nil {
		return nil, err
	}
	snap := s.store.Snapshot()
	if name == "" {
		for m := range snap.AuthMethods() {
			if m.Method.Default && m.Method.Type == kind {
				return m, nil
			}
		}
		return nil, api.Errorf(api.CodeInvalid, "AuthMethodName is missing, and there is no default auth method of type %s", kind)
	}
	m := snap.AuthMethod(name)
	switch {
	case m == nil:
		return nil, api.Errorf(api.CodeNotFound, "auth method %q not found", name)
	case m.Method.Type != kind:
		return nil, api.Errorf(api.CodeInvalid, "AuthMethodName: auth method %q is of type %s, not %s", name, m.Method.Type, kind)
	}
	return m, nil
}

// maxTokenNameVars bounds how much of a claim gets into a token's name.
const maxTokenNameVars = 64

// tokenFor makes the token of who logged in by a method.
func (s *Server) tokenFor(ctx context.Context, m *api.ACLAuthMethod, id *sso.Identity) (*api.ACLToken, uint64, error) {
	t := s.bind(m, id)
	if t == nil {
		return nil, 0, api.Errorf(api.CodeForbidden, "the login was refused: no binding rule of auth method %q gives you anything that exists: ask whoever manages access: Permission denied", m.Name)
	}
	vars := id.Vars()
	for name, v := range vars {
		vars[name] = v[:min(len(v), maxTokenNameVars)]
	}
	vars["auth_method_type"], vars["auth_method_name"] = m.Type, m.Name
	t.Name = m.Type + "-" + m.Name
	if format, err := sso.ParseTemplate(m.TokenNameFormat); err == nil {
		if name, ok := format.Expand(vars); ok {
			t.Name = name[:min(len(name), maxTokenName)]
		}
	}
	t.ExpirationTTL, t.Global = m.MaxTokenTTL, m.TokenLocality == api.TokenLocalityGlobal
	if err := s.newToken(t); err != nil {
		return nil, 0, err
	}
	return s.putToken(ctx, t, func(row *store.ACLToken) store.Command { return &store.UpsertACLToken{Token: row} })
}

// bind returns a token with what the binding rules of a method give, nil when
// that is nothing. Roles and policies that don't exist are not given: they
// might come to mean something else later.
func (s *Server) bind(m *api.ACLAuthMethod, id *sso.Identity) *api.ACLToken {
	snap := s.store.Snapshot()
	t := &api.ACLToken{Type: api.ACLTokenClient}
	found := false
	for r := range snap.BindingRules() {
		if r.AuthMethod != m.Name || !fits(r, id) {
			continue
		}
		name, ok := bindName(r, id)
		s.logBinding(m, r, id, name, ok)
		if !ok {
			continue
		}
		switch r.BindType {
		case api.BindManagement:
			return &api.ACLToken{Type: api.ACLTokenManagement}
		case api.BindPolicy:
			if snap.ACLPolicy(name) != nil {
				found = true
				t.Policies = append(t.Policies, name)
			}
		case api.BindRole:
			role := snap.ACLRole(name)
			if role == nil {
				role = snap.ACLRoleByName(name)
			}
			if role != nil && !slices.ContainsFunc(t.Roles, func(l *api.ACLTokenRoleLink) bool { return l.ID == role.ID }) {
				found = true
				t.Roles = append(t.Roles, &api.ACLTokenRoleLink{ID: role.ID})
			}
		}
	}
	if !found {
		return nil
	}
	slices.Sort(t.Policies)
	t.Policies = slices.Compact(t.Policies)
	return t
}

func fits(r *api.ACLBindingRule, id *sso.Identity) bool {
	selector, err := sso.ParseSelector(r.Selector)
	return err == nil && selector.Matches(id)
}

func bindName(r *api.ACLBindingRule, id *sso.Identity) (string, bool) {
	if r.BindType == api.BindManagement {
		return "", true
	}
	t, err := sso.ParseTemplate(r.BindName)
	if err != nil {
		return "", false
	}
	return t.Expand(id.Vars())
}

// logBinding tells at level debug what became of claims, if the method asks
// for it.
func (s *Server) logBinding(m *api.ACLAuthMethod, r *api.ACLBindingRule, id *sso.Identity, name string, ok bool) {
	if m.Config.VerboseLogging {
		s.cfg.Log.Debug("a binding rule fits a login", slog.String("auth_method", m.Name), slog.String("rule", r.ID),
			slog.Any("values", id.Values), slog.Any("lists", id.Lists), slog.String("bind_type", r.BindType), slog.String("bind_name", name), slog.Bool("complete", ok))
	}
}

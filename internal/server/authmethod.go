package server

import (
	"context"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sso"
	"github.com/drover-org/drover/internal/store"
)

// AuthMethods lists auth methods by name. Anybody may: login pages show them.
func (s *Server) AuthMethods(ctx context.Context, opts api.ListOptions) ([]*api.ACLAuthMethodListStub, api.Meta, error) {
	if err := s.aclOn(); err != nil {
		return nil, api.Meta{}, err
	}
	var next string
	out, meta, err := read(ctx, s, opts, []store.Key{store.KeyAuthMethods()}, func(snap *store.Snapshot) (page []*api.ACLAuthMethodListStub, _ uint64, err error) {
		var all []*api.ACLAuthMethodListStub
		for m := range snap.AuthMethods() {
			if strings.HasPrefix(m.Method.Name, opts.Prefix) {
				all = append(all, m.Method.Stub())
			}
		}
		page, next, err = byName(opts, all, func(m *api.ACLAuthMethodListStub) string { return m.Name }, aclName.MatchString)
		return page, max(snap.TableIndex(store.TableAuthMethods), 1), err
	})
	meta.NextToken = next
	return out, meta, err
}

// AuthMethod reads one auth method, without its secret.
func (s *Server) AuthMethod(ctx context.Context, opts api.ListOptions, name string) (*api.ACLAuthMethod, api.Meta, error) {
	if err := s.manages(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyAuthMethod(name)}, func(snap *store.Snapshot) (*api.ACLAuthMethod, uint64, error) {
		m := snap.AuthMethod(name)
		if m == nil {
			return nil, snap.TableIndex(store.TableAuthMethods), missing("ACL auth method")
		}
		return m.Method, m.Method.ModifyIndex, nil
	})
}

// secretLabel binds a sealed client secret to its method.
func secretLabel(method string) string { return "acl-auth-method/" + method }

// CreateAuthMethod adds an auth method.
func (s *Server) CreateAuthMethod(ctx context.Context, token string, m *api.ACLAuthMethod) (out *api.ACLAuthMethod, index uint64, warnings []string, err error) {
	return s.putAuthMethod(ctx, token, m, &store.UpsertAuthMethod{Create: true})
}

// UpdateAuthMethod replaces an auth method. A secret that is left out or
// redacted stays.
func (s *Server) UpdateAuthMethod(ctx context.Context, token string, m *api.ACLAuthMethod) (out *api.ACLAuthMethod, index uint64, warnings []string, err error) {
	return s.putAuthMethod(ctx, token, m, &store.UpsertAuthMethod{Update: true})
}

func (s *Server) putAuthMethod(ctx context.Context, token string, m *api.ACLAuthMethod, cmd *store.UpsertAuthMethod) (*api.ACLAuthMethod, uint64, []string, error) {
	if err := s.manages(ctx, token); err != nil {
		return nil, 0, nil, err
	}
	secret := ""
	if m.Config != nil {
		secret = m.Config.OIDCClientSecret
	}
	old := s.store.Snapshot().AuthMethod(m.Name)
	if cmd.Update && old != nil && (secret == "" || secret == api.RedactedSecret) {
		cmd.KeepSecret, secret = true, ""
		if old.Sealed != nil {
			m = m.WithSecret(api.RedactedSecret)
		} else {
			m = m.WithSecret("")
		}
	} else if secret == api.RedactedSecret {
		return nil, 0, nil, api.Errorf(api.CodeInvalid, "Config > OIDCClientSecret: %q stands for a secret that is known here, and there is none: give the secret itself", secret)
	}
	m.Canonicalize()
	if err := m.Validate(s.cfg.ACL.MinTTL, s.cfg.ACL.MaxTTL); err != nil {
		return nil, 0, nil, err
	}
	if err := checkTokenNameFormat(m); err != nil {
		return nil, 0, nil, err
	}
	cmd.AuthMethod, cmd.Now = &store.AuthMethod{Method: m}, s.now().UnixNano()
	if secret != "" {
		sealed, err := s.cfg.ACL.Sealer.Seal(ctx, secretLabel(m.Name), []byte(secret))
		if err != nil {
			return nil, 0, nil, err
		}
		cmd.AuthMethod = &store.AuthMethod{Method: m.WithSecret(api.RedactedSecret), Sealed: sealed}
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, 0, nil, err
	}
	return res.Value.(*store.AuthMethod).Method, res.Index, m.Warnings(), nil
}

// checkTokenNameFormat refuses names that no login has.
func checkTokenNameFormat(m *api.ACLAuthMethod) error {
	t, err := sso.ParseTemplate(m.TokenNameFormat)
	if err != nil {
		return api.Errorf(api.CodeInvalid, "TokenNameFormat: %w", err)
	}
	known := append(mappedNames(m), "auth_method_type", "auth_method_name")
	for _, name := range t.Names() {
		if !slices.Contains(known, name) {
			return api.Errorf(api.CodeInvalid, "TokenNameFormat: there is no ${%s}: known are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// mappedNames are the values that templates may name for a method.
func mappedNames(m *api.ACLAuthMethod) (out []string) {
	for _, name := range m.Config.ClaimMappings {
		out = append(out, "value."+name)
	}
	slices.Sort(out)
	return out
}

// DeleteAuthMethod deletes an auth method with its binding rules.
func (s *Server) DeleteAuthMethod(ctx context.Context, token, name string) (index uint64, err error) {
	if err := s.manages(ctx, token); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteAuthMethod{Name: name})
	s.cfg.ACL.Logins.Keep(func(name string) bool { return s.store.Snapshot().AuthMethod(name) != nil })
	return res.Index, err
}

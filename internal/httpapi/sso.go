package httpapi

import (
	"context"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// ssoRoutes are about logins: whom to believe, what that gives, and doing it.
func (a *routes) ssoRoutes() []web.Route {
	manage := web.Region(api.CapManagement)
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/acl/auth-methods", Needs: web.Everyone(), Do: read(func(r *http.Request, o api.ListOptions, _ string) ([]*api.ACLAuthMethodListStub, api.Meta, error) {
			list, meta, err := a.Server.AuthMethods(r.Context(), o)
			return orEmpty(list), meta, err
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/auth-method", Needs: manage, Do: a.putAuthMethod(a.Server.CreateAuthMethod)},
		{Methods: "GET", Pattern: "/v1/acl/auth-method/{id}", Needs: manage, Do: read(func(r *http.Request, o api.ListOptions, name string) (*api.ACLAuthMethod, api.Meta, error) {
			return a.Server.AuthMethod(r.Context(), o, name)
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/auth-method/{id}", Needs: manage, Do: a.putAuthMethod(a.Server.UpdateAuthMethod)},
		{Methods: "DELETE", Pattern: "/v1/acl/auth-method/{id}", Needs: manage, Do: deleteByID(a.Server.DeleteAuthMethod)},

		{Methods: "GET", Pattern: "/v1/acl/binding-rules", Needs: manage, Do: read(func(r *http.Request, o api.ListOptions, _ string) ([]*api.ACLBindingRuleListStub, api.Meta, error) {
			list, meta, err := a.Server.BindingRules(r.Context(), o)
			return orEmpty(list), meta, err
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/binding-rule", Needs: manage, Do: a.putBindingRule},
		{Methods: "GET", Pattern: "/v1/acl/binding-rule/{id}", Needs: manage, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.ACLBindingRule, api.Meta, error) {
			return a.Server.BindingRule(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/binding-rule/{id}", Needs: manage, Do: a.putBindingRule},
		{Methods: "DELETE", Pattern: "/v1/acl/binding-rule/{id}", Needs: manage, Do: deleteByID(a.Server.DeleteBindingRule)},

		{Methods: "PUT POST", Pattern: "/v1/acl/login", Needs: web.Everyone(), Do: a.login},
		{Methods: "PUT POST", Pattern: "/v1/acl/oidc/auth-url", Needs: web.Everyone(), Do: a.oidcAuthURL},
		{Methods: "PUT POST", Pattern: "/v1/acl/oidc/complete-auth", Needs: web.Everyone(), Do: a.oidcCompleteAuth},
	}
}

func (a *routes) putAuthMethod(put func(ctx context.Context, token string, m *api.ACLAuthMethod) (*api.ACLAuthMethod, uint64, []string, error)) web.Handler {
	return func(r *http.Request) (any, error) {
		var m api.ACLAuthMethod
		unknown, err := web.Decode(r, &m)
		if err != nil {
			return nil, err
		}
		if err := checkPathID(r, "Name", &m.Name); err != nil {
			return nil, err
		}
		out, index, warnings, err := put(r.Context(), web.Token(r), &m)
		if err != nil {
			return nil, err
		}
		return warned(out, index, unknown, warnings), nil
	}
}

func (a *routes) putBindingRule(r *http.Request) (any, error) {
	var rule api.ACLBindingRule
	unknown, err := web.Decode(r, &rule)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "ID", &rule.ID); err != nil {
		return nil, err
	}
	if r.PathValue("id") == "" && rule.ID != "" {
		return nil, api.Errorf(api.CodeInvalid, "ID: a new binding rule gets its ID from the servers; to change one put it to /v1/acl/binding-rule/ID")
	}
	out, index, err := a.Server.UpsertBindingRule(r.Context(), web.Token(r), &rule)
	if err != nil {
		return nil, err
	}
	return written(out, index, unknown), nil
}

func (a *routes) login(r *http.Request) (any, error) {
	var req api.ACLLoginRequest
	unknown, err := web.Decode(r, &req)
	if err != nil {
		return nil, err
	}
	token, index, err := a.Server.Login(r.Context(), &req)
	if err != nil {
		return nil, err
	}
	return written(token, index, unknown), nil
}

func (a *routes) oidcAuthURL(r *http.Request) (any, error) {
	var req api.ACLOIDCAuthURLRequest
	unknown, err := web.Decode(r, &req)
	if err != nil {
		return nil, err
	}
	out, err := a.Server.OIDCAuthURL(r.Context(), &req)
	if err != nil {
		return nil, err
	}
	return written(out, 0, unknown), nil
}

func (a *routes) oidcCompleteAuth(r *http.Request) (any, error) {
	var req api.ACLOIDCCompleteAuthRequest
	unknown, err := web.Decode(r, &req)
	if err != nil {
		return nil, err
	}
	token, index, err := a.Server.OIDCCompleteAuth(r.Context(), &req)
	if err != nil {
		return nil, err
	}
	return written(token, index, unknown), nil
}

package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/drover-org/drover/api"
)

// AuthMethods lists the auth methods, which needs no token.
func (a ACL) AuthMethods(ctx context.Context, opts api.ListOptions) ([]*api.ACLAuthMethodListStub, api.Meta, error) {
	var out []*api.ACLAuthMethodListStub
	meta, err := a.c.read(ctx, "/v1/acl/auth-methods", opts, nil, &out)
	return out, meta, err
}

// AuthMethod returns one auth method, its client secret redacted.
func (a ACL) AuthMethod(ctx context.Context, name string, opts api.ListOptions) (*api.ACLAuthMethod, api.Meta, error) {
	out := new(api.ACLAuthMethod)
	meta, err := a.c.read(ctx, "/v1/acl/auth-method/"+url.PathEscape(name), opts, nil, out)
	return out, meta, err
}

// CreateAuthMethod adds an auth method.
func (a ACL) CreateAuthMethod(ctx context.Context, m *api.ACLAuthMethod) (*api.ACLAuthMethod, error) {
	return write[api.ACLAuthMethod](ctx, a.c, "/v1/acl/auth-method", m)
}

// UpdateAuthMethod changes the auth method of its name. A client secret that
// is redacted stays as it is.
func (a ACL) UpdateAuthMethod(ctx context.Context, m *api.ACLAuthMethod) (*api.ACLAuthMethod, error) {
	return write[api.ACLAuthMethod](ctx, a.c, "/v1/acl/auth-method/"+url.PathEscape(m.Name), m)
}

// DeleteAuthMethod deletes an auth method and its binding rules.
func (a ACL) DeleteAuthMethod(ctx context.Context, name string) error {
	_, err := a.c.call(ctx, http.MethodDelete, "/v1/acl/auth-method/"+url.PathEscape(name), nil, nil, nil)
	return err
}

// BindingRules lists the binding rules.
func (a ACL) BindingRules(ctx context.Context, opts api.ListOptions) ([]*api.ACLBindingRuleListStub, api.Meta, error) {
	var out []*api.ACLBindingRuleListStub
	meta, err := a.c.read(ctx, "/v1/acl/binding-rules", opts, nil, &out)
	return out, meta, err
}

// BindingRule returns one binding rule.
func (a ACL) BindingRule(ctx context.Context, id string, opts api.ListOptions) (*api.ACLBindingRule, api.Meta, error) {
	out := new(api.ACLBindingRule)
	meta, err := a.c.read(ctx, "/v1/acl/binding-rule/"+url.PathEscape(id), opts, nil, out)
	return out, meta, err
}

// PutBindingRule adds a binding rule, or changes the one of its ID.
func (a ACL) PutBindingRule(ctx context.Context, r *api.ACLBindingRule) (*api.ACLBindingRule, error) {
	path := "/v1/acl/binding-rule"
	if r.ID != "" {
		path += "/" + url.PathEscape(r.ID)
	}
	return write[api.ACLBindingRule](ctx, a.c, path, r)
}

// DeleteBindingRule deletes a binding rule.
func (a ACL) DeleteBindingRule(ctx context.Context, id string) error {
	_, err := a.c.call(ctx, http.MethodDelete, "/v1/acl/binding-rule/"+url.PathEscape(id), nil, nil, nil)
	return err
}

// Login makes a token for who has one of an identity provider.
func (a ACL) Login(ctx context.Context, req *api.ACLLoginRequest) (*api.ACLToken, error) {
	return write[api.ACLToken](ctx, a.c, "/v1/acl/login", req)
}

// OIDCAuthURL begins a login in a browser.
func (a ACL) OIDCAuthURL(ctx context.Context, req *api.ACLOIDCAuthURLRequest) (*api.ACLOIDCAuthURLResponse, error) {
	return write[api.ACLOIDCAuthURLResponse](ctx, a.c, "/v1/acl/oidc/auth-url", req)
}

// OIDCCompleteAuth ends a login in a browser and makes its token.
func (a ACL) OIDCCompleteAuth(ctx context.Context, req *api.ACLOIDCCompleteAuthRequest) (*api.ACLToken, error) {
	return write[api.ACLToken](ctx, a.c, "/v1/acl/oidc/complete-auth", req)
}

// write puts body to a path and returns the answer.
func write[T any](ctx context.Context, c *Client, path string, body any) (*T, error) {
	out := new(T)
	_, err := c.call(ctx, http.MethodPut, path, nil, body, out)
	return out, err
}

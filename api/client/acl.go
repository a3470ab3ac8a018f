package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/drover-org/drover/api"
)

// ACL are the calls on policies, roles and tokens.
type ACL struct{ c *Client }

// ACL returns the calls on policies, roles and tokens.
func (c *Client) ACL() ACL { return ACL{c} }

// Bootstrap makes the first management token, once, with a secret of the
// caller's choice or, if it is empty, a random one.
func (a ACL) Bootstrap(ctx context.Context, secret string) (*api.ACLToken, error) {
	var body any
	if secret != "" {
		body = &api.ACLBootstrapRequest{BootstrapSecret: secret}
	}
	out := new(api.ACLToken)
	_, err := a.c.call(ctx, http.MethodPut, "/v1/acl/bootstrap", nil, body, out)
	return out, err
}

// Explain asks why a token may or may not do something.
func (a ACL) Explain(ctx context.Context, req *api.ACLExplainRequest) (*api.ACLExplanation, error) {
	out := new(api.ACLExplanation)
	_, err := a.c.call(ctx, http.MethodPut, "/v1/acl/explain", nil, req, out)
	return out, err
}

// Policies lists the policies that the caller may see; with own those that his
// token has.
func (a ACL) Policies(ctx context.Context, own bool, opts api.ListOptions) ([]*api.ACLPolicyListStub, api.Meta, error) {
	path := "/v1/acl/policies"
	if own {
		path = "/v1/acl/policy/self"
	}
	var out []*api.ACLPolicyListStub
	meta, err := a.c.read(ctx, path, opts, nil, &out)
	return out, meta, err
}

// Policy returns one policy.
func (a ACL) Policy(ctx context.Context, name string, opts api.ListOptions) (*api.ACLPolicy, api.Meta, error) {
	out := new(api.ACLPolicy)
	meta, err := a.c.read(ctx, "/v1/acl/policy/"+url.PathEscape(name), opts, nil, out)
	return out, meta, err
}

// PutPolicy adds a policy or replaces the one of its name.
func (a ACL) PutPolicy(ctx context.Context, p *api.ACLPolicy) error {
	_, err := a.c.call(ctx, http.MethodPut, "/v1/acl/policy/"+url.PathEscape(p.Name), nil, p, nil)
	return err
}

// DeletePolicy deletes a policy.
func (a ACL) DeletePolicy(ctx context.Context, name string) error {
	_, err := a.c.call(ctx, http.MethodDelete, "/v1/acl/policy/"+url.PathEscape(name), nil, nil, nil)
	return err
}

// Tokens lists tokens without their secrets.
func (a ACL) Tokens(ctx context.Context, opts api.ListOptions) ([]*api.ACLTokenListStub, api.Meta, error) {
	var out []*api.ACLTokenListStub
	meta, err := a.c.read(ctx, "/v1/acl/tokens", opts, nil, &out)
	return out, meta, err
}

// Token returns one token by its accessor ID; "self" is the caller's own.
func (a ACL) Token(ctx context.Context, accessor string, opts api.ListOptions) (*api.ACLToken, api.Meta, error) {
	out := new(api.ACLToken)
	meta, err := a.c.read(ctx, "/v1/acl/token/"+url.PathEscape(accessor), opts, nil, out)
	return out, meta, err
}

// PutToken adds a token, or changes the one of its accessor ID.
func (a ACL) PutToken(ctx context.Context, t *api.ACLToken) (*api.ACLToken, error) {
	path := "/v1/acl/token"
	if t.AccessorID != "" {
		path += "/" + url.PathEscape(t.AccessorID)
	}
	out := new(api.ACLToken)
	_, err := a.c.call(ctx, http.MethodPut, path, nil, t, out)
	return out, err
}

// DeleteToken deletes a token.
func (a ACL) DeleteToken(ctx context.Context, accessor string) error {
	_, err := a.c.call(ctx, http.MethodDelete, "/v1/acl/token/"+url.PathEscape(accessor), nil, nil, nil)
	return err
}

// Roles lists the roles that the caller may see.
func (a ACL) Roles(ctx context.Context, opts api.ListOptions) ([]*api.ACLRole, api.Meta, error) {
	var out []*api.ACLRole
	meta, err := a.c.read(ctx, "/v1/acl/roles", opts, nil, &out)
	return out, meta, err
}

// Role returns one role by its ID, or with byName by its name.
func (a ACL) Role(ctx context.Context, id string, byName bool, opts api.ListOptions) (*api.ACLRole, api.Meta, error) {
	path := "/v1/acl/role/"
	if byName {
		path = "/v1/acl/role/name/"
	}
	out := new(api.ACLRole)
	meta, err := a.c.read(ctx, path+url.PathEscape(id), opts, nil, out)
	return out, meta, err
}

// PutRole adds a role, or changes the one of its ID.
func (a ACL) PutRole(ctx context.Context, r *api.ACLRole) (*api.ACLRole, error) {
	path := "/v1/acl/role"
	if r.ID != "" {
		path += "/" + url.PathEscape(r.ID)
	}
	out := new(api.ACLRole)
	_, err := a.c.call(ctx, http.MethodPut, path, nil, r, out)
	return out, err
}

// DeleteRole deletes a role.
func (a ACL) DeleteRole(ctx context.Context, id string) error {
	_, err := a.c.call(ctx, http.MethodDelete, "/v1/acl/role/"+url.PathEscape(id), nil, nil, nil)
	return err
}

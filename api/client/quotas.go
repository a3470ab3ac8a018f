package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/drover-org/drover/api"
)

// Quotas are the calls on quotas.
type Quotas struct{ c *Client }

// Quotas returns the calls on quotas.
func (c *Client) Quotas() Quotas { return Quotas{c} }

// List returns the quotas by name.
func (q Quotas) List(ctx context.Context, opts api.ListOptions) ([]*api.QuotaSpec, api.Meta, error) {
	var out []*api.QuotaSpec
	meta, err := q.c.read(ctx, "/v1/quotas", opts, nil, &out)
	return out, meta, err
}

// Info returns one quota.
func (q Quotas) Info(ctx context.Context, name string, opts api.ListOptions) (*api.QuotaSpec, api.Meta, error) {
	out := new(api.QuotaSpec)
	meta, err := q.c.read(ctx, "/v1/quota/"+url.PathEscape(name), opts, nil, out)
	return out, meta, err
}

// Usage returns what is used of one quota.
func (q Quotas) Usage(ctx context.Context, name string, opts api.ListOptions) (*api.QuotaUsage, api.Meta, error) {
	out := new(api.QuotaUsage)
	meta, err := q.c.read(ctx, "/v1/quota/usage/"+url.PathEscape(name), opts, nil, out)
	return out, meta, err
}

// Register creates a quota or replaces what it allows.
func (q Quotas) Register(ctx context.Context, spec *api.QuotaSpec) error {
	_, err := q.c.call(ctx, http.MethodPut, "/v1/quota", nil, spec, nil)
	return err
}

// Delete deletes a quota that no namespace names.
func (q Quotas) Delete(ctx context.Context, name string) error {
	_, err := q.c.call(ctx, http.MethodDelete, "/v1/quota/"+url.PathEscape(name), nil, nil, nil)
	return err
}

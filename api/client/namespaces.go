package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/drover-org/drover/api"
)

// Namespaces are the calls on namespaces.
type Namespaces struct{ c *Client }

// Namespaces returns the calls on namespaces.
func (c *Client) Namespaces() Namespaces { return Namespaces{c} }

func namespacePath(name string) string { return "/v1/namespace/" + url.PathEscape(name) }

// List returns the namespaces that the caller may see, by name.
func (n Namespaces) List(ctx context.Context, opts api.ListOptions) ([]*api.Namespace, api.Meta, error) {
	var out []*api.Namespace
	meta, err := n.c.read(ctx, "/v1/namespaces", opts, nil, &out)
	return out, meta, err
}

// Info returns one namespace.
func (n Namespaces) Info(ctx context.Context, name string, opts api.ListOptions) (*api.Namespace, api.Meta, error) {
	out := new(api.Namespace)
	meta, err := n.c.read(ctx, namespacePath(name), opts, nil, out)
	return out, meta, err
}

// Register creates a namespace or replaces its settings.
func (n Namespaces) Register(ctx context.Context, ns *api.Namespace) error {
	_, err := n.c.call(ctx, http.MethodPut, "/v1/namespace", nil, ns, nil)
	return err
}

// Delete deletes a namespace in which nothing runs.
func (n Namespaces) Delete(ctx context.Context, name string) error {
	_, err := n.c.call(ctx, http.MethodDelete, namespacePath(name), nil, nil, nil)
	return err
}

package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/drover-org/drover/api"
)

// Services are the calls on the catalogue of services.
type Services struct{ c *Client }

// Services returns the calls on the catalogue of services.
func (c *Client) Services() Services { return Services{c} }

// List returns the names and tags of services by namespace.
func (s Services) List(ctx context.Context, opts api.ListOptions) ([]*api.ServiceListStub, api.Meta, error) {
	var out []*api.ServiceListStub
	meta, err := s.c.read(ctx, "/v1/services", opts, nil, &out)
	return out, meta, err
}

// Get returns the instances of a service. choose, "N|key", takes N of them; an
// empty one takes all.
func (s Services) Get(ctx context.Context, name, choose string, opts api.ListOptions) ([]*api.ServiceRegistration, api.Meta, error) {
	var extra url.Values
	if choose != "" {
		extra = url.Values{"choose": {choose}}
	}
	var out []*api.ServiceRegistration
	meta, err := s.c.read(ctx, "/v1/service/"+url.PathEscape(name), opts, extra, &out)
	return out, meta, err
}

// Delete takes an instance out of the catalogue.
func (s Services) Delete(ctx context.Context, namespace, name, id string) error {
	_, err := s.c.call(ctx, http.MethodDelete, "/v1/service/"+url.PathEscape(name)+"/"+url.PathEscape(id), url.Values{"namespace": {namespace}}, nil, nil)
	return err
}

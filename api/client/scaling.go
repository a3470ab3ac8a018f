package client

import (
	"context"
	"net/url"

	"github.com/drover-org/drover/api"
)

// Scaling are the calls on scaling policies.
type Scaling struct{ c *Client }

// Scaling returns the calls on scaling policies.
func (c *Client) Scaling() Scaling { return Scaling{c} }

// Policies returns the scaling policies; job and kind narrow the list when not
// empty.
func (s Scaling) Policies(ctx context.Context, job, kind string, opts api.ListOptions) ([]*api.ScalingPolicy, error) {
	extra := url.Values{}
	if job != "" {
		extra.Set("job", job)
	}
	if kind != "" {
		extra.Set("type", kind)
	}
	var out []*api.ScalingPolicy
	_, err := s.c.read(ctx, "/v1/scaling/policies", opts, extra, &out)
	return out, err
}

// Policy returns one scaling policy by its full ID.
func (s Scaling) Policy(ctx context.Context, id string, opts api.ListOptions) (*api.ScalingPolicy, error) {
	out := new(api.ScalingPolicy)
	_, err := s.c.read(ctx, "/v1/scaling/policy/"+url.PathEscape(id), opts, nil, out)
	return out, err
}

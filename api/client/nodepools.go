package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/drover-org/drover/api"
)

// NodePools are the calls on node pools.
type NodePools struct{ c *Client }

// NodePools returns the calls on node pools.
func (c *Client) NodePools() NodePools { return NodePools{c} }

func nodePoolPath(name string) string { return "/v1/node/pool/" + url.PathEscape(name) }

// List returns the node pools that the caller may read, by name.
func (n NodePools) List(ctx context.Context, opts api.ListOptions) ([]*api.NodePool, api.Meta, error) {
	var out []*api.NodePool
	meta, err := n.c.read(ctx, "/v1/node/pools", opts, nil, &out)
	return out, meta, err
}

// Info returns one node pool.
func (n NodePools) Info(ctx context.Context, name string, opts api.ListOptions) (*api.NodePool, api.Meta, error) {
	out := new(api.NodePool)
	meta, err := n.c.read(ctx, nodePoolPath(name), opts, nil, out)
	return out, meta, err
}

// Nodes lists the nodes of a pool.
func (n NodePools) Nodes(ctx context.Context, name string, opts api.ListOptions) ([]*api.NodeListStub, api.Meta, error) {
	var out []*api.NodeListStub
	meta, err := n.c.read(ctx, nodePoolPath(name)+"/nodes", opts, nil, &out)
	return out, meta, err
}

// Jobs lists the jobs of a pool.
func (n NodePools) Jobs(ctx context.Context, name string, opts api.ListOptions) ([]*api.JobListStub, api.Meta, error) {
	var out []*api.JobListStub
	meta, err := n.c.read(ctx, nodePoolPath(name)+"/jobs", opts, nil, &out)
	return out, meta, err
}

// Register creates a node pool or replaces its settings.
func (n NodePools) Register(ctx context.Context, p *api.NodePool) error {
	_, err := n.c.call(ctx, http.MethodPut, "/v1/node/pools", nil, p, nil)
	return err
}

// Delete deletes a node pool that nothing uses.
func (n NodePools) Delete(ctx context.Context, name string) error {
	_, err := n.c.call(ctx, http.MethodDelete, nodePoolPath(name), nil, nil, nil)
	return err
}

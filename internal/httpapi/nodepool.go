package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) nodePoolRoutes() []web.Route {
	pool := web.Pool(api.CapNodePoolRead)
	write := web.Pool(api.CapNodePoolWrite)
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/node/pools", Needs: web.Shown(api.CapNodePoolRead), Do: a.listNodePools},
		{Methods: "PUT POST", Pattern: "/v1/node/pools", Needs: write, Do: a.upsertNodePool},
		{Methods: "GET", Pattern: "/v1/node/pool/{id}", Needs: pool, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.NodePool, api.Meta, error) {
			return a.Server.NodePool(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/node/pool/{id}", Needs: write, Do: a.upsertNodePool},
		{Methods: "DELETE", Pattern: "/v1/node/pool/{id}", Needs: web.Pool(api.CapNodePoolDelete), Do: func(r *http.Request) (any, error) {
			index, err := a.Server.DeleteNodePool(r.Context(), web.Token(r), r.PathValue("id"))
			if err != nil {
				return nil, err
			}
			return written(nil, index, nil), nil
		}},
		{Methods: "GET", Pattern: "/v1/node/pool/{id}/nodes", Needs: web.Region(api.CapNodeRead).And(pool), Do: a.nodeList(a.Server.NodePoolNodes)},
		{Methods: "GET", Pattern: "/v1/node/pool/{id}/jobs", Needs: web.Namespace(api.CapListJobs).And(pool), Do: func(r *http.Request) (any, error) {
			p := web.ParamsOf(r)
			opts, meta := p.List(), p.Bool("meta", false)
			if err := p.Err(); err != nil {
				return nil, err
			}
			seq, out, err := a.Server.NodePoolJobs(r.Context(), opts, r.PathValue("id"), meta)
			return answer(web.List[*api.JobListStub]{Items: seq}, out, err)
		}},
	}
}

func (a *routes) listNodePools(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	seq, meta, err := a.Server.NodePools(r.Context(), opts)
	return answer(web.List[*api.NodePool]{Items: seq}, meta, err)
}

// upsertNodePool takes one pool. A path that names one must name the body's; a
// body without a name takes the path's.
func (a *routes) upsertNodePool(r *http.Request) (any, error) {
	p := &api.NodePool{}
	unknown, err := web.Decode(r, p)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "Name", &p.Name); err != nil {
		return nil, err
	}
	index, err := a.Server.UpsertNodePool(r.Context(), web.Token(r), p)
	if err != nil {
		return nil, err
	}
	return written(nil, index, unknown), nil
}

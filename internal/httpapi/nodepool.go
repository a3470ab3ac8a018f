package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) nodePoolRoutes() []web.Route {
	pool := web.Pool(api.CapNodePoolRead)
	write := web.Pool(api.CapNodePoolWrite)
	put := upsert(func(p *api.NodePool) *string { return &p.Name }, a.Server.UpsertNodePool)
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/node/pools", Needs: web.Shown(api.CapNodePoolRead), Do: list(a.Server.NodePools)},
		{Methods: "PUT POST", Pattern: "/v1/node/pools", Needs: write, Do: put},
		{Methods: "GET", Pattern: "/v1/node/pool/{id}", Needs: pool, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.NodePool, api.Meta, error) {
			return a.Server.NodePool(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/node/pool/{id}", Needs: write, Do: put},
		{Methods: "DELETE", Pattern: "/v1/node/pool/{id}", Needs: web.Pool(api.CapNodePoolDelete), Do: deleteByID(a.Server.DeleteNodePool)},
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

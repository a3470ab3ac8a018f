package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) scalingRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/scaling/policies", Needs: web.Namespace(api.CapListScalingPolicies), Do: a.scalingPolicies},
		{Methods: "GET", Pattern: "/v1/scaling/policy/{id}", Needs: web.Object(api.CapReadScalingPolicy), Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.ScalingPolicy, api.Meta, error) {
			return a.Server.ScalingPolicy(r.Context(), o, id)
		})},
	}
}

// scalingStub is a scaling policy in a list: without what it says.
type scalingStub struct {
	ID, Type                 string
	Enabled                  bool
	Target                   map[string]string
	CreateIndex, ModifyIndex uint64
}

func (a *routes) scalingPolicies(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, job, kind := p.List(), p.String("job"), p.String("type")
	if err := p.Err(); err != nil {
		return nil, err
	}
	list, meta, err := a.Server.ScalingPolicies(r.Context(), opts, job, kind)
	stubs := make([]scalingStub, len(list))
	for i, p := range list {
		stubs[i] = scalingStub{p.ID, p.Type, p.Enabled == nil || *p.Enabled, p.Target, p.CreateIndex, p.ModifyIndex}
	}
	return answer(stubs, meta, err)
}

package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) quotaRoutes() []web.Route {
	reads, writes := web.Region(api.CapQuotaRead), web.Region(api.CapQuotaWrite)
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/quotas", Needs: reads, Do: func(r *http.Request) (any, error) {
			opts, err := listOptions(r)
			if err != nil {
				return nil, err
			}
			seq, meta, err := a.Server.Quotas(r.Context(), opts)
			return answer(web.List[*api.QuotaSpec]{Items: seq}, meta, err)
		}},
		{Methods: "GET", Pattern: "/v1/quota-usages", Needs: reads, Do: func(r *http.Request) (any, error) {
			opts, err := listOptions(r)
			if err != nil {
				return nil, err
			}
			seq, meta, err := a.Server.QuotaUsages(r.Context(), opts)
			return answer(web.List[*api.QuotaUsage]{Items: seq}, meta, err)
		}},
		{Methods: "GET", Pattern: "/v1/quota/{id}", Needs: reads, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.QuotaSpec, api.Meta, error) {
			return a.Server.Quota(r.Context(), o, id)
		})},
		{Methods: "GET", Pattern: "/v1/quota/usage/{id}", Needs: reads, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.QuotaUsage, api.Meta, error) {
			return a.Server.QuotaUsage(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/quota", Needs: writes, Do: a.upsertQuota},
		{Methods: "PUT POST", Pattern: "/v1/quota/{id}", Needs: writes, Do: a.upsertQuota},
		{Methods: "DELETE", Pattern: "/v1/quota/{id}", Needs: writes, Do: func(r *http.Request) (any, error) {
			index, err := a.Server.DeleteQuota(r.Context(), web.Token(r), r.PathValue("id"))
			if err != nil {
				return nil, err
			}
			return written(nil, index, nil), nil
		}},
	}
}

// upsertQuota takes one quota. A path that names one must name the body's; a
// body without a name takes the path's.
func (a *routes) upsertQuota(r *http.Request) (any, error) {
	q := &api.QuotaSpec{}
	unknown, err := web.Decode(r, q)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "Name", &q.Name); err != nil {
		return nil, err
	}
	index, err := a.Server.UpsertQuota(r.Context(), web.Token(r), q)
	if err != nil {
		return nil, err
	}
	return written(nil, index, unknown), nil
}

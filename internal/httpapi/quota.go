package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) quotaRoutes() []web.Route {
	reads, writes := web.Region(api.CapQuotaRead), web.Region(api.CapQuotaWrite)
	put := upsert(func(q *api.QuotaSpec) *string { return &q.Name }, a.Server.UpsertQuota)
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/quotas", Needs: reads, Do: list(a.Server.Quotas)},
		{Methods: "GET", Pattern: "/v1/quota-usages", Needs: reads, Do: list(a.Server.QuotaUsages)},
		{Methods: "GET", Pattern: "/v1/quota/{id}", Needs: reads, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.QuotaSpec, api.Meta, error) {
			return a.Server.Quota(r.Context(), o, id)
		})},
		{Methods: "GET", Pattern: "/v1/quota/usage/{id}", Needs: reads, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.QuotaUsage, api.Meta, error) {
			return a.Server.QuotaUsage(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/quota", Needs: writes, Do: put},
		{Methods: "PUT POST", Pattern: "/v1/quota/{id}", Needs: writes, Do: put},
		{Methods: "DELETE", Pattern: "/v1/quota/{id}", Needs: writes, Do: deleteByID(a.Server.DeleteQuota)},
	}
}

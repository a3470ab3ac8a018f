package httpapi

import (
	"context"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) namespaceRoutes() []web.Route {
	shown, manage := web.Shown(api.CapSeeNamespace), web.Region(api.CapManagement)
	put := upsert(func(n *api.Namespace) *string { return &n.Name }, func(ctx context.Context, token string, n *api.Namespace) (uint64, error) {
		return a.Server.UpsertNamespaces(ctx, token, []*api.Namespace{n})
	})
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/namespaces", Needs: shown, Do: list(a.Server.Namespaces)},
		{Methods: "PUT POST", Pattern: "/v1/namespaces", Needs: manage, Do: put},
		{Methods: "PUT POST", Pattern: "/v1/namespace", Needs: manage, Do: put},
		{Methods: "GET", Pattern: "/v1/namespace/{id}", Needs: shown, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.Namespace, api.Meta, error) {
			return a.Server.Namespace(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/namespace/{id}", Needs: manage, Do: put},
		{Methods: "DELETE", Pattern: "/v1/namespace/{id}", Needs: manage, Do: deleteByID(func(ctx context.Context, token, name string) (uint64, error) {
			return a.Server.DeleteNamespaces(ctx, token, []string{name})
		})},
	}
}

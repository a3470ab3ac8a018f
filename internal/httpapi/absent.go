package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// absentRoutes answers for parts that this version does not have, where
// clients ask as a matter of course: lists are truthfully empty, and what
// would need the part says so.
func (a *routes) absentRoutes() []web.Route {
	empty := read(func(*http.Request, api.ListOptions, string) ([]struct{}, api.Meta, error) {
		return []struct{}{}, api.Meta{Index: 1, KnownLeader: a.Server.Leader() != ""}, nil
	})
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/volumes", Needs: web.Everyone(), Do: empty},
		{Methods: "GET", Pattern: "/v1/plugins", Needs: web.Everyone(), Do: empty},
		{Methods: "GET", Pattern: "/v1/vars", Needs: web.Everyone(), Do: empty},
	}
}

package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) namespaceRoutes() []web.Route {
	shown, manage := web.Shown(api.CapSeeNamespace), web.Region(api.CapManagement)
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/namespaces", Needs: shown, Do: a.listNamespaces},
		{Methods: "PUT POST", Pattern: "/v1/namespaces", Needs: manage, Do: a.upsertNamespace},
		{Methods: "PUT POST", Pattern: "/v1/namespace", Needs: manage, Do: a.upsertNamespace},
		{Methods: "GET", Pattern: "/v1/namespace/{id}", Needs: shown, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.Namespace, api.Meta, error) {
			return a.Server.Namespace(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/namespace/{id}", Needs: manage, Do: a.upsertNamespace},
		{Methods: "DELETE", Pattern: "/v1/namespace/{id}", Needs: manage, Do: func(r *http.Request) (any, error) {
			index, err := a.Server.DeleteNamespaces(r.Context(), web.Token(r), []string{r.PathValue("id")})
			if err != nil {
				return nil, err
			}
			return written(nil, index, nil), nil
		}},
	}
}

func (a *routes) listNamespaces(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	seq, meta, err := a.Server.Namespaces(r.Context(), opts)
	return answer(web.List[*api.Namespace]{Items: seq}, meta, err)
}

// upsertNamespace takes one namespace. A path that names one must name the
// body's; a body without a name takes the path's.
func (a *routes) upsertNamespace(r *http.Request) (any, error) {
	n := &api.Namespace{}
	unknown, err := web.Decode(r, n)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "Name", &n.Name); err != nil {
		return nil, err
	}
	index, err := a.Server.UpsertNamespaces(r.Context(), web.Token(r), []*api.Namespace{n})
	if err != nil {
		return nil, err
	}
	return written(nil, index, unknown), nil
}

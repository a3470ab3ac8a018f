package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) serviceRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/services", Needs: web.Namespace(api.CapReadJob), Do: a.listServices},
		{Methods: "GET", Pattern: "/v1/service/{id}", Needs: web.Namespace(api.CapReadJob), Do: a.readService},
		{Methods: "DELETE", Pattern: "/v1/service/{id}/{registration}", Needs: web.Namespace(api.CapDeleteServiceRegistration), Do: a.deleteService},
	}
}

func (a *routes) listServices(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	list, meta, err := a.Server.Services(r.Context(), opts)
	if err != nil || opts.Namespace == api.AllNamespaces {
		return answer(list, meta, err)
	}
	return a.share(r, list, meta, nil)
}

func (a *routes) readService(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, choose := p.List(), p.String("choose")
	if err := p.Err(); err != nil {
		return nil, err
	}
	list, meta, err := a.Server.Service(r.Context(), opts, r.PathValue("id"), choose)
	if err != nil || opts.Namespace == api.AllNamespaces {
		return answer(list, meta, err)
	}
	return a.share(r, list, meta, nil)
}

func (a *routes) deleteService(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	index, err := a.Server.DeleteService(r.Context(), web.Token(r), opts.Namespace, r.PathValue("id"), r.PathValue("registration"))
	if err != nil {
		return nil, err
	}
	return written(nil, index, nil), nil
}

package httpapi

import (
	"context"
	"io"
	"iter"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) allocRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/allocations", Needs: web.Namespace(api.CapReadJob), Do: a.listAllocs},
		{Methods: "GET", Pattern: "/v1/allocation/{id}", Needs: web.Object(api.CapReadJob), Do: a.readAlloc},
		{Methods: "PUT POST", Pattern: "/v1/allocation/{id}/stop", Needs: web.Object(api.CapAllocLifecycle), Do: a.stopAlloc},
		{Methods: "GET", Pattern: "/v1/allocation/{id}/explain", Needs: web.Object(api.CapReadJob), Do: a.explainAlloc},
		{Methods: "GET", Pattern: "/v1/allocation/{id}/services", Needs: web.Object(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) ([]*api.ServiceRegistration, api.Meta, error) {
			return a.Server.AllocServices(r.Context(), o, id)
		})},
		{Methods: "*", Pattern: "/v1/allocation/{id}/{rest...}", Needs: web.Everyone(), Do: func(*http.Request) (any, error) {
			return nil, &api.Error{Code: api.CodeNotFound, Message: "resource not found"}
		}},
	}
}

// stubOptions reads what a list of allocations is to show.
func stubOptions(p *web.Params) stubShow {
	return stubShow{resources: p.Bool("resources", false), taskStates: p.Bool("task_states", true)}
}

// maxShared is up to how many allocations an answer is kept as a whole. Longer
// ones are put together from segments that many answers share.
const maxShared = 512

// stubList is a streamed list of allocations in their list form.
func stubList(seq iter.Seq[*api.Allocation], show stubShow) web.List[*api.Allocation] {
	return web.List[*api.Allocation]{Items: seq, Append: show.append}
}

func (a *routes) readAlloc(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	alloc, meta, err := a.Server.Alloc(r.Context(), opts, r.PathValue("id"))
	return a.share(r, fullAlloc{alloc}, meta, err)
}

// fullAlloc is an allocation in its full form, made when it is written.
type fullAlloc struct{ *api.Allocation }

// WriteTo writes the full form.
func (f fullAlloc) WriteTo(w io.Writer) (int64, error) {
	b, err := appendJSON(nil, f.Allocation.View())
	if err != nil {
		return 0, err
	}
	n, err := w.Write(b)
	return int64(n), err
}

func (a *routes) listAllocs(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, show := p.List(), stubOptions(p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	list, meta, err := a.Server.Allocs(r.Context(), opts)
	if err != nil {
		return answer(nil, meta, err)
	}
	value := a.stubArray(list, show)
	if list.Own || list.Len() > maxShared {
		return answer(value, meta, nil)
	}
	return a.share(r, value, meta, nil)
}

// stubs makes a handler that lists the allocations of the path's object.
func (a *routes) stubs(list func(ctx context.Context, o api.ListOptions, id string) (iter.Seq[*api.Allocation], api.Meta, error)) web.Handler {
	return func(r *http.Request) (any, error) {
		p := web.ParamsOf(r)
		opts, show := p.List(), stubOptions(p)
		if err := p.Err(); err != nil {
			return nil, err
		}
		seq, meta, err := list(r.Context(), opts, r.PathValue("id"))
		return answer(stubList(seq, show), meta, err)
	}
}

func (a *routes) stopAlloc(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	noDelay, reschedule := p.Bool("no_shutdown_delay", false), p.Bool("reschedule", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	res, err := a.Server.StopAlloc(r.Context(), web.Token(r), r.PathValue("id"), noDelay, reschedule)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, nil), nil
}

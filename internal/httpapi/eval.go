package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) evalRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/evaluations", Needs: web.Namespace(api.CapReadJob), Do: a.listEvals},
		{Methods: "DELETE", Pattern: "/v1/evaluations", Needs: web.Region(api.CapManagement), Do: a.deleteEvals},
		{Methods: "GET", Pattern: "/v1/evaluations/count", Needs: web.Namespace(api.CapReadJob), Do: a.countEvals},
		{Methods: "GET", Pattern: "/v1/evaluation/{id}", Needs: web.Object(api.CapReadJob), Do: a.readEval},
		{Methods: "GET", Pattern: "/v1/evaluation/{id}/allocations", Needs: web.Shown(api.CapReadJob), Do: a.stubs(a.Server.EvalAllocs)},
	}
}

func (a *routes) listEvals(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, status, job := p.List(), p.String("status"), p.String("job")
	if err := p.Err(); err != nil {
		return nil, err
	}
	seq, meta, err := a.Server.Evals(r.Context(), opts, status, job)
	return answer(web.List[*api.Evaluation]{Items: seq}, meta, err)
}

func (a *routes) countEvals(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, status, job := p.List(), p.String("status"), p.String("job")
	if err := p.Err(); err != nil {
		return nil, err
	}
	n, meta, err := a.Server.CountEvals(r.Context(), opts, status, job)
	return answer(map[string]int{"Count": n}, meta, err)
}

func (a *routes) readEval(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, related := p.List(), p.Bool("related", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	e, meta, err := a.Server.Eval(r.Context(), opts, r.PathValue("id"), related)
	return answer(e, meta, err)
}

func (a *routes) deleteEvals(r *http.Request) (any, error) {
	req := &api.EvalDeleteRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	n, index, err := a.Server.DeleteEvals(r.Context(), web.Token(r), req)
	if err != nil {
		return nil, err
	}
	return written(map[string]int{"Count": n}, index, unknown), nil
}

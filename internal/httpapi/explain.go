package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/internal/web"
)

func (a *routes) explainAlloc(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, all := p.List(), p.Bool("all", false)
	opts.Index = 0 // an explanation is of the moment
	if err := p.Err(); err != nil {
		return nil, err
	}
	x, meta, err := a.Server.ExplainAlloc(r.Context(), opts, r.PathValue("id"), all)
	return answer(x, meta, err)
}

func (a *routes) explainJob(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, group, all := p.List(), p.String("group"), p.Bool("all", false)
	opts.Index = 0
	if err := p.Err(); err != nil {
		return nil, err
	}
	x, meta, err := a.Server.ExplainJob(r.Context(), opts, r.PathValue("id"), group, all)
	return answer(x, meta, err)
}

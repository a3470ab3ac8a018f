package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) forcePeriodicJob(r *http.Request) (any, error) {
	res, err := a.Server.ForcePeriodicJob(r.Context(), web.Token(r), jobNamespace(r, ""), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, nil), nil
}

func (a *routes) dispatchJob(r *http.Request) (any, error) {
	req := &api.JobDispatchRequest{}
	unknown, err := web.DecodeOptional(r, req)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "JobID", &req.JobID); err != nil {
		return nil, err
	}
	return a.dispatch(r, req, unknown)
}

// dispatchPayload takes the body as it is.
func (a *routes) dispatchPayload(r *http.Request) (any, error) {
	payload, err := web.ReadBody(r)
	if err != nil {
		return nil, err
	}
	return a.dispatch(r, &api.JobDispatchRequest{JobID: r.PathValue("id"), Payload: payload}, nil)
}

func (a *routes) dispatch(r *http.Request, req *api.JobDispatchRequest, unknown []string) (any, error) {
	token := web.ParamsOf(r).String("idempotency_token")
	res, err := a.Server.DispatchJob(r.Context(), web.Token(r), jobNamespace(r, ""), req, token)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// jobAction makes a handler of a session that runs one of a job's actions: a
// session of exec, with the command that the job has under that name.
func (a *routes) jobAction() http.Handler {
	return a.tunnelTo(api.CapAllocExec, a.atAction, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := a.atAction(r.Context(), web.Token(r), r)
		if err == nil {
			err = api.Errorf(api.CodeInvalid, "an action is run over a websocket: the request asks for none")
		}
		web.WriteError(w, err)
	}))
}

// atAction is the aim of a request for an action of the path's job.
func (a *routes) atAction(ctx context.Context, token string, r *http.Request) (*http.Request, error) {
	p := web.ParamsOf(r)
	ask := api.JobActionRequest{
		Namespace: p.Namespace(), JobID: r.PathValue("id"), AllocID: p.String("allocID"), Group: p.String("group"),
		Task: p.String("task"), Action: p.String("action"),
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	target, err := a.Server.LocateAction(ctx, token, ask)
	if err != nil {
		return nil, err
	}
	command, err := json.Marshal(target.Command)
	if err != nil {
		return nil, err
	}
	inner := r.Clone(ctx)
	inner.SetPathValue("id", target.AllocID)
	inner.URL.Path, inner.URL.RawPath = "/v1/client/allocation/"+target.AllocID+"/exec", ""
	q := inner.URL.Query()
	q.Set("task", target.Task)
	q.Set("command", string(command))
	inner.URL.RawQuery = q.Encode()
	return inner, nil
}

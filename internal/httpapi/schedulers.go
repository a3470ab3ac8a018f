package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// onServer makes a handler of what only a server can tell of itself. Who may
// not know is not told either that this is none.
func (a *routes) onServer(c api.Capability, do web.Handler) web.Handler {
	return func(r *http.Request) (any, error) {
		if a.Server != nil {
			return do(r)
		}
		if err := a.allowed(r, c); err != nil {
			return nil, err
		}
		return nil, &api.Error{Code: api.CodeInvalid, Message: "Server only endpoint"}
	}
}

func (a *routes) schedulers(r *http.Request) (any, error) {
	list, err := a.Server.SchedulerWorkers(r.Context(), web.Token(r))
	if err != nil {
		return nil, err
	}
	return &api.SchedulerWorkers{ServerID: a.Agent.Self().Member.Name, Schedulers: orEmpty(list)}, nil
}

func (a *routes) schedulerWorkers(r *http.Request) (any, error) {
	out, err := a.Server.SchedulerWorkerConfig(r.Context(), web.Token(r))
	if err != nil {
		return nil, err
	}
	out.ServerID = a.Agent.Self().Member.Name
	return out, nil
}

// setSchedulerWorkers changes the workers until the server ends. Clients know
// a setting that is none by the text "Invalid request"; what is wrong with it
// stands in a header.
func (a *routes) setSchedulerWorkers(r *http.Request) (any, error) {
	var c api.SchedulerWorkerConfig
	unknown, err := web.Decode(r, &c)
	if err != nil {
		return nil, err
	}
	err = a.Server.SetSchedulerWorkerConfig(r.Context(), web.Token(r), &c)
	if api.ErrorCode(err) == api.CodeInvalid {
		return warned(nil, 0, nil, []string{err.Error()}), &api.Error{Code: api.CodeInvalid, Message: "Invalid request"}
	}
	if err != nil {
		return nil, err
	}
	c.ServerID = a.Agent.Self().Member.Name
	var warnings []string
	if c.NumSchedulers == 0 {
		warnings = append(warnings, "num_schedulers is 0: while this server leads, jobs wait")
	}
	return warned(&c, 0, unknown, warnings), nil
}

package httpapi

import (
	"cmp"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// agentRoutes are answered by every agent for itself.
func (a *routes) agentRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/agent/self", Needs: web.Region(api.CapAgentRead), Do: a.self},
		{Methods: "GET", Pattern: "/v1/agent/health", Needs: web.Everyone(), Do: a.health},
		{Methods: "GET", Pattern: "/v1/agent/servers", Needs: web.Region(api.CapAgentRead), Do: a.servers},
		{Methods: "GET", Pattern: "/v1/agent/schedulers", Needs: web.Region(api.CapAgentRead), Do: a.onServer(api.CapAgentRead, a.schedulers)},
		{Methods: "GET", Pattern: "/v1/agent/schedulers/config", Needs: web.Region(api.CapAgentRead), Do: a.onServer(api.CapAgentRead, a.schedulerWorkers)},
		{Methods: "PUT POST", Pattern: "/v1/agent/schedulers/config", Needs: web.Region(api.CapAgentWrite), Do: a.onServer(api.CapAgentWrite, a.setSchedulerWorkers)},
		{Methods: "GET", Pattern: "/v1/agent/monitor", Needs: web.Region(api.CapAgentRead), Raw: a.onAgent(api.CapAgentRead)},
		{Methods: "GET", Pattern: "/v1/agent/pprof/{id}", Needs: web.Region(api.CapAgentWrite), Raw: a.debugging(a.onAgent(api.CapAgentWrite))},
		{Methods: "GET", Pattern: "/v1/agent/host", Needs: web.Region(api.CapAgentRead), Raw: a.debugging(a.onAgent(api.CapAgentRead))},
		{Methods: "GET", Pattern: "/v1/metrics", Needs: web.Everyone(), Raw: a.metrics()},
	}
}

// allowed checks a right that no object has a say in. A pure node knows no
// policies, so it asks a server.
func (a *routes) allowed(r *http.Request, c api.Capability) error {
	if a.Server == nil {
		return a.askServer(r, c)
	}
	return a.Server.Authorize(r.Context(), web.Token(r), c)
}

func (a *routes) self(r *http.Request) (any, error) {
	if err := a.allowed(r, api.CapAgentRead); err != nil {
		return nil, err
	}
	return a.Agent.Self(), nil
}

// health answers 200 when every part that was asked for works, else 500; with
// JSON both times.
func (a *routes) health(r *http.Request) (any, error) {
	h := a.Agent.Health()
	switch kind := web.ParamsOf(r).String("type"); kind {
	case "":
	case "client":
		h = &api.AgentHealth{Client: cmp.Or(h.Client, &api.PartHealth{Message: "client not enabled"})}
	case "server":
		h = &api.AgentHealth{Server: cmp.Or(h.Server, &api.PartHealth{Message: "server not enabled"})}
	default:
		return nil, api.Errorf(api.CodeInvalid, "query parameter \"type\" is %q: it must be \"client\" or \"server\"", kind)
	}
	status := http.StatusOK
	if h.Client != nil && !h.Client.Ok || h.Server != nil && !h.Server.Ok {
		status = http.StatusInternalServerError
	}
	return &web.Reply{Value: h, Status: status}, nil
}

func (a *routes) servers(r *http.Request) (any, error) {
	if err := a.allowed(r, api.CapAgentRead); err != nil {
		return nil, err
	}
	addresses, ok := a.Agent.Servers()
	if !ok {
		return nil, &api.Error{Code: api.CodeUnsupported, Message: "this agent has no node and so no list of servers"}
	}
	return orEmpty(addresses), nil
}

package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// memberRoutes are about the servers and what they tell each other.
func (a *routes) memberRoutes() []web.Route {
	rows := []web.Route{
		{Methods: "GET", Pattern: "/v1/regions", Needs: web.Everyone(), Do: func(*http.Request) (any, error) { return a.Server.Regions(), nil }},
		{Methods: "GET", Pattern: "/v1/agent/members", Needs: web.Region(api.CapNodeRead), Do: a.members},
		{Methods: "PUT POST", Pattern: "/v1/agent/join", Needs: web.Region(api.CapAgentWrite), Do: a.join},
		{Methods: "PUT POST", Pattern: "/v1/agent/force-leave", Needs: web.Region(api.CapAgentWrite), Do: a.forceLeave},
		{Methods: "GET", Pattern: "/v1/agent/keyring/list", Needs: web.Region(api.CapAgentWrite), Do: func(r *http.Request) (any, error) {
			return a.Server.GossipKeys(r.Context(), web.Token(r))
		}},
	}
	for _, what := range []string{"install", "use", "remove"} {
		methods := "PUT POST"
		if what == "remove" {
			methods += " DELETE"
		}
		rows = append(rows, web.Route{Methods: methods, Pattern: "/v1/agent/keyring/" + what, Needs: web.Region(api.CapAgentWrite), Do: func(r *http.Request) (any, error) {
			req := &api.GossipKeyRequest{}
			if _, err := web.Decode(r, req); err != nil {
				return nil, err
			}
			return a.Server.ChangeGossipKey(r.Context(), web.Token(r), what, req.Key)
		}})
	}
	return rows
}

func (a *routes) members(r *http.Request) (any, error) {
	members, err := a.Server.Members(r.Context(), web.Token(r))
	if err != nil {
		return nil, err
	}
	self := a.Agent.Self().Member
	return &api.AgentMembers{ServerName: self.Name, ServerRegion: a.Agent.Region(), ServerDC: self.Tags["dc"], Members: orEmpty(members)}, nil
}

// join answers with what came of it: that nobody was reached is told in the
// body, as clients expect.
func (a *routes) join(r *http.Request) (any, error) {
	n, err := a.Server.JoinServers(r.Context(), web.Token(r), r.URL.Query()["address"])
	if api.ErrorCode(err) == api.CodeForbidden {
		return nil, err
	}
	out := &api.AgentJoin{NumJoined: n}
	if err != nil {
		out.Error = err.Error()
	}
	return out, nil
}

func (a *routes) forceLeave(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	name, prune := p.String("node"), p.Bool("prune", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return nil, a.Server.ForceLeave(r.Context(), web.Token(r), name, prune)
}

package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) operatorRoutes() []web.Route {
	return []web.Route{
		{Methods: "PUT POST", Pattern: "/v1/search", Needs: web.Shown(api.CapReadJob, api.CapListJobs, api.CapNodeRead), Do: a.search},
		{Methods: "PUT POST", Pattern: "/v1/search/fuzzy", Needs: web.Shown(api.CapReadJob, api.CapListJobs, api.CapNodeRead), Do: a.fuzzySearch},
		{Methods: "GET", Pattern: "/v1/status/leader", Needs: web.Everyone(), Do: func(*http.Request) (any, error) { return a.Server.Leader(), nil }},
		{Methods: "GET", Pattern: "/v1/status/peers", Needs: web.Everyone(), Do: func(*http.Request) (any, error) { return a.Server.Peers(), nil }},
		{Methods: "GET", Pattern: "/v1/operator/raft/configuration", Needs: web.Region(api.CapManagement), Do: a.raftConfiguration},
		{Methods: "DELETE", Pattern: "/v1/operator/raft/peer", Needs: web.Region(api.CapManagement), Do: func(r *http.Request) (any, error) {
			p := web.ParamsOf(r)
			return nil, a.Server.RemoveRaftPeer(r.Context(), web.Token(r), p.String("address"), p.String("id"))
		}},
		{Methods: "PUT POST", Pattern: "/v1/operator/raft/transfer-leadership", Needs: web.Region(api.CapManagement), Do: func(r *http.Request) (any, error) {
			p := web.ParamsOf(r)
			return nil, a.Server.TransferLeadership(r.Context(), web.Token(r), p.String("address"), p.String("id"))
		}},
		{Methods: "GET", Pattern: "/v1/operator/scheduler/configuration", Needs: web.Region(api.CapOperatorRead), Do: a.schedulerConfig},
		{Methods: "PUT POST", Pattern: "/v1/operator/scheduler/configuration", Needs: web.Region(api.CapOperatorWrite), Do: a.setSchedulerConfig},
		{Methods: "GET", Pattern: "/v1/operator/autopilot/configuration", Needs: web.Region(api.CapOperatorRead), Do: a.autopilotConfig},
		{Methods: "PUT", Pattern: "/v1/operator/autopilot/configuration", Needs: web.Region(api.CapOperatorWrite), Do: a.setAutopilotConfig},
		{Methods: "GET", Pattern: "/v1/operator/autopilot/health", Needs: web.Region(api.CapOperatorRead), Do: a.regionHealth},
		{Methods: "GET", Pattern: "/v1/operator/license", Needs: web.Everyone(), Do: func(*http.Request) (any, error) {
			return &web.Reply{Status: http.StatusNoContent}, nil
		}},
		{Methods: "PUT POST", Pattern: "/v1/system/gc", Needs: web.Region(api.CapManagement), Do: func(r *http.Request) (any, error) {
			return nil, a.Server.CollectGarbage(r.Context(), web.Token(r))
		}},
	}
}

func (a *routes) search(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	req := &api.SearchRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	res, err := a.Server.Search(r.Context(), opts, req)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

func (a *routes) fuzzySearch(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	req := &api.FuzzySearchRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	res, err := a.Server.FuzzySearch(r.Context(), opts, req)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

func (a *routes) raftConfiguration(r *http.Request) (any, error) {
	servers, err := a.Server.RaftServers(r.Context(), web.Token(r))
	if err != nil {
		return nil, err
	}
	return &api.RaftConfiguration{Servers: orEmpty(servers)}, nil
}

func (a *routes) schedulerConfig(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	cfg, meta, err := a.Server.SchedulerConfig(r.Context(), opts)
	return answer(map[string]any{
		"SchedulerConfig": cfg, "Index": meta.Index, "KnownLeader": meta.KnownLeader, "LastContact": meta.LastContact, "NextToken": "",
	}, meta, err)
}

func (a *routes) setSchedulerConfig(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	hasCAS, cas := p.String("cas") != "", p.Uint64("cas")
	if err := p.Err(); err != nil {
		return nil, err
	}
	cfg := &api.SchedulerConfiguration{}
	unknown, err := web.Decode(r, cfg)
	if err != nil {
		return nil, err
	}
	if hasCAS {
		cfg.ModifyIndex = cas
	}
	updated, index, err := a.Server.SetSchedulerConfig(r.Context(), web.Token(r), cfg, hasCAS)
	if err != nil {
		return nil, err
	}
	return written(map[string]any{"Updated": updated, "Index": index}, index, unknown), nil
}

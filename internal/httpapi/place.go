package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// placed makes a row be answered where it must be: in the region that the
// request names, a write by the leader, and a read where the state is new
// enough. What an agent tells of itself it answers itself.
func (a *routes) placed(row web.Route) web.Route {
	if ofAgent(row.Pattern) {
		return row
	}
	here := row.Raw
	if here == nil {
		here = web.Wrap(a.Log, row.Do)
	}
	// What happens on a node changes no state: any server finds the node.
	reads := strings.HasPrefix(row.Pattern, "/v1/client/")
	fresh := !ofServer(row.Pattern)
	row.Do, row.Raw = nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := web.ParamsOf(r)
		if region := q.String("region"); region != "" && region != a.Agent.Region() {
			a.toRegion(w, r, region)
			return
		}
		if !reads && r.Method != http.MethodGet && r.Method != http.MethodHead {
			a.toLeader(w, r, here)
			return
		}
		if fresh {
			if err := a.Elsewhere.CheckRead(r.Context(), isStale(r)); err != nil {
				web.WriteError(w, err)
				return
			}
		}
		here.ServeHTTP(w, r)
	})
	return row
}

// ofAgent reports whether a route is about the agent that is asked.
func ofAgent(pattern string) bool {
	return strings.HasPrefix(pattern, "/v1/agent/") || pattern == "/v1/metrics"
}

// ofServer reports whether a route tells how the servers are, as the one that is
// asked sees them: also while nobody leads.
func ofServer(pattern string) bool {
	switch pattern {
	case "/v1/regions", "/v1/operator/raft/configuration", "/v1/operator/autopilot/health":
		return true
	}
	return strings.HasPrefix(pattern, "/v1/status/")
}

// isStale reads the parameter that asks for any server's answer. What is wrong
// with it is told where the other options are read.
func isStale(r *http.Request) bool {
	values, there := r.URL.Query()["stale"]
	if !there {
		return false
	}
	stale, err := strconv.ParseBool(values[0])
	return values[0] == "" || err == nil && stale
}

// hopsHeader counts the servers that passed a request on, and maxHops bounds
// them: leaders may change meanwhile, but not for ever.
const (
	hopsHeader = "X-Drover-Hops"
	maxHops    = 3
)

// hop counts the next server that a request is passed on to.
func hop(r *http.Request) (string, error) {
	n, _ := strconv.Atoi(r.Header.Get(hopsHeader))
	if n < 0 || n >= maxHops {
		return "", api.ErrNotLeader
	}
	return strconv.Itoa(n + 1), nil
}

// toLeader serves a write here if this server leads, else passes it on.
func (a *routes) toLeader(w http.ResponseWriter, r *http.Request, here http.Handler) {
	rt, err := a.Elsewhere.Leader(r.Context())
	if err != nil {
		web.WriteError(w, err)
		return
	}
	if rt == nil {
		here.ServeHTTP(w, r)
		return
	}
	a.passOn(w, r, rt, errLeaderGone)
}

var errLeaderGone = &api.Error{Code: api.CodeUnavailable, Message: "the leader went away before it answered; what was asked may have been done: look before you ask again"}

// toRegion passes a request on to a server of another region.
func (a *routes) toRegion(w http.ResponseWriter, r *http.Request, name string) {
	rt, err := a.Elsewhere.Region(name)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	a.passOn(w, r, rt, api.Errorf(api.CodeUnavailable, "no server of region %q answers; try again", name))
}

func (a *routes) passOn(w http.ResponseWriter, r *http.Request, rt http.RoundTripper, unreachable error) {
	hops, err := hop(r)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	a.proxy(rt, func(out *http.Request) {
		out.URL.Host = "server"
		out.Header.Set(hopsHeader, hops)
	}, unreachable).ServeHTTP(w, r)
}

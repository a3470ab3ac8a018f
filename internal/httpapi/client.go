package httpapi

import (
	"context"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// clientRoutes are answered by nodes: this one, or another that the request is
// spliced to. The rows name the right that each needs. A pure node answers
// none of them by itself, not even for its own allocations: it knows no
// policies, so the request goes to a server, which authorises it and reaches
// back to the node.
func (a *routes) clientRoutes() []web.Route {
	alloc := "/v1/client/allocation/{id}/"
	fs := "/v1/client/fs/"
	rows := []web.Route{
		{Methods: "GET", Pattern: alloc + "exec", Raw: a.tunnel(api.CapAllocExec), Needs: web.Object(api.CapAllocExec)},
		{Methods: "GET", Pattern: alloc + "port-forward", Raw: a.tunnel(api.CapAllocPortForward), Needs: web.Object(api.CapAllocPortForward)},
		{Methods: "GET", Pattern: alloc + "copy", Raw: a.onAlloc(api.CapAllocCopy, api.CapReadFS), Needs: web.Object(api.CapAllocCopy).And(web.Object(api.CapReadFS))},
		{Methods: "PUT POST", Pattern: alloc + "copy", Raw: a.onAlloc(api.CapAllocCopy), Needs: web.Object(api.CapAllocCopy)},
		{Methods: "GET", Pattern: alloc + "stats", Raw: a.onAlloc(api.CapReadJob), Needs: web.Object(api.CapReadJob)},
		{Methods: "GET", Pattern: alloc + "checks", Raw: a.onAlloc(api.CapReadJob), Needs: web.Object(api.CapReadJob)},
		{Methods: "PUT POST", Pattern: alloc + "signal", Raw: a.onAlloc(api.CapAllocLifecycle), Needs: web.Object(api.CapAllocLifecycle)},
		{Methods: "PUT POST", Pattern: alloc + "restart", Raw: a.onAlloc(api.CapAllocLifecycle), Needs: web.Object(api.CapAllocLifecycle)},
		{Methods: "GET PUT POST", Pattern: alloc + "gc", Raw: a.onAlloc(api.CapGCAllocation), Needs: web.Object(api.CapGCAllocation)},
		{Methods: "GET", Pattern: "/v1/allocation/{id}/checks", Raw: http.HandlerFunc(a.allocChecks), Needs: web.Object(api.CapReadJob)},
		{Methods: "GET", Pattern: fs + "logs/{id}", Raw: a.onAlloc(api.CapReadLogs), Needs: web.Object(api.CapReadLogs)},
		{Methods: "GET", Pattern: "/v1/client/stats", Raw: a.onNode(api.CapNodeRead), Needs: web.Region(api.CapNodeRead)},
		{Methods: "GET PUT POST", Pattern: "/v1/client/gc", Raw: a.onNode(api.CapNodeWrite), Needs: web.Region(api.CapNodeWrite)},
		{Methods: "GET", Pattern: "/v1/client/identity", Raw: a.onNode(api.CapNodeRead), Needs: web.Region(api.CapNodeRead)},
		{Methods: "PUT POST", Pattern: "/v1/client/identity/renew", Raw: a.onNodeOfBody(a.onNode(api.CapNodeWrite)), Needs: web.Region(api.CapNodeWrite)},
		{Methods: "GET", Pattern: "/v1/client/metadata", Raw: a.onNode(api.CapNodeRead), Needs: web.Region(api.CapNodeRead)},
		{Methods: "POST", Pattern: "/v1/client/metadata", Raw: a.onNode(api.CapNodeWrite), Needs: web.Region(api.CapNodeWrite)},
	}
	for _, verb := range []string{"ls", "stat", "readat", "cat", "stream"} {
		rows = append(rows, web.Route{Methods: "GET", Pattern: fs + verb + "/{id}", Raw: a.onAlloc(api.CapReadFS), Needs: web.Object(api.CapReadFS)})
	}
	for _, verb := range []string{"ls", "stat", "readat", "cat", "stream", "logs"} {
		for _, end := range []string{"", "/{$}"} {
			rows = append(rows, web.Route{Methods: "GET", Pattern: fs + verb + end, Needs: web.Everyone(), Do: func(*http.Request) (any, error) {
				return nil, &api.Error{Code: api.CodeInvalid, Message: "must provide a valid alloc id"}
			}})
		}
	}
	return rows
}

// onAlloc makes a handler of what the node of the path's allocation answers.
// It takes all of caps, for as long as the answer lasts.
func (a *routes) onAlloc(caps ...api.Capability) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if a.Server == nil {
			a.toServer.ServeHTTP(w, r)
			return
		}
		var nodeID string
		ctx, cancel, err := a.Server.While(r.Context(), web.Token(r), func(ctx context.Context) error {
			for _, c := range caps {
				n, err := a.Server.LocateAlloc(ctx, web.Token(r), c, id)
				if err != nil {
					return err
				}
				if nodeID == "" {
					nodeID = n // asked again, it is only whether it still may
				}
			}
			return nil
		})
		if err != nil {
			web.WriteError(w, err)
			return
		}
		defer cancel()
		a.serveNode(w, r.WithContext(ctx), nodeID)
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler) // a stream that lost its right must not look like one that came to its end
		}
	})
}

// onNode makes a handler of what the node that node_id names answers, or
// without node_id the one in this process.
func (a *routes) onNode(c api.Capability) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := web.ParamsOf(r).String("node_id")
		switch {
		case id == "" && a.Node == nil:
			web.WriteError(w, api.Errorf(api.CodeInvalid, "No local Node and node_id not provided"))
		case id == "":
			a.checkedNode(w, r, c, a.Node.NodeID(), false)
		default:
			a.checkedNode(w, r, c, id, true)
		}
	})
}

// onNodeOfBody makes a handler of a request whose body may name the node
// instead of the query.
func (a *routes) onNodeOfBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		var body struct{ NodeID string }
		if _, err := web.Decode(r, &body); err != nil {
			web.WriteError(w, err)
			return
		}
		inner := r.Clone(r.Context())
		inner.Body, inner.ContentLength = http.NoBody, 0
		if query := inner.URL.Query(); body.NodeID != "" && query.Get("node_id") == "" {
			query.Set("node_id", body.NodeID)
			inner.URL.RawQuery = query.Encode()
		}
		next.ServeHTTP(w, inner)
	})
}

// checkedNode serves a node's request once the caller has the right. A node
// that was named must exist; the local one need not have registered yet.
func (a *routes) checkedNode(w http.ResponseWriter, r *http.Request, c api.Capability, id string, named bool) {
	if a.Server == nil {
		inner := r.Clone(r.Context())
		query := inner.URL.Query()
		query.Set("node_id", id)
		inner.URL.RawQuery = query.Encode()
		a.toServer.ServeHTTP(w, inner)
		return
	}
	err := a.Server.Authorize(r.Context(), web.Token(r), c)
	if err == nil && named {
		err = a.Server.CheckNode(r.Context(), web.Token(r), c, id)
	}
	if err != nil {
		web.WriteError(w, err)
		return
	}
	a.serveNode(w, r, id)
}

// allocChecks is the node's answer under its older path.
func (a *routes) allocChecks(w http.ResponseWriter, r *http.Request) {
	inner := r.Clone(r.Context())
	inner.URL.Path = "/v1/client/allocation/" + r.PathValue("id") + "/checks"
	inner.URL.RawPath = ""
	a.onAlloc(api.CapReadJob).ServeHTTP(w, inner)
}

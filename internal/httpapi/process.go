package httpapi

import (
	"context"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// onAgent makes a handler of what the process of an agent tells of itself: of
// the node that node_id names or the server that server_id does, or of this
// one. The answer is cut when the right to it is lost. A pure node leaves all
// of that to a server.
func (a *routes) onAgent(c api.Capability) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := web.ParamsOf(r)
		nodeID, serverID := q.String("node_id"), q.String("server_id")
		switch {
		case q.Err() != nil:
			web.WriteError(w, q.Err())
			return
		case nodeID != "" && serverID != "":
			web.WriteError(w, api.Errorf(api.CodeInvalid, "Cannot target node and server simultaneously: give node_id or server_id"))
			return
		case a.Server == nil:
			if nodeID == "" && serverID == "" {
				nodeID = a.Node.NodeID()
			}
			inner := r.Clone(r.Context())
			query := inner.URL.Query()
			query.Set("node_id", nodeID)
			inner.URL.RawQuery = query.Encode()
			a.toServer.ServeHTTP(w, inner)
			return
		}
		token := web.Token(r)
		ctx, cancel, err := a.Server.While(r.Context(), token, func(ctx context.Context) error {
			err := a.Server.Authorize(ctx, token, c)
			if err == nil && nodeID != "" {
				err = a.Server.CheckNode(ctx, token, c, nodeID)
			}
			return err
		})
		if err == nil {
			defer cancel()
			err = a.knownServer(serverID)
		}
		if err != nil {
			web.WriteError(w, err)
			return
		}
		inner := r.Clone(ctx)
		if nodeID != "" && (a.Node == nil || a.Node.NodeID() != nodeID) {
			a.serveFarNode(w, inner, nodeID, nil)
			return
		}
		web.SetVerdict(inner.Header, nil)
		a.Process.ServeHTTP(w, inner)
	})
}

// debugging makes a handler of what goes deep into a process: where nobody's
// rights are asked for, the configuration has to allow it. A pure node leaves
// the question to a server.
func (a *routes) debugging(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Server != nil && !a.Server.ACLEnabled() && !a.Debug {
			web.WriteError(w, api.Errorf(api.CodeForbidden, "this is shown only with access control (acl.enabled) or with enable_debug = true on this server"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownServer checks what server_id names: this server, which is the only one
// of its region, by its name or ID or as the leader.
func (a *routes) knownServer(id string) error {
	if id == "" {
		return nil
	}
	m := a.Agent.Self().Member
	switch id {
	case m.Name, m.Tags["id"]:
		return nil
	case "leader":
		if a.Server.Leader() == "" {
			return api.Errorf(api.CodeUnavailable, "No cluster leader")
		}
		return nil
	}
	// Clients take this for the answer to a name that nobody has, status
	// included.
	return api.Errorf(api.CodeInternal, "unknown Nomad server %s", id)
}

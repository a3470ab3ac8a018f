package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// serveNode answers with what a node says: in process if it is the one here,
// else through its connection. The caller has been authorised; the node never
// sees the caller's token.
func (a *routes) serveNode(w http.ResponseWriter, r *http.Request, nodeID string) {
	if a.Node != nil && a.Node.NodeID() == nodeID {
		inner := r.Clone(r.Context())
		web.SetVerdict(inner.Header, nil)
		a.Node.Handler().ServeHTTP(w, inner)
		return
	}
	a.serveFarNode(w, r, nodeID, nil)
}

// serveFarNode answers with what a node says through its connection, and tells
// it the verdict v about the caller.
func (a *routes) serveFarNode(w http.ResponseWriter, r *http.Request, nodeID string, v *web.Verdict) {
	if !a.NodeConnected(r.Context(), nodeID) {
		web.WriteError(w, noPath(nodeID))
		return
	}
	p := a.proxy(a.NodeTransport(nodeID), func(out *http.Request) {
		out.URL.Host = nodeID
		web.SetVerdict(out.Header, v)
	}, noPath(nodeID))
	p.ServeHTTP(w, r)
}

func noPath(nodeID string) error {
	return api.Errorf(api.CodeNotFound, "No path to node %q: it is not connected to this server", nodeID)
}

// forwardProxy splices to a server what a pure node can't answer.
func (a *routes) forwardProxy() http.Handler {
	if a.Forward == nil {
		return http.NotFoundHandler()
	}
	return a.proxy(a.Forward, func(out *http.Request) { out.URL.Host = "server" }, errNoServer)
}

var errNoServer = &api.Error{Code: api.CodeUnavailable, Message: "no server is reachable from this node; try again"}

// proxy splices requests over a transport, upgraded connections included.
// What arrives is passed on at once. unreachable is the answer when the other
// side can't be asked.
func (a *routes) proxy(rt http.RoundTripper, rewrite func(out *http.Request), unreachable error) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme = "http"
			p.Out.Host = p.In.Host
			p.Out.Header.Del("Origin") // checked where it came in
			rewrite(p.Out)
		},
		Transport:     rt,
		FlushInterval: -1,
		BufferPool:    spliceBuffers{},
		ErrorLog:      slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug),
		ModifyResponse: func(resp *http.Response) error {
			resp.Header.Del("Vary") // this side adds its own
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // the caller has gone
			}
			var coded *api.Error
			if errors.As(err, &coded) {
				web.WriteError(w, coded)
				return
			}
			a.Log.Info("splicing a request failed", "path", r.URL.Path, "error", err)
			web.WriteError(w, unreachable)
		},
	}
}

// splicePool holds the copy buffers of spliced bodies.
var splicePool = sync.Pool{New: func() any {
	b := make([]byte, 32<<10)
	return &b
}}

type spliceBuffers struct{}

// Get takes a buffer.
func (spliceBuffers) Get() []byte { return *splicePool.Get().(*[]byte) }

// Put gives a buffer back.
func (spliceBuffers) Put(b []byte) { splicePool.Put(&b) }

package peer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// Hello is what a server says of itself.
type Hello struct {
	ID     string
	Name   string
	Region string
	Key    []byte // public part of its server key
	Formed bool   // it belongs to a log
}

// Backend is what a server does for the others. Errors that carry an api.Code
// cross. Every method may be called concurrently.
type Backend interface {
	Hello() Hello
	// Consent returns nil if the server with an ID may form the log of the
	// region. It is given to one server only.
	Consent(id string) error
	// Leave takes a server out of the log and returns when that is committed.
	Leave(ctx context.Context, id string) error
	// Propose puts an encoded command into the log and returns its index when
	// it is applied; ReadIndex returns an index at or after everything that was
	// acknowledged before the call. Both return api.ErrNotLeader on a server
	// that does not lead.
	Propose(ctx context.Context, cmd []byte) (index uint64, err error)
	ReadIndex(ctx context.Context) (index uint64, err error)
	// Beat and Gone note what became of another server's node.
	Beat(nodeID string) (ttl time.Duration, err error)
	Gone(nodeID string) error
	// NodeConnected and NodeTransport reach the nodes of this server.
	NodeConnected(nodeID string) bool
	NodeTransport(nodeID string) http.RoundTripper
}

// maxCommand bounds a proposal, as the log does.
const maxCommand = 32 << 20

type indexAnswer struct{ Index uint64 }
type ttlAnswer struct{ TTL time.Duration }

// failure is how an error crosses.
type failure struct {
	Code    api.Code
	Message string
}

// Handler serves what other servers ask.
func Handler(b Backend, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			value, err := f(r)
			if err != nil {
				writeError(w, log, r, err)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(value) // else the other side has gone
		})
	}
	handle("GET /hello", func(*http.Request) (any, error) { return b.Hello(), nil })
	handle("POST /consent/{id}", func(r *http.Request) (any, error) { return nil, b.Consent(r.PathValue("id")) })
	handle("POST /leave/{id}", func(r *http.Request) (any, error) { return nil, b.Leave(r.Context(), r.PathValue("id")) })
	handle("POST /propose", func(r *http.Request) (any, error) {
		cmd, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxCommand))
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "the command did not arrive whole: %w", err)
		}
		index, err := b.Propose(r.Context(), cmd)
		return indexAnswer{index}, err
	})
	handle("GET /index", func(r *http.Request) (any, error) {
		index, err := b.ReadIndex(r.Context())
		return indexAnswer{index}, err
	})
	handle("POST /beat/{node}", func(r *http.Request) (any, error) {
		ttl, err := b.Beat(r.PathValue("node"))
		return ttlAnswer{ttl}, err
	})
	handle("POST /gone/{node}", func(r *http.Request) (any, error) { return nil, b.Gone(r.PathValue("node")) })
	mux.HandleFunc("GET /node/{node}", func(w http.ResponseWriter, r *http.Request) {
		if b.NodeConnected(r.PathValue("node")) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	mux.Handle("/node/{node}/", toNode(b, log))
	return mux
}

// toNode passes a request on to a node of this server.
func toNode(b Backend, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nodeID := r.PathValue("node")
		(&httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", nodeID, p.In.Host
				p.Out.URL.Path = strings.TrimPrefix(p.In.URL.Path, nodePath(nodeID))
				p.Out.URL.RawPath = strings.TrimPrefix(p.In.URL.RawPath, nodePath(nodeID))
			},
			Transport:     b.NodeTransport(nodeID),
			FlushInterval: -1,
			ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
				if errors.Is(err, context.Canceled) {
					panic(http.ErrAbortHandler) // the other server has gone
				}
				w.Header().Set(unreachable, "1")
				w.WriteHeader(http.StatusBadGateway)
			},
		}).ServeHTTP(w, r)
	})
}

// unreachable marks an answer that is not the node's.
const unreachable = "X-Drover-Unreachable"

func nodePath(nodeID string) string { return "/node/" + nodeID }

func writeError(w http.ResponseWriter, log *slog.Logger, r *http.Request, err error) {
	f := failure{api.ErrorCode(err), err.Error()}
	if f.Code == api.CodeInternal {
		log.Error("another server's request failed", "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Code.Status())
	_ = json.NewEncoder(w).Encode(f) // else the other side has gone
}

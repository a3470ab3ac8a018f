package diag

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/drover-org/drover/internal/web"
)

// Process is what is told of one agent.
type Process struct {
	Log  *slog.Logger // of the handlers
	Tee  *Tee
	ID   func() string // the agent's: its node's, or its server's name
	Dirs []string      // whose file systems Host describes
}

// Prefix begins the paths of the routes.
const Prefix = "/v1/agent/"

// Handler serves the routes of this package: path is the request's. It is for
// requests that have been authorised.
func (p Process) Handler() http.Handler {
	return web.NewMux(p.Log, []web.Route{
		{Methods: "GET", Pattern: Prefix + "monitor", Raw: http.HandlerFunc(p.Tee.Monitor)},
		{Methods: "GET", Pattern: Prefix + "pprof/{name}", Raw: newProfiles()},
		{Methods: "GET", Pattern: Prefix + "host", Do: p.host},
	})
}

// Beside returns a handler that has these routes besides those of next.
func (p Process) Beside(next http.Handler) http.Handler {
	own := p.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, Prefix) {
			own.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

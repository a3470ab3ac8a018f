package web

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// Config is what Serve needs.
type Config struct {
	Log     *slog.Logger
	Now     func() time.Time
	Guard   *Guard            // nil: the listener is not reachable by browsers
	Headers map[string]string // sent with every answer

	TooLarge func(remote string) // told of each 413; may be nil
}

// Serve is the outermost handler of a listener: it guards, turns a panic into
// a 500 and logs each request at debug level, without the query where that may
// hold a user's command.
func Serve(c Config, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := c.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			cause := recover()
			if cause != nil && cause != http.ErrAbortHandler {
				c.Log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", cause, "stack", string(debug.Stack()))
				if rec.status == 0 {
					WriteError(rec, &api.Error{Code: api.CodeInternal, Message: "internal error; the agent's log at the time of this request tells the cause"})
					cause = nil
				} else {
					cause = http.ErrAbortHandler
				}
			}
			if rec.status == http.StatusRequestEntityTooLarge && c.TooLarge != nil {
				c.TooLarge(r.RemoteAddr)
			}
			logRequest(c, r, rec.status, c.Now().Sub(start))
			if cause != nil {
				panic(cause)
			}
		}()

		h := rec.Header()
		h["Vary"] = varyEncoding
		for name, value := range c.Headers {
			h.Set(name, value)
		}
		if c.Guard != nil {
			if err := c.Guard.Check(r); err != nil {
				WriteError(rec, err)
				return
			}
			if c.Guard.cors(rec, r) {
				return
			}
		}
		next.ServeHTTP(rec, r)
	})
}

func logRequest(c Config, r *http.Request, status int, took time.Duration) {
	if !c.Log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	query := r.URL.RawQuery
	if r.Header.Get("Upgrade") != "" || strings.HasPrefix(r.URL.Path, "/v1/client/") {
		query = ""
	}
	c.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "query", query, "status", status, "took", took, "remote", r.RemoteAddr)
}

// recorder remembers the status. Flush and Hijack reach the connection
// through http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the first final status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implies status 200.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

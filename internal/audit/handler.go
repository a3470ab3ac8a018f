package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// Handler records the requests that next serves.
type Handler struct {
	Log      *Log
	Enforced bool // a request that can't be recorded is refused
	Filters  []Filter
	Caller   func(ctx context.Context, token string) (*api.Caller, error) // nil: callers are not known here
	Now      func() time.Time
	NewID    func() string
}

// Wrap returns a handler that records. It is the outermost one of a listener.
func (h *Handler) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := h.Now()
		n := &note{rec: h.arrived(r, start)}
		n.secrets = []string{web.Token(r)}
		always := recorded(r)
		if always {
			w.Header().Set("X-Request-Id", n.rec.ID)
			n.identify(r.Context(), web.Token(r), h.Caller)
			if h.Enforced || stream(r) {
				if err := h.put(n, Received); err != nil {
					web.WriteError(w, api.Errorf(api.CodeUnavailable, "the request is refused because the audit log can't be written; the agent's log tells why"))
					return
				}
			}
		}
		body := &countedBody{ReadCloser: r.Body}
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, n))
		r.Body = body
		out := &answer{ResponseWriter: w}
		defer func() {
			if always || out.status == http.StatusUnauthorized || out.status == http.StatusForbidden {
				h.over(n, r, body, out, start)
			}
		}()
		next.ServeHTTP(out, r)
	})
}

// arrived makes the record of a request that nothing was done about yet.
func (h *Handler) arrived(r *http.Request, now time.Time) *Record {
	q := r.URL.Query()
	rec := &Record{
		ID: h.NewID(), Remote: r.RemoteAddr, Method: bounded(r.Method), Path: bounded(r.URL.Path), Query: bounded(shownQuery(q)),
		Namespace: bounded(q.Get("namespace")), Time: now.UTC(),
	}
	if rec.Namespace == "" {
		rec.Namespace = api.DefaultNamespace
	}
	if strings.HasPrefix(r.URL.Path, "/v1/client/allocation/") && path.Base(r.URL.Path) == "exec" {
		rec.Command = command(q)
	}
	return rec
}

func shownQuery(q url.Values) string {
	out := url.Values{}
	for name, values := range q {
		if knownParams[name] {
			out[name] = values
		}
	}
	return out.Encode()
}

// command is what an exec session runs: its place is here and nowhere else.
func command(q url.Values) []string {
	var args []string
	if err := json.Unmarshal([]byte(q.Get("command")), &args); err != nil {
		args = []string{q.Get("command")}
	}
	if len(args) > maxArgs {
		args = append(args[:maxArgs:maxArgs], "…")
	}
	for i, a := range args {
		args[i] = bounded(a)
	}
	return args
}

// put appends the record at a stage, unless a filter leaves it out.
func (h *Handler) put(n *note, stage string) error {
	n.mu.Lock()
	rec, secrets := *n.rec, n.secrets
	rec.Rights = append([]Right(nil), rec.Rights...)
	n.mu.Unlock()
	rec.Stage = stage
	for i := range h.Filters {
		if h.Filters[i].matches(stage, rec.Method, rec.Path) {
			return nil
		}
	}
	return h.Log.Append(&rec, secrets...)
}

// over records a request whose answer was given. That the record can't be
// written is counted and logged by the Log.
func (h *Handler) over(n *note, r *http.Request, body *countedBody, out *answer, start time.Time) {
	now := h.Now()
	n.identify(r.Context(), n.lastToken(r), h.Caller)
	edit(r.Context(), func(rec *Record) {
		rec.Time = now.UTC()
		rec.DurationMS = float64(now.Sub(start).Microseconds()) / 1000
		_, rec.Route, _ = strings.Cut(" "+r.Pattern, " ")
		if rec.Status = out.status; rec.Status == 0 {
			rec.Status = http.StatusOK // or the connection was cut
		}
		if rec.Error == "" {
			rec.Error = bounded(string(out.text))
		}
		if !out.hijacked && rec.BytesIn == 0 && rec.BytesOut == 0 {
			rec.BytesIn, rec.BytesOut = body.n, out.n
		}
		if rec.Object == "" {
			rec.Object = bounded(object(r))
		}
	})
	_ = h.put(n, Complete)
}

// lastToken is the token that the caller is known by: that of a session's
// first frame, or of the header.
func (n *note) lastToken(r *http.Request) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known {
		return n.token
	}
	return web.Token(r)
}

// object is what the path names.
func object(r *http.Request) string {
	for _, name := range []string{"id", "rest", "name", "path"} {
		if v := r.PathValue(name); v != "" {
			return v
		}
	}
	return ""
}

// countedBody counts what was read of a body.
type countedBody struct {
	io.ReadCloser
	n int64
}

// Read counts.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// answer remembers what was answered: the status, the text of a refusal, the
// number of bytes.
type answer struct {
	http.ResponseWriter
	status   int
	n        int64
	text     []byte
	hijacked bool
}

// WriteHeader notes the first final status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write keeps the beginning of a refusal.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.status >= 400 && len(a.text) < maxText {
		a.text = append(a.text, p[:min(len(p), maxText-len(a.text))]...)
	}
	n, err := a.ResponseWriter.Write(p)
	a.n += int64(n)
	return n, err
}

// Hijack hands the connection over; from then on nothing is counted.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		if a.hijacked = true; a.status == 0 {
			a.status = http.StatusSwitchingProtocols
		}
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController find the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

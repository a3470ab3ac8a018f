package web

import (
	"log/slog"
	"net/http"
	"sort"
	"strings"

	"github.com/drover-org/drover/api"
)

// Route is one row of a route table. Exactly one of Do and Raw is set.
type Route struct {
	Methods string       // "GET", "PUT POST", or "*" for any
	Pattern string       // of http.ServeMux, without a method
	Do      Handler      // answers with a value
	Raw     http.Handler // writes its answer itself: streams, websockets, proxies
	Needs   Needs        // what the caller must be allowed
	Rows    []Route      // what Raw serves by more than the pattern; with patterns as if by it
}

// NewMux serves a route table: an unknown path is a 404 with an empty body, a
// known one with another method a 405 with Allow. Rows may share a pattern.
// HEAD is served only where a row names it. It panics on a table that
// contradicts itself.
func NewMux(log *slog.Logger, routes []Route) http.Handler {
	byPattern := map[string][]Route{}
	for _, r := range routes {
		byPattern[r.Pattern] = append(byPattern[r.Pattern], r)
	}
	mux := http.NewServeMux()
	for pattern, rows := range byPattern {
		mux.Handle(pattern, ByMethod(log, rows))
	}
	if byPattern["/"] == nil {
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
		})
	}
	return mux
}

// ByMethod serves rows that share a pattern, which it does not look at.
func ByMethod(log *slog.Logger, rows []Route) http.Handler {
	m := methods{}
	for _, r := range rows {
		h := r.Raw
		if h == nil {
			h = Wrap(log, r.Do)
		}
		for name := range strings.FieldsSeq(r.Methods) {
			if m[name] != nil {
				panic("web: " + name + " " + r.Pattern + " is routed twice")
			}
			m[name] = h
		}
	}
	return m
}

// methods dispatches the requests of one pattern.
type methods map[string]http.Handler

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m[r.Method]
	if h == nil {
		h = m["*"]
	}
	if h == nil {
		WriteMethodError(w, m.allowed()...)
		return
	}
	h.ServeHTTP(w, r)
}

func (m methods) allowed() []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// WriteMethodError answers 405 and names the methods that are allowed.
func WriteMethodError(w http.ResponseWriter, allowed ...string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	WriteError(w, &api.Error{Code: api.CodeMethod, Message: "Invalid method"})
}

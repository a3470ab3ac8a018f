package httpapi

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// New returns the handler of the whole API. It starts nothing.
func New(cfg Config) http.Handler {
	a := &routes{Config: cfg, answers: web.NewAnswers(maxAnswers), segments: web.NewSegments(maxSegments), tunnels: make(chan struct{}, maxTunnels)}
	a.toServer = a.forwardProxy()
	if cfg.Server == nil {
		rows := append(a.agentRoutes(), a.clientRoutes()...)
		rows = append(rows, web.Route{Methods: "*", Pattern: "/v1/", Raw: a.toServer})
		return web.NewMux(cfg.Log, rows)
	}
	rows := a.table()
	a.leaves = web.Leaves(rows)
	if cfg.Elsewhere != nil {
		for i := range rows {
			rows[i] = a.placed(rows[i])
		}
	}
	return web.NewMux(cfg.Log, rows)
}

// table is every route of a server.
func (a *routes) table() []web.Route {
	return slices.Concat(
		a.agentRoutes(),
		a.clientRoutes(),
		a.jobRoutes(),
		a.eventRoutes(),
		a.allocRoutes(),
		a.evalRoutes(),
		a.deploymentRoutes(),
		a.scalingRoutes(),
		a.nodeRoutes(),
		a.nodePoolRoutes(),
		a.serviceRoutes(),
		a.namespaceRoutes(),
		a.quotaRoutes(),
		a.operatorRoutes(),
		a.snapshotRoutes(),
		a.memberRoutes(),
		a.aclRoutes(),
		a.ssoRoutes(),
		a.keyringRoutes(),
		a.absentRoutes(),
	)
}

// routes is the table's receiver.
type routes struct {
	Config
	toServer http.Handler
	leaves   []web.Route   // every row there is, on a server
	answers  *web.Answers  // of the reads that many make at once
	segments *web.Segments // of lists of allocations
	tunnels  chan struct{} // a place for each session that passes through
}

// Bounds of what is kept encoded, in bytes. Only what is asked for is: a list
// of 10,000 allocations takes 24 MB, without task states 8.
const (
	maxAnswers  = 64 << 20
	maxSegments = 192 << 20
)

// answer puts a read's value and meta together. A read that was refused before
// it reached the state has no meta.
func answer(value any, meta api.Meta, err error) (any, error) {
	if err != nil && meta == (api.Meta{}) {
		return nil, err
	}
	return &web.Reply{Value: value, Meta: &meta}, err
}

// share is answer for a read that many make at once. The value must be the
// same for everybody who gets that far with this question, so nothing may be
// left out of it because of who asks.
func (a *routes) share(r *http.Request, value any, meta api.Meta, err error) (any, error) {
	if err == nil {
		value = a.answers.Share(r, meta.State, value)
	}
	return answer(value, meta, err)
}

// checkPathID settles an ID that path and body may both have.
func checkPathID(r *http.Request, field string, id *string) error {
	inPath := r.PathValue("id")
	switch {
	case inPath == "":
	case *id == "":
		*id = inPath
	case *id != inPath:
		return api.Errorf(api.CodeInvalid, "%s is %q, but the path names %q", field, *id, inPath)
	}
	return nil
}

// written answers a write that returns an index.
func written(value any, index uint64, unknown []string) *web.Reply {
	r := &web.Reply{Value: value, Index: index}
	if len(unknown) > 0 {
		r.Header = http.Header{}
		for _, w := range unknownWarnings(unknown) {
			r.Header.Add("X-Drover-Warning", w)
		}
	}
	return r
}

// unknownWarnings says that members of a body were not understood.
func unknownWarnings(unknown []string) []string {
	var out []string
	for _, path := range unknown {
		out = append(out, path+" is unknown and was ignored")
	}
	return out
}

// listOptions reads the options of a read.
func listOptions(r *http.Request) (api.ListOptions, error) {
	p := web.ParamsOf(r)
	opts := p.List()
	return opts, p.Err()
}

// read makes a handler of a use case that reads one thing by the path's ID.
func read[T any](get func(r *http.Request, opts api.ListOptions, id string) (T, api.Meta, error)) web.Handler {
	return func(r *http.Request) (any, error) {
		opts, err := listOptions(r)
		if err != nil {
			return nil, err
		}
		value, meta, err := get(r, opts, r.PathValue("id"))
		return answer(value, meta, err)
	}
}

// list makes a handler of a use case that lists rows as they are.
func list[T any](use func(ctx context.Context, opts api.ListOptions) (iter.Seq[T], api.Meta, error)) web.Handler {
	return func(r *http.Request) (any, error) {
		opts, err := listOptions(r)
		if err != nil {
			return nil, err
		}
		seq, meta, err := use(r.Context(), opts)
		return answer(web.List[T]{Items: seq}, meta, err)
	}
}

// upsert makes a handler of a use case that creates one thing or replaces it,
// and answers with its index alone. A path that names one must name the
// body's; a body without a name takes the path's.
func upsert[T any](name func(*T) *string, put func(ctx context.Context, token string, v *T) (index uint64, err error)) web.Handler {
	return func(r *http.Request) (any, error) {
		v := new(T)
		unknown, err := web.Decode(r, v)
		if err != nil {
			return nil, err
		}
		if err := checkPathID(r, "Name", name(v)); err != nil {
			return nil, err
		}
		index, err := put(r.Context(), web.Token(r), v)
		if err != nil {
			return nil, err
		}
		return written(nil, index, unknown), nil
	}
}

// deleteByID makes a handler of a deletion that answers with its index alone.
func deleteByID(del func(ctx context.Context, token, id string) (index uint64, err error)) web.Handler {
	return func(r *http.Request) (any, error) {
		index, err := del(r.Context(), web.Token(r), r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return written(nil, index, nil), nil
	}
}

// verbs is a route of rows that differ in the last part of the pattern, {verb};
// the rows' own patterns hold that part alone. It takes the place of patterns
// that ServeMux can't tell from others.
func (a *routes) verbs(pattern string, rows []web.Route) web.Route {
	byVerb := map[string][]web.Route{}
	for _, r := range rows {
		byVerb[r.Pattern] = append(byVerb[r.Pattern], r)
	}
	handlers := make(map[string]http.Handler, len(byVerb))
	for verb, rows := range byVerb {
		handlers[verb] = web.ByMethod(a.Log, rows)
	}
	for i := range rows {
		rows[i].Pattern = strings.Replace(pattern, "{verb}", rows[i].Pattern, 1)
	}
	return web.Route{Methods: "*", Pattern: pattern, Rows: rows, Raw: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := handlers[r.PathValue("verb")]
		if h == nil {
			web.WriteError(w, &api.Error{Code: api.CodeNotFound, Message: "resource not found"})
			return
		}
		h.ServeHTTP(w, r)
	})}
}

// orEmpty makes a nil slice an empty one, which is [] and not null.
func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

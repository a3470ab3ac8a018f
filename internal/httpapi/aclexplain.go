package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// explainACL answers why a token may or may not do something. The routes' own
// table says what they need.
func (a *routes) explainACL(r *http.Request) (any, error) {
	var req api.ACLExplainRequest
	unknown, err := web.Decode(r, &req)
	if err != nil {
		return nil, err
	}
	var asks []api.ACLAsk
	var route string
	switch {
	case (req.Capability == "") == (req.Path == ""):
		return nil, api.Errorf(api.CodeInvalid, "give Method and Path, or Capability")
	case req.Capability != "":
		asks = []api.ACLAsk{{Any: []api.Capability{req.Capability}, Object: req.Object, Variable: req.Variable}}
	default:
		if asks, route, err = a.asksOf(req.Method, req.Path); err != nil {
			return nil, err
		}
	}
	out, err := a.Server.ExplainACL(r.Context(), web.Token(r), req.AccessorID, asks)
	if err != nil {
		return nil, err
	}
	out.Route = route
	return written(out, 0, unknown), nil
}

// asksOf finds what a request needs.
func (a *routes) asksOf(method, target string) (asks []api.ACLAsk, route string, err error) {
	method = strings.ToUpper(method)
	u, err := url.Parse(target)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return nil, "", api.Errorf(api.CodeInvalid, "Path is %q: it must be one like /v1/jobs", target)
	}
	row, id, ok := findRoute(a.leaves, method, u.Path)
	if !ok {
		return nil, "", api.Errorf(api.CodeInvalid, "there is no route %s %s", method, u.Path)
	}
	namespace := u.Query().Get("namespace")
	if namespace == "" {
		namespace = api.DefaultNamespace
	}
	for _, need := range row.Needs {
		ask := api.ACLAsk{Any: need.Caps, Object: namespace}
		switch need.Of {
		case web.OfNobody:
			continue
		case web.OfRegion, web.OfToken:
			ask.Object = ""
		case web.OfObject:
			ask.Noun, ask.ID = nounOf(row.Pattern), id
		case web.OfPool:
			ask.Object = id
		case web.OfShown:
			ask.Filters = true
		}
		if purge := u.Query().Get("purge"); method == http.MethodDelete && (purge == "true" || purge == "1") && need.Of == web.OfNamespace {
			ask.Any = []api.Capability{api.CapPurgeJob}
		}
		asks = append(asks, ask)
	}
	return asks, method + " " + row.Pattern, nil
}

// nounOf says what kind of object a pattern's {id} names.
func nounOf(pattern string) string {
	switch {
	case strings.HasPrefix(pattern, "/v1/evaluation/"):
		return "eval"
	case strings.HasPrefix(pattern, "/v1/deployment/"):
		return "deployment"
	}
	return "alloc"
}

// findRoute returns the most specific row for a request and the {id} in its
// path. A job's ID may contain slashes.
func findRoute(rows []web.Route, method, path string) (best web.Route, id string, ok bool) {
	score := -1
	for _, row := range rows {
		if row.Methods != "*" && !contains(row.Methods, method) {
			continue
		}
		head, tail, named := strings.Cut(row.Pattern, "{")
		n := len(row.Pattern)
		switch {
		case !named:
			if row.Pattern != path {
				continue
			}
			if score < 1<<16 {
				best, id, ok, score = row, "", true, 1<<16 // in full
			}
			continue
		case strings.HasPrefix(tail, "rest") || tail == "$}":
			n = 0
			if !strings.HasPrefix(path, head) {
				continue
			}
		}
		_, tail, _ = strings.Cut(tail, "}")
		middle, fits := strings.CutPrefix(path, head)
		if !fits {
			continue
		}
		if middle, fits = strings.CutSuffix(middle, tail); !fits || middle == "" {
			continue
		}
		if strings.Contains(middle, "/") && n > 0 && !strings.HasPrefix(row.Pattern, "/v1/job/") {
			continue
		}
		if n > score {
			best, id, ok, score = row, middle, true, n
		}
	}
	return best, id, ok
}

func contains(methods, method string) bool {
	for m := range strings.FieldsSeq(methods) {
		if m == method {
			return true
		}
	}
	return false
}

// maxVerdict bounds what a server answers askServer.
const maxVerdict = 1 << 20

// askServer asks a server whether the caller of this node has a right.
func (a *routes) askServer(r *http.Request, c api.Capability) error {
	body, err := json.Marshal(&api.ACLExplainRequest{Capability: c})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPut, "http://server/v1/acl/explain", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Host = r.Host
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Nomad-Token", web.Token(r))
	resp, err := a.Forward.RoundTrip(req)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return errNoServer
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxVerdict))
	if err != nil {
		return errNoServer
	}
	if resp.StatusCode != http.StatusOK {
		return &api.Error{Code: api.CodeOfStatus(resp.StatusCode), Message: string(text)}
	}
	var verdict api.ACLExplanation
	if err := json.Unmarshal(text, &verdict); err != nil {
		return errNoServer
	}
	if !verdict.Allowed {
		return api.Errorf(api.CodeForbidden, "%s: Permission denied", verdict.Summary)
	}
	return nil
}

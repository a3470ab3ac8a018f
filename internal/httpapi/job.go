package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) jobRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/jobs", Needs: web.Namespace(api.CapListJobs), Do: a.listJobs},
		{Methods: "PUT POST", Pattern: "/v1/jobs", Needs: web.Namespace(api.CapRegisterJob), Do: a.registerJob},
		{Methods: "PUT POST", Pattern: "/v1/jobs/parse", Needs: web.Namespace(api.CapParseJob), Do: a.parseJob},
		{Methods: "GET POST", Pattern: "/v1/jobs/statuses", Needs: web.Namespace(api.CapReadJob), Do: a.jobStatuses},
		{Methods: "PUT POST", Pattern: "/v1/validate/job", Needs: web.Namespace(api.CapReadJob), Do: a.validateJob},
		a.jobPaths(),
	}
}

// jobPaths serves /v1/job/<ID><suffix>. A job's ID may contain slashes, so the
// suffix is looked for at the end of the path as it was sent: a slash that
// belongs to the ID may be written as %2F, which is never part of a suffix.
func (a *routes) jobPaths() web.Route {
	table := []struct {
		suffix string
		rows   []web.Route
	}{
		{"/allocations", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: a.jobAllocs}}},
		{"/evaluations", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) ([]*api.Evaluation, api.Meta, error) {
			evals, meta, err := a.Server.JobEvals(r.Context(), o, id)
			return orEmpty(evals), meta, err
		})}}},
		{"/deployments", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: a.jobDeployments}}},
		{"/deployment", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.Deployment, api.Meta, error) {
			return a.Server.JobDeployment(r.Context(), o, id)
		})}}},
		{"/explain", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: a.explainJob}}},
		{"/summary", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.JobSummary, api.Meta, error) {
			return a.Server.JobSummary(r.Context(), o, id)
		})}}},
		{"/versions/{tag}/tag", []web.Route{
			{Methods: "PUT POST", Needs: web.Namespace(api.CapTagJobVersion), Do: a.tagJobVersion},
			{Methods: "DELETE", Needs: web.Namespace(api.CapTagJobVersion), Do: a.untagJobVersion},
		}},
		{"/versions", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: a.jobVersions}}},
		{"/submission", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: a.jobSubmission}}},
		{"/services", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) ([]*api.ServiceRegistration, api.Meta, error) {
			return a.Server.JobServices(r.Context(), o, id)
		})}}},
		{"/actions", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) ([]api.JobAction, api.Meta, error) {
			actions, meta, err := a.Server.JobActions(r.Context(), o, id)
			return orEmpty(actions), meta, err
		})}}},
		{"/action", []web.Route{{Methods: "GET", Needs: web.Namespace(api.CapAllocExec), Raw: a.jobAction()}}},
		{"/scale", []web.Route{
			{Methods: "GET", Needs: web.Namespace(api.CapReadJobScaling), Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.JobScaleStatus, api.Meta, error) {
				return a.Server.JobScaleStatus(r.Context(), o, id)
			})},
			{Methods: "PUT POST", Needs: web.Namespace(api.CapScaleJob), Do: a.scaleJob},
		}},
		{"/plan", []web.Route{{Methods: "PUT POST", Needs: web.Namespace(api.CapPlanJob), Do: a.planJob}}},
		{"/evaluate", []web.Route{{Methods: "PUT POST", Needs: web.Namespace(api.CapEvaluateJob), Do: a.evaluateJob}}},
		{"/revert", []web.Route{{Methods: "PUT POST", Needs: web.Namespace(api.CapRevertJob), Do: a.revertJob}}},
		{"/stable", []web.Route{{Methods: "PUT POST", Needs: web.Namespace(api.CapStableJob), Do: a.markJobStable}}},
		{"/periodic/force", []web.Route{{Methods: "PUT POST", Needs: web.Namespace(api.CapForcePeriodicJob), Do: a.forcePeriodicJob}}},
		{"/dispatch/payload", []web.Route{{Methods: "PUT POST", Needs: web.Namespace(api.CapDispatchJob), Do: a.dispatchPayload}}},
		{"/dispatch", []web.Route{{Methods: "PUT POST", Needs: web.Namespace(api.CapDispatchJob), Do: a.dispatchJob}}},
		{"", []web.Route{
			{Methods: "GET", Needs: web.Namespace(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.Job, api.Meta, error) {
				return a.Server.Job(r.Context(), o, id)
			})},
			{Methods: "PUT POST", Needs: web.Namespace(api.CapRegisterJob), Do: a.registerJob},
			{Methods: "DELETE", Needs: web.Namespace(api.CapDeregisterJob), Do: a.deregisterJob},
		}},
	}
	handlers := make([]http.Handler, len(table))
	var all []web.Route
	for i, row := range table {
		handlers[i] = web.ByMethod(a.Log, row.rows)
		for _, r := range row.rows {
			r.Pattern = "/v1/job/{id}" + row.suffix
			all = append(all, r)
		}
	}
	return web.Route{Methods: "*", Pattern: "/v1/job/{rest...}", Rows: all, Raw: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.EscapedPath(), "/v1/job/")
		for i, row := range table {
			raw, tag, ok := cutJobSuffix(path, row.suffix)
			if !ok || raw == "" {
				continue
			}
			id, err := url.PathUnescape(raw)
			if err == nil {
				tag, err = url.PathUnescape(tag)
			}
			if err != nil {
				web.WriteError(w, api.Errorf(api.CodeInvalid, "the job ID in the path is malformed: %w", err))
				return
			}
			r.SetPathValue("id", id)
			r.SetPathValue("tag", tag)
			handlers[i].ServeHTTP(w, r)
			return
		}
		web.WriteError(w, api.Errorf(api.CodeInvalid, "the path names no job: expect /v1/job/<ID>"))
	})}
}

// cutJobSuffix takes a suffix of the table off a path. In the suffix, {tag}
// stands for one part of the path, which is returned as it was sent.
func cutJobSuffix(path, suffix string) (id, tag string, ok bool) {
	before, after, holds := strings.Cut(suffix, "{tag}")
	if !holds {
		id, ok = strings.CutSuffix(path, suffix)
		return id, "", ok
	}
	rest, ok := strings.CutSuffix(path, after)
	at := strings.LastIndex(rest, before)
	if !ok || at < 0 || strings.Contains(rest[at+len(before):], "/") {
		return "", "", false
	}
	return rest[:at], rest[at+len(before):], true
}

func (a *routes) listJobs(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, withMeta := p.List(), p.Bool("meta", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	seq, meta, err := a.Server.Jobs(r.Context(), opts, withMeta)
	return answer(web.List[*api.JobListStub]{Items: seq}, meta, err)
}

func (a *routes) jobAllocs(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, show, all := p.List(), stubOptions(p), p.Bool("all", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	seq, meta, err := a.Server.JobAllocs(r.Context(), opts, r.PathValue("id"), all)
	return answer(stubList(seq, show), meta, err)
}

func (a *routes) jobDeployments(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, all := p.List(), p.Bool("all", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	list, meta, err := a.Server.JobDeployments(r.Context(), opts, r.PathValue("id"), all)
	return answer(orEmpty(list), meta, err)
}

func (a *routes) jobVersions(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, diffs, tag := p.List(), p.Bool("diffs", false), p.String("diff_tag")
	var version *uint64
	if p.String("diff_version") != "" {
		n := p.Uint64("diff_version")
		version = &n
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if tag != "" && version != nil {
		return nil, api.Errorf(api.CodeInvalid, "query parameters \"diff_tag\" and \"diff_version\" exclude each other")
	}
	out, meta, err := a.Server.JobVersions(r.Context(), opts, r.PathValue("id"), diffs, tag, version)
	return answer(out, meta, err)
}

func (a *routes) jobSubmission(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts := p.List()
	p.Required("version")
	version := p.Uint64("version")
	if err := p.Err(); err != nil {
		return nil, err
	}
	sub, meta, err := a.Server.JobSubmission(r.Context(), opts, r.PathValue("id"), version)
	return answer(sub, meta, err)
}

func (a *routes) jobStatuses(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	var body struct{ Jobs []api.NamespacedID }
	if r.Method == http.MethodPost {
		if _, err := web.DecodeOptional(r, &body); err != nil {
			return nil, err
		}
	}
	list, meta, err := a.Server.JobStatuses(r.Context(), opts, body.Jobs)
	return answer(list, meta, err)
}

package httpapi

import (
	"cmp"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/audit"
	"github.com/drover-org/drover/internal/web"
)

// jobNamespace returns the namespace a write is about: the query's before the
// body's.
func jobNamespace(r *http.Request, body string) string {
	return cmp.Or(web.ParamsOf(r).String("namespace"), body, api.DefaultNamespace)
}

func jobRegion(r *http.Request, body string) string {
	return cmp.Or(web.ParamsOf(r).String("region"), body)
}

// decodeJob reads the body of a registration or validation. A path that names
// a job must name the body's.
func decodeJob(r *http.Request) (*api.JobRegisterRequest, []string, error) {
	req := &api.JobRegisterRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, nil, err
	}
	if req.Job == nil {
		return nil, nil, api.Errorf(api.CodeInvalid, "Job must be specified: the body is {\"Job\": {…}}")
	}
	if err := samePathJob(r, req.Job.ID); err != nil {
		return nil, nil, err
	}
	req.Namespace, req.Region = jobNamespace(r, req.Namespace), jobRegion(r, req.Region)
	return req, unknownWarnings(unknown), nil
}

func samePathJob(r *http.Request, id string) error {
	if want := r.PathValue("id"); want != "" && id != want {
		return api.Errorf(api.CodeInvalid, "Job ID %q does not match the path's %q", id, want)
	}
	return nil
}

func (a *routes) registerJob(r *http.Request) (any, error) {
	req, warnings, err := decodeJob(r)
	if err != nil {
		return nil, err
	}
	audit.SetObject(r.Context(), req.Namespace, req.Job.ID)
	res, err := a.Server.RegisterJob(r.Context(), web.Token(r), req, warnings)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, nil), nil
}

func (a *routes) validateJob(r *http.Request) (any, error) {
	req, warnings, err := decodeJob(r)
	if err != nil {
		return nil, err
	}
	return a.Server.ValidateJob(r.Context(), web.Token(r), req, warnings)
}

func (a *routes) planJob(r *http.Request) (any, error) {
	req := &api.JobPlanRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	if req.Job == nil {
		return nil, api.Errorf(api.CodeInvalid, "Job must be specified: the body is {\"Job\": {…}}")
	}
	if err := samePathJob(r, req.Job.ID); err != nil {
		return nil, err
	}
	req.Namespace, req.Region = jobNamespace(r, req.Namespace), jobRegion(r, req.Region)
	res, err := a.Server.PlanJob(r.Context(), web.Token(r), req, unknownWarnings(unknown))
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, nil), nil
}

func (a *routes) parseJob(r *http.Request) (any, error) {
	req := &api.JobsParseRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	job, err := a.Server.ParseJob(r.Context(), web.Token(r), jobNamespace(r, ""), req)
	if err != nil {
		return nil, err
	}
	if req.Canonicalize {
		return written(job, 0, unknown), nil
	}
	return written(&parsedJob{
		Job: job, Region: orNull(job.Region), Namespace: orNull(job.Namespace), Type: orNull(job.Type), NodePool: orNull(job.NodePool),
	}, 0, unknown), nil
}

// parsedJob is a job without defaults: what the file leaves out reads null, so
// that a client can tell it from what was written.
type parsedJob struct {
	*api.Job
	Region, Namespace, Type, NodePool *string
}

// orNull returns nil for an empty text.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (a *routes) deregisterJob(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts := api.JobDeregisterOptions{
		Purge: p.Bool("purge", false), NoShutdownDelay: p.Bool("no_shutdown_delay", false),
		EvalPriority: int(p.Int("eval_priority", 0, 0, api.MaxJobPriority)),
	}
	p.Bool("global", false) // all regions of the job: there is one
	if err := p.Err(); err != nil {
		return nil, err
	}
	res, err := a.Server.DeregisterJob(r.Context(), web.Token(r), p.Namespace(), r.PathValue("id"), opts)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, nil), nil
}

func (a *routes) revertJob(r *http.Request) (any, error) {
	req := &api.JobRevertRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "JobID", &req.JobID); err != nil {
		return nil, err
	}
	res, err := a.Server.RevertJob(r.Context(), web.Token(r), jobNamespace(r, ""), req)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

func (a *routes) markJobStable(r *http.Request) (any, error) {
	req := &api.JobStabilityRequest{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "JobID", &req.JobID); err != nil {
		return nil, err
	}
	index, err := a.Server.MarkJobStable(r.Context(), web.Token(r), jobNamespace(r, ""), req)
	if err != nil {
		return nil, err
	}
	return written(map[string]uint64{"Index": index}, index, unknown), nil
}

func (a *routes) tagJobVersion(r *http.Request) (any, error) {
	req := &struct {
		api.JobTagRequest
		Namespace, Region, SecretID string // of the request, as SDKs send them
	}{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	res, err := a.Server.TagJobVersion(r.Context(), web.Token(r), jobNamespace(r, req.Namespace), r.PathValue("id"), r.PathValue("tag"), &req.JobTagRequest)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

func (a *routes) untagJobVersion(r *http.Request) (any, error) {
	index, err := a.Server.UntagJobVersion(r.Context(), web.Token(r), jobNamespace(r, ""), r.PathValue("id"), r.PathValue("tag"))
	if err != nil {
		return nil, err
	}
	return written(map[string]uint64{"Index": index}, index, nil), nil
}

func (a *routes) evaluateJob(r *http.Request) (any, error) {
	req := &struct {
		JobID       string
		Namespace   string
		EvalOptions struct{ ForceReschedule bool }
	}{}
	unknown, err := web.DecodeOptional(r, req)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "JobID", &req.JobID); err != nil {
		return nil, err
	}
	res, err := a.Server.EvaluateJob(r.Context(), web.Token(r), jobNamespace(r, req.Namespace), req.JobID, req.EvalOptions.ForceReschedule)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

func (a *routes) scaleJob(r *http.Request) (any, error) {
	req := &struct {
		api.ScalingRequest
		Namespace, Region, SecretID string // of the request, as SDKs send them
	}{}
	unknown, err := web.Decode(r, req)
	if err != nil {
		return nil, err
	}
	res, err := a.Server.ScaleJob(r.Context(), web.Token(r), jobNamespace(r, req.Namespace), r.PathValue("id"), &req.ScalingRequest)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

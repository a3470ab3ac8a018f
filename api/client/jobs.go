package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/drover-org/drover/api"
)

// Jobs are the calls on jobs.
type Jobs struct{ c *Client }

// Jobs returns the calls on jobs.
func (c *Client) Jobs() Jobs { return Jobs{c} }

func jobPath(id, rest string) string { return "/v1/job/" + url.PathEscape(id) + rest }

func jobParams(namespace string) url.Values {
	if namespace == "" {
		return nil
	}
	return url.Values{"namespace": {namespace}}
}

// List returns jobs in short.
func (j Jobs) List(ctx context.Context, opts api.ListOptions) ([]*api.JobListStub, api.Meta, error) {
	var out []*api.JobListStub
	meta, err := j.c.read(ctx, "/v1/jobs", opts, nil, &out)
	return out, meta, err
}

// Info returns one job.
func (j Jobs) Info(ctx context.Context, id string, opts api.ListOptions) (*api.Job, api.Meta, error) {
	out := new(api.Job)
	meta, err := j.c.read(ctx, jobPath(id, ""), opts, nil, out)
	return out, meta, err
}

// InfoRaw returns one job as the agent wrote it, so that nothing this
// package doesn't know is lost.
func (j Jobs) InfoRaw(ctx context.Context, id string, opts api.ListOptions) (json.RawMessage, api.Meta, error) {
	var out json.RawMessage
	meta, err := j.c.read(ctx, jobPath(id, ""), opts, nil, &out)
	return out, meta, err
}

// VersionDiffs say which differences a list of versions comes with: of each
// version to the one before it, or to the one that Tag or Version names.
type VersionDiffs struct {
	Show    bool
	Tag     string
	Version *uint64
}

// Versions returns a job's versions, newest first.
func (j Jobs) Versions(ctx context.Context, id string, diffs VersionDiffs, opts api.ListOptions) (*api.JobVersionsResponse, api.Meta, error) {
	params := url.Values{"diffs": {strconv.FormatBool(diffs.Show)}}
	if diffs.Tag != "" {
		params.Set("diff_tag", diffs.Tag)
	}
	if diffs.Version != nil {
		params.Set("diff_version", strconv.FormatUint(*diffs.Version, 10))
	}
	out := new(api.JobVersionsResponse)
	meta, err := j.c.read(ctx, jobPath(id, "/versions"), opts, params, out)
	return out, meta, err
}

// TagVersion names a version of a job, so that it is kept.
func (j Jobs) TagVersion(ctx context.Context, id, namespace, name string, req *api.JobTagRequest) (*api.JobTagResponse, error) {
	out := new(api.JobTagResponse)
	_, err := j.c.call(ctx, http.MethodPut, jobPath(id, "/versions/"+url.PathEscape(name)+"/tag"), jobParams(namespace), req, out)
	return out, err
}

// UntagVersion takes a name from the version that has it.
func (j Jobs) UntagVersion(ctx context.Context, id, namespace, name string) error {
	_, err := j.c.call(ctx, http.MethodDelete, jobPath(id, "/versions/"+url.PathEscape(name)+"/tag"), jobParams(namespace), nil, nil)
	return err
}

// Explain tells where the next allocation of each group could run, or of one
// group, and why not elsewhere; all lists every node.
func (j Jobs) Explain(ctx context.Context, id, group string, all bool, opts api.ListOptions) (*api.JobExplanation, error) {
	params := url.Values{"all": {strconv.FormatBool(all)}}
	if group != "" {
		params.Set("group", group)
	}
	out := new(api.JobExplanation)
	_, err := j.c.read(ctx, jobPath(id, "/explain"), opts, params, out)
	return out, err
}

// Actions returns the commands that a job's tasks name.
func (j Jobs) Actions(ctx context.Context, id string, opts api.ListOptions) ([]api.JobAction, error) {
	var out []api.JobAction
	_, err := j.c.read(ctx, jobPath(id, "/actions"), opts, nil, &out)
	return out, err
}

// Summary returns the counts of a job's allocations.
func (j Jobs) Summary(ctx context.Context, id string, opts api.ListOptions) (*api.JobSummary, api.Meta, error) {
	out := new(api.JobSummary)
	meta, err := j.c.read(ctx, jobPath(id, "/summary"), opts, nil, out)
	return out, meta, err
}

// Allocations returns a job's allocations in short; all includes those of
// former jobs of the same ID.
func (j Jobs) Allocations(ctx context.Context, id string, all bool, opts api.ListOptions) ([]*api.AllocListStub, api.Meta, error) {
	var out []*api.AllocListStub
	meta, err := j.c.read(ctx, jobPath(id, "/allocations"), opts, url.Values{"all": {strconv.FormatBool(all)}}, &out)
	return out, meta, err
}

// Evaluations returns a job's evaluations.
func (j Jobs) Evaluations(ctx context.Context, id string, opts api.ListOptions) ([]*api.Evaluation, api.Meta, error) {
	var out []*api.Evaluation
	meta, err := j.c.read(ctx, jobPath(id, "/evaluations"), opts, nil, &out)
	return out, meta, err
}

// Deployments returns a job's deployments, newest first; all includes those
// of former jobs of the same ID.
func (j Jobs) Deployments(ctx context.Context, id string, all bool, opts api.ListOptions) ([]*api.Deployment, api.Meta, error) {
	var out []*api.Deployment
	meta, err := j.c.read(ctx, jobPath(id, "/deployments"), opts, url.Values{"all": {strconv.FormatBool(all)}}, &out)
	return out, meta, err
}

// LatestDeployment returns a job's newest deployment, nil when it has none.
func (j Jobs) LatestDeployment(ctx context.Context, id string, opts api.ListOptions) (*api.Deployment, api.Meta, error) {
	var out *api.Deployment
	meta, err := j.c.read(ctx, jobPath(id, "/deployment"), opts, nil, &out)
	return out, meta, err
}

// ScaleStatus returns how the groups of a job are scaled.
func (j Jobs) ScaleStatus(ctx context.Context, id string, opts api.ListOptions) (*api.JobScaleStatus, api.Meta, error) {
	out := new(api.JobScaleStatus)
	meta, err := j.c.read(ctx, jobPath(id, "/scale"), opts, nil, out)
	return out, meta, err
}

// Submission returns the text that a version was registered from.
func (j Jobs) Submission(ctx context.Context, id string, version uint64, opts api.ListOptions) (*api.JobSubmission, api.Meta, error) {
	out := new(api.JobSubmission)
	params := url.Values{"version": {strconv.FormatUint(version, 10)}}
	meta, err := j.c.read(ctx, jobPath(id, "/submission"), opts, params, out)
	return out, meta, err
}

// Register creates a job or makes a new version of it.
func (j Jobs) Register(ctx context.Context, req *api.JobRegisterRequest) (*api.JobRegisterResponse, error) {
	out := new(api.JobRegisterResponse)
	_, err := j.c.call(ctx, http.MethodPut, "/v1/jobs", jobParams(req.Job.Namespace), req, out)
	return out, err
}

// Plan tells what registering the job would do.
func (j Jobs) Plan(ctx context.Context, req *api.JobPlanRequest) (*api.JobPlanResponse, error) {
	out := new(api.JobPlanResponse)
	_, err := j.c.call(ctx, http.MethodPut, jobPath(req.Job.ID, "/plan"), jobParams(req.Job.Namespace), req, out)
	return out, err
}

// Validate checks a job without registering it.
func (j Jobs) Validate(ctx context.Context, job *api.Job) (*api.JobValidateResponse, error) {
	out := new(api.JobValidateResponse)
	_, err := j.c.call(ctx, http.MethodPut, "/v1/validate/job", jobParams(job.Namespace), &api.JobRegisterRequest{Job: job}, out)
	return out, err
}

// Parse turns a job file's text into a job, on the server.
func (j Jobs) Parse(ctx context.Context, req *api.JobsParseRequest) (*api.Job, error) {
	out := new(api.Job)
	_, err := j.c.call(ctx, http.MethodPut, "/v1/jobs/parse", nil, req, out)
	return out, err
}

// DeregisterOptions say how a job is stopped.
type DeregisterOptions struct {
	Purge           bool // forget the job, too
	Global          bool // in every region of a multi-region job
	NoShutdownDelay bool
	EvalPriority    int
}

// Deregister stops a job.
func (j Jobs) Deregister(ctx context.Context, id, namespace string, o DeregisterOptions) (*api.JobRegisterResponse, error) {
	params := url.Values{"purge": {strconv.FormatBool(o.Purge)}}
	if o.Global {
		params.Set("global", "true")
	}
	if o.NoShutdownDelay {
		params.Set("no_shutdown_delay", "true")
	}
	if o.EvalPriority != 0 {
		params.Set("eval_priority", strconv.Itoa(o.EvalPriority))
	}
	if namespace != "" {
		params.Set("namespace", namespace)
	}
	out := new(api.JobRegisterResponse)
	_, err := j.c.call(ctx, http.MethodDelete, jobPath(id, ""), params, nil, out)
	return out, err
}

// Evaluate forces an evaluation; reschedule also replaces failed allocations
// whose policy would have them wait.
func (j Jobs) Evaluate(ctx context.Context, id, namespace string, reschedule bool) (*api.JobRegisterResponse, error) {
	req := &api.JobEvaluateRequest{JobID: id}
	req.EvalOptions.ForceReschedule = reschedule
	out := new(api.JobRegisterResponse)
	_, err := j.c.call(ctx, http.MethodPut, jobPath(id, "/evaluate"), jobParams(namespace), req, out)
	return out, err
}

// Revert makes an earlier version current again.
func (j Jobs) Revert(ctx context.Context, namespace string, req *api.JobRevertRequest) (*api.JobRegisterResponse, error) {
	out := new(api.JobRegisterResponse)
	_, err := j.c.call(ctx, http.MethodPut, jobPath(req.JobID, "/revert"), jobParams(namespace), req, out)
	return out, err
}

// Dispatch starts an instance of a parameterized job. With an idempotency token
// that an instance has already, that one is the answer and none is started.
func (j Jobs) Dispatch(ctx context.Context, namespace string, req *api.JobDispatchRequest, idempotency string) (*api.JobDispatchResponse, error) {
	params := jobParams(namespace)
	if idempotency != "" {
		if params == nil {
			params = url.Values{}
		}
		params.Set("idempotency_token", idempotency)
	}
	out := new(api.JobDispatchResponse)
	_, err := j.c.call(ctx, http.MethodPut, jobPath(req.JobID, "/dispatch"), params, req, out)
	return out, err
}

// PeriodicForce starts a periodic job out of turn.
func (j Jobs) PeriodicForce(ctx context.Context, id, namespace string) (*api.PeriodicForceResponse, error) {
	out := new(api.PeriodicForceResponse)
	_, err := j.c.call(ctx, http.MethodPut, jobPath(id, "/periodic/force"), jobParams(namespace), nil, out)
	return out, err
}

// Scale changes the count of one group.
func (j Jobs) Scale(ctx context.Context, id, namespace string, req *api.ScalingRequest) (*api.JobRegisterResponse, error) {
	out := new(api.JobRegisterResponse)
	_, err := j.c.call(ctx, http.MethodPut, jobPath(id, "/scale"), jobParams(namespace), req, out)
	return out, err
}

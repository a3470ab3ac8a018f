package server

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/cron"
	"github.com/drover-org/drover/internal/store"
)

// errRegistrationOff is the answer while operators have turned registration off.
var errRegistrationOff = &api.Error{Code: api.CodeForbidden, Message: "Job registration, dispatch, and scale are disabled by the scheduler configuration"}

// RegisterJob makes a version of a job current and starts its evaluation, in
// one step. A job that equals the current version keeps its number and is
// evaluated again. warnings are added to the response's.
func (s *Server) RegisterJob(ctx context.Context, token string, req *api.JobRegisterRequest, warnings []string) (*api.JobRegisterResponse, error) {
	job, more, err := s.prepareJob(ctx, token, req.Job, req.Namespace, req.Region, api.CapRegisterJob)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, more...)
	snap := s.store.Snapshot()
	if snap.SchedulerConfig().RejectJobRegistration && s.authorize(ctx, token, api.CapManagement, "") != nil {
		return nil, errRegistrationOff
	}
	if req.EvalPriority != 0 && (req.EvalPriority < api.MinJobPriority || req.EvalPriority > api.MaxJobPriority) {
		return nil, api.Errorf(api.CodeInvalid, "EvalPriority is %d: it must be from %d to %d, or 0 for the job's priority", req.EvalPriority, api.MinJobPriority, api.MaxJobPriority)
	}
	if req.PolicyOverride {
		warnings = append(warnings, "PolicyOverride has no effect: there are no policies to override")
	}
	current := snap.Job(job.Namespace, job.ID)
	if current != nil && current.Type != job.Type {
		return nil, typeChange(current, job)
	}
	if current != nil && req.PreserveCounts {
		preserveCounts(job, current)
	}
	if current != nil && req.PreserveResources {
		preserveResources(job, current)
	}
	now := s.now().UnixNano()
	job.SubmitTime = now
	cmd := &store.RegisterJob{Job: job, Enforce: req.EnforceIndex, EnforceIndex: req.JobModifyIndex, Keep: s.cfg.KeepVersions, Now: now}
	if sub := req.Submission; sub != nil {
		if len(sub.Source)+len(sub.Variables) > api.MaxSubmissionSize {
			warnings = append(warnings, fmt.Sprintf("the job's source is not kept: it has %d bytes, at most %d are", len(sub.Source)+len(sub.Variables), api.MaxSubmissionSize))
		} else {
			cmd.Submission = sub
		}
	}
	if current != nil && !current.Stop && sameSpec(current, job) {
		cmd.KeepVersion = &current.Version
	}
	if !job.IsPeriodicActive() && !job.IsParameterized() {
		cmd.Eval = s.jobEval(job, api.EvalTriggerJobRegister)
		if req.EvalPriority != 0 {
			cmd.Eval.Priority = req.EvalPriority
		}
	}
	if cmd.Eval != nil && snap.SchedulerConfig().PauseEvalBroker {
		warnings = append(warnings, "scheduling is paused (PauseEvalBroker in the scheduler configuration): the job waits until it goes on")
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return s.jobAnswer(res, cmd.Eval, warnings), nil
}

// prepareJob returns a canonical, valid copy of a job that somebody wants to
// register or plan, with the warnings of its validation.
func (s *Server) prepareJob(ctx context.Context, token string, job *api.Job, namespace, region string, c api.Capability) (*api.Job, []string, error) {
	if job == nil {
		return nil, nil, api.Errorf(api.CodeInvalid, "Job must be specified")
	}
	j := *job
	if j.Namespace == "" && namespace != api.AllNamespaces {
		j.Namespace = namespace
	}
	if namespace != "" && namespace != api.DefaultNamespace && namespace != api.AllNamespaces && j.Namespace != namespace {
		return nil, nil, api.Errorf(api.CodeInvalid, "Namespace: the job says %q and the request %q", j.Namespace, namespace)
	}
	if j.Region == "" {
		j.Region = s.cfg.Region
	}
	for _, r := range []string{region, j.Region} {
		if err := s.checkRegion(r); err != nil {
			return nil, nil, err
		}
	}
	resetServerFields(&j)
	snap := s.store.Snapshot()
	defaultPool(snap, &j)
	j.Canonicalize()
	if err := s.authorize(ctx, token, c, j.Namespace); err != nil {
		return nil, nil, err
	}
	warnings, err := j.Validate()
	if err != nil {
		return nil, nil, err
	}
	if j.Periodic != nil {
		if err := cron.Check(j.Periodic, s.now()); err != nil {
			return nil, nil, err
		}
	}
	if err := admit(snap, &j); err != nil {
		return nil, nil, err
	}
	if err := s.checkDrivers(&j); err != nil {
		return nil, nil, err
	}
	return &j, warnings, nil
}

// checkDrivers refuses a job with a driver that neither this version has nor
// any node offers: it could never be placed.
func (s *Server) checkDrivers(j *api.Job) error {
	if s.cfg.Drivers == nil {
		return nil
	}
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			if !slices.Contains(s.cfg.Drivers, t.Driver) && !offered(s.store.Snapshot(), t.Driver) {
				return api.Errorf(api.CodeInvalid, "group %q > task %q > Driver: there is no driver %q; known are %s", g.Name, t.Name, t.Driver, strings.Join(s.cfg.Drivers, ", "))
			}
		}
	}
	return nil
}

func offered(snap *store.Snapshot, driver string) bool {
	for n := range snap.Nodes() {
		if n.Drivers[driver] != nil {
			return true
		}
	}
	return false
}

// resetServerFields empties what only servers set.
func resetServerFields(j *api.Job) {
	j.Stop, j.ParentID, j.Dispatched, j.DispatchIdempotencyToken, j.Payload = false, "", false, "", nil
	j.Status, j.StatusDescription, j.Stable, j.Version, j.SubmitTime = "", "", false, 0, 0
	j.CreateIndex, j.ModifyIndex, j.JobModifyIndex, j.VersionTag = 0, 0, 0, nil
	j.ConsulNamespace, j.VaultNamespace, j.NomadTokenID = "", "", ""
}

// sameSpec reports whether two jobs ask for the same.
func sameSpec(a, b *api.Job) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	resetServerFields(&x)
	resetServerFields(&y)
	return reflect.DeepEqual(&x, &y) || api.DiffJobs(&x, &y).Type == api.DiffNone
}

// preserveCounts gives the groups of job the counts that the running version
// has.
func preserveCounts(job, current *api.Job) {
	for _, g := range job.TaskGroups {
		if old := current.Group(g.Name); old != nil {
			n := old.CountOf()
			g.Count = &n
		}
	}
}

// preserveResources gives the tasks of job the resources that the running
// version has.
func preserveResources(job, current *api.Job) {
	for _, g := range job.TaskGroups {
		for _, t := range g.Tasks {
			if old := current.Group(g.Name).Task(t.Name); old != nil {
				t.Resources = old.Resources
			}
		}
	}
}

// jobAnswer makes the response to a change of a job; res.Value is the job.
func (s *Server) jobAnswer(res store.Result, e *api.Evaluation, warnings []string) *api.JobRegisterResponse {
	out := &api.JobRegisterResponse{Index: res.Index, JobModifyIndex: res.Index, Warnings: warningText(warnings), KnownLeader: true}
	if j, ok := res.Value.(*api.Job); ok && j != nil {
		out.JobModifyIndex = j.JobModifyIndex
	}
	if e != nil {
		out.EvalID, out.EvalCreateIndex = e.ID, res.Index
	}
	return out
}

// warningText joins warnings as clients show them.
func warningText(warnings []string) string {
	if len(warnings) == 0 {
		return ""
	}
	var b strings.Builder
	noun := "warnings"
	if len(warnings) == 1 {
		noun = "warning"
	}
	fmt.Fprintf(&b, "%d %s:\n", len(warnings), noun)
	for _, w := range warnings {
		b.WriteString("\n* " + w)
	}
	return b.String()
}

// ValidateJob checks a job without registering it. Mistakes are part of the
// answer.
func (s *Server) ValidateJob(ctx context.Context, token string, req *api.JobRegisterRequest, warnings []string) (*api.JobValidateResponse, error) {
	_, more, err := s.prepareJob(ctx, token, req.Job, req.Namespace, req.Region, api.CapReadJob)
	out := &api.JobValidateResponse{Warnings: warningText(append(warnings, more...))}
	if err == nil {
		return out, nil
	}
	if api.ErrorCode(err) != api.CodeInvalid || req.Job == nil {
		return nil, err
	}
	out.Error = err.Error()
	out.ValidationErrors = strings.Split(strings.TrimSpace(err.Error()), "\n")
	return out, nil
}

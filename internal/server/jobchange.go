package server

import (
	"context"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// DeregisterJob stops a job, or with Purge removes it with its history. To
// stop one that does not exist is no error and does nothing.
func (s *Server) DeregisterJob(ctx context.Context, token, namespace, id string, o api.JobDeregisterOptions) (*api.JobRegisterResponse, error) {
	right := api.CapDeregisterJob
	if o.Purge {
		right = api.CapPurgeJob
	}
	job, err := s.writableJob(ctx, token, namespace, id, right)
	if api.IsNotFound(err) {
		return &api.JobRegisterResponse{Index: s.store.Snapshot().Index()}, nil
	}
	if err != nil {
		return nil, err
	}
	if o.EvalPriority != 0 && (o.EvalPriority < api.MinJobPriority || o.EvalPriority > api.MaxJobPriority) {
		return nil, api.Errorf(api.CodeInvalid, "eval_priority is %d: it must be from %d to %d, or 0 for the job's priority", o.EvalPriority, api.MinJobPriority, api.MaxJobPriority)
	}
	cmd := &store.DeregisterJob{Namespace: namespace, JobID: id, Purge: o.Purge, NoShutdownDelay: o.NoShutdownDelay, Keep: s.cfg.KeepVersions, Now: s.now().UnixNano()}
	if !job.IsPeriodicActive() && !job.IsParameterized() {
		cmd.Eval = s.jobEval(job, api.EvalTriggerJobDeregister)
		if o.EvalPriority != 0 {
			cmd.Eval.Priority = o.EvalPriority
		}
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return s.jobAnswer(res, cmd.Eval, nil), nil
}

// writableJob finds a job that the caller wants to change.
func (s *Server) writableJob(ctx context.Context, token, namespace, id string, c api.Capability) (*api.Job, error) {
	if err := s.authorize(ctx, token, c, namespace); err != nil {
		return nil, err
	}
	job := s.store.Snapshot().Job(namespace, id)
	if job == nil {
		return nil, missing("job")
	}
	return job, nil
}

// RevertJob makes an earlier version current again, as a new version.
func (s *Server) RevertJob(ctx context.Context, token, namespace string, req *api.JobRevertRequest) (*api.JobRegisterResponse, error) {
	current, err := s.writableJob(ctx, token, namespace, req.JobID, api.CapRevertJob)
	if err != nil {
		return nil, err
	}
	if req.EnforcePriorVersion != nil && *req.EnforcePriorVersion != current.Version {
		return nil, api.Errorf(api.CodeConflict, "EnforcePriorVersion: enforcing version %d is not possible, the current version is %d", *req.EnforcePriorVersion, current.Version)
	}
	if req.JobVersion == current.Version {
		return nil, api.Errorf(api.CodeInvalid, "JobVersion: can't revert to the current version %d", req.JobVersion)
	}
	snap := s.store.Snapshot()
	old := snap.JobVersion(namespace, req.JobID, req.JobVersion)
	if old == nil {
		return nil, api.Errorf(api.CodeNotFound, "job %q has no version %d", req.JobID, req.JobVersion)
	}
	again := *old
	resetServerFields(&again)
	if err := admit(snap, &again); err != nil {
		return nil, err
	}
	now := s.now().UnixNano()
	again.SubmitTime = now
	cmd := &store.RegisterJob{
		Job: &again, Submission: snap.Submission(namespace, req.JobID, req.JobVersion),
		Enforce: true, EnforceIndex: current.JobModifyIndex, Keep: s.cfg.KeepVersions, Now: now,
	}
	if !again.IsPeriodicActive() && !again.IsParameterized() {
		cmd.Eval = s.jobEval(&again, api.EvalTriggerJobRegister)
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	var warnings []string
	if req.ConsulToken != "" || req.VaultToken != "" {
		warnings = append(warnings, "ConsulToken and VaultToken have no effect: tokens are not kept with jobs")
	}
	return s.jobAnswer(res, cmd.Eval, warnings), nil
}

// MarkJobStable marks a version of a job as stable or not.
func (s *Server) MarkJobStable(ctx context.Context, token, namespace string, req *api.JobStabilityRequest) (index uint64, err error) {
	if _, err := s.writableJob(ctx, token, namespace, req.JobID, api.CapStableJob); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.MarkJobStable{Namespace: namespace, JobID: req.JobID, Version: req.JobVersion, Stable: req.Stable})
	return res.Index, err
}

// EvaluateJob makes an evaluation of a job; with force its failed allocations
// are placed anew whatever their reschedule policy says.
func (s *Server) EvaluateJob(ctx context.Context, token, namespace, id string, force bool) (*api.JobRegisterResponse, error) {
	job, err := s.writableJob(ctx, token, namespace, id, api.CapEvaluateJob)
	if err != nil {
		return nil, err
	}
	if job.IsPeriodicActive() || job.Periodic != nil {
		return nil, api.Errorf(api.CodeInvalid, "job %q is periodic: only its instances can be evaluated", id)
	}
	if job.IsParameterized() {
		return nil, api.Errorf(api.CodeInvalid, "job %q is parameterized: only its instances can be evaluated", id)
	}
	e := s.jobEval(job, api.EvalTriggerJobRegister)
	cmd := &store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{}, Evals: []*api.Evaluation{e}, Now: s.now().UnixNano()}
	if force {
		yes := true
		for a := range s.store.Snapshot().AllocsByJob(namespace, id) {
			if a.ClientStatus == api.AllocClientFailed && a.NextAllocation == "" && !a.DesiredTransition.ShouldForceReschedule() {
				cmd.Transitions[a.ID] = api.DesiredTransition{ForceReschedule: &yes}
			}
		}
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	out := s.jobAnswer(res, e, nil)
	out.JobModifyIndex = job.JobModifyIndex
	return out, nil
}

// ScaleJob changes the count of one group, or with Error or without Count only
// notes an event.
func (s *Server) ScaleJob(ctx context.Context, token, namespace, id string, req *api.ScalingRequest) (*api.JobRegisterResponse, error) {
	if req.Target["Group"] == "" {
		return nil, errNoTarget
	}
	if id == "" {
		return nil, api.Errorf(api.CodeInvalid, "the path names no job")
	}
	job, err := s.writableJob(ctx, token, namespace, id, api.CapScaleJob)
	if err != nil {
		return nil, err
	}
	if s.store.Snapshot().SchedulerConfig().RejectJobRegistration && s.authorize(ctx, token, api.CapManagement, "") != nil {
		return nil, errRegistrationOff
	}
	group, err := scaleTarget(job, req)
	if err != nil {
		return nil, err
	}
	now := s.now().UnixNano()
	cmd := &store.ScaleJob{
		Namespace: namespace, JobID: id, Group: group.Name, EnforceIndex: req.JobModifyIndex, Keep: s.cfg.KeepVersions, Now: now,
		Event: api.ScalingEvent{Count: req.Count, Error: req.Error, Message: req.Message, Meta: req.Meta},
	}
	if req.Count != nil {
		n := int(*req.Count)
		cmd.Count = &n
		cmd.Eval = s.jobEval(job, api.EvalTriggerScaling)
		if err := admitQuota(s.store.Snapshot(), job.WithCount(group.Name, n)); err != nil {
			return nil, err
		}
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	var warnings []string
	if req.PolicyOverride {
		warnings = append(warnings, "PolicyOverride has no effect: there are no policies to override")
	}
	return s.jobAnswer(res, cmd.Eval, warnings), nil
}

var errNoTarget = &api.Error{Code: api.CodeInvalid, Message: `Target must name the task group: {"Group": "…"}`}

// scaleTarget finds the group a scaling request is about and checks its count.
func scaleTarget(job *api.Job, req *api.ScalingRequest) (*api.TaskGroup, error) {
	name := req.Target["Group"]
	if name == "" {
		return nil, errNoTarget
	}
	group := job.Group(name)
	if group == nil {
		return nil, api.Errorf(api.CodeInvalid, "Target: task group %q does not exist in job %q", name, job.ID)
	}
	if req.Count == nil {
		return group, nil
	}
	n := *req.Count
	switch p := group.Scaling; {
	case req.Error:
		return nil, api.Errorf(api.CodeInvalid, "Count and Error can't be set together: an event that reports an error changes no count")
	case job.Stop:
		return nil, api.Errorf(api.CodeInvalid, "job %q is stopped and can't be scaled", job.ID)
	case job.Type == api.JobTypeSystem || job.Type == api.JobTypeSysBatch:
		return nil, api.Errorf(api.CodeInvalid, "job %q is a %s job, which has no count to scale", job.ID, job.Type)
	case n < 0:
		return nil, api.Errorf(api.CodeInvalid, "Count is %d: it must not be negative", n)
	case p != nil && p.Min != nil && n < *p.Min:
		return nil, api.Errorf(api.CodeInvalid, "Count is %d: group %q has a scaling minimum of %d", n, name, *p.Min)
	case p != nil && p.Max != nil && n > *p.Max:
		return nil, api.Errorf(api.CodeInvalid, "Count is %d: group %q has a scaling maximum of %d", n, name, *p.Max)
	}
	total := n
	for _, g := range job.TaskGroups {
		if g != group {
			total += int64(g.CountOf())
		}
	}
	if n > api.MaxGroupCount || total > api.MaxGroupCount {
		return nil, api.Errorf(api.CodeInvalid, "Count is %d: a job may have at most %d allocations in all groups", n, api.MaxGroupCount)
	}
	return group, nil
}

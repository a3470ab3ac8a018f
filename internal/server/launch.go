package server

import (
	"context"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// ForcePeriodicJob starts a periodic job out of turn, even one that prohibits
// overlap: who asks for it sees what runs.
func (s *Server) ForcePeriodicJob(ctx context.Context, token, namespace, id string) (*api.PeriodicForceResponse, error) {
	job, err := s.writableJob(ctx, token, namespace, id, api.CapForcePeriodicJob)
	if err != nil {
		return nil, err
	}
	if !job.IsPeriodicActive() {
		return nil, api.Errorf(api.CodeInvalid, "job %q is not periodic, or it is stopped or not enabled", id)
	}
	now := s.now()
	at := now
	for snap := s.store.Snapshot(); snap.Job(namespace, api.PeriodicLaunchID(id, at)) != nil; {
		at = at.Add(time.Second) // names have seconds
	}
	instance := api.PeriodicLaunchID(id, at)
	cmd := &store.LaunchJob{Namespace: namespace, Parent: id, ID: instance, Eval: s.jobEval(job, api.EvalTriggerPeriodicJob), Now: now.UnixNano()}
	cmd.Eval.JobID = instance
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &api.PeriodicForceResponse{EvalID: cmd.Eval.ID, EvalCreateIndex: res.Index, Index: res.Index}, nil
}

// maxDispatchPrefix bounds the part of an instance's name that callers choose.
const maxDispatchPrefix = 128

// DispatchJob starts an instance of a parameterized job. With an idempotency
// token that an instance has already, that instance is the answer.
func (s *Server) DispatchJob(ctx context.Context, token, namespace string, req *api.JobDispatchRequest, idempotency string) (*api.JobDispatchResponse, error) {
	job, err := s.writableJob(ctx, token, namespace, req.JobID, api.CapDispatchJob)
	if err != nil {
		return nil, err
	}
	snap := s.store.Snapshot()
	switch prefix := req.IdPrefixTemplate; {
	case snap.SchedulerConfig().RejectJobRegistration && s.authorize(ctx, token, api.CapManagement, "") != nil:
		return nil, errRegistrationOff
	case req.Priority != 0 && (req.Priority < api.MinJobPriority || req.Priority > api.MaxJobPriority):
		return nil, api.Errorf(api.CodeInvalid, "Priority is %d: it must be from %d to %d, or 0 for the job's", req.Priority, api.MinJobPriority, api.MaxJobPriority)
	case len(prefix) > maxDispatchPrefix || strings.ContainsAny(prefix, " \x00/"):
		return nil, api.Errorf(api.CodeInvalid, "IdPrefixTemplate: it must have at most %d bytes, and no space and no slash", maxDispatchPrefix)
	}
	if err := job.CheckDispatch(req.Payload, req.Meta); err != nil {
		return nil, err
	}
	now := s.now()
	cmd := &store.LaunchJob{
		Namespace: namespace, Parent: job.ID, ID: api.DispatchID(job.ID, req.IdPrefixTemplate, now, s.cfg.NewID()), Now: now.UnixNano(),
		Dispatch: &store.Dispatch{Payload: req.Payload, Meta: req.Meta, Priority: req.Priority, Token: idempotency},
	}
	if job.Periodic == nil {
		cmd.Eval = s.jobEval(job, api.EvalTriggerJobRegister)
		cmd.Eval.JobID = cmd.ID
		if req.Priority != 0 {
			cmd.Eval.Priority = req.Priority
		}
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	launched := res.Value.(*store.Launched)
	out := &api.JobDispatchResponse{DispatchedJobID: launched.Job.ID, EvalID: launched.EvalID, JobCreateIndex: launched.Job.CreateIndex, Index: res.Index}
	if out.EvalID != "" {
		out.EvalCreateIndex = launched.Job.CreateIndex
	}
	return out, nil
}

package server

import (
	"context"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// ExplainAlloc explains where an allocation can run now and why it is where it
// is. With all every node is listed.
func (s *Server) ExplainAlloc(ctx context.Context, opts api.ListOptions, id string, all bool) (*api.Explanation, api.Meta, error) {
	a, meta, err := s.Alloc(ctx, opts, id)
	if err != nil {
		return nil, meta, err
	}
	snap := s.store.Snapshot()
	group := a.Group()
	if group == nil {
		return nil, meta, missing("task group of the allocation")
	}
	x := sched.Why(snap, a.Job, group, a, explained(all))
	x.Recorded = a.Metrics
	x.Blocked, x.BlockedEval, _ = blocked(snap, a.Namespace, a.JobID, a.TaskGroup)
	s.hideNodes(ctx, opts, x)
	return x, s.meta(snap.Index()), nil
}

// ExplainJob explains every group of a job, or the one that is named: where
// its next allocation could run, and for what waits since when and why.
func (s *Server) ExplainJob(ctx context.Context, opts api.ListOptions, id, group string, all bool) (*api.JobExplanation, api.Meta, error) {
	job, meta, err := s.Job(ctx, opts, id)
	if err != nil {
		return nil, meta, err
	}
	if group != "" && job.Group(group) == nil {
		return nil, meta, api.Errorf(api.CodeInvalid, "query parameter \"group\" is %q: job %q has no such group", group, id)
	}
	snap := s.store.Snapshot()
	out := &api.JobExplanation{Namespace: job.Namespace, JobID: job.ID}
	for _, g := range job.TaskGroups {
		if group != "" && g.Name != group {
			continue
		}
		x := sched.Why(snap, job, g, nil, explained(all))
		x.Blocked, x.BlockedEval, x.Recorded = blocked(snap, job.Namespace, job.ID, g.Name)
		s.hideNodes(ctx, opts, x)
		out.Groups = append(out.Groups, x)
	}
	return out, s.meta(snap.Index()), nil
}

func explained(all bool) int {
	if all {
		return 0
	}
	return api.ExplainedNodes
}

// blocked returns how many allocations of a group wait for room, the
// evaluation that waits with them and what it noted.
func blocked(snap *store.Snapshot, namespace, jobID, group string) (n int, evalID string, noted *api.AllocMetric) {
	for e := range snap.EvalsByJob(namespace, jobID) {
		if e.Status != api.EvalStatusBlocked {
			continue
		}
		if m := e.FailedTGAllocs[group]; m != nil {
			n, evalID, noted = 1+m.CoalescedFailures, e.ID, m
		}
	}
	return n, evalID, noted
}

// hideNodes takes out what tells about single nodes when the caller may not
// read nodes.
func (s *Server) hideNodes(ctx context.Context, opts api.ListOptions, x *api.Explanation) {
	if s.authorize(ctx, opts.Token, api.CapNodeRead, "") == nil {
		return
	}
	x.NodesHidden, x.NodesOmitted, x.Nodes = true, x.NodesTotal, nil
	for _, r := range x.Reasons {
		r.Examples = nil
	}
}

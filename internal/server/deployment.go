package server

import (
	"context"
	"iter"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Deployments lists deployments by create index, or with a prefix by ID.
func (s *Server) Deployments(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.Deployment], api.Meta, error) {
	visible, err := s.visible(ctx, opts, api.CapReadJob)
	if err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.Deployment](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	p := pager[*api.Deployment]{opts: opts, match: match, visible: func(d *api.Deployment) bool { return visible(d.Namespace) }}
	prefix, err := api.ParseIDPrefix(opts.Prefix)
	if err != nil {
		return nil, api.Meta{}, err
	}
	if opts.Prefix != "" {
		p.token = func(d *api.Deployment) string { return d.ID }
		before, err := beforeID(opts)
		if err != nil {
			return nil, api.Meta{}, err
		}
		if before != nil {
			p.before = func(d *api.Deployment) bool { return before(d.ID) }
		}
	} else {
		p.token = func(d *api.Deployment) string { return createToken(d.CreateIndex, d.ID) }
		if opts.NextToken != "" {
			index, id, err := parseCreateToken(opts.NextToken)
			if err != nil {
				return nil, api.Meta{}, err
			}
			start := &api.Deployment{CreateIndex: index, ID: id.String()}
			p.before = func(d *api.Deployment) bool {
				c := byCreation(d, start)
				return c != 0 && (c < 0) != opts.Reverse
			}
		}
	}
	var next string
	keys := readKeys(opts.Namespace, store.KeyDeployments(), store.KeyDeploymentsOfNamespace)
	seq, meta, err := read(ctx, s, opts, keys, func(snap *store.Snapshot) (iter.Seq[*api.Deployment], uint64, error) {
		seq := snap.DeploymentsFrom(prefix, opts.Reverse)
		if opts.Prefix == "" {
			items := slices.SortedFunc(seq, byCreation)
			if opts.Reverse {
				slices.Reverse(items)
			}
			seq = slices.Values(items)
		}
		seq, next = p.page(seq)
		return seq, snap.TableIndex(store.TableDeployments), nil
	})
	meta.NextToken = next
	return seq, meta, err
}

func byCreation(a, b *api.Deployment) int {
	switch {
	case a.CreateIndex < b.CreateIndex, a.CreateIndex == b.CreateIndex && a.ID < b.ID:
		return -1
	case a.CreateIndex == b.CreateIndex && a.ID == b.ID:
		return 0
	}
	return 1
}

// Deployment reads one deployment.
func (s *Server) Deployment(ctx context.Context, opts api.ListOptions, id string) (*api.Deployment, api.Meta, error) {
	if err := checkID("deployment", id); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyDeployment(id)}, func(snap *store.Snapshot) (*api.Deployment, uint64, error) {
		d := snap.Deployment(id)
		if d == nil {
			return nil, snap.TableIndex(store.TableDeployments), missing("deployment")
		}
		if err := s.seen(ctx, opts, api.CapReadJob, d.Namespace, "deployment"); err != nil {
			return nil, snap.TableIndex(store.TableDeployments), err
		}
		return d, d.ModifyIndex, nil
	})
}

// DeploymentAllocs lists a deployment's allocations.
func (s *Server) DeploymentAllocs(ctx context.Context, opts api.ListOptions, id string) (iter.Seq[*api.Allocation], api.Meta, error) {
	if err := checkID("deployment", id); err != nil {
		return nil, api.Meta{}, err
	}
	return s.allocsOf(ctx, opts, parent{keys: []store.Key{store.KeyAllocsOfDeployment(id)}, allocs: func(snap *store.Snapshot) iter.Seq[*api.Allocation] {
		return snap.AllocsByDeployment(id)
	}})
}

// JobDeployments lists a job's deployments, newest first; without all only
// those of the job of that name that exists now.
func (s *Server) JobDeployments(ctx context.Context, opts api.ListOptions, jobID string, all bool) ([]*api.Deployment, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	keys := []store.Key{store.KeyDeploymentsOfJob(opts.Namespace, jobID), store.KeyJobLife(opts.Namespace, jobID)}
	return read(ctx, s, opts, keys, func(snap *store.Snapshot) ([]*api.Deployment, uint64, error) {
		job := snap.Job(opts.Namespace, jobID)
		var out []*api.Deployment
		for d := range snap.DeploymentsByJob(opts.Namespace, jobID) {
			if all || job == nil || d.JobCreateIndex == job.CreateIndex {
				out = append(out, d)
			}
		}
		return out, max(snap.TableIndex(store.TableDeployments), lifeIndex(snap, opts.Namespace, jobID)), nil
	})
}

// JobDeployment reads a job's newest deployment; nil when there is none.
func (s *Server) JobDeployment(ctx context.Context, opts api.ListOptions, jobID string) (*api.Deployment, api.Meta, error) {
	all, meta, err := s.JobDeployments(ctx, opts, jobID, false)
	if err != nil || len(all) == 0 {
		return nil, meta, err
	}
	return all[0], meta, nil
}

// changeable finds a deployment that the caller wants to change.
func (s *Server) changeable(ctx context.Context, token, id string, c api.Capability) (*store.Snapshot, *api.Deployment, error) {
	if err := checkID("deployment", id); err != nil {
		return nil, nil, err
	}
	snap := s.store.Snapshot()
	d := snap.Deployment(id)
	if d == nil {
		return nil, nil, missing("deployment")
	}
	if err := s.useOf(ctx, token, c, d.Namespace, missing("deployment")); err != nil {
		return nil, nil, err
	}
	return snap, d, nil
}

// UnblockDeployment is for a deployment that waits for other regions, which
// none does: jobs of several regions are refused.
func (s *Server) UnblockDeployment(ctx context.Context, token, id string) error {
	_, d, err := s.changeable(ctx, token, id, api.CapUnblockDeployment)
	if err != nil {
		return err
	}
	return api.Errorf(api.CodeInvalid, "deployment %s is %s and waits for no other region: only a blocked one can be unblocked", d.ID, d.Status)
}

// deployEval makes the evaluation that follows a change of a deployment; nil
// when the job is gone.
func (s *Server) deployEval(snap *store.Snapshot, d *api.Deployment) *api.Evaluation {
	job := snap.Job(d.Namespace, d.JobID)
	if job == nil {
		return nil
	}
	e := s.jobEval(job, api.EvalTriggerDeploymentWatcher)
	e.DeploymentID = d.ID
	return e
}

// deployAnswer turns what a change came to into its response.
func deployAnswer(res store.Result, e *api.Evaluation) *api.DeploymentUpdateResponse {
	out := &api.DeploymentUpdateResponse{DeploymentModifyIndex: res.Index, Index: res.Index}
	if e != nil {
		out.EvalID, out.EvalCreateIndex = e.ID, res.Index
	}
	return out
}

// PauseDeployment holds a deployment, or lets it go on.
func (s *Server) PauseDeployment(ctx context.Context, token, id string, pause bool) (*api.DeploymentUpdateResponse, error) {
	snap, d, err := s.changeable(ctx, token, id, api.CapPauseDeployment)
	if err != nil {
		return nil, err
	}
	up := api.DeploymentUpdate{DeploymentID: id, Status: api.DeploymentRunning, StatusDescription: "Deployment is running"}
	var e *api.Evaluation
	if pause {
		up.Status, up.StatusDescription = api.DeploymentPaused, "Deployment is paused"
	} else {
		e = s.deployEval(snap, d)
	}
	res, err := s.propose(ctx, &store.UpdateDeployment{Update: up, Eval: e, Now: s.now().UnixNano()})
	if err != nil {
		return nil, err
	}
	return deployAnswer(res, e), nil
}

// FailDeployment ends a deployment as failed; with auto-revert on one of its
// groups the newest stable version is registered again in the same step.
func (s *Server) FailDeployment(ctx context.Context, token, id string) (*api.DeploymentUpdateResponse, error) {
	snap, d, err := s.changeable(ctx, token, id, api.CapFailDeployment)
	if err != nil {
		return nil, err
	}
	e := s.deployEval(snap, d)
	cmd := &store.UpdateDeployment{
		Update: api.DeploymentUpdate{DeploymentID: id, Status: api.DeploymentFailed, StatusDescription: "Deployment marked as failed"},
		Eval:   e, Now: s.now().UnixNano(),
	}
	reverted := s.revertOf(snap, d)
	if reverted != nil {
		cmd.Revert = reverted
		cmd.Update.StatusDescription += " - rolling back to job version " + uintText(reverted.Version)
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	out := deployAnswer(res, e)
	if reverted != nil {
		out.RevertedJobVersion = &reverted.Version
	}
	return out, nil
}

// revertOf returns the version a failed deployment falls back to; nil without
// auto-revert or without an earlier stable version that differs.
func (s *Server) revertOf(snap *store.Snapshot, d *api.Deployment) *api.Job {
	wanted := false
	for _, g := range d.TaskGroups {
		wanted = wanted || g.AutoRevert
	}
	if !wanted {
		return nil
	}
	current := snap.Job(d.Namespace, d.JobID)
	for _, j := range snap.JobVersions(d.Namespace, d.JobID) {
		if j.Stable && j.Version < d.JobVersion && j.CreateIndex == d.JobCreateIndex {
			if sameSpec(current, j) {
				return nil
			}
			return j
		}
	}
	return nil
}

// PromoteDeployment promotes the canaries of some groups, or of all.
func (s *Server) PromoteDeployment(ctx context.Context, token, id string, all bool, groups []string) (*api.DeploymentUpdateResponse, error) {
	snap, d, err := s.changeable(ctx, token, id, api.CapPromoteDeployment)
	if err != nil {
		return nil, err
	}
	if all == (len(groups) > 0) {
		return nil, api.Errorf(api.CodeInvalid, "set either All to true or Groups to the names of the groups to promote")
	}
	for _, g := range groups {
		if d.TaskGroups[g] == nil {
			return nil, api.Errorf(api.CodeInvalid, "Groups: deployment %s has no group %q", id, g)
		}
	}
	e := s.deployEval(snap, d)
	res, err := s.propose(ctx, &store.PromoteDeployment{DeploymentID: id, Groups: groups, Eval: e, Now: s.now().UnixNano()})
	if err != nil {
		return nil, err
	}
	return deployAnswer(res, e), nil
}

// SetDeploymentHealth sets allocations' health by hand.
func (s *Server) SetDeploymentHealth(ctx context.Context, token, id string, healthy, unhealthy []string) (*api.DeploymentUpdateResponse, error) {
	snap, d, err := s.changeable(ctx, token, id, api.CapSetAllocHealthDeployment)
	if err != nil {
		return nil, err
	}
	if len(healthy)+len(unhealthy) == 0 {
		return nil, api.Errorf(api.CodeInvalid, "name at least one allocation in HealthyAllocationIDs or UnhealthyAllocationIDs")
	}
	for _, a := range healthy {
		if slices.Contains(unhealthy, a) {
			return nil, api.Errorf(api.CodeInvalid, "allocation %q is in both HealthyAllocationIDs and UnhealthyAllocationIDs", a)
		}
	}
	e := s.deployEval(snap, d)
	res, err := s.propose(ctx, &store.SetDeploymentHealth{DeploymentID: id, Healthy: healthy, Unhealthy: unhealthy, Eval: e, Now: s.now().UnixNano()})
	if err != nil {
		return nil, err
	}
	return deployAnswer(res, e), nil
}

package server

import (
	"context"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/cron"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// PlanJob tells what registering a job would do: it plans on a snapshot in
// which the job is current, and proposes nothing.
func (s *Server) PlanJob(ctx context.Context, token string, req *api.JobPlanRequest, warnings []string) (*api.JobPlanResponse, error) {
	job, more, err := s.prepareJob(ctx, token, req.Job, req.Namespace, req.Region, api.CapPlanJob)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, more...)
	if req.PolicyOverride {
		warnings = append(warnings, "PolicyOverride has no effect: there are no policies to override")
	}
	snap := s.store.Snapshot()
	current := snap.Job(job.Namespace, job.ID)
	if current != nil && current.Type != job.Type {
		return nil, typeChange(current, job)
	}
	out := &api.JobPlanResponse{Warnings: warningText(warnings), Index: max(snap.Index(), 1)}
	if current != nil {
		out.JobModifyIndex = current.JobModifyIndex
	}
	if job.IsPeriodicActive() {
		if out.NextPeriodicLaunch, err = cron.Next(job.Periodic, s.now()); err != nil {
			return nil, err
		}
	} else if !job.IsParameterized() {
		s.dryRun(snap, current, job, out)
		if a := out.Annotations; a != nil {
			a.PreemptedAllocs = slices.DeleteFunc(a.PreemptedAllocs, func(p *api.AllocListStub) bool {
				return s.authorize(ctx, token, api.CapReadJob, p.Namespace) != nil // another's: it is counted, not shown
			})
		}
	}
	if req.Diff {
		out.Diff = api.DiffJobs(current, job)
		annotateDiff(out.Diff, out.Annotations)
	}
	return out, nil
}

// dryRun fills in what a plan for job would do.
func (s *Server) dryRun(snap *store.Snapshot, current, job *api.Job, out *api.JobPlanResponse) {
	if current != nil && !current.Stop && sameSpec(current, job) {
		job = current
	} else {
		next := *job
		next.Status = api.JobStatusPending
		next.CreateIndex, next.ModifyIndex, next.JobModifyIndex = snap.Index()+1, snap.Index()+1, snap.Index()+1
		if current != nil {
			next.CreateIndex, next.Version = current.CreateIndex, current.Version+1
		}
		job = &next
	}
	eval := s.jobEval(job, api.EvalTriggerJobRegister)
	eval.AnnotatePlan = true
	plan := sched.Plan(candidate{snap, job}, eval, s.cfg.Now, s.cfg.NewID)
	out.Annotations, out.CreatedEvals = plan.Annotations, plan.Evals
	if plan.Eval != nil {
		out.FailedTGAllocs = plan.Eval.FailedTGAllocs
	}
}

// candidate is a snapshot in which one job is another version than the stored
// one.
type candidate struct {
	*store.Snapshot
	job *api.Job
}

// Job returns the candidate, or another job as it is stored.
func (c candidate) Job(namespace, id string) *api.Job {
	if namespace == c.job.Namespace && id == c.job.ID {
		return c.job
	}
	return c.Snapshot.Job(namespace, id)
}

func typeChange(current, job *api.Job) error {
	return api.Errorf(api.CodeInvalid, "Type: job %q is a %s job and can't become a %s job: stop and purge it first", job.ID, current.Type, job.Type)
}

// annotateDiff adds to a difference what a plan would do about it, in the
// words that clients show.
func annotateDiff(d *api.JobDiff, a *api.PlanAnnotations) {
	if d == nil || a == nil {
		return
	}
	for _, g := range d.TaskGroups {
		u := a.DesiredTGUpdates[g.Name]
		if u == nil {
			continue
		}
		g.Updates = map[string]uint64{}
		for word, n := range map[string]uint64{
			"ignore": u.Ignore, "create": u.Place, "migrate": u.Migrate, "destroy": u.Stop, "in-place update": u.InPlaceUpdate,
			"create/destroy update": u.DestructiveUpdate, "canary": u.Canary, "preemptions": u.Preemptions,
		} {
			if n > 0 {
				g.Updates[word] = n
			}
		}
		for _, f := range g.Fields {
			if f.Name == "Count" && f.Type == api.DiffEdited {
				f.Annotations = countAnnotation(u)
			}
		}
		for _, t := range g.Tasks {
			if word := taskAnnotation(t.Type, u); word != "" {
				t.Annotations = append(t.Annotations, word)
			}
		}
	}
}

func countAnnotation(u *api.DesiredUpdates) []string {
	switch {
	case u.Place > 0:
		return []string{"forces create"}
	case u.Stop > 0:
		return []string{"forces destroy"}
	}
	return nil
}

func taskAnnotation(kind string, u *api.DesiredUpdates) string {
	switch {
	case kind == api.DiffAdded:
		return "forces create"
	case kind == api.DiffDeleted:
		return "forces destroy"
	case kind == api.DiffEdited && u.DestructiveUpdate > 0:
		return "forces create/destroy update"
	case kind == api.DiffEdited && u.InPlaceUpdate > 0:
		return "forces in-place update"
	}
	return ""
}

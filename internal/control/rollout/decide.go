package rollout

import (
	"fmt"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Descriptions of how a deployment ended.
const (
	textSuccess   = "Deployment completed successfully"
	textDeadline  = "Failed due to progress deadline"
	textUnhealthy = "Failed due to unhealthy allocations"
)

// decision is what to do about one deployment now.
type decision struct {
	command store.Command // nil: nothing
	next    time.Time     // when to look again at the latest; zero: on a change
	healthy int           // allocations that are healthy
}

// decider decides about one deployment.
type decider struct {
	snap  *store.Snapshot
	d     *api.Deployment
	job   *api.Job
	now   time.Time
	newID func() string
	have  map[string]stock // by group; nil: not counted yet
}

// stock is what a group really has of a deployment. The deployment's counts
// don't forget allocations that were healthy and are gone.
type stock struct {
	healthy int
	gone    time.Time // when the last one that was healthy went
}

// stock counts what a group has.
func (r *decider) stock(group string) stock {
	if r.have == nil {
		r.have = map[string]stock{}
		for a := range r.snap.AllocsByDeployment(r.d.ID) {
			if !a.DeploymentStatus.IsHealthy() {
				continue
			}
			h := r.have[a.TaskGroup]
			if at := time.Unix(0, a.ModifyTime).UTC(); !a.Terminal() {
				h.healthy++
			} else if at.After(h.gone) {
				h.gone = at
			}
			r.have[a.TaskGroup] = h
		}
	}
	return r.have[group]
}

// decide looks at a deployment that is active. seen is how many allocations
// were healthy when the last evaluation was asked for, -1 before any.
func decide(snap *store.Snapshot, d *api.Deployment, seen int, now time.Time, newID func() string) decision {
	out := decision{}
	for _, s := range d.TaskGroups {
		out.healthy += s.HealthyAllocs
	}
	job := snap.Job(d.Namespace, d.JobID)
	if d.Status != api.DeploymentRunning || job.Stopped() || job.Version != d.JobVersion || job.CreateIndex != d.JobCreateIndex {
		return out // it waits for a person, or the job's evaluation ends it
	}
	r := &decider{snap: snap, d: d, job: job, now: now, newID: newID}
	if text := r.failure(); text != "" {
		out.command = r.fail(text)
		return out
	}
	if retry := r.retries(); retry != nil {
		out.command = retry
		return out
	}
	switch {
	case r.complete():
		out.command = &store.UpdateDeployment{
			Update:        api.DeploymentUpdate{DeploymentID: d.ID, Status: api.DeploymentSuccessful, StatusDescription: textSuccess},
			StableVersion: &d.JobVersion, Now: now.UnixNano(),
		}
	case r.promotable():
		out.command = &store.PromoteDeployment{DeploymentID: d.ID, Eval: r.eval(), Now: now.UnixNano()}
	case out.healthy != seen && r.unfinished():
		out.command = &store.UpsertEvals{Evals: []*api.Evaluation{r.eval()}, Now: now.UnixNano()}
	}
	for name, s := range d.TaskGroups {
		if by := r.deadline(name, s); !by.IsZero() && !waits(s) && (out.next.IsZero() || by.Before(out.next)) {
			out.next = by
		}
	}
	return out
}

// deadline returns when a group must have made progress, zero for never. What
// replaces an allocation that was healthy and went gets as long as any other.
func (r *decider) deadline(name string, s *api.DeploymentState) time.Time {
	switch {
	case s.ProgressDeadline <= 0 || enough(s) && r.stock(name).healthy >= s.DesiredTotal:
		return time.Time{}
	case s.RequireProgressBy.IsZero(): // nothing was placed yet
		return time.Unix(0, r.d.CreateTime).Add(s.ProgressDeadline.D())
	case enough(s):
		if by := r.stock(name).gone.Add(s.ProgressDeadline.D()); by.After(s.RequireProgressBy) {
			return by
		}
	}
	return s.RequireProgressBy
}

// enough reports whether the counts say that a group is through.
func enough(s *api.DeploymentState) bool {
	return s.HealthyAllocs >= s.DesiredTotal && !trial(s)
}

// trial reports whether a group's canaries were not promoted yet.
func trial(s *api.DeploymentState) bool { return s.DesiredCanaries > 0 && !s.Promoted }

// waits reports whether a group's canaries are fine and a person decides.
func waits(s *api.DeploymentState) bool { return trial(s) && s.HealthyAllocs >= s.DesiredCanaries }

// failure returns why the deployment has failed, or "".
func (r *decider) failure() string {
	for name, s := range r.d.TaskGroups {
		if s.ProgressDeadline <= 0 && s.UnhealthyAllocs > 0 {
			return textUnhealthy
		}
		if by := r.deadline(name, s); !by.IsZero() && !waits(s) && !by.After(r.now) {
			return textDeadline
		}
	}
	return ""
}

// fail ends the deployment, and goes back to a stable version if a group asks
// for it.
func (r *decider) fail(text string) store.Command {
	cmd := &store.UpdateDeployment{
		Update: api.DeploymentUpdate{DeploymentID: r.d.ID, Status: api.DeploymentFailed, StatusDescription: text},
		Eval:   r.eval(), Now: r.now.UnixNano(),
	}
	revert := false
	for _, s := range r.d.TaskGroups {
		revert = revert || s.AutoRevert
	}
	if !revert {
		return cmd
	}
	stable := r.stable()
	switch {
	case stable == nil:
		cmd.Update.StatusDescription += " - no stable job version to auto revert to"
	case api.DiffJobs(r.job, stable).Type == api.DiffNone:
		cmd.Update.StatusDescription += fmt.Sprintf(" - not rolling back to stable job version %d as current job has same specification", stable.Version)
	default:
		cmd.Update.StatusDescription += fmt.Sprintf(" - rolling back to job version %d", stable.Version)
		cmd.Revert = stable
	}
	return cmd
}

// stable returns the newest stable version before the deployment's, or nil.
func (r *decider) stable() *api.Job {
	for _, j := range r.snap.JobVersions(r.d.Namespace, r.d.JobID) {
		if j.Stable && j.Version < r.d.JobVersion && j.CreateIndex == r.d.JobCreateIndex {
			return j
		}
	}
	return nil
}

// retries lets allocations that failed be replaced, or returns nil.
func (r *decider) retries() store.Command {
	yes := true
	out := map[string]api.DesiredTransition{}
	for name, s := range r.d.TaskGroups {
		if s.UnhealthyAllocs == 0 {
			continue
		}
		for a := range r.snap.AllocsByDeployment(r.d.ID) {
			if a.TaskGroup == name && a.ClientStatus == api.AllocClientFailed && !a.ServerTerminal() && a.NextAllocation == "" && !a.DesiredTransition.ShouldReschedule() {
				out[a.ID] = api.DesiredTransition{Reschedule: &yes}
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return &store.TransitionAllocs{Transitions: out, Evals: []*api.Evaluation{r.eval()}, Now: r.now.UnixNano()}
}

// complete reports whether every group runs as many healthy allocations as it
// wants. Allocations that were healthy once and are gone don't count.
func (r *decider) complete() bool {
	for name, s := range r.d.TaskGroups {
		if !enough(s) || r.stock(name).healthy < s.DesiredTotal {
			return false
		}
	}
	return true
}

// promotable reports whether all canaries are healthy and none needs a person.
func (r *decider) promotable() bool {
	any := false
	for _, s := range r.d.TaskGroups {
		if !trial(s) {
			continue
		}
		if any = true; !s.AutoPromote || r.healthyCanaries(s) < s.DesiredCanaries {
			return false
		}
	}
	return any
}

func (r *decider) healthyCanaries(s *api.DeploymentState) int {
	n := 0
	for _, id := range s.PlacedCanaries {
		if a := r.snap.Alloc(id); a != nil && a.DeploymentStatus.IsHealthy() && !a.Terminal() {
			n++
		}
	}
	return n
}

// unfinished reports whether a group may have more to place now.
func (r *decider) unfinished() bool {
	for name, s := range r.d.TaskGroups {
		switch {
		case trial(s):
			if len(s.PlacedCanaries) < s.DesiredCanaries {
				return true
			}
		case s.PlacedAllocs < s.DesiredTotal:
			return true
		case s.PlacedAllocs > s.DesiredTotal || s.UnhealthyAllocs > 0:
			if r.outdated(name) {
				return true
			}
		}
	}
	return false
}

// outdated reports whether an allocation of another version runs in a group.
func (r *decider) outdated(group string) bool {
	for a := range r.snap.AllocsByJob(r.d.Namespace, r.d.JobID) {
		if a.TaskGroup == group && !a.Terminal() && a.Job != nil && a.Job.Version != r.d.JobVersion {
			return true
		}
	}
	return false
}

func (r *decider) eval() *api.Evaluation {
	return &api.Evaluation{
		ID: r.newID(), Namespace: r.d.Namespace, JobID: r.d.JobID, Type: r.job.Type, Priority: max(r.d.EvalPriority, r.job.Priority),
		TriggeredBy: api.EvalTriggerDeploymentWatcher, JobModifyIndex: r.job.JobModifyIndex, DeploymentID: r.d.ID, Status: api.EvalStatusPending,
	}
}

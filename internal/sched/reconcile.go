package sched

import (
	"time"

	"github.com/drover-org/drover/api"
)

// Descriptions of what happens to a deployment here.
const (
	cancelledNewer   = "Cancelled due to newer version of job"
	cancelledStopped = "Cancelled because job is stopped"
	deploymentRuns   = "Deployment is running"
	deploymentManual = "Deployment is running but requires manual promotion"
	deploymentAuto   = "Deployment is running pending automatic promotion"
)

// Reconcile compares what an evaluation's job wants with what it has. newID
// makes IDs of new evaluations and deployments. It changes nothing and may run
// for several jobs at the same time.
func Reconcile(st State, eval *api.Evaluation, now time.Time, newID func() string) *Work {
	r := &reconciler{
		st: st, now: now, newID: newID,
		w:       &Work{Eval: eval, Job: st.Job(eval.Namespace, eval.JobID), desired: map[string]*api.DesiredUpdates{}},
		nodes:   map[string]*api.Node{},
		changed: map[change]bool{},
		checks:  map[string]*checker{},
	}
	job := r.w.Job
	r.takeDeployment()
	switch {
	case job.Stopped():
		r.stopAll()
	case job.IsParameterized(), job.IsPeriodicActive(): // only its instances run
	case job.Type == api.JobTypeSystem, job.Type == api.JobTypeSysBatch:
		r.system()
	default:
		r.batch = job.Type == api.JobTypeBatch
		r.groups()
	}
	if r.created != nil {
		r.w.deployment = r.created
		r.created.StatusDescription = describe(r.created)
	}
	return r.w
}

// reconciler is one run of Reconcile.
type reconciler struct {
	st    State
	now   time.Time
	newID func() string
	w     *Work
	batch bool

	deployment *api.Deployment // of the job's current version, whatever its status, or nil
	created    *api.Deployment

	nodes   map[string]*api.Node
	changed map[change]bool
	checks  map[string]*checker // by group of the current version
}

// change is a group of an earlier version; its difference from the current one
// is looked up once.
type change struct {
	job   *api.Job
	group string
}

// takeDeployment finds the deployment of the current version and cancels one
// of an earlier version.
func (r *reconciler) takeDeployment() {
	job := r.w.Job
	d := r.st.LatestDeployment(r.w.Eval.Namespace, r.w.Eval.JobID)
	switch {
	case d == nil:
	case job != nil && !job.Stop && d.JobVersion == job.Version && d.JobCreateIndex == job.CreateIndex:
		r.deployment = d
	case d.Active():
		text := cancelledNewer
		if job.Stopped() {
			text = cancelledStopped
		}
		r.w.updates = append(r.w.updates, &api.DeploymentUpdate{DeploymentID: d.ID, Status: api.DeploymentCancelled, StatusDescription: text})
	}
}

// active reports whether a deployment of the current version goes on.
func (r *reconciler) active() bool { return r.deployment != nil && r.deployment.Active() }

func (r *reconciler) deploymentIs(status string) bool {
	return r.deployment != nil && r.deployment.Status == status
}

// stopAll stops every allocation of a job that is stopped or gone.
func (r *reconciler) stopAll() {
	for a := range r.st.AllocsByJob(r.w.Eval.Namespace, r.w.Eval.JobID) {
		if !a.Terminal() {
			r.w.update(a.TaskGroup).Stop++
		}
		r.end(a, api.AllocNotNeeded)
	}
}

// end stops an allocation, or notes that it is lost when its node is down.
func (r *reconciler) end(a *api.Allocation, description string) {
	switch {
	case a.ClientTerminal():
	case r.nodeDown(a):
		stop := &api.PlanStop{ID: a.ID, DesiredStatus: api.AllocDesiredStop, Description: description, ClientStatus: api.AllocClientLost}
		if a.ServerTerminal() {
			stop.DesiredStatus, stop.Description = "", a.DesiredDescription
		}
		r.w.stops = append(r.w.stops, stop)
	case !a.ServerTerminal():
		r.w.stops = append(r.w.stops, &api.PlanStop{ID: a.ID, DesiredStatus: api.AllocDesiredStop, Description: description})
	}
}

// groups reconciles a service or batch job.
func (r *reconciler) groups() {
	byGroup := map[string][]*subject{}
	var names []string // of groups that the job no longer has
	for a := range r.st.AllocsByJob(r.w.Eval.Namespace, r.w.Eval.JobID) {
		if _, seen := byGroup[a.TaskGroup]; !seen && r.groupOf(a) == nil {
			names = append(names, a.TaskGroup)
		}
		byGroup[a.TaskGroup] = append(byGroup[a.TaskGroup], r.classify(a))
	}
	for _, name := range names {
		for _, s := range byGroup[name] {
			if s.live() {
				r.w.update(name).Stop++
				r.end(s.a, api.AllocNotNeeded)
			}
		}
	}
	for _, g := range r.w.Job.TaskGroups {
		r.group(g, byGroup[g.Name])
	}
}

// mustReplace reports whether an allocation can't take on the current version
// where it is.
func (r *reconciler) mustReplace(a *api.Allocation) bool {
	key := change{a.Job, a.TaskGroup}
	updated, known := r.changed[key]
	if !known {
		updated = a.Job == nil || api.GroupUpdated(a.Job, r.w.Job, a.TaskGroup)
		r.changed[key] = updated
	}
	return updated || !r.suits(a)
}

// suits reports whether the current version may run on an allocation's node.
func (r *reconciler) suits(a *api.Allocation) bool {
	n := r.node(a.NodeID)
	if n == nil {
		return false
	}
	c := r.checks[a.TaskGroup]
	if c == nil {
		c = newChecker(r.w.Job, r.groupOf(a))
		r.checks[a.TaskGroup] = c
	}
	return c.inScope(n) && c.reject(n) == ""
}

// join returns the state of a group in the deployment of this work, creating
// both if need be.
func (r *reconciler) join(g *api.TaskGroup) *api.DeploymentState {
	job := r.w.Job
	if r.created == nil {
		r.created = &api.Deployment{
			ID: r.newID(), Namespace: job.Namespace, JobID: job.ID, JobVersion: job.Version,
			JobModifyIndex: job.ModifyIndex, JobSpecModifyIndex: job.JobModifyIndex, JobCreateIndex: job.CreateIndex,
			Status: api.DeploymentRunning, EvalPriority: r.w.Eval.Priority, TaskGroups: map[string]*api.DeploymentState{},
		}
	}
	s := &api.DeploymentState{
		AutoRevert: isTrue(g.Update.AutoRevert), AutoPromote: isTrue(g.Update.AutoPromote), DesiredTotal: g.CountOf(),
		ProgressDeadline: api.Duration(durationOf(g.Update.ProgressDeadline)),
	}
	r.created.TaskGroups[g.Name] = s
	return s
}

// describe returns a running deployment's description.
func describe(d *api.Deployment) string {
	text := deploymentRuns
	for _, s := range d.TaskGroups {
		switch {
		case s.DesiredCanaries == 0:
		case !s.AutoPromote:
			return deploymentManual
		default:
			text = deploymentAuto
		}
	}
	return text
}

func isTrue(b *bool) bool { return b != nil && *b }

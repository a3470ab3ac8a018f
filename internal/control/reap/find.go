package reap

import (
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Thresholds say how long something must have been over before it goes.
type Thresholds struct {
	Job        time.Duration
	Eval       time.Duration // and its allocations
	BatchEval  time.Duration // of batch jobs
	Node       time.Duration
	Deployment time.Duration
	ACLToken   time.Duration // since it expired
}

// DefaultThresholds are those that users of the API know.
func DefaultThresholds() Thresholds {
	return Thresholds{
		Job: 4 * time.Hour, Eval: time.Hour, BatchEval: 24 * time.Hour, Node: 24 * time.Hour, Deployment: time.Hour, ACLToken: time.Hour,
	}
}

// finder collects what may go from one snapshot.
type finder struct {
	snap *store.Snapshot
	now  time.Time
	age  Thresholds

	found  store.Reap
	allocs map[string]bool // the same as in found
	evals  map[string]bool
	jobs   map[api.NamespacedID]bool
}

// find returns everything that may go. Jobs lead.
func find(snap *store.Snapshot, now time.Time, age Thresholds) store.Reap {
	f := &finder{
		snap: snap, now: now, age: age,
		allocs: map[string]bool{}, evals: map[string]bool{}, jobs: map[api.NamespacedID]bool{},
	}
	for job := range snap.Jobs() {
		f.job(job)
	}
	for a := range snap.Allocs() {
		f.alloc(a)
	}
	for e := range snap.Evals() {
		f.eval(e)
	}
	for d := range snap.Deployments() {
		f.deployment(d)
	}
	for n := range snap.Nodes() {
		f.node(n)
	}
	return f.found
}

// older reports whether something last changed (Unix nanoseconds) at least d ago.
func (f *finder) older(changed int64, d time.Duration) bool {
	return f.now.Sub(time.Unix(0, changed)) >= d
}

// job takes a dead job with all that belongs to it, or nothing of it. A parent
// that starts others by the clock or by dispatch stays until it is stopped, and
// so does a job with a named version.
func (f *finder) job(j *api.Job) {
	if j.Status != api.JobStatusDead || !f.older(j.SubmitTime, f.age.Job) {
		return
	}
	if !j.Stop && (j.Periodic != nil || j.IsParameterized()) {
		return
	}
	for _, v := range f.snap.JobVersions(j.Namespace, j.ID) {
		if v.VersionTag != nil {
			return
		}
	}
	age := max(f.age.Job, f.evalAge(j.Type))
	for a := range f.snap.AllocsByJob(j.Namespace, j.ID) {
		if !f.over(a) || !f.older(a.ModifyTime, age) {
			return
		}
	}
	for e := range f.snap.EvalsByJob(j.Namespace, j.ID) {
		if !e.Terminal() || !f.older(e.ModifyTime, age) {
			return
		}
	}
	f.jobs[j.Key()] = true
	f.found.Jobs = append(f.found.Jobs, j.Key())
	for a := range f.snap.AllocsByJob(j.Namespace, j.ID) {
		f.takeAlloc(a)
	}
	for e := range f.snap.EvalsByJob(j.Namespace, j.ID) {
		f.takeEval(e)
	}
}

func (f *finder) evalAge(jobType string) time.Duration {
	if runsOnce(jobType) {
		return f.age.BatchEval
	}
	return f.age.Eval
}

// runsOnce reports whether jobs of a type end by themselves.
func runsOnce(jobType string) bool {
	return jobType == api.JobTypeBatch || jobType == api.JobTypeSysBatch
}

func (f *finder) takeAlloc(a *api.Allocation) {
	if !f.allocs[a.ID] {
		f.allocs[a.ID] = true
		f.found.Allocs = append(f.found.Allocs, a.ID)
	}
}

func (f *finder) takeEval(e *api.Evaluation) {
	if !f.evals[e.ID] {
		f.evals[e.ID] = true
		f.found.Evals = append(f.found.Evals, e.ID)
	}
}

// over reports whether nothing runs any more, nor will.
func (f *finder) over(a *api.Allocation) bool {
	if a.ClientTerminal() {
		return true
	}
	if !a.ServerTerminal() || a.ClientStatus == api.AllocClientRunning {
		return false
	}
	n := f.snap.Node(a.NodeID) // it may be about to say that it stopped
	return n == nil || n.Status == api.NodeDown
}

// alloc takes an allocation that is over and that nobody needs to know of.
func (f *finder) alloc(a *api.Allocation) {
	job := f.snap.Job(a.Namespace, a.JobID)
	jobType := api.JobTypeService
	if job != nil {
		jobType = job.Type
	} else if a.Job != nil {
		jobType = a.Job.Type
	}
	if f.over(a) && f.older(a.ModifyTime, f.evalAge(jobType)) && f.dispensable(a, job) {
		f.takeAlloc(a)
	}
}

// dispensable reports whether the scheduler can do without an allocation that
// is over.
func (f *finder) dispensable(a *api.Allocation, job *api.Job) bool {
	if job == nil || job.CreateIndex != a.Job.CreateIndex {
		return true // another job of the same name
	}
	if runsOnce(job.Type) {
		// That it has run is what keeps a batch job from running again: it
		// goes with the job, unless another stands for it.
		return a.NextAllocation != "" || a.DesiredStatus == api.AllocDesiredStop && a.ClientStatus != api.AllocClientComplete
	}
	if job.Stop || job.Status == api.JobStatusDead || a.DesiredStatus == api.AllocDesiredStop || a.ClientStatus != api.AllocClientFailed {
		return true
	}
	g := a.Group()
	if g == nil || !g.ReschedulePolicy.Enabled() || a.NextAllocation != "" {
		return true
	}
	p := g.ReschedulePolicy
	if p.Unlimited != nil && *p.Unlimited {
		return false
	}
	// A limited policy counts attempts within its interval.
	return p.Interval == nil || f.older(a.ModifyTime, p.Interval.D())
}

// eval takes an evaluation that is over together with all its allocations.
func (f *finder) eval(e *api.Evaluation) {
	if !e.Terminal() || !f.older(e.ModifyTime, f.evalAge(e.Type)) {
		return
	}
	for a := range f.snap.AllocsByEval(e.ID) {
		if !f.allocs[a.ID] {
			return
		}
	}
	f.takeEval(e)
}

// deployment takes a deployment that is over and that no allocation refers to.
func (f *finder) deployment(d *api.Deployment) {
	gone := f.jobs[api.NamespacedID{ID: d.JobID, Namespace: d.Namespace}]
	if d.Active() || !gone && !f.older(d.ModifyTime, f.age.Deployment) {
		return
	}
	for a := range f.snap.AllocsByDeployment(d.ID) {
		if !f.allocs[a.ID] {
			return
		}
	}
	f.found.Deployments = append(f.found.Deployments, d.ID)
}

// node takes a node that has been down for long and has no allocation left.
func (f *finder) node(n *api.Node) {
	if n.Status != api.NodeDown || !f.older(n.StatusUpdatedAt*int64(time.Second), f.age.Node) {
		return
	}
	for a := range f.snap.AllocsByNode(n.ID) {
		if !f.allocs[a.ID] {
			return
		}
	}
	f.found.Nodes = append(f.found.Nodes, n.ID)
}

package store

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// ApplyPlan puts a plan, or a part of a large one, into effect: stops first,
// then placements. In the log the plan's job is a reference to a version.
type ApplyPlan struct {
	Plan *api.Plan
	Now  int64
}

// PlanResult tells what did not come into effect. With any rejection the
// evaluation's outcome was not applied either: it stays as it was.
type PlanResult struct {
	Rejected []string // IDs of placements that a change of their node or quota made impossible
	Stale    bool     // the job version is gone: nothing was placed
}

func (c *ApplyPlan) apply(t *tx) (any, error) {
	p := c.Plan
	res := &PlanResult{}
	job := t.planJob(p)
	res.Stale = p.Job != nil && job == nil
	for _, s := range p.Stops {
		t.applyStop(s, c.Now)
	}
	for _, f := range p.Followups {
		if item, ok := t.allocItem(idOf(f.AllocID)); ok {
			a := item.a.Copy()
			a.FollowupEvalID = f.EvalID
			a.AllocModifyIndex = t.index
			t.putAlloc(a, c.Now)
		}
	}
	if p.Deployment != nil {
		t.putDeployment(p.Deployment.Copy(), c.Now)
	}
	for i := range p.DeploymentUpdates {
		if item, ok := t.deployItem(p.DeploymentUpdates[i].DeploymentID); ok {
			t.updateDeployment(item.d, p.DeploymentUpdates[i], c.Now)
		}
	}
	if job != nil {
		t.applyInPlace(p, job, c.Now)
		for _, g := range p.Placements {
			t.applyGroup(p, job, g, c.Now, res)
		}
	}
	for _, e := range p.Evals {
		t.upsertEval(e, c.Now)
	}
	if p.Eval != nil && len(res.Rejected) == 0 && !res.Stale {
		t.upsertEval(p.Eval, c.Now)
		t.setQueued(p.Eval.Namespace, p.Eval.JobID, p.Eval.QueuedAllocations)
	}
	return res, nil
}

// planJob finds the stored version that a plan's job names.
func (t *tx) planJob(p *api.Plan) *api.Job {
	if p.Job == nil {
		return nil
	}
	row := t.jobRow(p.Job.Namespace, p.Job.ID)
	if row == nil || row.job().CreateIndex != p.Job.CreateIndex {
		return nil
	}
	return row.version(p.Job.Version)
}

func (t *tx) applyStop(s *api.PlanStop, now int64) {
	item, ok := t.allocItem(idOf(s.ID))
	if !ok {
		return
	}
	a := item.a.Copy()
	if s.PreemptedBy != "" && a.ServerTerminal() {
		if heirOf(a) == "" { // what it holds until it has ended is not promised yet
			a.PreemptedByAllocation, a.AllocModifyIndex = s.PreemptedBy, t.index
			t.putAlloc(a, now)
		}
		return
	}
	if s.DesiredStatus != "" {
		a.DesiredStatus = s.DesiredStatus
	}
	a.DesiredDescription = s.Description
	if s.ClientStatus != "" && s.ClientStatus != a.ClientStatus {
		a.ClientStatus = s.ClientStatus
		a.AllocStates = append(slices.Clone(a.AllocStates), &api.AllocState{Value: s.ClientStatus, Time: time.Unix(0, now).UTC()})
	}
	if s.FollowupEvalID != "" {
		a.FollowupEvalID = s.FollowupEvalID
	}
	if s.PreemptedBy != "" {
		a.PreemptedByAllocation = s.PreemptedBy
		a.DesiredDescription = "Preempted by alloc ID " + s.PreemptedBy
	}
	a.AllocModifyIndex = t.index
	t.putAlloc(a, now)
}

// applyInPlace gives running allocations the new job version.
func (t *tx) applyInPlace(p *api.Plan, job *api.Job, now int64) {
	for _, id := range p.InPlace {
		item, ok := t.allocItem(idOf(id))
		if !ok || item.a.ServerTerminal() {
			continue
		}
		a := item.a.Copy()
		a.Job = job
		a.DesiredDescription = api.AllocInPlace
		a.AllocModifyIndex = t.index
		if p.Deployment != nil {
			t.joinDeployment(a, p.Deployment.ID)
		} else if d := t.activeDeployment(job); d != nil {
			t.joinDeployment(a, d.ID)
		}
		t.putAlloc(a, now)
	}
}

func (t *tx) activeDeployment(job *api.Job) *api.Deployment {
	d := (&Snapshot{tables: t.tables}).LatestDeployment(job.Namespace, job.ID)
	if d == nil || !d.Active() || d.JobVersion != job.Version || d.JobCreateIndex != job.CreateIndex {
		return nil
	}
	return d
}

// joinDeployment makes a, which was updated in place, part of a deployment,
// where its health is decided anew.
func (t *tx) joinDeployment(a *api.Allocation, id string) {
	item, ok := t.deployItem(id)
	if !ok || a.DeploymentID == id || item.d.TaskGroups[a.TaskGroup] == nil {
		return
	}
	a.DeploymentID, a.DeploymentStatus = id, nil
	d := item.d.Copy()
	d.TaskGroups[a.TaskGroup].PlacedAllocs++
	t.putDeployment(d, item.d.ModifyTime)
}

// applyGroup creates the allocations of one group.
func (t *tx) applyGroup(p *api.Plan, job *api.Job, g *api.PlanGroup, now int64, res *PlanResult) {
	evalID := p.EvalID
	placed, canaries := 0, []string(nil)
	for _, pl := range g.Allocs {
		if _, dup := t.allocItem(idOf(pl.ID)); dup {
			continue // the same entry proposed twice
		}
		node, _ := t.nodeItem(idOf(pl.NodeID))
		resources := fit.Grant(g.Resources, pl, node.node)
		if !t.fits(node, pl, resources) || !t.quotaHolds(job.Namespace, resources) {
			res.Rejected = append(res.Rejected, pl.ID)
			continue
		}
		a := &api.Allocation{
			ID: pl.ID, Namespace: job.Namespace, EvalID: evalID,
			Name:   fmt.Sprintf("%s.%s[%d]", job.ID, g.TaskGroup, pl.Index),
			NodeID: node.node.ID, NodeName: pl.NodeName, JobID: job.ID, Job: job, TaskGroup: g.TaskGroup,
			AllocatedResources: resources, Metrics: placementMetrics(g.Metrics, pl.Scores),
			DesiredStatus: api.AllocDesiredRun, ClientStatus: api.AllocClientPending,
			DeploymentID: g.DeploymentID, PreviousAllocation: pl.Previous, RescheduleTracker: pl.Tracker,
			PreemptedAllocations: pl.Preempts, AllocModifyIndex: t.index,
		}
		if pl.Canary {
			a.DeploymentStatus = &api.AllocDeploymentStatus{Canary: true, ModifyIndex: t.index}
			canaries = append(canaries, pl.ID)
		}
		placed++
		t.linkPrevious(a, now) // first, so that it counts beyond what its predecessor holds
		t.putAlloc(a, now)
	}
	t.countPlaced(g, placed, canaries, now)
}

// fits confirms a placement against the node, nil when gone, as it is now. It
// has to fit beyond what those hold that end for it; beside a predecessor that
// goes on it never runs.
func (t *tx) fits(item nodeItem, pl *api.Placement, r *api.AllocatedResources) bool {
	if item.node == nil || !item.node.Ready() {
		return false
	}
	held := noUsage
	for id, promised := range endsFor(pl) {
		old, ok := t.allocItem(idOf(id))
		if !ok || old.a.NodeID != pl.NodeID || !holds(old.a) {
			continue
		}
		if !old.a.ServerTerminal() {
			return false
		}
		if heirOf(old.a) == promised {
			held = held.With(old.a.AllocatedResources)
		}
	}
	return fit.Fits(item.node, item.usage, fit.Sum(r).Beyond(held))
}

// endsFor yields the IDs of the allocations that a placement waits for if they
// are on its node, with the heir that each has before it is placed.
func endsFor(pl *api.Placement) iter.Seq2[string, string] {
	return func(yield func(id, heir string) bool) {
		if pl.Previous != "" && !yield(pl.Previous, "") {
			return
		}
		for _, id := range pl.Preempts {
			if !yield(id, pl.ID) {
				return
			}
		}
	}
}

func placementMetrics(shared *api.AllocMetric, scores []*api.NodeScoreMeta) *api.AllocMetric {
	if shared == nil {
		return &api.AllocMetric{ScoreMetaData: scores}
	}
	m := *shared
	m.ScoreMetaData = scores
	return &m
}

// linkPrevious notes on a replaced allocation what replaced it.
func (t *tx) linkPrevious(a *api.Allocation, now int64) {
	item, ok := t.allocItem(idOf(a.PreviousAllocation))
	if !ok {
		return
	}
	prev := item.a.Copy()
	prev.NextAllocation = a.ID
	if prev.RescheduleTracker != nil && prev.ClientStatus == api.AllocClientFailed {
		tr := *prev.RescheduleTracker
		tr.LastReschedule = "ok"
		prev.RescheduleTracker = &tr
	}
	prev.AllocModifyIndex = t.index
	t.putAlloc(prev, now)
}

// countPlaced keeps up a deployment's placements.
func (t *tx) countPlaced(g *api.PlanGroup, placed int, canaries []string, now int64) {
	item, ok := t.deployItem(g.DeploymentID)
	if !ok || placed == 0 || item.d.TaskGroups[g.TaskGroup] == nil {
		return
	}
	d := item.d.Copy()
	s := d.TaskGroups[g.TaskGroup]
	s.PlacedAllocs += placed
	s.PlacedCanaries = append(s.PlacedCanaries, canaries...)
	if s.RequireProgressBy.IsZero() && s.ProgressDeadline > 0 {
		s.RequireProgressBy = time.Unix(0, now).UTC().Add(s.ProgressDeadline.D())
	}
	t.putDeployment(d, now)
}

package sched

import (
	"cmp"
	"slices"

	"github.com/drover-org/drover/api"
)

// Descriptions of evaluations made here.
const blockedDescription = "created to place remaining allocations"

// finish writes down what came of the evaluation.
func (m *maker) finish() {
	e := m.w.Eval.Copy()
	e.Status, e.StatusDescription = api.EvalStatusComplete, ""
	e.SnapshotIndex = m.st.Index()
	e.QueuedAllocations, e.FailedTGAllocs, e.QuotaLimitReached = map[string]int{}, nil, ""
	if m.overQuotas {
		e.QuotaLimitReached = m.quota.spec.Name
	}
	if d := m.w.deployment; d != nil {
		e.DeploymentID = d.ID
	}
	if m.w.Job != nil {
		for _, g := range m.w.Job.TaskGroups {
			e.QueuedAllocations[g.Name] = 0
		}
	}
	if len(m.failed) > 0 {
		e.FailedTGAllocs = m.failed
		for group, metric := range m.failed {
			e.QueuedAllocations[group] = metric.CoalescedFailures + 1
		}
		m.block(e)
	} else {
		e.ClassEligibility, e.EscapedComputedClass = nil, false
	}
	m.notifyPreempted()
	if e.AnnotatePlan {
		m.plan.Annotations = m.annotations()
		e.PlanAnnotations = m.plan.Annotations
	}
	m.plan.Eval = e
}

// block makes the evaluation wait for room: itself when it waited before, and
// another one otherwise.
func (m *maker) block(e *api.Evaluation) {
	blocked := e
	if m.w.Eval.Status != api.EvalStatusBlocked {
		blocked = &api.Evaluation{
			ID: m.newID(), Namespace: e.Namespace, Priority: e.Priority, Type: e.Type, TriggeredBy: api.EvalTriggerQueuedAllocs,
			JobID: e.JobID, JobModifyIndex: e.JobModifyIndex, PreviousEval: e.ID, SnapshotIndex: e.SnapshotIndex,
			QueuedAllocations: e.QueuedAllocations, FailedTGAllocs: e.FailedTGAllocs, QuotaLimitReached: e.QuotaLimitReached,
		}
		e.BlockedEval = blocked.ID
		m.plan.Evals = append(m.plan.Evals, blocked)
	}
	blocked.Status, blocked.StatusDescription = api.EvalStatusBlocked, blockedDescription
	blocked.ClassEligibility, blocked.EscapedComputedClass = m.eligible, m.escaped
	if !m.nodeless { // no node helps, only the quota
		blocked.ClassEligibility = nil
	}
}

// notifyPreempted makes evaluations for the jobs that lost allocations.
func (m *maker) notifyPreempted() {
	jobs := make([]*api.Job, 0, len(m.preempted))
	for _, j := range m.preempted {
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b *api.Job) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	})
	for _, j := range jobs {
		m.plan.Evals = append(m.plan.Evals, &api.Evaluation{
			ID: m.newID(), Namespace: j.Namespace, Priority: j.Priority, Type: j.Type, TriggeredBy: api.EvalTriggerPreemption,
			JobID: j.ID, JobModifyIndex: j.JobModifyIndex, Status: api.EvalStatusPending, PreviousEval: m.w.Eval.ID,
		})
	}
}

func (m *maker) annotations() *api.PlanAnnotations {
	a := &api.PlanAnnotations{DesiredTGUpdates: m.w.desired}
	for _, victim := range m.evicted {
		a.PreemptedAllocs = append(a.PreemptedAllocs, victim.Stub())
	}
	return a
}

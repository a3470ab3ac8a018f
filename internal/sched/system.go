package sched

import (
	"cmp"
	"slices"

	"github.com/drover-org/drover/api"
)

// system reconciles a job that runs once on every node that may run it.
func (r *reconciler) system() {
	groups := map[string]*everywhere{}
	for _, g := range r.w.Job.TaskGroups {
		e := &everywhere{group: g, skip: map[string]struct{}{}, prev: map[string]*api.Allocation{}}
		groups[g.Name] = e
		r.w.update(g.Name)
		if g.CountOf() > 0 {
			r.w.everywhere = append(r.w.everywhere, e)
		}
	}
	outdated := map[string][]*subject{}
	for a := range r.st.AllocsByJob(r.w.Eval.Namespace, r.w.Eval.JobID) {
		s := &subject{a: a, current: sameVersion(a.Job, r.w.Job)}
		if r.onNode(s, groups[a.TaskGroup]) {
			outdated[a.TaskGroup] = append(outdated[a.TaskGroup], s)
		}
	}
	for _, e := range r.w.everywhere {
		r.updateEverywhere(e, outdated[e.group.Name])
	}
}

// onNode deals with one allocation of a system job, and reports whether it has
// to be replaced by the current version.
func (r *reconciler) onNode(s *subject, e *everywhere) bool {
	a := s.a
	if e == nil || e.group.CountOf() == 0 {
		if !a.Terminal() {
			r.w.update(a.TaskGroup).Stop++
		}
		r.end(a, api.AllocNotNeeded)
		return false
	}
	counts := r.w.update(a.TaskGroup)
	if a.Terminal() {
		r.endedOnNode(s, e)
		return false
	}
	_, second := e.skip[a.NodeID]
	s.fate = r.ofLive(s, e.group)
	switch {
	case s.fate == lost:
		counts.Stop++
		r.w.stops = append(r.w.stops, &api.PlanStop{ID: a.ID, DesiredStatus: api.AllocDesiredStop, Description: api.AllocLostNodeDown, ClientStatus: api.AllocClientLost})
		return false
	case s.fate == disconnected:
		evals := r.delayed([]later{{a, s.until}}, api.EvalTriggerMaxDisconnect, "created for delayed disconnect timeout")
		counts.Disconnect++
		r.w.stops = append(r.w.stops, &api.PlanStop{ID: a.ID, Description: api.AllocUnknown, ClientStatus: api.AllocClientUnknown, FollowupEvalID: evals[a.ID]})
	case s.fate == migrate:
		counts.Stop++
		r.end(a, api.AllocNodeTainted)
	case second:
		counts.Stop++
		r.end(a, api.AllocNotNeeded)
	case s.current || s.fate == unknown:
		counts.Ignore++
	case !r.suits(a):
		counts.Stop++
		r.end(a, api.AllocNotNeeded)
	case r.mustReplace(a):
		e.skip[a.NodeID] = struct{}{}
		return true
	default:
		counts.InPlaceUpdate++
		r.w.inPlace = append(r.w.inPlace, a.ID)
	}
	e.skip[a.NodeID] = struct{}{}
	return false
}

// endedOnNode deals with an allocation that is over. One of a sysbatch job is
// done until the job changes.
func (r *reconciler) endedOnNode(s *subject, e *everywhere) {
	a := s.a
	if a.ServerTerminal() {
		r.end(a, "") // it may be lost with its node
	}
	if a.ClientStatus == api.AllocClientLost {
		return
	}
	if r.w.Job.Type == api.JobTypeSysBatch && s.current {
		e.skip[a.NodeID] = struct{}{}
		return
	}
	if p := e.prev[a.NodeID]; a.NextAllocation == "" && a.ClientStatus == api.AllocClientFailed && (p == nil || p.CreateIndex < a.CreateIndex) {
		e.prev[a.NodeID] = a
	}
}

// updateEverywhere replaces outdated allocations, max_parallel at a time; the
// next ones wait for the stagger.
func (r *reconciler) updateEverywhere(e *everywhere, outdated []*subject) {
	counts := r.w.update(e.group.Name)
	n := len(outdated)
	if u := e.group.Update; r.w.Job.Type == api.JobTypeSystem && u.Rolling() && n > *u.MaxParallel {
		slices.SortFunc(outdated, func(a, b *subject) int { return cmp.Compare(a.a.ID, b.a.ID) })
		n = *u.MaxParallel
		counts.Ignore += uint64(len(outdated) - n)
		next := r.followup(api.EvalTriggerRollingUpdate, "created for the next step of a rolling update")
		next.WaitUntil = r.now.Add(durationOf(u.Stagger)).UTC()
		r.w.evals = append(r.w.evals, next)
	}
	for _, s := range outdated[:n] {
		counts.DestructiveUpdate++
		e.asks = append(e.asks, &ask{
			job: r.w.Job, group: e.group, previous: s.a,
			stop: &api.PlanStop{ID: s.a.ID, DesiredStatus: api.AllocDesiredStop, Description: api.AllocUpdating},
		})
	}
}

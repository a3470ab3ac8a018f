package sched

import (
	"cmp"
	"slices"

	"github.com/drover-org/drover/api"
)

// groupRun is the reconciling of one group.
type groupRun struct {
	*reconciler
	g        *api.TaskGroup
	counts   *api.DesiredUpdates
	state    *api.DeploymentState // in the deployment of the current version, or nil
	canaries []*subject           // that stay
	retry    []*subject           // canaries that failed and are due
	kept     []*subject           // that stay and count
	replace  []*subject           // to be replaced
	inPlace  []*subject
	outdated []*subject // to be replaced by the current version
	names    *indexes
	holdNew  bool // the current version is on trial or paused: it takes no further places
}

// group reconciles one group of a service or batch job.
func (r *reconciler) group(g *api.TaskGroup, all []*subject) {
	run := &groupRun{reconciler: r, g: g, counts: r.w.update(g.Name), names: newIndexes(len(all))}
	if r.active() {
		run.state = r.deployment.TaskGroups[g.Name]
	}
	run.sort(all)
	run.kept = r.trim(g, r.unique(g, run.kept), g.CountOf())
	for _, s := range run.kept {
		run.names.take(s.index)
	}
	run.findUpdates()
	canary := run.trial()
	run.holdNew = canary || r.deploymentIs(api.DeploymentPaused)
	missing := run.fill(canary)
	run.rollOut(canary, missing)
	run.note()
}

// sort takes the subjects apart and performs what does not depend on the
// others.
func (run *groupRun) sort(all []*subject) {
	var wait, silent []later
	for _, s := range all {
		switch s.fate {
		case disconnected:
			silent = append(silent, later{s.a, s.until})
		case replaceLater:
			run.counts.RescheduleLater++
			if !run.waitedFor(s.a) {
				wait = append(wait, later{s.a, s.verdict.at})
			}
		}
		if s.a.DeploymentStatus.IsCanary() && s.fate != gone && run.ofTrial(s) {
			continue
		}
		switch s.fate {
		case gone:
		case keep, replaceLater:
			run.kept = append(run.kept, s)
		case migrate, replaceNow:
			run.replace = append(run.replace, s)
		case lost, disconnected, unknown:
			if s.held && s.fate != lost {
				run.kept = append(run.kept, s)
				continue
			}
			if replacesLost(run.g) {
				run.replace = append(run.replace, s)
				continue
			}
			if s.fate == lost && s.a.ClientStatus != api.AllocClientUnknown {
				run.w.stops = append(run.w.stops, &api.PlanStop{ID: s.a.ID, Description: api.AllocUnknown, ClientStatus: api.AllocClientUnknown})
			}
			run.kept = append(run.kept, s)
		}
	}
	run.waitFor(wait)
	run.silence(silent)
}

// ofTrial deals with a canary. It reports false for one that counts like any
// other allocation.
func (run *groupRun) ofTrial(s *subject) bool {
	of := run.state != nil && s.a.DeploymentID == run.deployment.ID
	switch {
	case of && run.state.Promoted:
		return false
	case of && s.fate == replaceNow:
		run.retry = append(run.retry, s)
	case of && s.fate != migrate && s.fate != lost:
		run.canaries = append(run.canaries, s)
	case s.live():
		run.counts.Stop++
		text := api.AllocNotNeeded
		if s.fate == migrate {
			text = api.AllocMigrating
		}
		if s.fate == lost {
			text = api.AllocLostNodeDown
		}
		run.end(s.a, text)
	}
	return true
}

// waitedFor reports whether an evaluation that is still to come will look at
// an allocation again.
func (r *reconciler) waitedFor(a *api.Allocation) bool {
	if a.FollowupEvalID == "" || a.FollowupEvalID == r.w.Eval.ID {
		return false
	}
	e := r.st.Eval(a.FollowupEvalID)
	return e != nil && !e.Terminal() && e.WaitUntil.After(r.now)
}

// waitFor makes evaluations for allocations to be replaced later.
func (run *groupRun) waitFor(list []later) {
	for id, evalID := range run.delayed(list, api.EvalTriggerReschedule, "created for delayed rescheduling") {
		run.w.followups = append(run.w.followups, api.PlanFollowup{AllocID: id, EvalID: evalID})
	}
	slices.SortFunc(run.w.followups, func(a, b api.PlanFollowup) int { return cmp.Compare(a.AllocID, b.AllocID) })
}

// silence marks allocations as unknown, with an evaluation for when their time
// is up.
func (run *groupRun) silence(list []later) {
	evals := run.delayed(list, api.EvalTriggerMaxDisconnect, "created for delayed disconnect timeout")
	for _, l := range list {
		run.counts.Disconnect++
		run.w.stops = append(run.w.stops, &api.PlanStop{
			ID: l.alloc.ID, Description: api.AllocUnknown, ClientStatus: api.AllocClientUnknown, FollowupEvalID: evals[l.alloc.ID],
		})
	}
}

// findUpdates finds what runs an earlier version.
func (run *groupRun) findUpdates() {
	for _, s := range run.kept {
		switch {
		case s.current || !s.live() || s.fate != keep:
		case run.mustReplace(s.a):
			run.outdated = append(run.outdated, s)
		default:
			run.inPlace = append(run.inPlace, s)
			run.w.inPlace = append(run.w.inPlace, s.a.ID)
		}
	}
	slices.SortFunc(run.outdated, func(a, b *subject) int { return cmp.Compare(a.index, b.index) })
	run.counts.InPlaceUpdate = uint64(len(run.inPlace))
}

// fill places what replaces or is missing, and returns how many of the current
// version were missing.
func (run *groupRun) fill(trial bool) (missing int) {
	slots := run.g.CountOf() - len(run.kept)
	run.maybeDeploy(slots > 0 && !run.holdNew)
	slices.SortStableFunc(run.replace, func(a, b *subject) int { return cmp.Compare(a.index, b.index) })
	for _, s := range run.replace {
		slots -= run.replaceOne(s, slots > 0, trial)
	}
	if slots <= 0 {
		return 0
	}
	if run.holdNew {
		if old := run.newestOld(); trial && old != nil {
			run.add(old.a.Job, slots)
		}
		return 0
	}
	run.add(run.w.Job, slots)
	return slots
}

// add asks for n new allocations of a version.
func (run *groupRun) add(job *api.Job, n int) {
	g := job.Group(run.g.Name)
	for range n {
		run.counts.Place++
		run.ask(&ask{job: job, group: g, index: run.names.free()})
	}
}

// replaceOne ends a subject as its fate wants, and asks for its replacement if
// there is room in the count. It returns how much of the room it took.
func (run *groupRun) replaceOne(s *subject, room, trial bool) int {
	a := s.a
	if !room && s.live() && s.fate == migrate {
		run.counts.Stop++
		run.end(a, api.AllocNotNeeded)
		return 0
	}
	p := &ask{job: run.w.Job, group: run.g, previous: a, tracker: a.RescheduleTracker}
	if old := a.Job.Group(run.g.Name); trial && !s.current && old != nil {
		p.job, p.group = a.Job, old
	}
	switch s.fate {
	case migrate:
		return run.move(s, p)
	case lost:
		run.w.stops = append(run.w.stops, &api.PlanStop{ID: a.ID, DesiredStatus: api.AllocDesiredStop, Description: api.AllocLostNodeDown, ClientStatus: api.AllocClientLost})
	case replaceNow:
		p.tracker = trackerAfter(run.g.ReschedulePolicy, a, s.verdict.delay, run.now)
		p.penalty = penalties(a)
		if !a.ServerTerminal() {
			p.stop = &api.PlanStop{ID: a.ID, DesiredStatus: api.AllocDesiredStop, Description: api.AllocRescheduledFailed}
		}
	}
	if !room || (a.NextAllocation != "" && s.fate != replaceNow) {
		return 0 // not wanted, or replaced before
	}
	p.index = run.names.prefer(s.index)
	run.ask(p)
	if s.fate == replaceNow {
		run.counts.RescheduleNow++
	}
	run.counts.Place++
	return 1
}

// move stops an allocation that was asked to move and asks for another. A
// batch allocation may be asked to go by its reschedule policy instead.
func (run *groupRun) move(s *subject, p *ask) int {
	a := s.a
	stop := &api.PlanStop{ID: a.ID, DesiredStatus: api.AllocDesiredStop, Description: api.AllocMigrating}
	run.w.stops = append(run.w.stops, stop)
	if run.batch && a.DesiredTransition.ShouldReschedule() {
		v := reschedule(run.g.ReschedulePolicy, a, run.now, false)
		due := !v.at.After(run.now.Add(soon))
		if v.replace && !due {
			run.counts.RescheduleLater++
			stop.FollowupEvalID = run.delayed([]later{{a, v.at}}, api.EvalTriggerReschedule, "created for delayed rescheduling")[a.ID]
		}
		if !v.replace || !due {
			run.counts.Stop++
			run.names.take(s.index)
			return 1 // its place stays taken
		}
		p.tracker, p.penalty = trackerAfter(run.g.ReschedulePolicy, a, v.delay, run.now), penalties(a)
	} else if isTrue(a.DesiredTransition.MigrateDisablePlacement) {
		run.counts.Stop++
		run.names.take(s.index)
		return 1
	}
	run.counts.Migrate++
	p.index = run.names.prefer(s.index)
	run.ask(p)
	return 1
}

// ask adds an ask, as part of the rollout when it is of the current version.
func (run *groupRun) ask(p *ask) {
	if p.job == run.w.Job {
		switch {
		case run.created != nil && run.created.TaskGroups[run.g.Name] != nil:
			p.deployment = run.created.ID
		case run.state != nil:
			p.deployment = run.deployment.ID
		}
	}
	run.w.asks = append(run.w.asks, p)
}

// note counts what is left alone.
func (run *groupRun) note() {
	touched := uint64(len(run.inPlace)) + run.counts.DestructiveUpdate
	if n := uint64(len(run.kept) + len(run.canaries)); n > touched {
		run.counts.Ignore = n - touched
	}
}

package sched

import (
	"slices"

	"github.com/drover-org/drover/api"
)

// rolls reports whether the group is updated a few allocations at a time, under
// a deployment.
func (run *groupRun) rolls() bool { return !run.batch && run.g.Update.Rolling() }

func (run *groupRun) canaryCount() int {
	if u := run.g.Update; run.rolls() && u.Canary != nil {
		return *u.Canary
	}
	return 0
}

// trial reports whether the current version has to prove itself first: it has
// canaries that nobody promoted, or will get some now.
func (run *groupRun) trial() bool {
	if run.state != nil {
		return run.state.DesiredCanaries > 0 && !run.state.Promoted
	}
	if d := run.deployment; d != nil {
		s := d.TaskGroups[run.g.Name]
		return !d.Active() && d.Status != api.DeploymentSuccessful && s != nil && s.DesiredCanaries > 0 && !s.Promoted
	}
	return run.canaryCount() > 0 && len(run.outdated) > 0
}

// maybeDeploy makes the group part of a new deployment when its current
// version has none and there is something to roll out.
func (run *groupRun) maybeDeploy(missing bool) {
	if run.deployment != nil || !run.rolls() || run.g.CountOf() == 0 {
		return
	}
	need := len(run.inPlace)+len(run.outdated) > 0
	if missing && !need {
		need = true
		for _, s := range slices.Concat(run.kept, run.replace) {
			need = need && !s.current // what runs already had its rollout
		}
	}
	if !need {
		return
	}
	state := run.join(run.g)
	if len(run.outdated) > 0 {
		state.DesiredCanaries = run.canaryCount()
	}
}

// rollOut replaces outdated allocations as far as the update block lets it:
// canaries first, then a few at a time.
func (run *groupRun) rollOut(trial bool, missing int) {
	if trial {
		run.placeCanaries()
		return
	}
	n := len(run.outdated)
	if run.rolls() {
		n = min(n, run.limit(missing))
	}
	for _, s := range run.outdated[:n] {
		run.counts.DestructiveUpdate++
		run.ask(&ask{
			job: run.w.Job, group: run.g, index: s.index, previous: s.a,
			stop: &api.PlanStop{ID: s.a.ID, DesiredStatus: api.AllocDesiredStop, Description: api.AllocUpdating},
		})
	}
}

// limit returns how many allocations may be replaced now: max_parallel less
// those of the rollout that are not healthy yet.
func (run *groupRun) limit(missing int) int {
	if run.holdNew || run.deploymentIs(api.DeploymentFailed) {
		return 0
	}
	n := *run.g.Update.MaxParallel - missing
	if run.state != nil {
		for _, s := range run.kept {
			if s.current && s.a.DeploymentID == run.deployment.ID && !s.a.DeploymentStatus.IsHealthy() {
				n--
			}
		}
	}
	return max(n, 0)
}

// placeCanaries asks for the canaries that are missing. They get the names of
// what they will replace.
func (run *groupRun) placeCanaries() {
	want := run.canaryCount()
	if run.state != nil {
		want = run.state.DesiredCanaries
	}
	if run.deploymentIs(api.DeploymentPaused) || run.deployment != nil && !run.active() {
		return
	}
	taken := newIndexes(want)
	for _, s := range run.canaries {
		taken.take(s.index)
	}
	for n := want - len(run.canaries); n > 0; n-- {
		p := &ask{job: run.w.Job, group: run.g, canary: true}
		if len(run.retry) > 0 {
			s := run.retry[0]
			run.retry = run.retry[1:]
			p.index, p.previous = taken.prefer(s.index), s.a
			p.tracker, p.penalty = trackerAfter(run.g.ReschedulePolicy, s.a, s.verdict.delay, run.now), penalties(s.a)
			p.stop = &api.PlanStop{ID: s.a.ID, DesiredStatus: api.AllocDesiredStop, Description: api.AllocRescheduledFailed}
		} else {
			p.index = taken.prefer(run.nextOutdated(taken))
		}
		run.counts.Canary++
		run.ask(p)
	}
}

// nextOutdated returns the lowest number of an outdated allocation that no
// canary has, or -1.
func (run *groupRun) nextOutdated(taken *indexes) int {
	for _, s := range run.outdated {
		if !taken.has(s.index) {
			return s.index
		}
	}
	return -1
}

// newestOld returns the allocation of the latest version before the current
// one, or nil.
func (run *groupRun) newestOld() *subject {
	var newest *subject
	for _, list := range [][]*subject{run.outdated, run.replace} {
		for _, s := range list {
			if !s.current && s.a.Job.Group(run.g.Name) != nil && (newest == nil || s.a.Job.Version > newest.a.Job.Version) {
				newest = s
			}
		}
	}
	return newest
}

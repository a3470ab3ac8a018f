package agent

import (
	"cmp"
	"time"

	"github.com/drover-org/drover/api"
)

// status derives an allocation's client status from its tasks: any failed,
// any running, any pending, all dead, in this order.
func status(tasks []view) (status, description string) {
	var failed, running, pending bool
	for i := range tasks {
		switch s := tasks[i].state; s.State {
		case api.TaskStateDead:
			failed = failed || s.Failed
		case api.TaskStateRunning:
			running = true
		default:
			pending = true
		}
	}
	switch {
	case failed:
		return api.AllocClientFailed, api.AllocClientTasksFailed
	case running:
		return api.AllocClientRunning, api.AllocClientTasksRun
	case pending:
		return api.AllocClientPending, api.AllocClientNoneStarted
	}
	return api.AllocClientComplete, api.AllocClientTasksDone
}

// health is the state of an allocation in its deployment or migration.
type health struct {
	mode     string // manual decides nothing; others watch the tasks, and checks those of services as well
	min      time.Duration
	deadline time.Time // zero: none
}

// healthOf returns what decides about the health of an allocation that is new
// or was updated at a time; nil when nobody asks.
func healthOf(a *api.Allocation, at time.Time) *health {
	g := a.Group()
	switch {
	case a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil:
		return nil
	case a.DeploymentID != "" && g.Update != nil:
		return newHealth(g.Update.HealthCheck, g.Update.MinHealthyTime, g.Update.HealthyDeadline, at)
	case a.Job.Type == api.JobTypeService && g.Migrate != nil:
		return newHealth(g.Migrate.HealthCheck, g.Migrate.MinHealthyTime, g.Migrate.HealthyDeadline, at)
	}
	return nil
}

func newHealth(mode string, least, deadline *api.Duration, at time.Time) *health {
	h := &health{mode: cmp.Or(mode, api.HealthCheckChecks)}
	if least != nil {
		h.min = least.D()
	}
	if deadline != nil && *deadline > 0 {
		h.deadline = at.Add(deadline.D())
	}
	return h
}

// judge returns whether the allocation is healthy, nil while that is open, and
// when to ask again at the latest, zero for at the next change. Tasks are
// healthy when all that should run have done so for the minimum time without a
// restart, and checks when they have all been well for as long.
func (h *health) judge(tasks []view, checks []checkView, now time.Time) (healthy *bool, again time.Time) {
	if h.mode == "manual" {
		return nil, time.Time{}
	}
	yes, no := true, false
	since, all := time.Time{}, true
	for i := range tasks {
		v := &tasks[i]
		if v.state.Failed && v.dead() {
			return &no, time.Time{}
		}
		switch {
		case v.role() == rolePoststop, v.role() == rolePoststart && !v.lifecycle.Sidecar:
		case v.role() == rolePrestart:
			all = all && v.dead()
		case v.state.State != api.TaskStateRunning:
			all = false
		case v.state.StartedAt.After(since):
			since = v.state.StartedAt
		}
	}
	if h.mode == api.HealthCheckChecks {
		for i := range checks {
			all = all && checks[i].healthy
			if checks[i].since.After(since) {
				since = checks[i].since
			}
		}
	}
	var ripe time.Time
	if all {
		if ripe = since.Add(h.min); !now.Before(ripe) {
			return &yes, time.Time{}
		}
	}
	if !h.deadline.IsZero() && !now.Before(h.deadline) {
		return &no, time.Time{}
	}
	return nil, earliest(ripe, h.deadline)
}

// anyFailed reports whether a task has failed for good.
func anyFailed(tasks []view) bool {
	for i := range tasks {
		if tasks[i].dead() && tasks[i].state.Failed {
			return true
		}
	}
	return false
}

// earliest returns the first of the times that are not zero, or zero.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

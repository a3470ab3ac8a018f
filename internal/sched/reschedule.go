package sched

import (
	"slices"
	"time"

	"github.com/drover-org/drover/api"
)

const (
	// soon is how near a replacement's time must be to place it at once rather
	// than by an evaluation of its own.
	soon = time.Second
	// batchWindow joins replacements that are due at about the same time.
	batchWindow = 5 * time.Second
	// keptEvents is how many predecessors an unlimited policy remembers.
	keptEvents = 5
)

// verdict is what a reschedule policy says of a failed allocation.
type verdict struct {
	replace bool
	at      time.Time
	delay   time.Duration
}

// reschedule applies the policy of an allocation's group. With force the
// policy is not asked.
func reschedule(p *api.ReschedulePolicy, a *api.Allocation, now time.Time, force bool) verdict {
	if force {
		return verdict{replace: true, at: now}
	}
	if !p.Enabled() {
		return verdict{}
	}
	failed := failedAt(a, now)
	delay := nextDelay(p, a.RescheduleTracker, failed)
	v := verdict{replace: true, at: failed.Add(delay), delay: delay}
	if p.Unlimited != nil && *p.Unlimited {
		return v
	}
	v.replace = len(eventsWithin(p, a.RescheduleTracker, failed)) < *p.Attempts
	return v
}

// failedAt returns when an allocation's last task ended.
func failedAt(a *api.Allocation, now time.Time) time.Time {
	var last time.Time
	for _, t := range a.TaskStates {
		if t != nil && t.FinishedAt.After(last) {
			last = t.FinishedAt
		}
	}
	if last.IsZero() {
		last = time.Unix(0, a.ModifyTime).UTC()
	}
	if last.After(now) { // the node's clock is ahead
		return now
	}
	return last
}

// eventsWithin returns the predecessors that count against a policy's
// attempts.
func eventsWithin(p *api.ReschedulePolicy, t *api.RescheduleTracker, failed time.Time) []*api.RescheduleEvent {
	if t == nil || p.Interval == nil {
		return nil
	}
	since := failed.Add(-p.Interval.D()).UnixNano()
	i := slices.IndexFunc(t.Events, func(e *api.RescheduleEvent) bool { return e.RescheduleTime > since })
	if i < 0 {
		return nil
	}
	return t.Events[i:]
}

// nextDelay returns how long to wait before the next replacement.
func nextDelay(p *api.ReschedulePolicy, t *api.RescheduleTracker, failed time.Time) time.Duration {
	base := durationOf(p.Delay)
	if t == nil || len(t.Events) == 0 || p.DelayFunction == "constant" || p.DelayFunction == "" {
		return base
	}
	most := durationOf(p.MaxDelay)
	last := t.Events[len(t.Events)-1]
	next := base
	switch p.DelayFunction {
	case "exponential":
		next = max(2*last.Delay.D(), base)
	case "fibonacci":
		if n := len(t.Events); n > 1 {
			next = max(last.Delay.D()+t.Events[n-2].Delay.D(), base)
		}
	}
	if most <= 0 || next < most {
		return next
	}
	if quiet := failed.Sub(time.Unix(0, last.RescheduleTime)); quiet > most {
		return base // it ran for long: start over
	}
	return most
}

// trackerAfter returns the tracker of a replacement of a failed allocation.
func trackerAfter(p *api.ReschedulePolicy, a *api.Allocation, delay time.Duration, now time.Time) *api.RescheduleTracker {
	var kept []*api.RescheduleEvent
	if old := a.RescheduleTracker; old != nil {
		kept = old.Events[max(0, len(old.Events)-keptEvents):]
		if p != nil && (p.Unlimited == nil || !*p.Unlimited) {
			kept = eventsWithin(p, old, failedAt(a, now))
		}
	}
	return &api.RescheduleTracker{Events: append(slices.Clone(kept), &api.RescheduleEvent{
		RescheduleTime: now.UnixNano(), PrevAllocID: a.ID, PrevNodeID: a.NodeID, Delay: api.Duration(delay),
	})}
}

// penalties returns the nodes on which an allocation and its predecessors
// failed.
func penalties(a *api.Allocation) []string {
	nodes := []string{a.NodeID}
	if a.RescheduleTracker != nil {
		for _, e := range a.RescheduleTracker.Events {
			if !slices.Contains(nodes, e.PrevNodeID) {
				nodes = append(nodes, e.PrevNodeID)
			}
		}
	}
	return nodes
}

func durationOf(d *api.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.D()
}

// later is something that waits for its time.
type later struct {
	alloc *api.Allocation
	at    time.Time
}

// delayed makes evaluations for what is due later, joining what is due at
// about the same time, and returns the evaluation of each allocation.
func (r *reconciler) delayed(list []later, trigger, description string) map[string]string {
	slices.SortFunc(list, func(a, b later) int { return a.at.Compare(b.at) })
	byAlloc := make(map[string]string, len(list))
	var current *api.Evaluation
	for _, l := range list {
		if current == nil || l.at.Sub(current.WaitUntil) > batchWindow {
			current = r.followup(trigger, description)
			current.WaitUntil = l.at.UTC()
			r.w.evals = append(r.w.evals, current)
		}
		byAlloc[l.alloc.ID] = current.ID
	}
	return byAlloc
}

// followup returns a new pending evaluation of the same job.
func (r *reconciler) followup(trigger, description string) *api.Evaluation {
	e := r.w.Eval
	return &api.Evaluation{
		ID: r.newID(), Namespace: e.Namespace, Priority: e.Priority, Type: e.Type, TriggeredBy: trigger,
		JobID: e.JobID, JobModifyIndex: e.JobModifyIndex, Status: api.EvalStatusPending,
		StatusDescription: description, PreviousEval: e.ID,
	}
}

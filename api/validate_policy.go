package api

import "time"

// Least values of rescheduling that a scheduler can keep to.
const (
	minRescheduleDelay    = Duration(5 * time.Second)
	minRescheduleInterval = Duration(15 * time.Second)
)

func (p *RestartPolicy) validate(at spot) {
	if p.Attempts != nil {
		at.within("Attempts", *p.Attempts, 0, 1<<20)
	}
	at.duration("Interval", p.Interval, 0)
	at.duration("Delay", p.Delay, 0)
	at.oneOf("Mode", p.Mode, RestartModeFail, RestartModeDelay)
	if p.Attempts == nil || p.Interval == nil || p.Delay == nil || *p.Attempts <= 0 {
		return
	}
	switch {
	case *p.Interval < Duration(5*time.Second):
		at.bad("Interval", "%s is below the minimum of 5s", *p.Interval)
	case p.Delay.D() > p.Interval.D()/time.Duration(*p.Attempts):
		at.bad("Delay", "%d restarts with a delay of %s take longer than the interval of %s: lower Attempts or Delay, or raise Interval", *p.Attempts, *p.Delay, *p.Interval)
	}
}

func (p *ReschedulePolicy) validate(at spot, jobType string) {
	if p.Attempts != nil {
		at.within("Attempts", *p.Attempts, 0, 1<<20)
	}
	at.duration("Interval", p.Interval, 0)
	at.duration("Delay", p.Delay, 0)
	at.duration("MaxDelay", p.MaxDelay, 0)
	at.oneOf("DelayFunction", p.DelayFunction, "constant", "exponential", "fibonacci")
	if !p.Enabled() {
		return
	}
	if jobType == JobTypeSystem || jobType == JobTypeSysBatch {
		at.warn("Attempts", "has no effect in a %s job, which is never rescheduled", jobType)
		return
	}
	if p.Unlimited != nil && *p.Unlimited && p.Attempts != nil && *p.Attempts > 0 {
		at.warn("Attempts", "%d has no effect because Unlimited is true: set it to false", *p.Attempts)
	} else if p.Unlimited == nil || !*p.Unlimited {
		at.duration("Interval", p.Interval, minRescheduleInterval)
	}
	at.duration("Delay", p.Delay, minRescheduleDelay)
	if p.DelayFunction != "constant" && p.Delay != nil && p.MaxDelay != nil && *p.MaxDelay < *p.Delay {
		at.bad("MaxDelay", "%s is below Delay, which is %s", *p.MaxDelay, *p.Delay)
	}
}

func (u *UpdateStrategy) validate(at spot, jobType string) {
	if u.MaxParallel != nil {
		at.within("MaxParallel", *u.MaxParallel, 0, MaxGroupCount)
	}
	if u.Canary != nil {
		at.within("Canary", *u.Canary, 0, MaxGroupCount)
	}
	at.duration("Stagger", u.Stagger, 0)
	if jobType == JobTypeService && u.Stagger != nil && *u.Stagger != *updateDefault().Stagger {
		at.warn("Stagger", "%s has no effect in a service job: its rollout goes on when allocations are healthy", *u.Stagger)
	}
	at.duration("MinHealthyTime", u.MinHealthyTime, 0)
	at.duration("HealthyDeadline", u.HealthyDeadline, 0)
	at.duration("ProgressDeadline", u.ProgressDeadline, 0)
	at.oneOf("HealthCheck", u.HealthCheck, "checks", "task_states", "manual")
	at.ordered("MinHealthyTime", u.MinHealthyTime, "HealthyDeadline", u.HealthyDeadline)
	if u.ProgressDeadline != nil && *u.ProgressDeadline != 0 { // 0: no deadline
		at.ordered("HealthyDeadline", u.HealthyDeadline, "ProgressDeadline", u.ProgressDeadline)
	}
	if u.AutoPromote != nil && *u.AutoPromote && (u.Canary == nil || *u.Canary == 0) {
		at.bad("AutoPromote", "is set without canaries: set Canary or remove AutoPromote")
	}
}

func (m *MigrateStrategy) validate(at spot) {
	if m.MaxParallel != nil {
		at.within("MaxParallel", *m.MaxParallel, 1, MaxGroupCount)
	}
	at.duration("MinHealthyTime", m.MinHealthyTime, 0)
	at.duration("HealthyDeadline", m.HealthyDeadline, 0)
	at.oneOf("HealthCheck", m.HealthCheck, "checks", "task_states")
	at.ordered("MinHealthyTime", m.MinHealthyTime, "HealthyDeadline", m.HealthyDeadline)
}

// ordered checks that one duration is below another.
func (s spot) ordered(low string, a *Duration, high string, b *Duration) {
	if a != nil && b != nil && *a >= *b {
		s.bad(high, "%s must be longer than %s, which is %s", *b, low, *a)
	}
}

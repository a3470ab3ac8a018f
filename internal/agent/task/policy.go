package task

import (
	"fmt"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/localdb"
)

// outcome is how a task ended, or how starting it failed.
type outcome struct {
	success   bool
	permanent bool // another attempt can't succeed
	completes bool // success is what the task is for: it is not run again
}

type action int

const (
	actDone    action = iota // dead, as it should be
	actFail                  // dead and failed
	actRestart               // again after the delay
)

type decision struct {
	action action
	delay  time.Duration
	reason string
}

// maxJitter is the share of the delay that is added at random, so that tasks
// that fail together don't come back together.
const maxJitter = 0.25

// decide applies a restart policy. rnd is a random number from 0 to 1.
func decide(p *api.RestartPolicy, seen localdb.RestartInfo, o outcome, now time.Time, rnd float64) (localdb.RestartInfo, decision) {
	attempts, interval, delay, mode := policyOf(p)
	switch {
	case o.success && o.completes:
		return seen, decision{action: actDone}
	case o.permanent:
		return seen, decision{action: actFail, reason: "Error was unrecoverable"}
	case attempts == 0:
		return seen, decision{action: actFail, reason: "Policy allows no restarts"}
	}
	if seen.Since.IsZero() || now.Sub(seen.Since) >= interval {
		seen = localdb.RestartInfo{Since: now}
	}
	seen.Count++
	jittered := delay + time.Duration(rnd*maxJitter*float64(delay))
	if seen.Count <= attempts {
		return seen, decision{action: actRestart, delay: jittered, reason: "Restart within policy"}
	}
	exceeded := fmt.Sprintf("Exceeded allowed attempts %d in interval %v", attempts, interval)
	if mode == api.RestartModeDelay {
		wait := max(seen.Since.Add(interval).Sub(now), jittered)
		return seen, decision{action: actRestart, delay: wait, reason: exceeded + `; waiting since mode is "delay"`}
	}
	return seen, decision{action: actFail, reason: exceeded + ` and mode is "fail"`}
}

func policyOf(p *api.RestartPolicy) (attempts int, interval, delay time.Duration, mode string) {
	mode = api.RestartModeFail
	if p == nil {
		return 0, 0, 0, mode
	}
	if p.Attempts != nil {
		attempts = *p.Attempts
	}
	if p.Mode != "" {
		mode = p.Mode
	}
	return attempts, durationOf(p.Interval), durationOf(p.Delay), mode
}

func durationOf(d *api.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.D()
}

// Completes reports whether a task is done once it succeeds: tasks of batch
// jobs, and hooks that are not sidecars. Others run for ever.
func Completes(job *api.Job, t *api.Task) bool {
	if t.Lifecycle != nil {
		return !t.Lifecycle.Sidecar
	}
	return job.Type == api.JobTypeBatch || job.Type == api.JobTypeSysBatch
}

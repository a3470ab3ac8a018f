package check

import (
	"fmt"
	"time"

	"github.com/drover-org/drover/api"
)

// Level is what is known of a service.
type Level int

// The levels.
const (
	Pending  Level = iota // not known yet
	Passing               // it works
	Warning               // it works, with difficulties
	Critical              // it does not work
)

// Answer is what one probe found: Passing, Warning or Critical.
type Answer struct {
	Level  Level
	Code   int // HTTP status, 0: none
	Output string
}

// Rule says how answers change the state.
type Rule struct {
	SuccessBeforePassing   int
	FailuresBeforeWarning  int
	FailuresBeforeCritical int
	RestartAfter           int // failures in a row that restart the task, 0: never
	Grace                  time.Duration
	IgnoreWarnings         bool // of RestartAfter
}

// State is what a check knows after its latest answer.
type State struct {
	Level  Level
	Since  time.Time // when the level was reached
	At     time.Time // of the latest answer, zero: none yet
	Answer Answer

	successes, failures int // in a row, up to the latest answer
	bad                 int // answers in a row that count for a restart
}

// Next returns the state after an answer, and whether the task is to be
// restarted for it. began is when the check began.
func (s State) Next(r Rule, a Answer, began, now time.Time) (next State, restart bool) {
	next = s
	next.At, next.Answer = now, a
	level := s.Level
	switch {
	case a.Level == Passing:
		next.successes, next.failures = s.successes+1, 0
		if next.successes >= r.SuccessBeforePassing {
			level = Passing
		}
	case a.Level == Warning:
		next.successes, next.failures = 0, s.failures+1
		if next.failures >= r.FailuresBeforeWarning {
			level = Warning
		}
	default:
		next.successes, next.failures = 0, s.failures+1
		switch {
		case next.failures >= r.FailuresBeforeCritical:
			level = Critical
		case r.FailuresBeforeWarning > 0 && next.failures >= r.FailuresBeforeWarning:
			level = Warning
		}
	}
	if level != s.Level {
		next.Level, next.Since = level, now
	}
	if a.Level == Critical || a.Level == Warning && !r.IgnoreWarnings {
		if now.Sub(began) >= r.Grace {
			next.bad++
		}
	} else {
		next.bad = 0
	}
	return next, r.RestartAfter > 0 && next.bad >= r.RestartAfter
}

// Initial returns the state before the first answer, by the word that jobs use.
func Initial(word string, now time.Time) State {
	levels := map[string]Level{"passing": Passing, "warning": Warning, "critical": Critical}
	return State{Level: levels[word], Since: now}
}

// status is a level in the words of the API, which has none for a warning.
func (l Level) status() string {
	switch l {
	case Passing:
		return api.CheckSuccess
	case Pending:
		return api.CheckPending
	}
	return api.CheckFailure
}

// Healthy reports whether a level is good enough for a rollout.
func (l Level) Healthy(onUpdate string) bool {
	return l == Passing || l == Warning && onUpdate == api.OnUpdateIgnoreWarnings || onUpdate == api.OnUpdateIgnore
}

// reason tells why a task is restarted.
func (s State) reason(name string) string {
	return fmt.Sprintf("check_restart: check %q failed %d times in a row: %s", name, s.bad, brief(s.Answer.Output))
}

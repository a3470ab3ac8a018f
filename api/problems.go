package api

import (
	"fmt"
	"strings"
)

// maxProblems bounds the problems, and separately the warnings, that one
// answer lists; the rest are counted.
const maxProblems = 50

// report collects what is wrong with an object.
type report struct {
	problems, warnings []string
	more               int // problems that are not listed
	moreWarnings       int
}

// err returns everything found as one error of CodeInvalid, or nil.
func (r *report) err(what string) error {
	if len(r.problems) == 0 {
		return nil
	}
	if len(r.problems) == 1 {
		return Errorf(CodeInvalid, "%s", r.problems[0])
	}
	list := "\n  * " + strings.Join(r.problems, "\n  * ")
	if r.more > 0 {
		list += fmt.Sprintf("\n  * and %d more", r.more)
	}
	return Errorf(CodeInvalid, "%d problems with the %s:%s", len(r.problems)+r.more, what, list)
}

// warned returns the warnings.
func (r *report) warned() []string {
	if r.moreWarnings > 0 {
		return append(r.warnings, fmt.Sprintf("and %d more warnings", r.moreWarnings))
	}
	return r.warnings
}

// spot is a place in an object, like `group "cache" > task "redis"`.
type spot struct {
	*report
	path string
}

// in returns a place inside s.
func (s spot) in(format string, args ...any) spot {
	return spot{s.report, s.field(fmt.Sprintf(format, args...))}
}

// bad notes that a field is wrong; the message gives the value and the remedy.
func (s spot) bad(field, format string, args ...any) {
	if len(s.problems) == maxProblems {
		s.more++
		return
	}
	s.problems = append(s.problems, s.field(field)+": "+fmt.Sprintf(format, args...))
}

// warn notes that a field does not do what one might expect.
func (s spot) warn(field, format string, args ...any) {
	if len(s.warnings) == maxProblems {
		s.moreWarnings++
		return
	}
	s.warnings = append(s.warnings, s.field(field)+": "+fmt.Sprintf(format, args...))
}

func (s spot) field(name string) string {
	if s.path == "" {
		return name
	}
	return s.path + " > " + name
}

// clip shortens text from outside for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Bounds of what a job may hold. They keep a request from growing memory
// without end; none is near what people use.
const (
	maxNameLen  = 128  // names of groups, tasks, services, ports
	maxIDLen    = 1024 // a job's ID and name
	maxElements = 1024 // elements of one list
	maxMB       = 1 << 31
	maxDuration = Duration(100 * 365 * 24 * 3600 * 1e9) // a hundred years
)

// Validate checks a canonical job (see Canonicalize). The error is an *Error
// of CodeInvalid that lists every problem, up to a bound, each as place,
// value and remedy:
//
//	group "cache" > task "redis" > Resources > MemoryMB: 5 is below the minimum of 10
//
// Warnings name what is accepted and has no effect. Whether a driver exists on
// some node and takes the task's Config is for others to find out.
func (j *Job) Validate() (warnings []string, err error) {
	r := &report{}
	if j == nil {
		spot{report: r}.bad("Job", "is missing: send {\"Job\": {…}}")
		return nil, r.err("job")
	}
	j.validate(spot{report: r})
	for _, g := range j.TaskGroups {
		if g != nil {
			g.validate(spot{report: r}.in("group %q", clip(g.Name)), j)
		}
	}
	j.unsupported(r)
	return r.warned(), r.err("job")
}

func (j *Job) validate(at spot) {
	at.id("ID", j.ID)
	if strings.ContainsRune(j.Name, 0) || len(j.Name) > maxIDLen {
		at.bad("Name", "%q must be at most %d bytes without NUL", clip(j.Name), maxIDLen)
	}
	if !ValidNamespace(j.Namespace) {
		at.bad("Namespace", "%q is not a namespace name: use 1 to 128 letters, digits and hyphens", clip(j.Namespace))
	}
	at.label("Region", j.Region)
	at.label("NodePool", j.NodePool)
	if !isJobType(j.Type) {
		at.bad("Type", "%q is not a job type: use service, batch, system or sysbatch", clip(j.Type))
	}
	at.within("Priority", j.Priority, MinJobPriority, MaxJobPriority)
	for i, dc := range j.Datacenters {
		if dc == "" {
			at.bad(fmt.Sprintf("Datacenters[%d]", i), "is empty: name a datacenter or use \"*\" for all")
		}
	}
	at.elements("Datacenters", len(j.Datacenters))
	at.elements("TaskGroups", len(j.TaskGroups))
	at.meta("Meta", j.Meta)
	validatePlacement(at, j, j.Constraints, j.Affinities, j.Spreads)
	j.validateGroups(at)
	if j.Update != nil {
		if j.rolls() {
			j.Update.validate(at.in("Update"), j.Type)
		} else {
			at.warn("Update", "has no effect in a %s job", j.Type)
		}
	}
	if j.Reschedule != nil {
		j.Reschedule.validate(at.in("Reschedule"), j.Type)
	}
	if j.Migrate != nil {
		j.Migrate.validate(at.in("Migrate"))
	}
	if j.Periodic != nil {
		j.Periodic.validate(at.in("Periodic"), j.Type)
	}
	if j.ParameterizedJob != nil {
		j.ParameterizedJob.validate(at.in("ParameterizedJob"), j)
	}
	j.validateUI(at.in("UI"))
}

// validateGroups checks what concerns the groups together.
func (j *Job) validateGroups(at spot) {
	if len(j.TaskGroups) == 0 {
		at.bad("TaskGroups", "is empty: a job needs at least one group with a task")
	}
	names := make(map[string]bool)
	total := 0
	for i, g := range j.TaskGroups {
		if g == nil {
			at.bad(fmt.Sprintf("TaskGroups[%d]", i), "is null: remove it")
			continue
		}
		if names[g.Name] {
			at.bad("TaskGroups", "has two groups named %q: rename one", clip(g.Name))
		}
		names[g.Name] = true
		total += min(max(g.CountOf(), 0), MaxGroupCount+1)
	}
	if total > MaxGroupCount {
		at.bad("TaskGroups", "ask for more than %d allocations in all: lower the groups' Count or split the job", MaxGroupCount)
	}
}

func (p *PeriodicConfig) validate(at spot, jobType string) {
	if jobType != JobTypeBatch && jobType != JobTypeSysBatch {
		at.bad("Periodic", "a %s job can't be periodic: make its Type batch or sysbatch", jobType)
	}
	if (p.Spec == "") == (len(p.Specs) == 0) {
		at.bad("Spec", "give either Spec (one cron expression) or Specs (several)")
	}
	at.elements("Specs", len(p.Specs))
	at.oneOf("SpecType", p.SpecType, "cron")
}

func (j *Job) validateUI(at spot) {
	if j.UI == nil {
		return
	}
	at.elements("Links", len(j.UI.Links))
	if len(j.UI.Description) > 1000 {
		at.bad("Description", "is %d bytes long: 1000 is the most", len(j.UI.Description))
	}
	for i, l := range j.UI.Links {
		if l != nil && (l.Label == "" || l.URL == "") {
			at.bad(fmt.Sprintf("Links[%d]", i), "needs both Label and URL")
		}
	}
}

// id checks a job's ID: any text without spaces and NUL; slashes are fine, and
// so are other control characters, which some users have.
func (s spot) id(field, id string) {
	switch {
	case id == "":
		s.bad(field, "is missing: give the job a name")
	case len(id) > maxIDLen:
		s.bad(field, "%q is %d bytes long: %d is the most", clip(id), len(id), maxIDLen)
	case strings.ContainsAny(id, " \x00\uFFFD"):
		s.bad(field, "%q holds a space or a byte that is no text: use \"-\" instead", clip(id))
	}
}

// label checks a name that is part of a file's or a variable's name.
func (s spot) label(field, name string) {
	switch {
	case name == "":
		s.bad(field, "is missing")
	case len(name) > maxNameLen:
		s.bad(field, "%q is %d bytes long: %d is the most", clip(name), len(name), maxNameLen)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		s.bad(field, "%q holds a control character: remove it", clip(name))
	}
}

// within checks a number's bounds.
func (s spot) within(field string, n, least, most int) {
	switch {
	case n < least:
		s.bad(field, "%d is below the minimum of %d", n, least)
	case n > most:
		s.bad(field, "%d is above the maximum of %d", n, most)
	}
}

// duration checks a duration's bounds; nil is fine.
func (s spot) duration(field string, d *Duration, least Duration) {
	switch {
	case d == nil:
	case *d < least && least == 0:
		s.bad(field, "%s is negative", *d)
	case *d < least:
		s.bad(field, "%s is below the minimum of %s", *d, least)
	case *d > maxDuration:
		s.bad(field, "%s is longer than a hundred years", *d)
	}
}

// oneOf checks a word; an empty one is fine.
func (s spot) oneOf(field, word string, words ...string) {
	if word != "" && !slices.Contains(words, word) {
		s.bad(field, "%q is unknown: use %s", clip(word), orList(words))
	}
}

// elements bounds a list.
func (s spot) elements(field string, n int) {
	if n > maxElements {
		s.bad(field, "has %d elements: %d is the most", n, maxElements)
	}
}

// meta checks keys and values that become part of a task's environment.
func (s spot) meta(field string, m map[string]string) {
	s.elements(field, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k == "" || strings.ContainsAny(k, "\x00=") {
			s.bad(field, "the key %q is empty or holds NUL or \"=\": rename it", clip(k))
		}
		if strings.ContainsRune(m[k], 0) {
			s.bad(field+"["+clip(k)+"]", "the value holds NUL: remove it")
		}
	}
}

// isJobType reports whether s is a type of job that users may write.
func isJobType(s string) bool {
	return slices.Contains([]string{JobTypeService, JobTypeBatch, JobTypeSystem, JobTypeSysBatch}, s)
}

// orList joins words for reading: "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

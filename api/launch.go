package api

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Names of instances: what stands between the parent's ID and the rest.
const (
	PeriodicLaunchInfix = "/periodic-"
	DispatchInfix       = "/dispatch-"
)

// MaxDispatchPayload is the most bytes that a dispatch may carry.
const MaxDispatchPayload = 16 << 10

// Rules for the payload of a dispatch.
const (
	PayloadOptional  = "optional"
	PayloadRequired  = "required"
	PayloadForbidden = "forbidden"
)

// JobDispatchRequest is the body of a dispatch.
type JobDispatchRequest struct {
	JobID            string
	Payload          []byte
	Meta             map[string]string
	IdPrefixTemplate string //nolint:revive // the name on the wire
	Priority         int
}

// JobDispatchResponse answers a dispatch. EvalID is empty for an instance that
// is periodic itself and starts by the clock.
type JobDispatchResponse struct {
	DispatchedJobID string
	EvalID          string
	EvalCreateIndex uint64
	JobCreateIndex  uint64
	Index           uint64
}

// PeriodicForceResponse answers a launch out of turn.
type PeriodicForceResponse struct {
	EvalID          string
	EvalCreateIndex uint64
	Index           uint64
}

// PeriodicLaunchID names the instance of a periodic job that is due at t.
func PeriodicLaunchID(parent string, t time.Time) string {
	return fmt.Sprintf("%s%s%d", parent, PeriodicLaunchInfix, t.Unix())
}

// DispatchID names an instance of a parameterized job; unique is an ID whose
// beginning tells instances of the same second apart.
func DispatchID(parent, prefix string, t time.Time, unique string) string {
	if prefix != "" {
		prefix += "-"
	}
	return fmt.Sprintf("%s%s%s%d-%s", parent, DispatchInfix, prefix, t.Unix(), unique[:min(8, len(unique))])
}

// Instance returns a job of its own that runs what the parent describes. It
// shares the parent's groups, which nobody changes.
func (j *Job) Instance(id string) *Job {
	c := *j
	c.ID, c.Name, c.ParentID = id, id, j.ID
	c.Stop, c.Stable, c.VersionTag = false, false, nil
	c.Status, c.StatusDescription = "", ""
	c.Version, c.SubmitTime, c.CreateIndex, c.ModifyIndex, c.JobModifyIndex = 0, 0, 0, 0, 0
	return &c
}

// CheckDispatch reports why a job can't be dispatched so, or nil. The error
// names the field, its value and the remedy.
func (j *Job) CheckDispatch(payload []byte, meta map[string]string) error {
	p := j.ParameterizedJob
	switch {
	case !j.IsParameterized():
		return Errorf(CodeInvalid, "job %q is not parameterized: it can't be dispatched", j.ID)
	case j.Stop:
		return Errorf(CodeInvalid, "job %q is stopped: run it again first", j.ID)
	case len(payload) > MaxDispatchPayload:
		return Errorf(CodeInvalid, "Payload: it has %d bytes, at most %d are possible", len(payload), MaxDispatchPayload)
	case p.Payload == PayloadRequired && len(payload) == 0:
		return Errorf(CodeInvalid, "Payload: it is missing, job %q requires one", j.ID)
	case p.Payload == PayloadForbidden && len(payload) > 0:
		return Errorf(CodeInvalid, "Payload: job %q forbids one", j.ID)
	}
	for _, k := range p.MetaRequired {
		if _, ok := meta[k]; !ok {
			return Errorf(CodeInvalid, "Meta: the key %q is missing, job %q requires %s", clip(k), j.ID, quoted(p.MetaRequired))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if !slices.Contains(p.MetaRequired, k) && !slices.Contains(p.MetaOptional, k) {
			return Errorf(CodeInvalid, "Meta: job %q takes no key %q, only %s", j.ID, clip(k), quoted(slices.Concat(p.MetaRequired, p.MetaOptional)))
		}
	}
	r := &report{}
	spot{report: r}.meta("Meta", meta)
	return r.err("dispatch")
}

// quoted lists words for a message.
func quoted(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", clip(w))
	}
	return orList(out)
}

func (p *ParameterizedConfig) validate(at spot, j *Job) {
	if j.Type != JobTypeBatch && j.Type != JobTypeSysBatch {
		at.bad("ParameterizedJob", "a %s job can't be parameterized: make its Type batch or sysbatch", j.Type)
	}
	at.oneOf("Payload", p.Payload, PayloadOptional, PayloadRequired, PayloadForbidden)
	at.elements("MetaRequired", len(p.MetaRequired))
	at.elements("MetaOptional", len(p.MetaOptional))
	for _, k := range p.MetaRequired {
		if slices.Contains(p.MetaOptional, k) {
			at.bad("MetaOptional", "the key %q is required as well: name it once", clip(k))
		}
	}
}

// validateDispatch checks where a dispatch's payload goes.
func (t *Task) validateDispatch(at spot, j *Job) {
	d := t.DispatchPayload
	switch {
	case d == nil:
	case d.File == "":
		at.bad("File", "is missing: name a file below the task's local directory")
	case j.ParameterizedJob == nil:
		at.warn("File", "has no effect: the job is not parameterized")
	case j.ParameterizedJob.Payload == PayloadForbidden:
		at.bad("File", "%q is never written, since the job forbids payloads: remove the block or allow them", clip(d.File))
	}
}

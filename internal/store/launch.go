package store

import (
	"iter"
	"maps"
	"strings"

	"github.com/drover-org/drover/api"
)

// LaunchJob registers an instance of a periodic or parameterized job with its
// evaluation, in one step. The instance is made from the parent's current
// version and shares its groups, so the log holds only what is its own. The
// result is a *Launched.
type LaunchJob struct {
	Namespace string
	Parent    string
	ID        string          // of the instance
	Due       int64           // what was due until here (Unix nanoseconds) is done with; 0: out of turn
	Dispatch  *Dispatch       // of a parameterized parent; nil: the parent is periodic
	Eval      *api.Evaluation // of the instance; nil when it is periodic itself
	Now       int64
}

// Dispatch is what a dispatch adds to the parent.
type Dispatch struct {
	Payload  []byte
	Meta     map[string]string
	Priority int    // 0: the parent's
	Token    string // the idempotency token, if any: an instance with the same one is the answer
}

// Launched is what came of a LaunchJob.
type Launched struct {
	Job    *api.Job // nil: the launch was skipped, since an earlier instance has not ended
	EvalID string
}

func (c *LaunchJob) apply(t *tx) (any, error) {
	if err := t.checkNamespace(c.Namespace); err != nil {
		return nil, err
	}
	row := t.editJob(c.Namespace, c.Parent)
	if row == nil {
		return nil, notFound("job", c.Parent)
	}
	parent := row.job()
	if parent.Stop {
		return nil, invalid("job %q is stopped: run it again first", parent.ID)
	}
	if c.Dispatch != nil {
		if known := t.dispatched(parent, c.Dispatch.Token); known != nil {
			return known, nil
		}
		if err := parent.CheckDispatch(c.Dispatch.Payload, c.Dispatch.Meta); err != nil {
			return nil, err // it changed meanwhile
		}
		return t.launch(c, c.Dispatch.of(parent, c.ID))
	}
	if !parent.IsPeriodicActive() {
		return nil, invalid("job %q is not periodic, or not enabled", parent.ID)
	}
	if c.Due != 0 {
		if row.launched >= c.Due {
			return nil, api.Errorf(api.CodeConflict, "job %q was launched already", parent.ID)
		}
		row.launched = c.Due
		if n := row.summary.Children; parent.Periodic.ProhibitOverlap && n != nil && n.Pending+n.Running > 0 {
			return &Launched{}, nil
		}
		if known := t.jobRow(c.Namespace, c.ID); known != nil { // started out of turn in the same second
			return &Launched{Job: known.job()}, nil
		}
	}
	instance := parent.Instance(c.ID)
	instance.Periodic = nil
	return t.launch(c, instance)
}

// of makes the instance of a parameterized job.
func (d *Dispatch) of(parent *api.Job, id string) *api.Job {
	j := parent.Instance(id)
	j.Dispatched, j.DispatchIdempotencyToken, j.Payload = true, d.Token, d.Payload
	if d.Priority != 0 {
		j.Priority = d.Priority
	}
	if len(d.Meta) > 0 {
		j.Meta = maps.Clone(j.Meta)
		if j.Meta == nil {
			j.Meta = map[string]string{}
		}
		maps.Copy(j.Meta, d.Meta)
	}
	return j
}

// launch registers an instance.
func (t *tx) launch(c *LaunchJob, j *api.Job) (any, error) {
	if t.jobRow(j.Namespace, j.ID) != nil {
		return nil, api.Errorf(api.CodeConflict, "job %q exists already", j.ID)
	}
	row := t.newVersion(nil, j, 0, c.Now)
	t.putJob(j.Namespace, j.ID, row)
	t.touchJob(j.Namespace, j.ID)
	out := &Launched{Job: row.job()}
	if c.Eval != nil {
		e := c.Eval.Copy()
		e.JobModifyIndex = t.index
		t.upsertEval(e, c.Now)
		out.EvalID = e.ID
	}
	t.settleLater(j.Namespace, j.ID)
	return out, nil
}

// dispatched returns what came of the dispatch with the same token, or nil.
func (t *tx) dispatched(parent *api.Job, token string) *Launched {
	if token == "" {
		return nil
	}
	s := &Snapshot{tables: t.tables}
	for j := range s.Instances(parent.Namespace, parent.ID) {
		if j.DispatchIdempotencyToken != token {
			continue
		}
		for e := range s.EvalsByJob(j.Namespace, j.ID) { // the oldest, unless it is collected
			return &Launched{Job: j, EvalID: e.ID}
		}
		return &Launched{Job: j}
	}
	return nil
}

// Instances yields the jobs that a periodic or parameterized job has started.
func (s *Snapshot) Instances(ns, parent string) iter.Seq[*api.Job] {
	return func(yield func(*api.Job) bool) {
		prefix := parent + "/"
		for j := range s.JobsFrom(ns, prefix) {
			if j.Namespace != ns || !strings.HasPrefix(j.ID, prefix) {
				return
			}
			if j.ParentID == parent && !yield(j) {
				return
			}
		}
	}
}

// PeriodicJobs yields the jobs that start by the clock, each with the time
// (Unix nanoseconds) until which its launches are done with.
func (s *Snapshot) PeriodicJobs() iter.Seq2[*api.Job, int64] {
	return func(yield func(*api.Job, int64) bool) {
		s.periodic.Scan(func(n jobName) bool {
			row := s.jobRow(n.ns, n.id)
			return yield(row.job(), max(row.launched, row.job().SubmitTime))
		})
	}
}

// children counts instances by their status.
func (s *Snapshot) children(ns, parent string) *api.JobChildrenSummary {
	n := &api.JobChildrenSummary{}
	for j := range s.Instances(ns, parent) {
		countChild(n, j, 1)
	}
	return n
}

func countChild(n *api.JobChildrenSummary, j *api.Job, by int64) {
	switch j.Status {
	case api.JobStatusPending:
		n.Pending += by
	case api.JobStatusRunning:
		n.Running += by
	case api.JobStatusDead:
		n.Dead += by
	}
}

// settleParents counts the instances that this command changed in the
// summaries of their parents, and wakes who waits for periodic jobs.
func (t *tx) settleParents() {
	changed := map[jobName]*api.JobChildrenSummary{}
	count := func(row *jobRow, ns string, by int64) {
		if row == nil || row.job().ParentID == "" {
			return
		}
		parent := jobName{ns, row.job().ParentID}
		if changed[parent] == nil {
			changed[parent] = &api.JobChildrenSummary{}
		}
		countChild(changed[parent], row.job(), by)
	}
	for name, is := range t.rows {
		was := t.tables.jobRow(name.ns, name.id)
		count(was, name.ns, -1)
		count(is, name.ns, 1)
		if (was.periodic() || is.periodic()) && (was == nil || is == nil || was.job() != is.job() || was.launched != is.launched) {
			t.touch(KeyPeriodic())
		}
	}
	for parent, by := range changed { // in any order: each changes its own row only
		if *by == (api.JobChildrenSummary{}) {
			continue
		}
		row := t.editJob(parent.ns, parent.id)
		if row == nil || row.summary.Children == nil {
			continue
		}
		sum := row.editSummary(t.index)
		n := *sum.Children
		n.Pending, n.Running, n.Dead = n.Pending+by.Pending, n.Running+by.Running, n.Dead+by.Dead
		sum.Children = &n
		t.touchSummary(parent.ns, parent.id)
	}
}

// periodic reports whether the job starts others by the clock.
func (r *jobRow) periodic() bool { return r != nil && r.job().IsPeriodicActive() }

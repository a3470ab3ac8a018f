package store

import (
	"iter"
	"maps"
	"slices"

	"github.com/drover-org/drover/api"
)

// jobItem is a job with everything that belongs to it.
type jobItem struct {
	ns, id string
	row    *jobRow
}

// jobRow is replaced, never edited, once it is in the tree.
type jobRow struct {
	versions    []*api.Job // newest first; the first is current; never empty
	summary     *api.JobSummary
	submissions []*api.JobSubmission // newest first
	scaling     map[string][]api.ScalingEvent
	launched    int64 // of a periodic job: what was due until here (Unix nanoseconds) is done with
	live        int   // allocations that are not terminal
	open        int   // evaluations that are not terminal
}

func (r *jobRow) job() *api.Job { return r.versions[0] }

// Job returns a job's current version, or nil.
func (s *Snapshot) Job(ns, id string) *api.Job {
	if row := s.jobRow(ns, id); row != nil {
		return row.job()
	}
	return nil
}

// Jobs yields every job's current version by namespace and ID.
func (s *Snapshot) Jobs() iter.Seq[*api.Job] { return s.JobsFrom("", "") }

// JobsFrom yields the jobs from a namespace and ID on, inclusive.
func (s *Snapshot) JobsFrom(ns, id string) iter.Seq[*api.Job] {
	return func(yield func(*api.Job) bool) {
		s.jobs.Ascend(jobItem{ns: ns, id: id}, func(i jobItem) bool { return yield(i.row.job()) })
	}
}

// JobsReverse yields every job's current version from the last to the first.
func (s *Snapshot) JobsReverse() iter.Seq[*api.Job] {
	return func(yield func(*api.Job) bool) {
		s.jobs.Reverse(func(i jobItem) bool { return yield(i.row.job()) })
	}
}

// JobVersions returns the kept versions of a job, newest first.
func (s *Snapshot) JobVersions(ns, id string) []*api.Job {
	if row := s.jobRow(ns, id); row != nil {
		return row.versions
	}
	return nil
}

// JobVersion returns one version of a job, or nil.
func (s *Snapshot) JobVersion(ns, id string, version uint64) *api.Job {
	return s.jobRow(ns, id).version(version)
}

func (r *jobRow) version(v uint64) *api.Job {
	if r == nil {
		return nil
	}
	for _, j := range r.versions {
		if j.Version == v {
			return j
		}
	}
	return nil
}

// Summary returns a job's summary, or nil.
func (s *Snapshot) Summary(ns, id string) *api.JobSummary {
	if row := s.jobRow(ns, id); row != nil {
		return row.summary
	}
	return nil
}

// Submission returns the source of a job version, or nil.
func (s *Snapshot) Submission(ns, id string, version uint64) *api.JobSubmission {
	if row := s.jobRow(ns, id); row != nil {
		for _, sub := range row.submissions {
			if sub.Version == version {
				return sub
			}
		}
	}
	return nil
}

// ScalingEvents returns a job's scaling events by group, newest first.
func (s *Snapshot) ScalingEvents(ns, id string) map[string][]api.ScalingEvent {
	if row := s.jobRow(ns, id); row != nil {
		return row.scaling
	}
	return nil
}

func (t *tables) jobRow(ns, id string) *jobRow {
	item, _ := t.jobs.Get(jobItem{ns: ns, id: id})
	return item.row
}

// jobRow returns a job's row as this command sees it.
func (t *tx) jobRow(ns, id string) *jobRow {
	if row, ok := t.rows[jobName{ns, id}]; ok {
		return row
	}
	return t.tables.jobRow(ns, id)
}

// editJob returns a row of this command's own, which may be changed; nil when
// there is no such job.
func (t *tx) editJob(ns, id string) *jobRow {
	name := jobName{ns, id}
	if row, ok := t.rows[name]; ok {
		return row
	}
	row := t.tables.jobRow(ns, id)
	if row == nil {
		return nil
	}
	c := *row
	t.rows[name] = &c
	return &c
}

// putJob makes row, which is the command's own, a job's row.
func (t *tx) putJob(ns, id string, row *jobRow) { t.rows[jobName{ns, id}] = row }

func (t *tx) deleteJob(ns, id string) {
	t.rows[jobName{ns, id}] = nil
	t.touch(KeyJobLife(ns, id))
}

// flushJobs puts the command's own rows into the tree.
func (t *tx) flushJobs() {
	for name, row := range t.rows {
		item := jobItem{ns: name.ns, id: name.id, row: row}
		t.countQuotaJob(item)
		if row == nil {
			t.jobs.Delete(item)
		} else {
			t.jobs.Set(item)
		}
		if row.periodic() {
			t.periodic.Set(name)
		} else {
			t.periodic.Delete(name)
		}
	}
}

// touchJob notes that the job itself changed.
func (t *tx) touchJob(ns, id string) {
	t.bump(TableJobs)
	t.touch(KeyJobs(), KeyJobsOfNamespace(ns), KeyJob(ns, id))
	if t.changes != nil {
		t.changes.jobs = append(t.changes.jobs, jobName{ns, id})
	}
}

// touchSummary notes that the summary changed.
func (t *tx) touchSummary(ns, id string) {
	t.bump(TableSummaries)
	t.touch(KeyJobs(), KeyJobsOfNamespace(ns), KeySummary(ns, id))
}

// editSummary gives row, which is the own one of the command at index, a
// summary that may be changed.
func (r *jobRow) editSummary(index uint64) *api.JobSummary {
	if r.summary.ModifyIndex == index {
		return r.summary
	}
	s := *r.summary
	s.Summary = maps.Clone(s.Summary)
	s.ModifyIndex = index
	r.summary = &s
	return &s
}

// replaceCurrent gives row a copy of the current version that may be changed.
func (r *jobRow) replaceCurrent() *api.Job {
	j := *r.versions[0]
	r.versions = slices.Clone(r.versions)
	r.versions[0] = &j
	return &j
}

// RegisterJob makes a version of a job current and adds its evaluation in the
// same step. The version number, indexes and status are the store's. With
// Enforce the job's JobModifyIndex must be EnforceIndex, 0 meaning that there
// is no such job. A registration that changes nothing names the version it
// equals in KeepVersion; while that one is current no new version is made.
type RegisterJob struct {
	Job          *api.Job
	Submission   *api.JobSubmission
	Eval         *api.Evaluation // nil for periodic and parameterized parents
	Enforce      bool
	EnforceIndex uint64
	KeepVersion  *uint64 // set when the job equals that version: no new version is made
	Keep         int     // versions without a name that are kept; 0: api.MaxJobVersions
	Now          int64
}

func (c *RegisterJob) apply(t *tx) (any, error) {
	j := c.Job
	if err := t.checkNamespace(j.Namespace); err != nil {
		return nil, err
	}
	if err := t.checkPool(j.NodePool); err != nil {
		return nil, err
	}
	row := t.editJob(j.Namespace, j.ID)
	if c.Enforce {
		if err := enforce(row, c.EnforceIndex); err != nil {
			return nil, err
		}
	}
	if err := t.checkQuotaJob(j, row); err != nil {
		return nil, err
	}
	if row != nil && c.KeepVersion != nil && row.job().Version == *c.KeepVersion && !row.job().Stop {
		cur := row.replaceCurrent()
		cur.ModifyIndex = t.index
		t.putJob(j.Namespace, j.ID, row)
	} else {
		row = t.newVersion(row, j, c.Keep, c.Now)
		t.addSubmission(row, c.Submission)
		t.putJob(j.Namespace, j.ID, row)
	}
	t.touchJob(j.Namespace, j.ID)
	if c.Eval != nil {
		e := c.Eval.Copy()
		e.JobModifyIndex = row.job().JobModifyIndex
		t.upsertEval(e, c.Now)
	}
	t.settleLater(j.Namespace, j.ID)
	return row.job(), nil
}

// settleLater queues a job for settleJobStatus.
func (t *tx) settleLater(ns, id string) { t.jobQueue[jobName{ns, id}] = struct{}{} }

// enforce checks a compare-and-set on a job's JobModifyIndex.
func enforce(row *jobRow, want uint64) error {
	switch {
	case want == 0 && row != nil:
		return api.Errorf(api.CodeConflict, "Enforcing job modify index 0: job already exists with JobModifyIndex %d", row.job().JobModifyIndex)
	case want != 0 && row == nil:
		return api.Errorf(api.CodeConflict, "Enforcing job modify index %d: job does not exist", want)
	case want != 0 && row.job().JobModifyIndex != want:
		return api.Errorf(api.CodeConflict, "Enforcing job modify index %d: job exists with conflicting JobModifyIndex %d", want, row.job().JobModifyIndex)
	}
	return nil
}

// newVersion returns row (nil for a new job) with j as its newest version; keep
// bounds how many there are.
func (t *tx) newVersion(row *jobRow, j *api.Job, keep int, now int64) *jobRow {
	cp := *j
	cp.ModifyIndex, cp.JobModifyIndex = t.index, t.index
	cp.Stable = false
	cp.Status = api.JobStatusPending
	if cp.SubmitTime == 0 {
		cp.SubmitTime = now
	}
	if row == nil {
		cp.CreateIndex, cp.Version = t.index, 0
		row = &jobRow{summary: &api.JobSummary{JobID: j.ID, Namespace: j.Namespace, CreateIndex: t.index}}
		t.touch(KeyJobLife(j.Namespace, j.ID))
	} else {
		cp.CreateIndex, cp.Version = row.job().CreateIndex, row.job().Version+1
	}
	row.versions = keepVersions(append([]*api.Job{&cp}, row.versions...), keep)
	row.submissions = slices.DeleteFunc(slices.Clone(row.submissions), func(s *api.JobSubmission) bool {
		return row.version(s.Version) == nil
	})
	sum := row.editSummary(t.index)
	if sum.Summary == nil {
		sum.Summary = map[string]api.TaskGroupSummary{}
	}
	for _, g := range cp.TaskGroups {
		if _, ok := sum.Summary[g.Name]; !ok {
			sum.Summary[g.Name] = api.TaskGroupSummary{}
		}
	}
	if sum.Children == nil && (cp.Periodic != nil || cp.ParameterizedJob != nil) {
		sum.Children = (&Snapshot{tables: t.tables}).children(j.Namespace, j.ID) // of a former job of this name
	}
	t.touchSummary(j.Namespace, j.ID)
	return row
}

// keepVersions drops the oldest versions over the bound, 0 meaning the default.
// Those with a name stay and don't count, and so does the current one.
func keepVersions(vs []*api.Job, bound int) []*api.Job {
	if bound <= 0 {
		bound = api.MaxJobVersions
	}
	kept := 0
	return slices.DeleteFunc(vs, func(j *api.Job) bool {
		if j.VersionTag != nil {
			return false
		}
		kept++
		return kept > bound
	})
}

func (t *tx) addSubmission(row *jobRow, sub *api.JobSubmission) {
	if sub == nil {
		return
	}
	cp := *sub
	j := row.job()
	cp.Namespace, cp.JobID, cp.Version, cp.JobModifyIndex = j.Namespace, j.ID, j.Version, j.JobModifyIndex
	row.submissions = append([]*api.JobSubmission{&cp}, row.submissions...)
}

// DeregisterJob stops a job, or with Purge removes it, and adds its
// evaluation in the same step.
type DeregisterJob struct {
	Namespace       string
	JobID           string
	Purge           bool
	NoShutdownDelay bool
	Eval            *api.Evaluation
	Keep            int // as in RegisterJob
	Now             int64
}

func (c *DeregisterJob) apply(t *tx) (any, error) {
	row := t.editJob(c.Namespace, c.JobID)
	if row == nil {
		return nil, notFound("job", c.JobID)
	}
	if c.NoShutdownDelay {
		yes := true
		allocs := slices.Collect((&Snapshot{tables: t.tables}).AllocsByJob(c.Namespace, c.JobID))
		for _, a := range allocs {
			if !a.Terminal() {
				t.transition(a, api.DesiredTransition{NoShutdownDelay: &yes}, c.Now)
			}
		}
		row = t.editJob(c.Namespace, c.JobID)
	}
	job := row.job()
	if c.Purge {
		t.deleteJob(c.Namespace, c.JobID)
		t.touchSummary(c.Namespace, c.JobID)
		for a := range (&Snapshot{tables: t.tables}).AllocsByJob(c.Namespace, c.JobID) {
			t.noteAssigned(a.NodeID, idOf(a.ID)) // what ended before is to be cleared away now
		}
	} else if !job.Stop {
		stopped := *job
		stopped.Stop = true
		stopped.VersionTag = nil
		stopped.SubmitTime = 0
		row = t.newVersion(row, &stopped, c.Keep, c.Now)
		t.putJob(c.Namespace, c.JobID, row)
		job = row.job()
	}
	t.touchJob(c.Namespace, c.JobID)
	if c.Eval != nil {
		e := c.Eval.Copy()
		e.JobModifyIndex = t.index
		t.upsertEval(e, c.Now)
	}
	t.settleLater(c.Namespace, c.JobID)
	return job, nil
}

// ScaleJob changes a group's count, or with a nil Count only notes Event.
type ScaleJob struct {
	Namespace    string
	JobID        string
	Group        string
	Count        *int
	Event        api.ScalingEvent
	EnforceIndex uint64 // 0: any
	Eval         *api.Evaluation
	Keep         int // as in RegisterJob
	Now          int64
}

func (c *ScaleJob) apply(t *tx) (any, error) {
	if err := t.checkNamespace(c.Namespace); err != nil {
		return nil, err
	}
	row := t.editJob(c.Namespace, c.JobID)
	if row == nil {
		return nil, notFound("job", c.JobID)
	}
	if c.EnforceIndex != 0 {
		if err := enforce(row, c.EnforceIndex); err != nil {
			return nil, err
		}
	}
	at := slices.IndexFunc(row.job().TaskGroups, func(g *api.TaskGroup) bool { return g.Name == c.Group })
	if at < 0 {
		return nil, invalid("task group %q does not exist in job %q", c.Group, c.JobID)
	}
	event := c.Event
	event.CreateIndex, event.Time = t.index, uint64(c.Now)
	event.PreviousCount = int64(row.job().TaskGroups[at].CountOf())
	if c.Count != nil {
		j := row.job().WithCount(c.Group, *c.Count)
		j.VersionTag = nil
		j.SubmitTime = 0
		row = t.newVersion(row, j, c.Keep, c.Now)
	}
	if c.Eval != nil {
		id := c.Eval.ID
		event.EvalID = &id
	}
	row.scaling = maps.Clone(row.scaling)
	if row.scaling == nil {
		row.scaling = map[string][]api.ScalingEvent{}
	}
	events := append([]api.ScalingEvent{event}, row.scaling[c.Group]...)
	row.scaling[c.Group] = events[:min(len(events), api.MaxScalingEvents)]
	t.putJob(c.Namespace, c.JobID, row)
	t.bump(TableScaling)
	t.touchJob(c.Namespace, c.JobID)
	if c.Eval != nil {
		e := c.Eval.Copy()
		e.JobModifyIndex = row.job().JobModifyIndex
		t.upsertEval(e, c.Now)
	}
	t.settleLater(c.Namespace, c.JobID)
	return row.job(), nil
}

// MarkJobStable marks a version of a job as stable or not.
type MarkJobStable struct {
	Namespace string
	JobID     string
	Version   uint64
	Stable    bool
}

func (c *MarkJobStable) apply(t *tx) (any, error) {
	return nil, t.markStable(c.Namespace, c.JobID, c.Version, c.Stable)
}

func (t *tx) markStable(ns, id string, version uint64, stable bool) error {
	row := t.editJob(ns, id)
	if row == nil {
		return notFound("job", id)
	}
	return t.editVersion(row, ns, id, version, func(j *api.Job) { j.Stable = stable })
}

// settleJobStatus derives a job's status from its allocations and evaluations.
func (t *tx) settleJobStatus(ns, id string) {
	row := t.jobRow(ns, id)
	if row == nil {
		return
	}
	status := jobStatus(row)
	if status == row.job().Status {
		return
	}
	j := t.editJob(ns, id).replaceCurrent()
	j.Status, j.ModifyIndex = status, t.index
	t.touchJob(ns, id)
}

func jobStatus(row *jobRow) string {
	j := row.job()
	if !j.Stop && (j.IsParameterized() || j.IsPeriodicActive()) {
		return api.JobStatusRunning
	}
	switch {
	case row.live > 0:
		return api.JobStatusRunning
	case row.open > 0:
		return api.JobStatusPending
	case !j.Stop && (j.Type == api.JobTypeSystem):
		return api.JobStatusRunning
	}
	return api.JobStatusDead
}

package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/drover-org/drover/api"
)

// A snapshot on disk is the magic, then records: a kind, a length, a payload.
// What rows share (job versions, resources, metrics) is written once, before
// its first use, and referred to by number. Unknown kinds are an error:
// leaving state out is never right. The last record says that the file is
// whole.
const snapshotMagic = "drover-snapshot-1\n"

// Kinds of records. Numbers never change.
const (
	recHeader uint64 = iota + 1
	recScheduler
	recNode
	recJobVersion
	recJob
	recEval
	recDeployment
	recResources
	recMetrics
	recAlloc
	recEnd
	recACLPolicy
	recACLRole
	recACLToken
	recOneTimeToken
	recACLBootstrap
	recNamespace
	recAuthMethod
	recBindingRule
	recRootKey
	recServices
	recNodePool
	recQuota
)

// maxRecord bounds a record when reading, against damaged files.
const maxRecord = 64 << 20

type snapshotHeader struct {
	Index   uint64
	Indexes [numTables]uint64
}

type jobRecord struct {
	Namespace, ID string
	Versions      []uint64 // numbers of recJobVersion records
	Summary       *api.JobSummary
	Submissions   []*api.JobSubmission
	Scaling       map[string][]api.ScalingEvent
	Launched      int64 `json:",omitempty"`
}

type quotaRecord struct {
	Spec    *api.QuotaSpec
	Used    api.Charge
	Jobs    int
	Changed uint64
}

// writer writes records and numbers what is shared.
type writer struct {
	w         *bufio.Writer
	err       error
	jobs      map[*api.Job]uint64
	resources map[*api.AllocatedResources]uint64
	metrics   map[metricsKey]uint64
}

// metricsKey identifies an AllocMetric without its scores: placements of one
// plan share the maps.
type metricsKey struct {
	evaluated, filtered, inPool, exhausted, coalesced int
	pool                                              string
	time                                              api.Duration
	maps                                              [6]uintptr
}

func (w *writer) record(kind uint64, payload func(*enc)) {
	if w.err != nil {
		return
	}
	e := &enc{}
	payload(e)
	if w.err = e.err; w.err != nil {
		return
	}
	head := binary.AppendUvarint(binary.AppendUvarint(nil, kind), uint64(len(e.b)))
	if _, w.err = w.w.Write(head); w.err == nil {
		_, w.err = w.w.Write(e.b)
	}
}

func (w *writer) json(kind uint64, v any) { w.record(kind, func(e *enc) { e.json(v) }) }

// Persist writes the whole state.
func (s *Snapshot) Persist(out io.Writer) error {
	w := &writer{
		w: bufio.NewWriterSize(out, 1<<16), jobs: map[*api.Job]uint64{},
		resources: map[*api.AllocatedResources]uint64{}, metrics: map[metricsKey]uint64{},
	}
	if _, err := w.w.WriteString(snapshotMagic); err != nil {
		return err
	}
	w.json(recHeader, &snapshotHeader{s.index, s.indexes})
	w.json(recScheduler, s.scheduler)
	s.namespaces.Scan(func(n *api.Namespace) bool { w.json(recNamespace, n); return w.err == nil })
	s.nodePools.Scan(func(p *api.NodePool) bool { w.json(recNodePool, p); return w.err == nil })
	for _, k := range s.rootKeys {
		w.json(recRootKey, k)
	}
	s.nodes.Scan(func(i nodeItem) bool { w.json(recNode, i.node); return w.err == nil })
	s.jobs.Scan(func(i jobItem) bool {
		rec := &jobRecord{Namespace: i.ns, ID: i.id, Summary: i.row.summary, Submissions: i.row.submissions, Scaling: i.row.scaling, Launched: i.row.launched}
		for _, j := range i.row.versions {
			rec.Versions = append(rec.Versions, w.job(j))
		}
		w.json(recJob, rec)
		return w.err == nil
	})
	s.evals.Scan(func(i evalItem) bool { w.json(recEval, i.e); return w.err == nil })
	s.deployments.Scan(func(i deployItem) bool { w.json(recDeployment, i.d); return w.err == nil })
	s.allocs.Scan(func(i allocItem) bool { w.alloc(i.a); return w.err == nil })
	s.quotas.Scan(func(q *quotaRow) bool {
		w.json(recQuota, &quotaRecord{q.spec, q.used, q.jobs, q.changed})
		return w.err == nil
	})
	s.persistServices(w)
	s.persistACL(w)
	w.record(recEnd, func(*enc) {})
	if w.err != nil {
		return fmt.Errorf("write snapshot: %w", w.err)
	}
	return w.w.Flush()
}

// job returns the number of a job version, writing it at its first use.
func (w *writer) job(j *api.Job) uint64 {
	if j == nil {
		return 0
	}
	n, ok := w.jobs[j]
	if !ok {
		n = uint64(len(w.jobs)) + 1
		w.jobs[j] = n
		w.json(recJobVersion, j)
	}
	return n
}

func (w *writer) res(r *api.AllocatedResources) uint64 {
	if r == nil {
		return 0
	}
	n, ok := w.resources[r]
	if !ok {
		n = uint64(len(w.resources)) + 1
		w.resources[r] = n
		w.json(recResources, r)
	}
	return n
}

func (w *writer) metric(m *api.AllocMetric) uint64 {
	if m == nil {
		return 0
	}
	ptr := func(v any) uintptr { return reflect.ValueOf(v).Pointer() }
	key := metricsKey{
		m.NodesEvaluated, m.NodesFiltered, m.NodesInPool, m.NodesExhausted, m.CoalescedFailures, m.NodePool, m.AllocationTime,
		[6]uintptr{ptr(m.NodesAvailable), ptr(m.ClassFiltered), ptr(m.ConstraintFiltered), ptr(m.ClassExhausted), ptr(m.DimensionExhausted), ptr(m.ResourcesExhausted)},
	}
	n, ok := w.metrics[key]
	if !ok {
		n = uint64(len(w.metrics)) + 1
		w.metrics[key] = n
		shared := *m
		shared.ScoreMetaData = nil
		w.json(recMetrics, &shared)
	}
	return n
}

func (w *writer) alloc(a *api.Allocation) {
	job, res, metrics := w.job(a.Job), w.res(a.AllocatedResources), w.metric(a.Metrics)
	rest := *a
	rest.Job, rest.AllocatedResources, rest.Metrics, rest.TaskStates = nil, nil, nil, nil
	w.record(recAlloc, func(e *enc) {
		e.uint(job)
		e.uint(res)
		e.uint(metrics)
		e.json(&rest)
		encodeStates(e, a.TaskStates)
		if a.Metrics != nil {
			e.bool(a.Metrics.ScoreMetaData == nil)
			e.uint(uint64(len(a.Metrics.ScoreMetaData)))
			for _, s := range a.Metrics.ScoreMetaData {
				e.id(s.NodeID)
				e.uint(uint64(s.Scores.Has))
				for _, v := range s.Scores.Values {
					e.float(v)
				}
				e.float(s.NormScore)
			}
		}
	})
}

// reader builds tables from records.
type reader struct {
	t         *tables
	tx        *tx // counts what is derived
	index     uint64
	jobs      []*api.Job
	resources []*api.AllocatedResources
	metrics   []*api.AllocMetric
	scores    scoreCache
	quotas    []*quotaRow // with their usage: what is read besides doesn't count again
	done      bool
}

// Restore replaces the state by one that Persist wrote and wakes every
// waiter. When it fails the state is as before.
func (s *Store) Restore(in io.Reader) error {
	t := newTables()
	r := &reader{t: t, tx: newTx(t, 0, touchSet{})}
	if err := r.read(bufio.NewReaderSize(in, 1<<16)); err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	r.tx.flushJobs()
	for _, q := range r.quotas {
		t.quotas.Set(q)
	}
	t.freed = map[string]uint64{}
	t.nodes.Scan(func(i nodeItem) bool { t.freed[i.node.ComputedClass] = r.index; return true })
	s.root.Store(&Snapshot{index: r.index, history: s.Snapshot().history + 1, tables: r.t})
	if s.events != nil {
		s.events.Reset(r.index)
	}
	s.hub.notifyAll()
	return nil
}

func (r *reader) read(in *bufio.Reader) error {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != snapshotMagic {
		return errors.New("this is not a snapshot of this version")
	}
	for !r.done {
		kind, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("the file ends early: %w", err)
		}
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("the file ends early: %w", err)
		}
		if n > maxRecord {
			return fmt.Errorf("a record of %d bytes is over the bound of %d: the file is damaged", n, maxRecord)
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return fmt.Errorf("the file ends early: %w", err)
		}
		d := &dec{b: b}
		if err := r.take(kind, d); err != nil {
			return err
		}
		if d.err != nil {
			return fmt.Errorf("record of kind %d: %w", kind, d.err)
		}
	}
	return nil
}

func (r *reader) take(kind uint64, d *dec) error {
	switch kind {
	case recHeader:
		var h snapshotHeader
		d.json(&h)
		r.index, r.t.indexes = h.Index, h.Indexes
	case recScheduler:
		d.json(&r.t.scheduler)
	case recNamespace:
		n := &api.Namespace{}
		d.json(n)
		r.t.namespaces.Set(n)
	case recNodePool:
		p := &api.NodePool{}
		d.json(p)
		r.t.nodePools.Set(p)
	case recQuota:
		var q quotaRecord
		d.json(&q)
		r.quotas = append(r.quotas, &quotaRow{spec: q.Spec, used: q.Used, jobs: q.Jobs, changed: q.Changed, freed: r.index})
	case recRootKey:
		k := &api.WrappedRootKey{}
		d.json(k)
		r.t.rootKeys = append(r.t.rootKeys, k)
	case recNode:
		n := &api.Node{}
		d.json(n)
		r.t.nodes.Set(nodeItem{id: idOf(n.ID), node: n, usage: noUsage, assignedFrom: r.index})
		if r.t.nodePool(n.NodePool) == nil { // of an earlier version, where pools were what nodes said
			r.t.nodePools.Set(&api.NodePool{Name: n.NodePool, CreateIndex: n.CreateIndex, ModifyIndex: n.CreateIndex})
			r.t.indexes[TableNodePools] = max(r.t.indexes[TableNodePools], n.CreateIndex)
		}
	case recJobVersion:
		j := &api.Job{}
		d.json(j)
		r.jobs = append(r.jobs, j)
	case recJob:
		return r.jobRow(d)
	case recEval:
		r.eval(d)
	case recDeployment:
		r.deployment(d)
	case recResources:
		res := &api.AllocatedResources{}
		d.json(res)
		r.resources = append(r.resources, res)
	case recMetrics:
		m := &api.AllocMetric{}
		d.json(m)
		r.metrics = append(r.metrics, m)
	case recAlloc:
		return r.alloc(d)
	case recACLPolicy, recACLRole, recACLToken, recOneTimeToken, recACLBootstrap:
		r.acl(kind, d)
	case recServices:
		r.services(d)
	case recEnd:
		r.done = true
	default:
		return fmt.Errorf("unknown record kind %d: the file was written by a later version", kind)
	}
	return nil
}

// at returns the nth shared value, nil for 0.
func at[T any](list []*T, n uint64) (*T, error) {
	if n == 0 {
		return nil, nil
	}
	if n > uint64(len(list)) {
		return nil, fmt.Errorf("reference to the %dth of %d values", n, len(list))
	}
	return list[n-1], nil
}

func (r *reader) jobRow(d *dec) error {
	var rec jobRecord
	if d.json(&rec); d.err != nil {
		return nil
	}
	row := &jobRow{summary: rec.Summary, submissions: rec.Submissions, scaling: rec.Scaling, launched: rec.Launched}
	for _, n := range rec.Versions {
		j, err := at(r.jobs, n)
		if err != nil || j == nil {
			return fmt.Errorf("job %s: %w", rec.ID, err)
		}
		row.versions = append(row.versions, j)
	}
	if len(row.versions) == 0 {
		return fmt.Errorf("job %s has no version", rec.ID)
	}
	r.tx.putJob(rec.Namespace, rec.ID, row)
	return nil
}

func (r *reader) eval(d *dec) {
	e := &api.Evaluation{}
	d.json(e)
	key := &evalKey{id: idOf(e.ID), created: e.CreateIndex, ns: e.Namespace, job: e.JobID}
	r.t.evals.Set(evalItem{key, e})
	r.t.evalsCreated.Set(evalItem{key, e})
	r.t.evalsJob.Set(key)
	if !e.Terminal() {
		r.t.evalsOpen.Set(key)
		if row := r.tx.editJob(e.Namespace, e.JobID); row != nil {
			row.open++
		}
	}
}

func (r *reader) deployment(d *dec) {
	dep := &api.Deployment{}
	d.json(dep)
	key := &deployKey{id: idOf(dep.ID), created: dep.CreateIndex, ns: dep.Namespace, job: dep.JobID}
	r.t.deployments.Set(deployItem{key, dep})
	r.t.deploymentsJob.Set(key)
	if dep.Active() {
		r.t.deploysActive.Set(key)
	}
}

func (r *reader) alloc(d *dec) error {
	job, err1 := at(r.jobs, d.uint())
	res, err2 := at(r.resources, d.uint())
	shared, err3 := at(r.metrics, d.uint())
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	a := &api.Allocation{}
	d.json(a)
	a.Job, a.AllocatedResources = job, res
	a.TaskStates = decodeStates(d)
	if shared != nil {
		m := *shared
		null := d.bool()
		if n := d.count(); !null {
			m.ScoreMetaData = make([]*api.NodeScoreMeta, n)
		}
		for i := range m.ScoreMetaData {
			m.ScoreMetaData[i] = r.scores.decode(d, (*dec).id)
		}
		a.Metrics = &m
	}
	key := r.tx.allocKey(idOf(a.ID), a)
	r.tx.indexAlloc(key)
	r.tx.countUsage(key, nil, a, func() { r.t.allocs.Set(allocItem{key, a}) })
	r.t.allocsCreated.Set(a, r.tx.index)
	if !a.Terminal() {
		if row := r.tx.ownRow(a); row != nil {
			row.live++
		}
	}
	return nil
}

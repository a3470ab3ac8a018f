package store

import (
	"encoding/base64"
	"iter"
	"reflect"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// quotaRow is a quota with what its namespaces use of it. It is replaced, never
// edited. What is wanted to run counts, from its placement to the moment that
// it is told to stop or has ended.
type quotaRow struct {
	spec    *api.QuotaSpec
	used    api.Charge
	jobs    int
	changed uint64 // last index that changed used or jobs
	freed   uint64 // last index at which more could be placed than before
}

// MaxQuotas bounds the quotas of a region.
const MaxQuotas = 10_000

func (t *tables) quota(name string) *quotaRow {
	if name == "" || t.quotas.Len() == 0 {
		return nil
	}
	q, _ := t.quotas.Get(&quotaRow{spec: &api.QuotaSpec{Name: name}})
	return q
}

// quotaOf returns the quota of a namespace, nil for none.
func (t *tables) quotaOf(namespace string) *quotaRow {
	if t.quotas.Len() == 0 {
		return nil
	}
	n := t.namespace(namespace)
	if n == nil {
		return nil
	}
	return t.quota(n.Quota)
}

// Quota returns a quota, or nil.
func (s *Snapshot) Quota(name string) *api.QuotaSpec {
	if q := s.quota(name); q != nil {
		return q.spec
	}
	return nil
}

// QuotaOf returns the quota of a namespace with what is used of it; nil when
// there is none.
func (s *Snapshot) QuotaOf(namespace string) (*api.QuotaSpec, api.Charge) {
	if q := s.quotaOf(namespace); q != nil {
		return q.spec, q.used
	}
	return nil, api.Charge{}
}

// QuotaFreed returns the last index at which more could be placed under a quota
// than before.
func (s *Snapshot) QuotaFreed(name string) uint64 {
	if q := s.quota(name); q != nil {
		return q.freed
	}
	return 0
}

// Quotas yields the quotas from a name on, inclusive, by name; with reverse
// backwards, and from the last one if name is empty.
func (s *Snapshot) Quotas(name string, reverse bool) iter.Seq[*api.QuotaSpec] {
	return func(yield func(*api.QuotaSpec) bool) {
		for q := range s.quotaRows(name, reverse) {
			if !yield(q.spec) {
				return
			}
		}
	}
}

// QuotaUsages yields what is used of the quotas, in the order of Quotas.
func (s *Snapshot) QuotaUsages(name string, reverse bool) iter.Seq[*api.QuotaUsage] {
	return func(yield func(*api.QuotaUsage) bool) {
		for q := range s.quotaRows(name, reverse) {
			if !yield(q.usage()) {
				return
			}
		}
	}
}

func (s *Snapshot) quotaRows(name string, reverse bool) iter.Seq[*quotaRow] {
	return scanNames(s.quotas, &quotaRow{spec: &api.QuotaSpec{Name: name}}, name == "", reverse)
}

// QuotaUsage returns what is used of a quota, nil when there is no such.
func (s *Snapshot) QuotaUsage(name string) *api.QuotaUsage {
	if q := s.quota(name); q != nil {
		return q.usage()
	}
	return nil
}

func (q *quotaRow) usage() *api.QuotaUsage {
	u := &api.QuotaUsage{Name: q.spec.Name, CreateIndex: q.spec.CreateIndex, ModifyIndex: max(q.changed, q.spec.ModifyIndex), Used: map[string]*api.QuotaLimit{}}
	number := func(n int64) *int { v := int(n); return &v }
	for _, l := range q.spec.Limits {
		u.Used[base64.StdEncoding.EncodeToString(l.Hash)] = &api.QuotaLimit{Region: l.Region, Hash: l.Hash, RegionLimit: &api.QuotaResources{
			CPU: number(q.used.CPU), Cores: number(q.used.Cores), MemoryMB: number(q.used.MemoryMB), MemoryMaxMB: number(q.used.MemoryMaxMB),
			Allocations: number(q.used.Allocations), Jobs: &q.jobs,
		}}
	}
	return u
}

// UpsertQuota creates a quota or replaces what it allows. One that says
// nothing new keeps its index.
type UpsertQuota struct {
	Quota *api.QuotaSpec
}

func (c *UpsertQuota) apply(t *tx) (any, error) {
	spec, old := c.Quota.Copy(), t.quota(c.Quota.Name)
	if !api.IsQuotaName(spec.Name) {
		return nil, invalid("invalid name %q", spec.Name)
	}
	spec.CreateIndex, spec.ModifyIndex = t.index, t.index
	row := &quotaRow{spec: spec, changed: t.index, freed: t.index}
	switch {
	case old != nil:
		spec.CreateIndex, spec.ModifyIndex = old.spec.CreateIndex, old.spec.ModifyIndex
		if reflect.DeepEqual(spec, old.spec) {
			return nil, nil
		}
		spec.ModifyIndex = t.index
		row.used, row.jobs = old.used, old.jobs
	case t.quotas.Len() >= MaxQuotas:
		return nil, api.Errorf(api.CodeLimited, "there are %d quotas, which is the most: delete one first", MaxQuotas)
	}
	t.putQuota(row)
	t.bump(TableQuotas)
	t.touch(KeyFreed())
	return nil, nil
}

// DeleteQuota deletes a quota that no namespace names.
type DeleteQuota struct {
	Name string
}

func (c *DeleteQuota) apply(t *tx) (any, error) {
	q := t.quota(c.Name)
	if q == nil {
		return nil, notFound("quota", c.Name)
	}
	var users named
	t.namespaces.Scan(func(n *api.Namespace) bool {
		if n.Quota == c.Name {
			users.add(n.Name)
		}
		return true
	})
	if users.n > 0 {
		return nil, api.Errorf(api.CodeConflict, "quota %q is in use by namespaces: %s: take it from them first", c.Name, users.String())
	}
	t.quotas.Delete(q)
	t.bump(TableQuotas)
	t.bump(TableQuotaUsages)
	t.touch(KeyQuotas(), KeyQuota(c.Name))
	return nil, nil
}

func (t *tx) putQuota(q *quotaRow) {
	t.quotas.Set(q)
	t.bump(TableQuotaUsages)
	t.touch(KeyQuotas(), KeyQuota(q.spec.Name))
}

// charge changes what is used of a quota, which may be nil.
func (t *tx) charge(q *quotaRow, to api.Charge, jobs int) {
	if q == nil || to == q.used && jobs == q.jobs {
		return
	}
	c := *q
	less := to.CPU < c.used.CPU || to.Cores < c.used.Cores || to.MemoryMB < c.used.MemoryMB || to.MemoryMaxMB < c.used.MemoryMaxMB || to.Allocations < c.used.Allocations
	if less {
		c.freed = t.index
		t.touch(KeyFreed())
	}
	c.used, c.jobs, c.changed = to, jobs, t.index
	t.putQuota(&c)
}

// countQuota notes that an allocation was put in the place of old; either may
// be nil.
func (t *tx) countQuota(old, a *api.Allocation) {
	if t.quotas.Len() == 0 {
		return
	}
	was, is := old != nil && !old.Terminal(), a != nil && !a.Terminal()
	if was == is && (!was || old.AllocatedResources == a.AllocatedResources) {
		return
	}
	of := a
	if of == nil {
		of = old
	}
	q := t.quotaOf(of.Namespace)
	if q == nil {
		return
	}
	used := q.used
	if was {
		used = used.Minus(fit.Charge(old.AllocatedResources))
	}
	if is {
		used = used.Plus(fit.Charge(a.AllocatedResources))
	}
	t.charge(q, used, q.jobs)
}

// countedJob reports whether a job, which may be nil, counts against a quota.
func countedJob(r *jobRow) bool {
	return r != nil && r.job().Status != api.JobStatusDead && r.job().ParentID == ""
}

// countQuotaJob notes that a job is about to be put into the tree, or out of
// it.
func (t *tx) countQuotaJob(item jobItem) {
	if t.quotas.Len() == 0 {
		return
	}
	before, _ := t.jobs.Get(item)
	was, is := countedJob(before.row), countedJob(item.row)
	if was == is {
		return
	}
	if q := t.quotaOf(item.ns); q != nil && is {
		t.charge(q, q.used, q.jobs+1)
	} else if q != nil {
		t.charge(q, q.used, q.jobs-1)
	}
}

// checkQuotaJob refuses one more job in a namespace whose quota is used up.
func (t *tx) checkQuotaJob(j *api.Job, row *jobRow) error {
	if countedJob(row) {
		return nil
	}
	q := t.quotaOf(j.Namespace)
	if q == nil {
		return nil
	}
	if most, bounded := q.spec.Limit().MostJobs(); bounded && q.jobs >= most {
		return api.Errorf(api.CodeConflict, "quota %q of namespace %q bounds jobs to %d, and there are %d: stop one first", q.spec.Name, j.Namespace, most, q.jobs)
	}
	return nil
}

// quotaHolds reports whether the quota of a namespace leaves room for one more
// allocation.
func (t *tx) quotaHolds(namespace string, r *api.AllocatedResources) bool {
	q := t.quotaOf(namespace)
	return q == nil || q.spec.Limit().Exceeds(q.used, fit.Charge(r)) == nil
}

// changeQuota moves what a namespace uses from one quota to another; either
// name may be empty, as is that of a namespace that is nil.
func (t *tx) changeQuota(namespace string, old *api.Namespace, to string) error {
	from := ""
	if old != nil {
		from = old.Quota
	}
	if from == to {
		return nil
	}
	if to != "" && t.quota(to) == nil {
		return invalid("Quota: there is no quota %q: create it with \"quota apply\" or name another", to)
	}
	used, jobs := t.usedBy(namespace)
	if q := t.quota(from); q != nil {
		t.charge(q, q.used.Minus(used), q.jobs-jobs)
	}
	if q := t.quota(to); q != nil {
		t.charge(q, q.used.Plus(used), q.jobs+jobs)
	}
	t.touch(KeyFreed()) // who waits for one quota may be under another
	return nil
}

// usedBy adds up what a namespace uses.
func (t *tx) usedBy(namespace string) (used api.Charge, jobs int) {
	t.allocsJob.Ascend(&allocKey{allocOrigin: &allocOrigin{ns: namespace}}, func(k *allocKey) bool {
		if k.ns != namespace {
			return false
		}
		if a := t.allocAt(k); !a.Terminal() {
			used = used.Plus(fit.Charge(a.AllocatedResources))
		}
		return true
	})
	t.jobs.Ascend(jobItem{ns: namespace}, func(i jobItem) bool {
		if i.ns == namespace && countedJob(i.row) {
			jobs++
		}
		return i.ns == namespace
	})
	return used, jobs
}

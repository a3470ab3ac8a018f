package store

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/paged"
)

// allocKey is what places an allocation in the indexes; it never changes.
type allocKey struct {
	id, node api.ID
	*allocOrigin
}

// allocOrigin is where an allocation comes from. Those of one plan share it.
type allocOrigin struct {
	eval, deploy api.ID
	ns, job      string
}

func (k *allocKey) equal(o *allocKey) bool {
	return k.id == o.id && k.node == o.node && (k.allocOrigin == o.allocOrigin || *k.allocOrigin == *o.allocOrigin)
}

// allocKey returns the key of an allocation. The origin is that of the one
// before if it is the same.
func (t *tx) allocKey(id api.ID, a *api.Allocation) *allocKey {
	o := allocOrigin{eval: idOf(a.EvalID), deploy: idOf(a.DeploymentID), ns: a.Namespace, job: a.JobID}
	if t.origin == nil || *t.origin != o {
		t.origin = &o
	}
	return &allocKey{id: id, node: idOf(a.NodeID), allocOrigin: t.origin}
}

type allocItem struct {
	key *allocKey
	a   *api.Allocation
}

func lessAllocCreated(a, b *api.Allocation) bool {
	if a.CreateIndex != b.CreateIndex {
		return a.CreateIndex < b.CreateIndex
	}
	return a.ID < b.ID
}

func lessAllocJob(a, b *allocKey) bool {
	if c := cmpName(a.ns, a.job, b.ns, b.job); c != 0 {
		return c < 0
	}
	return cmpID(a.id, b.id) < 0
}

func (t *tables) allocItem(id api.ID) (allocItem, bool) {
	return t.allocs.Get(allocItem{key: &allocKey{id: id}})
}

// Alloc returns an allocation, or nil.
func (s *Snapshot) Alloc(id string) *api.Allocation {
	item, _ := s.allocItem(idOf(id))
	return item.a
}

// AllocCount returns how many allocations there are.
func (s *Snapshot) AllocCount() int { return s.allocs.Len() }

// Allocs yields every allocation by ID.
func (s *Snapshot) Allocs() iter.Seq[*api.Allocation] { return s.AllocsFrom(nil, false) }

// AllocsFrom yields the allocations whose ID starts with prefix, by ID.
func (s *Snapshot) AllocsFrom(prefix []byte, reverse bool) iter.Seq[*api.Allocation] {
	return func(yield func(*api.Allocation) bool) {
		scanPrefix(s.allocs, prefix, reverse,
			func(id api.ID) allocItem { return allocItem{key: &allocKey{id: id}} },
			func(i allocItem) api.ID { return i.key.id },
			func(i allocItem) bool { return yield(i.a) })
	}
}

// AllocsByCreate yields every allocation by create index and ID.
func (s *Snapshot) AllocsByCreate(reverse bool) iter.Seq[*api.Allocation] {
	return func(yield func(*api.Allocation) bool) {
		if reverse {
			s.allocsCreated.Reverse(yield)
		} else {
			s.allocsCreated.Scan(yield)
		}
	}
}

// AllocsCreatedFrom yields allocations by create index and ID, from the given
// place on, inclusive.
func (s *Snapshot) AllocsCreatedFrom(created uint64, id api.ID, reverse bool) iter.Seq[*api.Allocation] {
	return func(yield func(*api.Allocation) bool) {
		pivot := &api.Allocation{CreateIndex: created, ID: id.String()}
		if reverse {
			s.allocsCreated.Descend(pivot, yield)
		} else {
			s.allocsCreated.Ascend(pivot, yield)
		}
	}
}

// AllocPages yields every allocation by create index and ID, in pages: what a
// reader derives from a page holds until a row of it changes. It starts at the
// given place, inclusive; the zero values are the beginning.
func (s *Snapshot) AllocPages(created uint64, id api.ID) iter.Seq[paged.Part[*api.Allocation]] {
	return s.allocsCreated.Parts(&api.Allocation{CreateIndex: created, ID: id.String()})
}

// AllocNamespaces yields the namespaces that have allocations, in order.
func (s *Snapshot) AllocNamespaces() iter.Seq[string] {
	return func(yield func(string) bool) {
		for next, more := "", true; more; {
			more = false
			s.allocsJob.Ascend(&allocKey{allocOrigin: &allocOrigin{ns: next}}, func(k *allocKey) bool {
				next, more = k.ns+"\x00", yield(k.ns)
				return false
			})
		}
	}
}

// AllocsByJob yields a job's allocations by ID.
func (s *Snapshot) AllocsByJob(ns, job string) iter.Seq[*api.Allocation] {
	return func(yield func(*api.Allocation) bool) {
		s.allocsJob.Ascend(&allocKey{allocOrigin: &allocOrigin{ns: ns, job: job}}, func(k *allocKey) bool {
			return k.ns == ns && k.job == job && yield(s.allocAt(k))
		})
	}
}

// AllocsByNode yields a node's allocations by ID.
func (s *Snapshot) AllocsByNode(nodeID string) iter.Seq[*api.Allocation] {
	id := idOf(nodeID)
	return func(yield func(*api.Allocation) bool) {
		s.allocsNode.Ascend(&allocKey{node: id}, func(k *allocKey) bool {
			return k.node == id && yield(s.allocAt(k))
		})
	}
}

// AllocsByEval yields the allocations an evaluation placed, by ID.
func (s *Snapshot) AllocsByEval(evalID string) iter.Seq[*api.Allocation] {
	id := idOf(evalID)
	return func(yield func(*api.Allocation) bool) {
		s.allocsEval.Ascend(&allocKey{allocOrigin: &allocOrigin{eval: id}}, func(k *allocKey) bool {
			return k.eval == id && yield(s.allocAt(k))
		})
	}
}

// AllocsByDeployment yields a deployment's allocations by ID.
func (s *Snapshot) AllocsByDeployment(deploymentID string) iter.Seq[*api.Allocation] {
	id := idOf(deploymentID)
	return func(yield func(*api.Allocation) bool) {
		s.allocsDeploy.Ascend(&allocKey{allocOrigin: &allocOrigin{deploy: id}}, func(k *allocKey) bool {
			return k.deploy == id && yield(s.allocAt(k))
		})
	}
}

func (t *tables) allocAt(k *allocKey) *api.Allocation {
	item, _ := t.allocs.Get(allocItem{key: k})
	return item.a
}

// putAlloc stores a, which the caller owns, as changed by this command, and
// keeps up what hangs on it: indexes, usage, summary, counts.
func (t *tx) putAlloc(a *api.Allocation, now int64) {
	id := idOf(a.ID)
	old, exists := t.allocItem(id)
	a.ModifyIndex, a.ModifyTime = t.index, now
	key := t.allocKey(id, a)
	if exists {
		a.CreateIndex, a.CreateTime = old.a.CreateIndex, old.a.CreateTime
		if key.equal(old.key) {
			key = old.key
		} else {
			t.unindexAlloc(old.key)
			t.indexAlloc(key)
		}
	} else {
		a.CreateIndex, a.CreateTime = t.index, now
		t.indexAlloc(key)
	}
	t.countUsage(key, old.a, a, func() { t.allocs.Set(allocItem{key, a}) })
	t.countQuota(old.a, a)
	t.allocsCreated.Set(a, t.index)
	t.countSummary(old.a, a)
	t.touchAlloc(a)
	t.changed(api.TopicAllocation, a)
	t.showServices(id, a)
	if a.AllocModifyIndex == t.index || a.ClientTerminal() {
		t.noteAssigned(a.NodeID, id)
	}
}

func (t *tx) indexAlloc(k *allocKey) {
	t.allocsJob.Set(k)
	t.allocsNode.Set(k)
	t.allocsEval.Set(k)
	if k.deploy != (api.ID{}) {
		t.allocsDeploy.Set(k)
	}
}

func (t *tx) unindexAlloc(k *allocKey) {
	t.allocsJob.Delete(k)
	t.allocsNode.Delete(k)
	t.allocsEval.Delete(k)
	t.allocsDeploy.Delete(k)
}

func (t *tx) deleteAlloc(id api.ID) {
	item, ok := t.allocItem(id)
	if !ok {
		return
	}
	t.countUsage(item.key, item.a, nil, func() { t.allocs.Delete(item) })
	t.countQuota(item.a, nil)
	t.allocsCreated.Delete(item.a, t.index)
	t.unindexAlloc(item.key)
	t.countLive(item.a, nil)
	t.touchAlloc(item.a)
	t.showServices(id, nil)
	t.noteAssigned(item.a.NodeID, id)
}

func (t *tx) touchAlloc(a *api.Allocation) {
	t.bump(TableAllocs)
	t.touch(KeyAllocs(), KeyAlloc(a.ID), KeyAllocsOfNamespace(a.Namespace), KeyAllocsOfJob(a.Namespace, a.JobID), KeyAllocsOfNode(a.NodeID))
	if a.EvalID != "" {
		t.touch(KeyAllocsOfEval(a.EvalID))
	}
	if a.DeploymentID != "" {
		t.touch(KeyAllocsOfDeployment(a.DeploymentID))
	}
}

// ownRow returns a copy of the row of the job an allocation belongs to; nil if
// the job was purged, also when another of the same name took its place.
func (t *tx) ownRow(a *api.Allocation) *jobRow {
	row := t.editJob(a.Namespace, a.JobID)
	if row == nil || a.Job == nil || row.job().CreateIndex != a.Job.CreateIndex {
		return nil
	}
	return row
}

// countLive keeps up how many of a job's allocations are not terminal.
func (t *tx) countLive(old, a *api.Allocation) {
	was, is := old != nil && !old.Terminal(), a != nil && !a.Terminal()
	if was == is {
		return
	}
	of := a
	if of == nil {
		of = old
	}
	row := t.ownRow(of)
	if row == nil {
		return
	}
	if is {
		row.live++
	} else {
		row.live = max(row.live-1, 0)
	}
	t.settleLater(of.Namespace, of.JobID)
}

// countSummary moves an allocation from one count of the summary to another.
func (t *tx) countSummary(old, a *api.Allocation) {
	t.countLive(old, a)
	if old != nil && old.ClientStatus == a.ClientStatus {
		return
	}
	row := t.ownRow(a)
	if row == nil {
		return
	}
	sum := row.editSummary(t.index)
	g := sum.Summary[a.TaskGroup]
	if old != nil {
		if p := summaryCount(&g, old.ClientStatus); p != nil {
			*p = max(*p-1, 0)
		}
	}
	if p := summaryCount(&g, a.ClientStatus); p != nil {
		*p++
	}
	if old == nil {
		g.Queued = max(g.Queued-1, 0)
	}
	if sum.Summary == nil {
		sum.Summary = map[string]api.TaskGroupSummary{}
	}
	sum.Summary[a.TaskGroup] = g
	t.touchSummary(a.Namespace, a.JobID)
}

func summaryCount(g *api.TaskGroupSummary, status string) *int {
	switch status {
	case api.AllocClientPending:
		return &g.Starting
	case api.AllocClientRunning:
		return &g.Running
	case api.AllocClientComplete:
		return &g.Complete
	case api.AllocClientFailed:
		return &g.Failed
	case api.AllocClientLost:
		return &g.Lost
	case api.AllocClientUnknown:
		return &g.Unknown
	}
	return nil
}

// setQueued notes how many allocations of each group an evaluation could not
// place.
func (t *tx) setQueued(ns, id string, queued map[string]int) {
	row := t.editJob(ns, id)
	if row == nil {
		return
	}
	changed := false
	for group, n := range queued {
		if row.summary.Summary[group].Queued != n {
			changed = true
		}
	}
	if !changed {
		return
	}
	sum := row.editSummary(t.index)
	if sum.Summary == nil {
		sum.Summary = map[string]api.TaskGroupSummary{}
	}
	for group, n := range queued {
		g := sum.Summary[group]
		g.Queued = n
		sum.Summary[group] = g
	}
	t.touchSummary(ns, id)
}

// UpdateAllocs takes a node's reports. Reports of allocations that are gone or
// belong to another node are passed over, and so are those that tell nothing
// new: a node that starts again reports everything it has. Evals are added in
// the same step.
type UpdateAllocs struct {
	NodeID  string
	Updates []*api.AllocUpdate
	Evals   []*api.Evaluation
	Now     int64
}

func (c *UpdateAllocs) apply(t *tx) (any, error) {
	for _, u := range c.Updates {
		item, ok := t.allocItem(idOf(u.ID))
		if !ok || item.a.NodeID != c.NodeID {
			continue
		}
		settled := t.healthSettled(item.a)
		if known(item.a, u, settled) && t.servesAlready(item.a, u.Services) {
			continue
		}
		a := item.a.Copy()
		if a.ClientStatus == api.AllocClientUnknown && u.ClientStatus != a.ClientStatus { // its node is back
			a.AllocStates = append(slices.Clone(a.AllocStates), &api.AllocState{Value: u.ClientStatus, Time: time.Unix(0, c.Now).UTC()})
		}
		a.ClientStatus, a.ClientDescription = u.ClientStatus, u.ClientDescription
		a.TaskStates = u.TaskStates
		if u.NetworkStatus != nil {
			a.NetworkStatus = u.NetworkStatus
		}
		if !settled {
			t.reportHealth(a, u, c.Now)
		}
		t.reportServices(item.a, u.Services)
		t.putAlloc(a, c.Now)
	}
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

// healthSettled reports whether an allocation's health stays what it is: it is
// the verdict of its rollout, which a failure after the end does not change.
func (t *tables) healthSettled(a *api.Allocation) bool {
	if !a.DeploymentStatus.IsHealthy() && !a.DeploymentStatus.IsUnhealthy() {
		return false
	}
	item, ok := t.deployItem(a.DeploymentID)
	return !ok || !item.d.Active()
}

// reportHealth takes over the health a node decided. An allocation that failed
// is unhealthy even when its node did not get to say so.
func (t *tx) reportHealth(a *api.Allocation, u *api.AllocUpdate, now int64) {
	switch {
	case a.DeploymentID == "":
	case u.ClientStatus == api.AllocClientFailed:
		t.setHealth(a, false, time.Unix(0, now).UTC())
	case u.DeploymentHealthy != nil:
		t.setHealth(a, *u.DeploymentHealthy, u.HealthTimestamp)
	}
}

// TransitionAllocs asks for allocations to be moved, and adds the evaluations
// that do it in the same step.
type TransitionAllocs struct {
	Transitions map[string]api.DesiredTransition // by allocation ID
	Evals       []*api.Evaluation
	Now         int64
}

func (c *TransitionAllocs) apply(t *tx) (any, error) {
	for _, id := range slices.Sorted(maps.Keys(c.Transitions)) {
		item, ok := t.allocItem(idOf(id))
		if !ok {
			return nil, notFound("allocation", id)
		}
		t.transition(item.a, c.Transitions[id], c.Now)
	}
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

func (t *tx) transition(a *api.Allocation, tr api.DesiredTransition, now int64) {
	a = a.Copy()
	a.DesiredTransition.Merge(tr)
	a.AllocModifyIndex = t.index
	t.putAlloc(a, now)
}

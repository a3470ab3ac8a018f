package store

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
)

// deployKey is what places a deployment in the indexes; it never changes.
type deployKey struct {
	id      api.ID
	created uint64
	ns, job string
}

type deployItem struct {
	key *deployKey
	d   *api.Deployment
}

func lessDeployJob(a, b *deployKey) bool {
	if c := cmpName(a.ns, a.job, b.ns, b.job); c != 0 {
		return c < 0
	}
	if a.created != b.created {
		return a.created > b.created
	}
	return cmpID(a.id, b.id) < 0
}

func (t *tables) deployItem(id string) (deployItem, bool) {
	return t.deployments.Get(deployItem{key: &deployKey{id: idOf(id)}})
}

// Deployment returns a deployment, or nil.
func (s *Snapshot) Deployment(id string) *api.Deployment {
	item, _ := s.deployItem(id)
	return item.d
}

// Deployments yields every deployment by ID.
func (s *Snapshot) Deployments() iter.Seq[*api.Deployment] { return s.DeploymentsFrom(nil, false) }

// DeploymentsFrom yields the deployments whose ID starts with prefix, by ID.
func (s *Snapshot) DeploymentsFrom(prefix []byte, reverse bool) iter.Seq[*api.Deployment] {
	return func(yield func(*api.Deployment) bool) {
		scanPrefix(s.deployments, prefix, reverse,
			func(id api.ID) deployItem { return deployItem{key: &deployKey{id: id}} },
			func(i deployItem) api.ID { return i.key.id },
			func(i deployItem) bool { return yield(i.d) })
	}
}

// DeploymentsActive yields the deployments that can still make progress.
func (s *Snapshot) DeploymentsActive() iter.Seq[*api.Deployment] {
	return func(yield func(*api.Deployment) bool) {
		s.deploysActive.Scan(func(k *deployKey) bool {
			item, _ := s.deployments.Get(deployItem{key: k})
			return yield(item.d)
		})
	}
}

// DeploymentsByJob yields a job's deployments, newest first.
func (s *Snapshot) DeploymentsByJob(ns, job string) iter.Seq[*api.Deployment] {
	return func(yield func(*api.Deployment) bool) {
		s.deploymentsJob.Ascend(&deployKey{ns: ns, job: job, created: ^uint64(0)}, func(k *deployKey) bool {
			if k.ns != ns || k.job != job {
				return false
			}
			item, _ := s.deployments.Get(deployItem{key: k})
			return yield(item.d)
		})
	}
}

// LatestDeployment returns a job's newest deployment, or nil.
func (s *Snapshot) LatestDeployment(ns, job string) *api.Deployment {
	for d := range s.DeploymentsByJob(ns, job) {
		return d
	}
	return nil
}

// putDeployment stores d, which the caller owns, as changed by this command.
func (t *tx) putDeployment(d *api.Deployment, now int64) {
	old, exists := t.deployItem(d.ID)
	key := old.key
	if exists {
		d.CreateIndex, d.CreateTime = old.d.CreateIndex, old.d.CreateTime
	} else {
		d.CreateIndex, d.CreateTime = t.index, now
		key = &deployKey{id: idOf(d.ID), created: t.index, ns: d.Namespace, job: d.JobID}
		t.deploymentsJob.Set(key)
	}
	d.ModifyIndex, d.ModifyTime = t.index, now
	t.deployments.Set(deployItem{key, d})
	t.changed(api.TopicDeployment, d)
	if d.Active() {
		t.deploysActive.Set(key)
	} else {
		t.deploysActive.Delete(key)
	}
	t.touchDeployment(d)
}

func (t *tx) touchDeployment(d *api.Deployment) {
	t.bump(TableDeployments)
	t.touch(KeyDeployments(), KeyDeploymentsOfNamespace(d.Namespace), KeyDeployment(d.ID), KeyDeploymentsOfJob(d.Namespace, d.JobID))
}

func (t *tx) deleteDeployment(id string) {
	item, ok := t.deployItem(id)
	if !ok {
		return
	}
	t.deployments.Delete(item)
	t.deploymentsJob.Delete(item.key)
	t.deploysActive.Delete(item.key)
	t.touchDeployment(item.d)
}

// setHealth notes an allocation's health on a, which the caller owns and puts
// back, and on its deployment. The first healthy or unhealthy verdict counts;
// a later change moves the counts.
func (t *tx) setHealth(a *api.Allocation, healthy bool, at time.Time) {
	old := a.DeploymentStatus
	if old != nil && old.Healthy != nil && *old.Healthy == healthy {
		return
	}
	a.DeploymentStatus = &api.AllocDeploymentStatus{Healthy: &healthy, Timestamp: at, Canary: old.IsCanary(), ModifyIndex: t.index}
	item, ok := t.deployItem(a.DeploymentID)
	if !ok {
		return
	}
	d := item.d.Copy()
	s := d.TaskGroups[a.TaskGroup]
	if s == nil {
		return
	}
	if old.IsHealthy() {
		s.HealthyAllocs = max(s.HealthyAllocs-1, 0)
	}
	if old.IsUnhealthy() {
		s.UnhealthyAllocs = max(s.UnhealthyAllocs-1, 0)
	}
	if healthy {
		s.HealthyAllocs++
		if by := at.Add(s.ProgressDeadline.D()); s.ProgressDeadline > 0 && by.After(s.RequireProgressBy) {
			s.RequireProgressBy = by
		}
	} else {
		s.UnhealthyAllocs++
	}
	t.putDeployment(d, a.ModifyTime)
}

// UpdateDeployment changes a deployment's status. StableVersion marks a job
// version stable and Revert registers an earlier version again in the same
// step.
type UpdateDeployment struct {
	Update        api.DeploymentUpdate
	StableVersion *uint64
	Revert        *api.Job
	Eval          *api.Evaluation
	Now           int64
}

func (c *UpdateDeployment) apply(t *tx) (any, error) {
	item, ok := t.deployItem(c.Update.DeploymentID)
	if !ok {
		return nil, notFound("deployment", c.Update.DeploymentID)
	}
	if !item.d.Active() {
		return nil, api.Errorf(api.CodeInvalid, "deployment %s can't change: it is %s", c.Update.DeploymentID, item.d.Status)
	}
	t.updateDeployment(item.d, &c.Update, c.Now)
	if c.StableVersion != nil {
		if err := t.markStable(item.d.Namespace, item.d.JobID, *c.StableVersion, true); err != nil && !api.IsNotFound(err) {
			return nil, err
		}
	}
	return nil, t.revertAndEval(c.Revert, c.Eval, c.Now)
}

func (t *tx) updateDeployment(d *api.Deployment, u *api.DeploymentUpdate, now int64) {
	resumed := d.Status == api.DeploymentPaused && u.Status == api.DeploymentRunning
	d = d.Copy()
	d.Status, d.StatusDescription = u.Status, u.StatusDescription
	for _, s := range d.TaskGroups {
		if resumed && s.ProgressDeadline > 0 { // the pause does not count
			s.RequireProgressBy = time.Unix(0, now).UTC().Add(s.ProgressDeadline.D())
		}
	}
	t.putDeployment(d, now)
}

// revertAndEval makes a job's earlier version current again, if revert is not
// nil, and adds an evaluation, if eval is not nil.
func (t *tx) revertAndEval(revert *api.Job, eval *api.Evaluation, now int64) error {
	if revert != nil {
		if row := t.editJob(revert.Namespace, revert.ID); row != nil {
			j := *revert
			j.VersionTag, j.SubmitTime = nil, 0
			keep := len(row.versions) + 1 // the next registration drops what is too old
			t.putJob(j.Namespace, j.ID, t.newVersion(row, &j, keep, now))
			t.touchJob(j.Namespace, j.ID)
		}
	}
	if eval != nil {
		t.upsertEval(eval, now)
	}
	return nil
}

// SetDeploymentHealth sets allocations' health by hand or by a verdict of the
// leader.
type SetDeploymentHealth struct {
	DeploymentID string
	Healthy      []string
	Unhealthy    []string
	Update       *api.DeploymentUpdate // status that follows from it, or nil
	Revert       *api.Job
	Eval         *api.Evaluation
	Now          int64
}

func (c *SetDeploymentHealth) apply(t *tx) (any, error) {
	item, ok := t.deployItem(c.DeploymentID)
	if !ok {
		return nil, notFound("deployment", c.DeploymentID)
	}
	if !item.d.Active() {
		return nil, api.Errorf(api.CodeInvalid, "deployment %s can't change: it is %s", c.DeploymentID, item.d.Status)
	}
	for _, id := range slices.Concat(c.Healthy, c.Unhealthy) {
		a, ok := t.allocItem(idOf(id))
		if !ok || a.a.DeploymentID != c.DeploymentID {
			return nil, invalid("allocation %q is not part of deployment %s", id, c.DeploymentID)
		}
	}
	set := func(ids []string, healthy bool) {
		for _, id := range ids {
			it, _ := t.allocItem(idOf(id))
			a := it.a.Copy()
			a.ModifyTime = c.Now
			t.setHealth(a, healthy, time.Unix(0, c.Now).UTC())
			t.putAlloc(a, c.Now)
		}
	}
	set(c.Healthy, true)
	set(c.Unhealthy, false)
	if c.Update != nil {
		item, _ = t.deployItem(c.DeploymentID)
		t.updateDeployment(item.d, c.Update, c.Now)
	}
	return nil, t.revertAndEval(c.Revert, c.Eval, c.Now)
}

// PromoteDeployment promotes the canaries of some groups, or with no Groups of
// all. Every canary of such a group must be healthy.
type PromoteDeployment struct {
	DeploymentID string
	Groups       []string
	Eval         *api.Evaluation
	Now          int64
}

func (c *PromoteDeployment) apply(t *tx) (any, error) {
	item, ok := t.deployItem(c.DeploymentID)
	if !ok {
		return nil, notFound("deployment", c.DeploymentID)
	}
	if !item.d.Active() {
		return nil, api.Errorf(api.CodeInvalid, "deployment %s can't be promoted: it is %s", c.DeploymentID, item.d.Status)
	}
	d := item.d.Copy()
	promoted := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
		s := d.TaskGroups[name]
		if len(c.Groups) > 0 && !slices.Contains(c.Groups, name) || s.DesiredCanaries == 0 || s.Promoted {
			continue
		}
		healthy := 0
		for _, id := range s.PlacedCanaries {
			if a, ok := t.allocItem(idOf(id)); ok && a.a.DeploymentStatus.IsHealthy() && !a.a.Terminal() {
				healthy++
			}
		}
		if healthy < s.DesiredCanaries {
			return nil, api.Errorf(api.CodeInvalid, "group %q has %d healthy canaries of %d: wait for them before promoting", name, healthy, s.DesiredCanaries)
		}
		s.Promoted = true
		if by := time.Unix(0, c.Now).UTC().Add(s.ProgressDeadline.D()); s.ProgressDeadline > 0 {
			s.RequireProgressBy = by
		}
		promoted[name] = true
	}
	if len(promoted) == 0 {
		return nil, api.Errorf(api.CodeInvalid, "no canaries to promote")
	}
	for name := range promoted {
		for _, id := range d.TaskGroups[name].PlacedCanaries {
			if it, ok := t.allocItem(idOf(id)); ok && it.a.DeploymentStatus.IsCanary() {
				a := it.a.Copy()
				s := *a.DeploymentStatus
				s.Canary, s.ModifyIndex = false, t.index
				a.DeploymentStatus = &s
				t.putAlloc(a, c.Now)
			}
		}
	}
	t.putDeployment(d, c.Now)
	if c.Eval != nil {
		t.upsertEval(c.Eval, c.Now)
	}
	return nil, nil
}

package store

import (
	"iter"
	"slices"

	"github.com/drover-org/drover/api"
)

// reported is what the node of an allocation reports it to serve, and what the
// catalogue shows of it: all of it while the allocation is wanted and within
// reach, else nothing. Rows are replaced, never edited.
type reported struct {
	alloc    api.ID
	services []*api.AllocService
	hidden   []string                   // IDs that were taken out by hand while they are reported
	rows     []*api.ServiceRegistration // shown, in the order of services
}

func lessService(a, b *api.ServiceRegistration) bool {
	if c := cmpName(a.Namespace, a.ServiceName, b.Namespace, b.ServiceName); c != 0 {
		return c < 0
	}
	return a.ID < b.ID
}

func lessServiceJob(a, b *api.ServiceRegistration) bool {
	if c := cmpName(a.Namespace, a.JobID, b.Namespace, b.JobID); c != 0 {
		return c < 0
	}
	return a.ID < b.ID
}

// Services yields the registrations of a namespace, with api.AllNamespaces of
// all, by namespace, name and ID.
func (s *Snapshot) Services(ns string) iter.Seq[*api.ServiceRegistration] {
	if ns == api.AllNamespaces {
		return s.services.Scan
	}
	return func(yield func(*api.ServiceRegistration) bool) {
		s.services.Ascend(&api.ServiceRegistration{Namespace: ns}, func(r *api.ServiceRegistration) bool {
			return r.Namespace == ns && yield(r)
		})
	}
}

// Service yields the registrations of one service by ID.
func (s *Snapshot) Service(ns, name string) iter.Seq[*api.ServiceRegistration] {
	return func(yield func(*api.ServiceRegistration) bool) {
		s.services.Ascend(&api.ServiceRegistration{Namespace: ns, ServiceName: name}, func(r *api.ServiceRegistration) bool {
			return r.Namespace == ns && r.ServiceName == name && yield(r)
		})
	}
}

// ServicesOfJob yields the registrations of a job by ID.
func (s *Snapshot) ServicesOfJob(ns, job string) iter.Seq[*api.ServiceRegistration] {
	return func(yield func(*api.ServiceRegistration) bool) {
		s.servicesJob.Ascend(&api.ServiceRegistration{Namespace: ns, JobID: job}, func(r *api.ServiceRegistration) bool {
			return r.Namespace == ns && r.JobID == job && yield(r)
		})
	}
}

// ServicesOfAlloc returns the registrations of an allocation, in the order of
// its node's report.
func (s *Snapshot) ServicesOfAlloc(id string) []*api.ServiceRegistration {
	if r := s.reportedBy(idOf(id)); r != nil {
		return r.rows
	}
	return nil
}

// ServiceCount returns how many registrations there are.
func (s *Snapshot) ServiceCount() int { return s.services.Len() }

func (t *tables) reportedBy(id api.ID) *reported {
	if t.reported.Len() == 0 {
		return nil
	}
	r, _ := t.reported.Get(&reported{alloc: id})
	return r
}

// servesAlready reports whether a list tells nothing new of what an allocation
// serves. Of one that is to end everybody knows that it serves nothing.
func (t *tables) servesAlready(a *api.Allocation, list []*api.AllocService) bool {
	if a.ServerTerminal() {
		return true
	}
	var was []*api.AllocService
	if r := t.reportedBy(idOf(a.ID)); r != nil {
		was = r.services
	}
	return slices.EqualFunc(was, list, (*api.AllocService).Equal)
}

// reportServices notes what an allocation serves; the caller puts the allocation
// afterwards, which shows it.
func (t *tx) reportServices(a *api.Allocation, list []*api.AllocService) {
	if t.servesAlready(a, list) {
		return
	}
	id := idOf(a.ID)
	next := &reported{alloc: id, services: list}
	if old := t.reportedBy(id); old != nil {
		next.rows = old.rows
		for _, s := range old.services {
			again := slices.ContainsFunc(list, func(n *api.AllocService) bool { return n.Equal(s) })
			if again && slices.Contains(old.hidden, s.ID) {
				next.hidden = append(next.hidden, s.ID)
			}
		}
	}
	t.reported.Set(next)
}

// showServices makes the catalogue show what it is to show of an allocation,
// nil: the allocation is gone.
func (t *tx) showServices(id api.ID, a *api.Allocation) {
	old := t.reportedBy(id)
	if old == nil {
		return
	}
	next := &reported{alloc: id, services: old.services, hidden: old.hidden}
	if t.serving(a) {
		next.rows = t.registrations(a, old)
	}
	t.replaceRows(old.rows, next.rows)
	if a == nil || len(next.services) == 0 {
		t.reported.Delete(old)
	} else {
		t.reported.Set(next)
	}
}

// serving reports whether others may be sent to an allocation: it is to run,
// its job too, and its node is within reach.
func (t *tx) serving(a *api.Allocation) bool {
	if a == nil || a.Terminal() || a.ClientStatus == api.AllocClientUnknown {
		return false
	}
	row := t.jobRow(a.Namespace, a.JobID)
	if row == nil || row.job().Stop || a.Job == nil || row.job().CreateIndex != a.Job.CreateIndex {
		return false
	}
	node, ok := t.nodeItem(idOf(a.NodeID))
	return ok && reachable(node.node)
}

func reachable(n *api.Node) bool {
	return n.Status != api.NodeDown && n.Status != api.NodeDisconnected
}

// registrations makes the rows of what an allocation serves; one that says what
// it said keeps its row.
func (t *tx) registrations(a *api.Allocation, r *reported) []*api.ServiceRegistration {
	node, _ := t.nodeItem(idOf(a.NodeID))
	rows := make([]*api.ServiceRegistration, 0, len(r.services))
	for _, s := range r.services {
		if slices.Contains(r.hidden, s.ID) {
			continue
		}
		row := &api.ServiceRegistration{
			ID: s.ID, ServiceName: s.Name, Namespace: a.Namespace, NodeID: a.NodeID, Datacenter: node.node.Datacenter,
			JobID: a.JobID, AllocID: a.ID, Tags: s.TagsFor(a.DeploymentStatus.IsCanary()), Address: s.Address, Port: s.Port,
			CreateIndex: t.index, ModifyIndex: t.index,
		}
		if at := slices.IndexFunc(r.rows, func(o *api.ServiceRegistration) bool { return o.ID == s.ID && o.ServiceName == s.Name }); at >= 0 {
			was := r.rows[at]
			row.CreateIndex, row.ModifyIndex = was.CreateIndex, was.ModifyIndex
			if sameRegistration(was, row) {
				row = was
			} else {
				row.ModifyIndex = t.index
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func sameRegistration(a, b *api.ServiceRegistration) bool {
	return a.Datacenter == b.Datacenter && a.Address == b.Address && a.Port == b.Port && slices.Equal(a.Tags, b.Tags)
}

// replaceRows takes rows out of the catalogue and puts others in.
func (t *tx) replaceRows(old, next []*api.ServiceRegistration) {
	for _, r := range old {
		if !slices.ContainsFunc(next, func(n *api.ServiceRegistration) bool { return n.ID == r.ID && n.ServiceName == r.ServiceName }) {
			t.services.Delete(r)
			t.servicesJob.Delete(r)
			t.touchService(r)
			t.deleted(api.TopicService, "ServiceDeregistration", r)
		}
	}
	for _, r := range next {
		if !slices.Contains(old, r) {
			t.services.Set(r)
			t.servicesJob.Set(r)
			t.touchService(r)
			t.told(api.TopicService, "ServiceRegistration", r)
		}
	}
}

func (t *tx) touchService(r *api.ServiceRegistration) {
	t.bump(TableServices)
	t.touch(KeyServices(), KeyServicesOfNamespace(r.Namespace), KeyService(r.Namespace, r.ServiceName),
		KeyServicesOfJob(r.Namespace, r.JobID), KeyServicesOfAlloc(r.AllocID))
}

// showServicesOfNode follows a node that went out of reach or came back.
func (t *tx) showServicesOfNode(id api.ID) {
	if t.reported.Len() == 0 {
		return
	}
	var allocs []*api.Allocation
	t.allocsNode.Ascend(&allocKey{node: id}, func(k *allocKey) bool {
		if k.node == id {
			allocs = append(allocs, t.allocAt(k))
		}
		return k.node == id
	})
	for _, a := range allocs {
		t.showServices(idOf(a.ID), a)
	}
}

// showServicesOfJobs follows the jobs that this command stopped, removed or
// started again. It must be called while the tables still hold the rows from
// before.
func (t *tx) showServicesOfJobs() {
	if t.reported.Len() == 0 {
		return
	}
	var names []jobName
	for name, row := range t.rows {
		was := t.tables.jobRow(name.ns, name.id)
		if (was == nil || was.job().Stop) != (row == nil || row.job().Stop) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b jobName) int { return cmpName(a.ns, a.id, b.ns, b.id) })
	for _, name := range names {
		for _, a := range slices.Collect((&Snapshot{tables: t.tables}).AllocsByJob(name.ns, name.id)) {
			t.showServices(idOf(a.ID), a)
		}
	}
}

// DeleteService takes one registration out of the catalogue. It comes back when
// its allocation stops serving it and serves it again.
type DeleteService struct {
	Namespace string
	Name      string
	ID        string
}

func (c *DeleteService) apply(t *tx) (any, error) {
	row, ok := t.services.Get(&api.ServiceRegistration{Namespace: c.Namespace, ServiceName: c.Name, ID: c.ID})
	if !ok {
		return nil, notFound("service registration", c.ID)
	}
	old := t.reportedBy(idOf(row.AllocID))
	next := &reported{alloc: old.alloc, services: old.services, hidden: append(slices.Clone(old.hidden), row.ID)}
	next.rows = slices.DeleteFunc(slices.Clone(old.rows), func(r *api.ServiceRegistration) bool { return r == row })
	t.replaceRows(old.rows, next.rows)
	t.reported.Set(next)
	return nil, nil
}

// servicesRecord is a reported in a snapshot.
type servicesRecord struct {
	AllocID  string
	Services []*api.AllocService
	Hidden   []string                   `json:",omitempty"`
	Rows     []*api.ServiceRegistration `json:",omitempty"`
}

func (s *Snapshot) persistServices(w *writer) {
	s.reported.Scan(func(r *reported) bool {
		w.json(recServices, &servicesRecord{r.alloc.String(), r.services, r.hidden, r.rows})
		return w.err == nil
	})
}

func (r *reader) services(d *dec) {
	var rec servicesRecord
	d.json(&rec)
	r.t.reported.Set(&reported{idOf(rec.AllocID), rec.Services, rec.Hidden, rec.Rows})
	for _, row := range rec.Rows {
		r.t.services.Set(row)
		r.t.servicesJob.Set(row)
	}
}

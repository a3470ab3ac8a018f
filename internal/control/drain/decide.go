package drain

import (
	"cmp"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// decision is what to do about all drains now.
type decision struct {
	moves []*api.Allocation // to be moved, in the order of their jobs
	done  []string          // IDs of nodes that are drained
	next  time.Time         // when to look again at the latest; zero: on a change
	watch []store.Key       // what a change may show in
}

// group names a group of a job.
type group struct {
	job  api.NamespacedID
	name string
}

// decider makes one decision.
type decider struct {
	snap   *store.Snapshot
	now    time.Time
	out    decision
	groups map[group][]*api.Allocation // on drained nodes, that may move when their group allows
}

func decide(snap *store.Snapshot, now time.Time) decision {
	r := &decider{snap: snap, now: now, groups: map[group][]*api.Allocation{}}
	r.out.watch = []store.Key{store.KeyNodes()}
	for n := range snap.Nodes() {
		if n.DrainStrategy != nil {
			r.node(n)
		}
	}
	for g, list := range r.groups {
		r.group(g, list)
	}
	slices.SortFunc(r.out.moves, func(a, b *api.Allocation) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.JobID, b.JobID), cmp.Compare(a.ID, b.ID))
	})
	return r.out
}

// node looks at what is left on a node.
func (r *decider) node(n *api.Node) {
	r.out.watch = append(r.out.watch, store.KeyAllocsOfNode(n.ID))
	var last, others []*api.Allocation // of jobs that run on every node, and of the others
	for a := range r.snap.AllocsByNode(n.ID) {
		switch {
		case a.ClientTerminal():
		case a.Job == nil || a.Job.Type == api.JobTypeSystem || a.Job.Type == api.JobTypeSysBatch:
			last = append(last, a)
		default:
			others = append(others, a)
		}
	}
	if n.DrainStrategy.IgnoreSystemJobs {
		last = nil
	}
	if len(last)+len(others) == 0 {
		r.out.done = append(r.out.done, n.ID)
		return
	}
	if n.DrainStrategy.Forced(r.now) {
		r.move(append(others, last...)...)
		return
	}
	if !n.DrainStrategy.ForceDeadline.IsZero() {
		r.later(n.DrainStrategy.ForceDeadline)
	}
	if len(others) == 0 {
		r.move(last...)
	}
	for _, a := range others {
		if a.Job.Type == api.JobTypeService && movable(a) {
			g := group{api.NamespacedID{Namespace: a.Namespace, ID: a.JobID}, a.TaskGroup}
			r.groups[g] = append(r.groups[g], a)
		}
	}
}

// group moves as many allocations as a group can spare: what remains and has
// settled must not fall below its count less max_parallel.
func (r *decider) group(g group, list []*api.Allocation) {
	job := r.snap.Job(g.job.Namespace, g.job.ID)
	spec := job.Group(g.name)
	if job.Stopped() || spec == nil {
		return // its evaluation stops them
	}
	r.out.watch = append(r.out.watch, store.KeyAllocsOfJob(g.job.Namespace, g.job.ID))
	m := migrateOf(spec)
	spare := m.parallel - spec.CountOf()
	for a := range r.snap.AllocsByJob(g.job.Namespace, g.job.ID) {
		if a.TaskGroup == g.name && movable(a) && r.settled(a, m) {
			spare++
		}
	}
	if spare > 0 {
		slices.SortFunc(list, func(a, b *api.Allocation) int { return cmp.Compare(a.ID, b.ID) })
		r.move(list[:min(spare, len(list))]...)
	}
}

// movable reports whether an allocation runs or may run, and nobody moves it.
func movable(a *api.Allocation) bool { return !a.Terminal() && !a.DesiredTransition.ShouldMigrate() }

func (r *decider) move(list ...*api.Allocation) {
	for _, a := range list {
		if movable(a) {
			r.out.moves = append(r.out.moves, a)
		}
	}
}

// migrate is a group's migrate block.
type migrate struct {
	parallel          int
	healthy, deadline time.Duration
}

func migrateOf(g *api.TaskGroup) migrate {
	m := migrate{1, 10 * time.Second, 5 * time.Minute} // as the block's defaults
	if b := g.Migrate; b != nil {
		if b.MaxParallel != nil {
			m.parallel = *b.MaxParallel
		}
		if b.MinHealthyTime != nil {
			m.healthy = b.MinHealthyTime.D()
		}
		if b.HealthyDeadline != nil {
			m.deadline = b.HealthyDeadline.D()
		}
	}
	return m
}

// settled reports whether an allocation is known to do well, or was given its
// time to: a drain does not wait longer for one that fails to.
func (r *decider) settled(a *api.Allocation, m migrate) bool {
	if a.DeploymentStatus.IsHealthy() || a.DeploymentStatus.IsUnhealthy() {
		return true
	}
	givenUp := time.Unix(0, a.CreateTime).Add(m.deadline)
	if !givenUp.After(r.now) {
		return true
	}
	r.later(givenUp)
	if a.ClientStatus != api.AllocClientRunning {
		return false
	}
	var started time.Time
	for _, t := range a.TaskStates {
		if t != nil && t.StartedAt.After(started) {
			started = t.StartedAt
		}
	}
	healthy := started.Add(m.healthy)
	if healthy.After(r.now) {
		r.later(healthy)
		return false
	}
	return true
}

func (r *decider) later(at time.Time) {
	if at.After(r.now) && (r.out.next.IsZero() || at.Before(r.out.next)) {
		r.out.next = at
	}
}

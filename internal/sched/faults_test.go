package sched_test

import (
	"fmt"
	"iter"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// fault is a mistake of the scheduler or of nodes, planted from outside: by
// what the scheduler is shown, by what becomes of its plan, or by how nodes
// behave. The zero value is none.
type fault struct {
	name       string
	view       func(*store.Snapshot) sched.State
	twist      func(*history, *api.Plan)
	amnesia    bool // the placer forgets plans in flight
	whim       bool // something else than the evaluation decides
	noWait     bool // nodes don't wait for predecessors
	endsEarly  bool // nodes report an end before it has come
	heirsFirst bool // what waits for its predecessor ends before it
}

// faults are mistakes that histories must show.
var faults = []*fault{
	{name: "what is told to stop leaves room at once", view: usage(func(a *api.Allocation, u *fit.Usage) *fit.Usage {
		if a.Terminal() {
			return &fit.Usage{}
		}
		return u
	})},
	{name: "disk is not counted", view: usage(func(_ *api.Allocation, u *fit.Usage) *fit.Usage { u.DiskMB = 0; return u })},
	{name: "memory is counted by half", view: usage(func(_ *api.Allocation, u *fit.Usage) *fit.Usage { u.MemoryMB /= 2; return u })},
	{name: "reserved cores are not counted", view: usage(func(_ *api.Allocation, u *fit.Usage) *fit.Usage { u.Cores = nil; return u })},
	{name: "ports are not counted", view: usage(func(_ *api.Allocation, u *fit.Usage) *fit.Usage { u.Ports = nil; return u })},
	{name: "allocations of a node are not counted one by one", view: usage(func(_ *api.Allocation, u *fit.Usage) *fit.Usage { u.Allocs = 0; return u })},
	{name: "constraints are ignored", view: edited(func(j *api.Job) {
		for _, g := range j.TaskGroups {
			g.Constraints = slices.DeleteFunc(slices.Clone(g.Constraints), func(k *api.Constraint) bool { return k.LTarget != "" && k.RTarget != "1" && k.RTarget != "4" })
		}
	})},
	{name: "distinct hosts and properties are ignored", view: edited(func(j *api.Job) {
		for _, g := range j.TaskGroups {
			g.Constraints = slices.DeleteFunc(slices.Clone(g.Constraints), func(k *api.Constraint) bool {
				return k.Operand == api.OperandDistinctHosts || k.Operand == api.OperandDistinctProperty
			})
		}
	})},
	{name: "datacenters are ignored", view: edited(func(j *api.Job) { j.Datacenters = []string{"*"} })},
	{name: "node pools are ignored", view: edited(func(j *api.Job) { j.NodePool = api.AllNodePools })},
	{name: "spread is ignored", view: edited(func(j *api.Job) {
		for _, g := range j.TaskGroups {
			g.Spreads = nil
		}
	})},
	{name: "one allocation of a group is one too few", view: edited(func(j *api.Job) {
		for _, g := range j.TaskGroups {
			g.Count = ptr(max(*g.Count-1, 0))
		}
	})},
	{name: "every version replaces what runs", view: edited(func(j *api.Job) {
		for _, g := range j.TaskGroups {
			g.Tasks[0].Env = map[string]string{"version": fmt.Sprint(j.Version)}
		}
	})},
	{name: "ineligible nodes are taken", view: func(s *store.Snapshot) sched.State { return &skewed{Snapshot: s, blind: true} }},
	{name: "memory is always oversubscribed", view: func(s *store.Snapshot) sched.State { return &skewed{Snapshot: s, lavish: true} }},
	{name: "allocations are overlooked", view: func(s *store.Snapshot) sched.State { return &skewed{Snapshot: s, forgets: true} }},
	{name: "every job may displace others", view: func(s *store.Snapshot) sched.State { return &skewed{Snapshot: s, rude: true} }},
	{name: "plans in flight are forgotten", amnesia: true},
	{name: "chance decides", whim: true},
	{name: "a placement is lost", twist: func(_ *history, p *api.Plan) {
		if len(p.Placements) > 0 {
			g := p.Placements[0]
			g.Allocs = g.Allocs[:len(g.Allocs)-1]
		}
	}},
	{name: "a displaced allocation is not told", twist: func(_ *history, p *api.Plan) {
		p.Stops = slices.DeleteFunc(p.Stops, func(s *api.PlanStop) bool { return s.PreemptedBy != "" })
	}},
	{name: "nodes don't wait for predecessors", noWait: true},
	{name: "nodes report an end before it has come", endsEarly: true},
	{name: "what waits for its predecessor ends before it", heirsFirst: true},
}

// skewed is a state that is shown wrongly.
type skewed struct {
	*store.Snapshot
	use                          func(*api.Allocation, *fit.Usage) *fit.Usage
	edit                         func(*api.Job)
	blind, lavish, forgets, rude bool
}

// usage makes nodes use what count says of each allocation.
func usage(count func(*api.Allocation, *fit.Usage) *fit.Usage) func(*store.Snapshot) sched.State {
	return func(s *store.Snapshot) sched.State { return &skewed{Snapshot: s, use: count} }
}

// edited shows jobs other than they are.
func edited(edit func(*api.Job)) func(*store.Snapshot) sched.State {
	return func(s *store.Snapshot) sched.State { return &skewed{Snapshot: s, edit: edit} }
}

func (f *skewed) Job(namespace, id string) *api.Job {
	j := f.Snapshot.Job(namespace, id)
	if j == nil || f.edit == nil {
		return j
	}
	c := j.Copy()
	f.edit(c)
	return c
}

func (f *skewed) NodesUsage() iter.Seq2[*api.Node, *fit.Usage] {
	return func(yield func(*api.Node, *fit.Usage) bool) {
		for n, u := range f.Snapshot.NodesUsage() {
			if f.use != nil {
				u = &fit.Usage{}
				for a := range f.AllocsByNode(n.ID) {
					if !a.ClientTerminal() {
						u = u.Plus(f.use(a, fit.Sum(a.AllocatedResources)))
					}
				}
			}
			if f.blind && n.SchedulingEligibility == api.NodeIneligible {
				c := *n
				c.SchedulingEligibility = api.NodeEligible
				n = &c
			}
			if !yield(n, u) {
				return
			}
		}
	}
}

func (f *skewed) SchedulerConfig() *api.SchedulerConfiguration {
	c := *f.Snapshot.SchedulerConfig()
	c.MemoryOversubscriptionEnabled = c.MemoryOversubscriptionEnabled || f.lavish
	if f.rude {
		c.PreemptionConfig = api.PreemptionConfig{SystemSchedulerEnabled: true, SysBatchSchedulerEnabled: true, BatchSchedulerEnabled: true, ServiceSchedulerEnabled: true}
	}
	return &c
}

func (f *skewed) AllocsByJob(namespace, id string) iter.Seq[*api.Allocation] {
	return func(yield func(*api.Allocation) bool) {
		for a := range f.Snapshot.AllocsByJob(namespace, id) {
			if !(f.forgets && a.ID[len(a.ID)-1] < '4') && !yield(a) {
				return
			}
		}
	}
}

package sched

import (
	"iter"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// State is what the scheduler reads: one immutable version of the state.
type State interface {
	Index() uint64
	Job(namespace, id string) *api.Job
	Alloc(id string) *api.Allocation
	Eval(id string) *api.Evaluation
	AllocsByJob(namespace, id string) iter.Seq[*api.Allocation]
	AllocsByNode(nodeID string) iter.Seq[*api.Allocation]
	Node(id string) *api.Node
	// NodesUsage yields every node, in a stable order, with what its
	// allocations use.
	NodesUsage() iter.Seq2[*api.Node, *fit.Usage]
	LatestDeployment(namespace, jobID string) *api.Deployment
	// NodePool returns a node pool, or nil.
	NodePool(name string) *api.NodePool
	// QuotaOf returns the quota of a namespace with what is used of it; nil when
	// there is none.
	QuotaOf(namespace string) (*api.QuotaSpec, api.Charge)
	SchedulerConfig() *api.SchedulerConfiguration
}

// Work is what an evaluation has to do: Reconcile's answer and Place's
// question.
type Work struct {
	Eval *api.Evaluation
	Job  *api.Job // nil when it is gone

	stops      []*api.PlanStop
	inPlace    []string
	followups  []api.PlanFollowup
	evals      []*api.Evaluation
	deployment *api.Deployment // created by this work
	updates    []*api.DeploymentUpdate
	asks       []*ask // of one group and version together
	everywhere []*everywhere
	desired    map[string]*api.DesiredUpdates
}

// ask is one allocation to place.
type ask struct {
	job        *api.Job // the version to run
	group      *api.TaskGroup
	index      int    // in the allocation's name
	deployment string // ID, or empty
	canary     bool

	previous *api.Allocation
	tracker  *api.RescheduleTracker
	penalty  []string // nodes where predecessors failed
	refused  []int32  // nodes that could not grant it after all
	// stop ends what the placement replaces. Without a placement it does not
	// happen.
	stop *api.PlanStop
}

// everywhere is a group of a job that runs on every node that may run it.
type everywhere struct {
	group *api.TaskGroup
	asks  []*ask                     // replacements of outdated allocations
	skip  map[string]struct{}        // nodes that have an allocation, or must not get one now
	prev  map[string]*api.Allocation // what ended on a node before, by node
}

// update returns the counts of a group.
func (w *Work) update(group string) *api.DesiredUpdates {
	u := w.desired[group]
	if u == nil {
		u = &api.DesiredUpdates{}
		w.desired[group] = u
	}
	return u
}

// Plan decides an evaluation without a trace, for dry runs.
func Plan(st State, eval *api.Evaluation, now func() time.Time, newID func() string) *api.Plan {
	return NewPlacer().Place(st, Reconcile(st, eval, now(), newID), now, newID)
}

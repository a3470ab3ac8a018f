package api

// Plan is what the scheduler decided for one evaluation: data that can be
// compared, proposed as it is, and shown by a dry run. Nothing in it was
// looked up again after the decision.
type Plan struct {
	EvalID string
	Job    *Job // the version that placements and in-place updates take; nil when the job is gone

	Placements []*PlanGroup
	InPlace    []string    // allocations that take Job's version and keep running
	Stops      []*PlanStop // stopped, evicted, lost or unknown
	Followups  []PlanFollowup

	Deployment        *Deployment // created by this plan, or nil
	DeploymentUpdates []*DeploymentUpdate

	Eval  *Evaluation   // the evaluation's outcome
	Evals []*Evaluation // created: blocked, follow-up, of preempted jobs

	Annotations *PlanAnnotations // only when the evaluation asks for them
}

// PlanGroup holds the placements of one task group: what they share once and
// per allocation only what differs.
type PlanGroup struct {
	TaskGroup    string
	DeploymentID string
	Resources    *AllocatedResources // without ports
	Metrics      *AllocMetric        // without scores
	Allocs       []*Placement

	// Job is the version these run when it is not the plan's: what replaces an
	// allocation of the old version while the new one is on trial. The log has
	// one entry per version, so this never enters it.
	Job *Job `json:"-"`
}

// Placement is one allocation of a PlanGroup.
type Placement struct {
	ID          string
	Index       int // the number in the allocation's name
	NodeID      string
	NodeName    string
	Networks    []*NetworkResource            // shared networks with their ports, nil without
	Ports       []PortMapping                 // ports of the shared networks
	TaskNetwork map[string][]*NetworkResource // of tasks that ask for their own, by task
	TaskCores   map[string][]uint16           // cores reserved, by task
	Devices     map[string][]*AllocatedDevice // by task
	Previous    string                        // the allocation it replaces
	Tracker     *RescheduleTracker
	Canary      bool
	Scores      []*NodeScoreMeta // chosen node first
	Preempts    []string
}

// PlanStop ends an allocation.
type PlanStop struct {
	ID             string
	DesiredStatus  string // stop or evict; empty keeps it
	Description    string
	ClientStatus   string // lost or unknown when servers decide it; empty keeps it
	FollowupEvalID string
	PreemptedBy    string
}

// PlanFollowup notes on a failed allocation which evaluation will replace it
// later.
type PlanFollowup struct {
	AllocID string
	EvalID  string
}

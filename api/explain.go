package api

// Explanation says where an allocation of one group can run at this moment,
// node by node, and what the scheduler noted when it decided.
type Explanation struct {
	Namespace  string
	JobID      string
	JobVersion uint64
	TaskGroup  string
	AllocID    string // empty for the group of a job
	NodeID     string // where the allocation is
	NodeName   string
	Index      uint64 // of the state that the rest is computed on

	// Blocked is how many allocations of the group wait for room, and
	// BlockedEval the evaluation that waits with them.
	Blocked     int
	BlockedEval string

	// Recorded is what was noted when the allocation was placed, or when
	// places for the group were last looked for in vain.
	Recorded *AllocMetric

	// QuotaExhausted says what of the namespace's quota one more allocation
	// would exceed; empty when there is room.
	QuotaExhausted []string

	NodesTotal    int // in the region
	NodesSuitable int // could take the allocation now
	// Reasons group the nodes that can't, the most frequent reason first.
	Reasons []*NodeReason
	// Nodes are the nodes one by one: those that can take the allocation, the
	// best first, then the others by reason.
	Nodes        []*NodeVerdict
	NodesOmitted int // left out of Nodes
	// NodesHidden tells that the caller may not read nodes, so that neither
	// Nodes nor Examples are filled.
	NodesHidden bool
}

// NodeReason is a reason that rules nodes out.
type NodeReason struct {
	Kind     string
	Reason   string
	Nodes    int
	Examples []string // names of some
}

// NodeVerdict tells whether a node can take an allocation, and why not or how
// well.
type NodeVerdict struct {
	NodeID     string
	NodeName   string
	Datacenter string
	NodeClass  string
	Chosen     bool // the allocation is here
	Suitable   bool
	Kind       string // of the reason, empty for a suitable node
	Reason     string
	Detail     string // figures: what is needed and what is free
	Scores     ScoreSet
	Score      float64 // mean of those that count, of a suitable node
}

// Kinds of reasons.
const (
	ReasonStatus     = "status"     // down, ineligible, draining
	ReasonPool       = "node-pool"  // outside the job's pool
	ReasonDatacenter = "datacenter" // outside the job's datacenters
	ReasonConstraint = "constraint" // a constraint, driver, volume or network is not met
	ReasonDimension  = "dimension"  // too little left of something
	ReasonPort       = "port"       // a port is taken
)

// ExplainedNodes is how many nodes an Explanation lists when not all are asked
// for.
const ExplainedNodes = 10

// JobExplanation explains every group of a job.
type JobExplanation struct {
	Namespace string
	JobID     string
	Groups    []*Explanation
}

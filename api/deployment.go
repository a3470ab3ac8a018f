package api

import "time"

// Deployment statuses.
const (
	DeploymentRunning    = "running"
	DeploymentPaused     = "paused"
	DeploymentFailed     = "failed"
	DeploymentSuccessful = "successful"
	DeploymentCancelled  = "cancelled"
	DeploymentPending    = "pending"
	DeploymentBlocked    = "blocked"
	DeploymentUnblocking = "unblocking"
)

// Deployment rolls one version of a job out.
type Deployment struct {
	ID                 string
	Namespace          string
	JobID              string
	JobVersion         uint64
	JobModifyIndex     uint64
	JobSpecModifyIndex uint64
	JobCreateIndex     uint64
	IsMultiregion      bool
	TaskGroups         map[string]*DeploymentState
	Status             string
	StatusDescription  string
	EvalPriority       int
	CreateIndex        uint64
	ModifyIndex        uint64
	CreateTime         int64 // Unix nanoseconds
	ModifyTime         int64
}

// Active reports whether the deployment can still make progress.
func (d *Deployment) Active() bool {
	switch d.Status {
	case DeploymentRunning, DeploymentPaused, DeploymentPending, DeploymentBlocked, DeploymentUnblocking:
		return true
	}
	return false
}

// Copy returns a copy whose group states may be changed.
func (d *Deployment) Copy() *Deployment {
	c := *d
	c.TaskGroups = make(map[string]*DeploymentState, len(d.TaskGroups))
	for name, s := range d.TaskGroups {
		t := *s
		t.PlacedCanaries = append([]string(nil), s.PlacedCanaries...)
		c.TaskGroups[name] = &t
	}
	return &c
}

// DeploymentState is the progress of one group.
type DeploymentState struct {
	AutoRevert        bool
	AutoPromote       bool
	ProgressDeadline  Duration
	RequireProgressBy time.Time
	Promoted          bool
	PlacedCanaries    []string
	DesiredCanaries   int
	DesiredTotal      int
	PlacedAllocs      int
	HealthyAllocs     int
	UnhealthyAllocs   int
}

// DeploymentUpdate changes a deployment's status.
type DeploymentUpdate struct {
	DeploymentID      string
	Status            string
	StatusDescription string
}

// DeploymentUpdateResponse answers changes of a deployment.
type DeploymentUpdateResponse struct {
	EvalID                string
	EvalCreateIndex       uint64
	DeploymentModifyIndex uint64
	RevertedJobVersion    *uint64
	Index                 uint64
}

package api

import "time"

// Desired statuses of an allocation.
const (
	AllocDesiredRun   = "run"
	AllocDesiredStop  = "stop"
	AllocDesiredEvict = "evict"
)

// Client statuses of an allocation.
const (
	AllocClientPending  = "pending"
	AllocClientRunning  = "running"
	AllocClientComplete = "complete"
	AllocClientFailed   = "failed"
	AllocClientLost     = "lost"
	AllocClientUnknown  = "unknown"
)

// Descriptions of desired statuses, as clients show them.
const (
	AllocNotNeeded         = "alloc not needed due to job update"
	AllocUpdating          = "alloc is being updated due to job update"
	AllocInPlace           = "alloc updating in-place"
	AllocMigrating         = "alloc is being migrated"
	AllocLostNodeDown      = "alloc is lost since its node is down"
	AllocUnknown           = "alloc is unknown since its node is disconnected"
	AllocReconnectedLoser  = "alloc not needed due to disconnected client reconnect"
	AllocNodeTainted       = "alloc not needed as node is tainted"
	AllocRescheduledFailed = "alloc was rescheduled because it failed"
)

// Descriptions of client statuses.
const (
	AllocClientNoneStarted = "No tasks have started"
	AllocClientTasksRun    = "Tasks are running"
	AllocClientTasksFailed = "Failed tasks"
	AllocClientTasksDone   = "All tasks have completed"
)

// Allocation is one group of one job placed on one node: the heart of the
// API. Values from the store share Job, AllocatedResources and Metrics with
// their siblings and must not be changed.
type Allocation struct {
	ID        string
	Namespace string
	EvalID    string
	Name      string // job.group[index]
	NodeID    string
	NodeName  string
	JobID     string
	Job       *Job // as it was when placed or last updated in place
	TaskGroup string

	AllocatedResources *AllocatedResources
	Metrics            *AllocMetric

	DesiredStatus      string
	DesiredDescription string
	DesiredTransition  DesiredTransition

	ClientStatus      string
	ClientDescription string
	TaskStates        map[string]*TaskState
	AllocStates       []*AllocState

	DeploymentID     string
	DeploymentStatus *AllocDeploymentStatus

	PreviousAllocation    string
	NextAllocation        string
	FollowupEvalID        string
	RescheduleTracker     *RescheduleTracker
	NetworkStatus         *AllocNetworkStatus
	PreemptedAllocations  []string
	PreemptedByAllocation string
	SigningKeyID          string

	CreateIndex      uint64
	ModifyIndex      uint64
	AllocModifyIndex uint64 // moves on changes by servers only
	CreateTime       int64  // Unix nanoseconds
	ModifyTime       int64
}

// ServerTerminal reports whether servers want the allocation gone.
func (a *Allocation) ServerTerminal() bool {
	return a.DesiredStatus == AllocDesiredStop || a.DesiredStatus == AllocDesiredEvict
}

// ClientTerminal reports whether the node is done with the allocation.
func (a *Allocation) ClientTerminal() bool {
	switch a.ClientStatus {
	case AllocClientComplete, AllocClientFailed, AllocClientLost:
		return true
	}
	return false
}

// Terminal reports whether the allocation will never run again.
func (a *Allocation) Terminal() bool { return a.ServerTerminal() || a.ClientTerminal() }

// Group returns the allocation's task group of its own job version.
func (a *Allocation) Group() *TaskGroup { return a.Job.Group(a.TaskGroup) }

// Index returns the number in the allocation's name, or -1.
func (a *Allocation) Index() int {
	n, mul := 0, 1
	i := len(a.Name) - 1
	if i < 0 || a.Name[i] != ']' {
		return -1
	}
	for i--; i >= 0 && a.Name[i] >= '0' && a.Name[i] <= '9' && mul < 1_000_000_000; i-- {
		n += int(a.Name[i]-'0') * mul
		mul *= 10
	}
	if i < 0 || a.Name[i] != '[' || mul == 1 {
		return -1
	}
	return n
}

// Copy returns a shallow copy: the nested values are shared, so a nested
// value is replaced, never edited.
func (a *Allocation) Copy() *Allocation {
	c := *a
	return &c
}

// DesiredTransition asks the scheduler to move an allocation.
type DesiredTransition struct {
	Migrate                 *bool
	Reschedule              *bool
	ForceReschedule         *bool
	NoShutdownDelay         *bool
	MigrateDisablePlacement *bool
}

// ShouldMigrate reports whether Migrate is set and true.
func (d *DesiredTransition) ShouldMigrate() bool { return d.Migrate != nil && *d.Migrate }

// ShouldReschedule reports whether Reschedule is set and true.
func (d *DesiredTransition) ShouldReschedule() bool { return d.Reschedule != nil && *d.Reschedule }

// ShouldForceReschedule reports whether ForceReschedule is set and true.
func (d *DesiredTransition) ShouldForceReschedule() bool {
	return d.ForceReschedule != nil && *d.ForceReschedule
}

// SkipShutdownDelay reports whether NoShutdownDelay is set and true.
func (d *DesiredTransition) SkipShutdownDelay() bool {
	return d.NoShutdownDelay != nil && *d.NoShutdownDelay
}

// Merge overwrites the settings that o has.
func (d *DesiredTransition) Merge(o DesiredTransition) {
	if o.Migrate != nil {
		d.Migrate = o.Migrate
	}
	if o.Reschedule != nil {
		d.Reschedule = o.Reschedule
	}
	if o.ForceReschedule != nil {
		d.ForceReschedule = o.ForceReschedule
	}
	if o.NoShutdownDelay != nil {
		d.NoShutdownDelay = o.NoShutdownDelay
	}
	if o.MigrateDisablePlacement != nil {
		d.MigrateDisablePlacement = o.MigrateDisablePlacement
	}
}

// AllocState is one change of an allocation's client status that servers made.
type AllocState struct {
	Field uint8 // 0: client status
	Value string
	Time  time.Time
}

// AllocDeploymentStatus is an allocation's health in its deployment; Healthy
// nil means not known yet.
type AllocDeploymentStatus struct {
	Healthy     *bool
	Timestamp   time.Time
	Canary      bool
	ModifyIndex uint64
}

// IsHealthy reports whether health is known and good.
func (s *AllocDeploymentStatus) IsHealthy() bool {
	return s != nil && s.Healthy != nil && *s.Healthy
}

// IsUnhealthy reports whether health is known and bad.
func (s *AllocDeploymentStatus) IsUnhealthy() bool {
	return s != nil && s.Healthy != nil && !*s.Healthy
}

// IsCanary reports whether the allocation is a canary.
func (s *AllocDeploymentStatus) IsCanary() bool { return s != nil && s.Canary }

// AllocNetworkStatus is the network an allocation got on its node.
type AllocNetworkStatus struct {
	InterfaceName string
	Address       string
	AddressIPv6   string
	DNS           *DNSConfig
}

// RescheduleTracker remembers the predecessors of an allocation.
type RescheduleTracker struct {
	Events         []*RescheduleEvent
	LastReschedule string // "ok", "no placement" or empty
}

// RescheduleEvent is one replacement of a failed allocation.
type RescheduleEvent struct {
	RescheduleTime int64 // Unix nanoseconds
	PrevAllocID    string
	PrevNodeID     string
	Delay          Duration
}

// AllocListStub is an allocation in a list. TaskStates is null and
// AllocatedResources absent unless asked for.
type AllocListStub struct {
	ID                    string
	EvalID                string
	Name                  string
	Namespace             string
	NodeID                string
	NodeName              string
	JobID                 string
	JobType               string
	JobVersion            uint64
	TaskGroup             string
	AllocatedResources    *AllocatedResources `json:",omitempty"`
	DesiredStatus         string
	DesiredDescription    string
	DesiredTransition     DesiredTransition
	ClientStatus          string
	ClientDescription     string
	TaskStates            map[string]*TaskState
	DeploymentStatus      *AllocDeploymentStatus
	FollowupEvalID        string
	PreviousAllocation    string
	NextAllocation        string
	RescheduleTracker     *RescheduleTracker
	PreemptedAllocations  []string
	PreemptedByAllocation string
	CreateIndex           uint64
	ModifyIndex           uint64
	CreateTime            int64
	ModifyTime            int64
}

// Stub returns the list form with task states and without resources.
func (a *Allocation) Stub() *AllocListStub {
	s := &AllocListStub{
		ID: a.ID, EvalID: a.EvalID, Name: a.Name, Namespace: a.Namespace, NodeID: a.NodeID, NodeName: a.NodeName,
		JobID: a.JobID, TaskGroup: a.TaskGroup, DesiredStatus: a.DesiredStatus, DesiredDescription: a.DesiredDescription,
		DesiredTransition: a.DesiredTransition, ClientStatus: a.ClientStatus, ClientDescription: a.ClientDescription,
		TaskStates: a.TaskStates, DeploymentStatus: a.DeploymentStatus, FollowupEvalID: a.FollowupEvalID,
		PreviousAllocation: a.PreviousAllocation, NextAllocation: a.NextAllocation, RescheduleTracker: a.RescheduleTracker,
		PreemptedAllocations: a.PreemptedAllocations, PreemptedByAllocation: a.PreemptedByAllocation,
		CreateIndex: a.CreateIndex, ModifyIndex: a.ModifyIndex, CreateTime: a.CreateTime, ModifyTime: a.ModifyTime,
	}
	if a.Job != nil {
		s.JobType, s.JobVersion = a.Job.Type, a.Job.Version
	}
	return s
}

// AllocUpdate is what a node reports of one allocation: the whole observed
// state, so that the newest report alone is enough.
type AllocUpdate struct {
	ID                string
	ClientStatus      string
	ClientDescription string
	TaskStates        map[string]*TaskState
	DeploymentHealthy *bool     // nil: not known
	HealthTimestamp   time.Time // when DeploymentHealthy was decided
	NetworkStatus     *AllocNetworkStatus
	Services          []*AllocService // all that the allocation serves now
}

// AllocStopResponse answers a stop.
type AllocStopResponse struct {
	EvalID string
	Index  uint64
}

// AllocSignalRequest is the body of a signal. No Task means every task.
type AllocSignalRequest struct {
	Signal string
	Task   string
}

// AllocRestartRequest is the body of a restart. Task and TaskName mean the
// same; neither means every running task.
type AllocRestartRequest struct {
	Task     string
	TaskName string
	AllTasks bool
}

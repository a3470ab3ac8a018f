package api

import (
	"slices"
	"time"
)

// Job types.
const (
	JobTypeService  = "service"
	JobTypeBatch    = "batch"
	JobTypeSystem   = "system"
	JobTypeSysBatch = "sysbatch"
)

// Job statuses.
const (
	JobStatusPending = "pending"
	JobStatusRunning = "running"
	JobStatusDead    = "dead"
)

// Defaults and bounds of a job.
const (
	DefaultRegion      = "global"
	DefaultNamespace   = "default"
	AllNamespaces      = "*"
	DefaultNodePool    = "default"
	AllNodePools       = "all"
	DefaultJobPriority = 50
	MinJobPriority     = 1
	MaxJobPriority     = 100
	MaxGroupCount      = 50000 // allocations of all groups of one job
	MaxJobVersions     = 6     // versions without a name kept per job, unless servers are told another number
	MaxJobTags         = 50    // versions with a name per job
	MaxScalingEvents   = 20    // scaling events kept per group
	MaxSubmissionSize  = 1 << 20
)

// Job is what a user wants to run: groups of tasks, how many of each, where
// they may run and how they are updated.
type Job struct {
	Region           string
	Namespace        string
	ID               string
	Name             string
	Type             string
	Priority         int
	AllAtOnce        bool
	Datacenters      []string
	NodePool         string
	Constraints      []*Constraint
	Affinities       []*Affinity
	Spreads          []*Spread
	TaskGroups       []*TaskGroup
	Update           *UpdateStrategy
	Multiregion      *Multiregion
	Periodic         *PeriodicConfig
	ParameterizedJob *ParameterizedConfig
	Reschedule       *ReschedulePolicy
	Migrate          *MigrateStrategy
	Meta             map[string]string
	UI               *JobUI
	ConsulToken      string
	VaultToken       string

	// Set by the server.

	Stop                     bool
	ParentID                 string
	Dispatched               bool
	DispatchIdempotencyToken string
	Payload                  []byte
	ConsulNamespace          string
	VaultNamespace           string
	NomadTokenID             string
	Status                   string
	StatusDescription        string
	Stable                   bool
	Version                  uint64
	SubmitTime               int64 // Unix nanoseconds
	CreateIndex              uint64
	ModifyIndex              uint64
	JobModifyIndex           uint64
	VersionTag               *JobVersionTag
}

// NamespacedID names a job.
type NamespacedID struct {
	ID        string
	Namespace string
}

// Key returns the job's identity.
func (j *Job) Key() NamespacedID { return NamespacedID{ID: j.ID, Namespace: j.Namespace} }

// WithCount returns the job with another count of one group. The rest is
// shared.
func (j *Job) WithCount(group string, count int) *Job {
	c := *j
	c.TaskGroups = slices.Clone(j.TaskGroups)
	for i, g := range c.TaskGroups {
		if g.Name == group {
			scaled := *g
			scaled.Count = &count
			c.TaskGroups[i] = &scaled
		}
	}
	return &c
}

// Group returns the task group of that name, or nil.
func (j *Job) Group(name string) *TaskGroup {
	if j == nil {
		return nil
	}
	for _, g := range j.TaskGroups {
		if g.Name == name {
			return g
		}
	}
	return nil
}

// Stopped reports whether the job is absent or asked to stop.
func (j *Job) Stopped() bool { return j == nil || j.Stop }

// IsPeriodicActive reports whether the job is an enabled periodic parent.
func (j *Job) IsPeriodicActive() bool {
	return j.Periodic != nil && (j.Periodic.Enabled == nil || *j.Periodic.Enabled) && !j.Stop && !j.IsParameterized()
}

// IsParameterized reports whether the job is a parent that runs only by dispatch.
func (j *Job) IsParameterized() bool { return j.ParameterizedJob != nil && !j.Dispatched }

// JobUI is what user interfaces show beside the job.
type JobUI struct {
	Description string
	Links       []*JobUILink
}

// JobUILink is one link of a JobUI.
type JobUILink struct{ Label, URL string }

// JobVersionTag names a version of a job that is kept.
type JobVersionTag struct {
	Name        string
	Description string
	TaggedTime  int64
}

// PeriodicConfig starts a job by the clock.
type PeriodicConfig struct {
	Enabled         *bool
	Spec            string
	Specs           []string
	SpecType        string
	ProhibitOverlap bool
	TimeZone        string
}

// ParameterizedConfig makes a job a template for dispatched instances.
type ParameterizedConfig struct {
	Payload      string
	MetaRequired []string
	MetaOptional []string
}

// Multiregion spreads a job over regions.
type Multiregion struct {
	Strategy *MultiregionStrategy
	Regions  []*MultiregionRegion
}

// MultiregionStrategy orders the rollout over regions.
type MultiregionStrategy struct {
	MaxParallel int
	OnFailure   string
}

// MultiregionRegion is one region of a Multiregion job.
type MultiregionRegion struct {
	Name        string
	Count       int
	Datacenters []string
	NodePool    string
	Meta        map[string]string
}

// JobListStub is a job in a list.
type JobListStub struct {
	ID                string
	ParentID          string
	Name              string
	Namespace         string
	Datacenters       []string
	NodePool          string
	Multiregion       *Multiregion
	Type              string
	Priority          int
	Periodic          bool
	ParameterizedJob  bool
	Stop              bool
	Status            string
	StatusDescription string
	JobSummary        *JobSummary
	Version           uint64
	CreateIndex       uint64
	ModifyIndex       uint64
	JobModifyIndex    uint64
	SubmitTime        int64
	Meta              map[string]string `json:",omitempty"`
}

// Stub returns the job's list form.
func (j *Job) Stub(summary *JobSummary, meta bool) *JobListStub {
	s := &JobListStub{
		ID: j.ID, ParentID: j.ParentID, Name: j.Name, Namespace: j.Namespace,
		Datacenters: j.Datacenters, NodePool: j.NodePool, Multiregion: j.Multiregion,
		Type: j.Type, Priority: j.Priority, Periodic: j.Periodic != nil, ParameterizedJob: j.IsParameterized(),
		Stop: j.Stop, Status: j.Status, StatusDescription: j.StatusDescription, JobSummary: summary,
		Version: j.Version, CreateIndex: j.CreateIndex, ModifyIndex: j.ModifyIndex, JobModifyIndex: j.JobModifyIndex,
		SubmitTime: j.SubmitTime,
	}
	if meta {
		s.Meta = j.Meta
	}
	return s
}

// JobSummary counts a job's allocations by group and state.
type JobSummary struct {
	JobID       string
	Namespace   string
	Summary     map[string]TaskGroupSummary
	Children    *JobChildrenSummary
	CreateIndex uint64
	ModifyIndex uint64
}

// TaskGroupSummary counts the allocations of one group.
type TaskGroupSummary struct {
	Queued   int
	Complete int
	Failed   int
	Running  int
	Starting int
	Lost     int
	Unknown  int
}

// JobChildrenSummary counts the instances of a periodic or parameterized job.
type JobChildrenSummary struct{ Pending, Running, Dead int64 }

// JobSubmission is the text a job was registered from.
type JobSubmission struct {
	Source         string
	Format         string // hcl2 or json
	VariableFlags  map[string]string
	Variables      string
	Namespace      string `json:",omitempty"`
	JobID          string `json:",omitempty"`
	Version        uint64
	JobModifyIndex uint64
}

// JobRegisterRequest is the body of a job registration.
type JobRegisterRequest struct {
	Job               *Job
	Submission        *JobSubmission
	EnforceIndex      bool
	JobModifyIndex    uint64
	PolicyOverride    bool
	PreserveCounts    bool
	PreserveResources bool
	EvalPriority      int
	Region            string
	Namespace         string
	SecretID          string
}

// JobRegisterResponse answers a registration, a deregistration, an evaluation
// request and a scaling request.
type JobRegisterResponse struct {
	EvalID          string
	EvalCreateIndex uint64
	JobModifyIndex  uint64
	Warnings        string
	Index           uint64
	LastContact     int64
	KnownLeader     bool
	NextToken       string
}

// JobPlanRequest is the body of a dry run.
type JobPlanRequest struct {
	Job            *Job
	Diff           bool
	PolicyOverride bool
	Region         string
	Namespace      string
	SecretID       string
}

// JobPlanResponse answers a dry run.
type JobPlanResponse struct {
	Annotations        *PlanAnnotations
	FailedTGAllocs     map[string]*AllocMetric
	JobModifyIndex     uint64
	CreatedEvals       []*Evaluation
	Diff               *JobDiff
	NextPeriodicLaunch time.Time
	Warnings           string
	Index              uint64
}

// JobValidateResponse answers a validation.
type JobValidateResponse struct {
	DriverConfigValidated bool
	ValidationErrors      []string
	Error                 string
	Warnings              string
}

// JobsParseRequest asks for the JSON form of a job file.
type JobsParseRequest struct {
	JobHCL       string
	HCLv1        bool
	Variables    string
	Canonicalize bool
}

// JobVersionsResponse lists a job's versions, newest first.
type JobVersionsResponse struct {
	Versions []*Job
	Diffs    []*JobDiff
	Index    uint64
}

// JobRevertRequest asks for an earlier version to become current again.
type JobRevertRequest struct {
	JobID               string
	JobVersion          uint64
	EnforcePriorVersion *uint64
	ConsulToken         string
	VaultToken          string
}

// JobTagRequest names a version of a job.
type JobTagRequest struct {
	Version     uint64
	Latest      bool // the current version, when Version is not set
	Description string
}

// JobTagResponse answers a JobTagRequest.
type JobTagResponse struct {
	Name        string
	Description string
	TaggedTime  int64 // Unix nanoseconds
	Index       uint64
}

// JobStabilityRequest marks a version as stable or not.
type JobStabilityRequest struct {
	JobID      string
	JobVersion uint64
	Stable     bool
}

// JobEvaluateRequest forces an evaluation.
type JobEvaluateRequest struct {
	JobID       string
	EvalOptions struct{ ForceReschedule bool }
}

// ScalingRequest changes the count of one group.
type ScalingRequest struct {
	Count          *int64
	Target         map[string]string // {"Group": name}
	Message        string
	Error          bool
	Meta           map[string]any
	PolicyOverride bool
	JobModifyIndex uint64
}

// ScalingEvent is one change, or reported error, of a group's count.
type ScalingEvent struct {
	Count         *int64
	PreviousCount int64
	Error         bool
	Message       string
	Meta          map[string]any
	EvalID        *string
	Time          uint64 // Unix nanoseconds
	CreateIndex   uint64
}

// JobScaleStatus tells how each group of a job is scaled.
type JobScaleStatus struct {
	JobID          string
	Namespace      string
	JobCreateIndex uint64
	JobModifyIndex uint64
	JobStopped     bool
	TaskGroups     map[string]TaskGroupScaleStatus
}

// TaskGroupScaleStatus is one group of a JobScaleStatus.
type TaskGroupScaleStatus struct {
	Desired, Placed, Running, Healthy, Unhealthy int
	Events                                       []ScalingEvent
}

// JobAction is a command that one of a job's tasks names.
type JobAction struct {
	Name          string
	Command       string
	Args          []string
	TaskGroupName string
	TaskName      string
}

// JobDeregisterOptions says how a job is stopped. An EvalPriority of 0 is the
// job's priority.
type JobDeregisterOptions struct {
	Purge           bool
	NoShutdownDelay bool
	EvalPriority    int
}

package api

// TaskGroup is the unit of placement: its tasks run together on one node.
type TaskGroup struct {
	Name             string
	Count            *int
	Constraints      []*Constraint
	Affinities       []*Affinity
	Spreads          []*Spread
	Tasks            []*Task
	Volumes          map[string]*VolumeRequest
	RestartPolicy    *RestartPolicy
	ReschedulePolicy *ReschedulePolicy
	Disconnect       *DisconnectStrategy
	EphemeralDisk    *EphemeralDisk
	Update           *UpdateStrategy
	Migrate          *MigrateStrategy
	Networks         []*NetworkResource
	Services         []*Service
	Meta             map[string]string
	ShutdownDelay    *Duration
	MaxRunDuration   *Duration
	Scaling          *ScalingPolicy
	Consul           *Consul

	// Forerunners of Disconnect.

	StopAfterClientDisconnect *Duration
	MaxClientDisconnect       *Duration
	PreventRescheduleOnLost   *bool
}

// Task returns the task of that name, or nil.
func (g *TaskGroup) Task(name string) *Task {
	if g == nil {
		return nil
	}
	for _, t := range g.Tasks {
		if t != nil && t.Name == name {
			return t
		}
	}
	return nil
}

// CountOf returns how many allocations the group wants: Count, or 1 before
// the job is canonical.
func (g *TaskGroup) CountOf() int {
	if g.Count == nil {
		return 1
	}
	return *g.Count
}

// EphemeralDisk is the disk space of an allocation.
type EphemeralDisk struct {
	Sticky  bool
	Migrate bool
	SizeMB  *int
}

// Constraint limits where something may run.
type Constraint struct {
	LTarget string
	RTarget string
	Operand string
}

// Constraint operands. "==" and "is" mean "=", "not" means "!=".
const (
	OperandEqual            = "="
	OperandNotEqual         = "!="
	OperandLess             = "<"
	OperandLessEqual        = "<="
	OperandGreater          = ">"
	OperandGreaterEqual     = ">="
	OperandRegexp           = "regexp"
	OperandVersion          = "version"
	OperandSemver           = "semver"
	OperandSetContains      = "set_contains"
	OperandSetContainsAll   = "set_contains_all"
	OperandSetContainsAny   = "set_contains_any"
	OperandIsSet            = "is_set"
	OperandIsNotSet         = "is_not_set"
	OperandDistinctHosts    = "distinct_hosts"
	OperandDistinctProperty = "distinct_property"
)

// String renders the constraint as metrics and messages show it.
func (c *Constraint) String() string { return c.LTarget + " " + c.Operand + " " + c.RTarget }

// Affinity prefers nodes, or with a negative weight avoids them.
type Affinity struct {
	LTarget string
	RTarget string
	Operand string
	Weight  *int8 // -100 to 100, not 0; default 50
}

// Spread distributes a group over the values of an attribute.
type Spread struct {
	Attribute    string
	Weight       *int8 // 0 to 100; default 50
	SpreadTarget []*SpreadTarget
}

// SpreadTarget gives one attribute value its share.
type SpreadTarget struct {
	Value   string
	Percent uint8
}

// RestartPolicy says how a node restarts a task in place.
type RestartPolicy struct {
	Attempts        *int
	Interval        *Duration
	Delay           *Duration
	Mode            string // fail or delay
	RenderTemplates *bool
}

// Restart policy modes.
const (
	RestartModeFail  = "fail"
	RestartModeDelay = "delay"
)

// ReschedulePolicy says when a failed allocation is placed anew.
type ReschedulePolicy struct {
	Attempts      *int
	Interval      *Duration
	Delay         *Duration
	DelayFunction string // constant, exponential or fibonacci
	MaxDelay      *Duration
	Unlimited     *bool
}

// Enabled reports whether the policy reschedules at all.
func (p *ReschedulePolicy) Enabled() bool {
	return p != nil && (p.Unlimited != nil && *p.Unlimited || p.Attempts != nil && *p.Attempts > 0)
}

// DisconnectStrategy says what happens when a node stops reporting.
type DisconnectStrategy struct {
	LostAfter         *Duration
	StopOnClientAfter *Duration
	Replace           *bool
	Reconcile         string
}

// UpdateStrategy says how a new version replaces the old one.
type UpdateStrategy struct {
	Stagger          *Duration
	MaxParallel      *int
	HealthCheck      string // checks, task_states or manual
	MinHealthyTime   *Duration
	HealthyDeadline  *Duration
	ProgressDeadline *Duration
	Canary           *int
	AutoRevert       *bool
	AutoPromote      *bool
}

// Rolling reports whether the strategy limits parallelism, which is what
// makes a deployment.
func (u *UpdateStrategy) Rolling() bool {
	return u != nil && u.MaxParallel != nil && *u.MaxParallel > 0
}

// MigrateStrategy says how a drain moves a group.
type MigrateStrategy struct {
	MaxParallel     *int
	HealthCheck     string
	MinHealthyTime  *Duration
	HealthyDeadline *Duration
}

// VolumeRequest asks for a volume for a group.
type VolumeRequest struct {
	Name           string
	Type           string // host or csi
	Source         string
	ReadOnly       bool
	Sticky         bool
	AccessMode     string
	AttachmentMode string
	MountOptions   *CSIMountOptions
	PerAlloc       bool
}

// CSIMountOptions are passed to a storage plugin.
type CSIMountOptions struct {
	FSType     string
	MountFlags []string
}

// ScalingPolicy bounds a group's count and carries an autoscaler's settings.
type ScalingPolicy struct {
	ID          string
	Namespace   string
	Type        string
	Target      map[string]string
	Min         *int64
	Max         *int64
	Policy      map[string]any
	Enabled     *bool
	CreateIndex uint64
	ModifyIndex uint64
}

// Consul selects where services are registered.
type Consul struct{ Namespace, Cluster, Partition string }

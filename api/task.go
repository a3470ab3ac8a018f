package api

// Task is one program of a group.
type Task struct {
	Name            string
	Driver          string
	User            string
	Lifecycle       *TaskLifecycle
	Config          map[string]any
	Constraints     []*Constraint
	Affinities      []*Affinity
	Spreads         []*Spread // shown empty: a group is spread, never a task
	Env             map[string]string
	Services        []*Service
	Resources       *Resources
	RestartPolicy   *RestartPolicy
	Meta            map[string]string
	KillTimeout     *Duration
	KillSignal      string
	LogConfig       *LogConfig
	Artifacts       []*TaskArtifact
	Vault           *Vault
	Consul          *Consul
	Templates       []*Template
	DispatchPayload *DispatchPayloadConfig
	VolumeMounts    []*VolumeMount
	CSIPluginConfig *TaskCSIPluginConfig `json:",omitempty"`
	Leader          bool
	ShutdownDelay   Duration
	Kind            string
	ScalingPolicies []*ScalingPolicy
	Identity        *WorkloadIdentity
	Identities      []*WorkloadIdentity
	Secrets         []*Secret
	Actions         []*Action
	Schedule        *TaskSchedule
	UsesCores       bool `json:"-"`
}

// TaskLifecycle places a task before, beside or after the main tasks.
type TaskLifecycle struct {
	Hook    string // prestart, poststart or poststop
	Sidecar bool
}

// Lifecycle hooks.
const (
	HookPrestart  = "prestart"
	HookPoststart = "poststart"
	HookPoststop  = "poststop"
)

// LogConfig bounds the log files of a task: MaxFiles of MaxFileSizeMB for
// each of stdout and stderr.
type LogConfig struct {
	MaxFiles      *int
	MaxFileSizeMB *int
	Disabled      *bool
	Enabled       *bool `json:",omitempty"` // forerunner of Disabled
}

// DispatchPayloadConfig names the file a dispatch payload is written to.
type DispatchPayloadConfig struct{ File string }

// TaskArtifact is fetched before the task starts.
type TaskArtifact struct {
	GetterSource   string
	GetterOptions  map[string]string
	GetterHeaders  map[string]string
	GetterMode     string
	GetterInsecure bool
	RelativeDest   string
	Chown          bool
}

// Template is rendered into the task's directory.
type Template struct {
	SourcePath    string
	DestPath      string
	EmbeddedTmpl  string
	ChangeMode    string
	ChangeSignal  string
	ChangeScript  *ChangeScript
	Once          bool
	Splay         *Duration
	Perms         string
	Uid           *int
	Gid           *int
	LeftDelim     string
	RightDelim    string
	Envvars       bool
	VaultGrace    *Duration
	Wait          *WaitConfig
	ErrMissingKey bool
}

// WaitConfig delays a template's rendering until its inputs are quiet.
type WaitConfig struct{ Min, Max *Duration }

// ChangeScript runs when a template changes.
type ChangeScript struct {
	Command          string
	Args             []string
	Timeout          *Duration
	FailOnError      bool
	RunOnFirstRender bool
}

// Vault gives a task a token of a secrets service.
type Vault struct {
	Policies             []string
	Role                 string
	Namespace            string
	Cluster              string
	Env                  *bool
	DisableFile          *bool
	ChangeMode           string
	ChangeSignal         string
	AllowTokenExpiration *bool
}

// Secret is fetched for the task's environment.
type Secret struct {
	Name     string
	Provider string
	Path     string
	Config   map[string]any
	Env      map[string]string
}

// VolumeMount mounts a group's volume into a task.
type VolumeMount struct {
	Volume          string
	Destination     string
	ReadOnly        bool
	PropagationMode string
	SELinuxLabel    string
}

// TaskCSIPluginConfig makes a task a storage plugin.
type TaskCSIPluginConfig struct {
	ID                  string
	Type                string
	MountDir            string
	StagePublishBaseDir string
	HealthTimeout       Duration
}

// WorkloadIdentity is a signed token for a task.
type WorkloadIdentity struct {
	Name         string
	Audience     []string
	ChangeMode   string
	ChangeSignal string
	Env          bool
	File         bool
	Filepath     string
	ServiceName  string
	TTL          Duration
	ExtraClaims  []string
}

// Action is a command a user may run in a task by name.
type Action struct {
	Name    string
	Command string
	Args    []string
}

// TaskSchedule limits a task to windows of time.
type TaskSchedule struct{ Cron *TaskScheduleCron }

// TaskScheduleCron is a window given by cron expressions.
type TaskScheduleCron struct{ Start, End, Timezone string }

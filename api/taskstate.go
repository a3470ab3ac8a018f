package api

import (
	"encoding/json"
	"strconv"
	"time"
)

// Task states.
const (
	TaskStatePending = "pending"
	TaskStateRunning = "running"
	TaskStateDead    = "dead"
)

// MaxTaskEvents is how many events a task keeps; the oldest goes first.
const MaxTaskEvents = 10

// TaskState is what a task is doing and how it came to that.
type TaskState struct {
	State       string
	Failed      bool
	Restarts    uint64
	LastRestart time.Time
	StartedAt   time.Time
	FinishedAt  time.Time
	Events      []*TaskEvent
	Paused      string
}

// Copy returns a copy whose event list may be appended to; the events
// themselves are shared.
func (s *TaskState) Copy() *TaskState {
	c := *s
	c.Events = append([]*TaskEvent(nil), s.Events...)
	return &c
}

// Successful reports whether the task ended without failing.
func (s *TaskState) Successful() bool { return s.State == TaskStateDead && !s.Failed }

// Types of task events. Clients treat the type as open text.
const (
	EventReceived               = "Received"
	EventTaskSetup              = "Task Setup"
	EventSetupFailure           = "Setup Failure"
	EventFailedValidation       = "Failed Validation"
	EventDownloadingArtifacts   = "Downloading Artifacts"
	EventFailedArtifactDownload = "Failed Artifact Download"
	EventDriver                 = "Driver"
	EventDriverFailure          = "Driver Failure"
	EventStarted                = "Started"
	EventTerminated             = "Terminated"
	EventKilling                = "Killing"
	EventKilled                 = "Killed"
	EventRestarting             = "Restarting"
	EventNotRestarting          = "Not Restarting"
	EventRestartSignaled        = "Restart Signaled"
	EventSignaling              = "Signaling"
	EventSiblingFailed          = "Sibling Task Failed"
	EventLeaderDead             = "Leader Task Dead"
	EventMainTasksDead          = "Main Tasks Dead"
	EventHookFailed             = "Task hook failed"
	EventHookMessage            = "Task hook message"
	EventFailedRestoring        = "Failed Restoring Task"
	EventReconnected            = "Reconnected"
	EventWaitingShutdownDelay   = "Waiting for shutdown delay"
	EventSkippingShutdownDelay  = "Skipping shutdown delay"
	EventDiskResourcesExceeded  = "Disk Resources Exceeded"
	EventBuildingTaskDirectory  = "Building Task Directory"
	EventAllocUnhealthy         = "Alloc Unhealthy"
	EventPluginUnhealthy        = "Plugin became unhealthy"
	EventPluginHealthy          = "Plugin became healthy"
)

// Keys of TaskEvent.Details.
const (
	DetailFailsTask        = "fails_task"
	DetailRestartReason    = "restart_reason"
	DetailSetupError       = "setup_error"
	DetailDriverError      = "driver_error"
	DetailDriverMessage    = "driver_message"
	DetailExitCode         = "exit_code"
	DetailSignal           = "signal"
	DetailExitMessage      = "exit_message"
	DetailOOMKilled        = "oom_killed"
	DetailKillTimeout      = "kill_timeout"
	DetailKillReason       = "kill_reason"
	DetailKillError        = "kill_error"
	DetailStartDelay       = "start_delay" // nanoseconds
	DetailDownloadError    = "download_error"
	DetailValidationError  = "validation_error"
	DetailDiskLimit        = "disk_limit"
	DetailFailedSibling    = "failed_sibling"
	DetailVaultError       = "vault_error"
	DetailTaskSignal       = "task_signal"
	DetailTaskSignalReason = "task_signal_reason"
	DetailMessage          = "message"
)

// TaskEvent is one thing that happened to a task. Details holds its
// annotations; on the wire each also appears as the flat field that older
// clients read, and DisplayMessage as the sentence people read.
type TaskEvent struct {
	Type    string
	Time    int64 // Unix nanoseconds
	Message string
	Details map[string]string
}

// NewTaskEvent makes an event; details are key, value, key, value …
func NewTaskEvent(kind string, at time.Time, details ...string) *TaskEvent {
	e := &TaskEvent{Type: kind, Time: at.UnixNano()}
	for i := 0; i+1 < len(details); i += 2 {
		if e.Details == nil {
			e.Details = make(map[string]string, len(details)/2)
		}
		e.Details[details[i]] = details[i+1]
	}
	return e
}

// FailsTask reports whether the event fails its task.
func (e *TaskEvent) FailsTask() bool { return e.Details[DetailFailsTask] == "true" }

// DisplayMessage says in a sentence what happened.
func (e *TaskEvent) DisplayMessage() string {
	d := e.Details
	or := func(s, other string) string {
		if s != "" {
			return s
		}
		return other
	}
	switch e.Type {
	case EventReceived:
		return "Task received by client"
	case EventTaskSetup:
		return or(d[DetailMessage], e.Message)
	case EventBuildingTaskDirectory:
		return "Building Task Directory"
	case EventDownloadingArtifacts:
		return "Client is downloading artifacts"
	case EventStarted:
		return "Task started by client"
	case EventSetupFailure:
		return or(d[DetailSetupError], "Task setup failed")
	case EventFailedValidation:
		return or(d[DetailValidationError], "Validation of task failed")
	case EventFailedArtifactDownload:
		return or(d[DetailDownloadError], "Failed to download artifacts")
	case EventDriver:
		return or(d[DetailDriverMessage], e.Message)
	case EventDriverFailure:
		return or(d[DetailDriverError], "Failed to start task")
	case EventTerminated:
		s := "Exit Code: " + or(d[DetailExitCode], "0")
		if v := d[DetailSignal]; v != "" && v != "0" {
			s += ", Signal: " + v
		}
		if d[DetailOOMKilled] == "true" {
			s += ", OOM Killed"
		}
		if v := d[DetailExitMessage]; v != "" {
			s += ", Exit Message: " + strconv.Quote(v)
		}
		return s
	case EventKilling:
		if v := d[DetailKillReason]; v != "" {
			return v
		}
		if v, err := time.ParseDuration(d[DetailKillTimeout]); err == nil && v > 0 {
			return "Sent interrupt. Waiting " + v.String() + " before force killing"
		}
		return "Sent interrupt"
	case EventKilled:
		return or(d[DetailKillError], "Task successfully killed")
	case EventRestarting:
		s := "Task restarting"
		if n, err := strconv.ParseInt(d[DetailStartDelay], 10, 64); err == nil {
			s += " in " + time.Duration(n).String()
		}
		if v := d[DetailRestartReason]; v != "" {
			s = v + " - " + s
		}
		return s
	case EventNotRestarting, EventRestartSignaled:
		return or(d[DetailRestartReason], e.Type)
	case EventSignaling:
		s := "Task being sent a signal"
		if v := or(d[DetailSignal], d[DetailTaskSignal]); v != "" {
			s = "Task being sent signal " + v
		}
		if v := d[DetailTaskSignalReason]; v != "" {
			s += ": " + v
		}
		return s
	case EventSiblingFailed:
		if v := d[DetailFailedSibling]; v != "" {
			return "Task's sibling " + strconv.Quote(v) + " failed"
		}
		return "Task's sibling failed"
	case EventLeaderDead:
		return "Leader Task in Group dead"
	case EventMainTasksDead:
		return "Main tasks in the group died"
	}
	return or(e.Message, or(d[DetailMessage], e.Type))
}

// taskEventWire is how an event looks in JSON.
type taskEventWire struct {
	Type             string
	Time             int64
	DisplayMessage   string
	Message          string
	Details          map[string]string
	FailsTask        bool
	RestartReason    string
	SetupError       string
	DriverError      string
	DriverMessage    string
	ExitCode         int
	Signal           int
	KillReason       string
	KillTimeout      time.Duration
	KillError        string
	StartDelay       int64
	DownloadError    string
	ValidationError  string
	DiskLimit        int64
	FailedSibling    string
	VaultError       string
	TaskSignalReason string
	TaskSignal       string
	GenericSource    string
}

// MarshalJSON writes the event with its flat fields.
func (e *TaskEvent) MarshalJSON() ([]byte, error) {
	d := e.Details
	num := func(key string) int64 {
		n, _ := strconv.ParseInt(d[key], 10, 64)
		return n
	}
	w := taskEventWire{
		Type: e.Type, Time: e.Time, DisplayMessage: e.DisplayMessage(), Message: e.Message, Details: d,
		FailsTask: e.FailsTask(), RestartReason: d[DetailRestartReason], SetupError: d[DetailSetupError],
		DriverError: d[DetailDriverError], DriverMessage: d[DetailDriverMessage],
		ExitCode: int(num(DetailExitCode)), KillReason: d[DetailKillReason], KillError: d[DetailKillError],
		StartDelay: num(DetailStartDelay), DownloadError: d[DetailDownloadError],
		ValidationError: d[DetailValidationError], DiskLimit: num(DetailDiskLimit),
		FailedSibling: d[DetailFailedSibling], VaultError: d[DetailVaultError],
		TaskSignalReason: d[DetailTaskSignalReason], TaskSignal: d[DetailTaskSignal],
	}
	if e.Type == EventSignaling && w.TaskSignal == "" {
		w.TaskSignal = d[DetailSignal]
	} else {
		w.Signal = int(num(DetailSignal))
	}
	w.KillTimeout, _ = time.ParseDuration(d[DetailKillTimeout])
	return json.Marshal(&w)
}

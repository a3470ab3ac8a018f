package driver

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/drover-org/drover/api"
)

// Driver runs tasks of one kind. All methods may be called concurrently.
type Driver interface {
	// Name is the value of a task's Driver field, for example "raw_exec".
	Name() string

	// Capabilities never change during the life of the driver.
	Capabilities() Capabilities

	// Fingerprint tells whether tasks can run now. It returns within a few
	// seconds and never fails: a missing prerequisite is Detected false, a
	// broken one Healthy false with a description that says what to do.
	Fingerprint(ctx context.Context) Fingerprint

	// Validate checks a task's config block before anything is started. The
	// error names the field, the value and the remedy. Values may still hold
	// ${…} references.
	Validate(config map[string]any) error

	// Start runs the task and returns when it runs. Progress (an image being
	// pulled) goes to cfg.Report. ctx bounds the start only, not the task.
	// When it fails nothing of the task is left. An error for which
	// Recoverable reports false ends the task without another attempt.
	Start(ctx context.Context, cfg *TaskConfig) (Task, error)

	// Recover makes a Task from the Handle of one started before, by this
	// process or an earlier one. A task that ended meanwhile is recovered
	// too, and its Wait returns the result at once. ErrGone means that
	// nothing is known of it. An empty Handle asks by cfg.ID for what a Start
	// left that was cut off with its process; a driver whose next Start
	// replaces such a task may answer ErrGone.
	Recover(ctx context.Context, cfg *TaskConfig, h Handle) (Task, error)
}

// Task is one running or ended task. All methods may be called concurrently.
type Task interface {
	// Handle is what Recover needs. It does not change after Start.
	Handle() Handle

	// Wait blocks until the task has ended and all its output is in the log
	// files, then returns the same result to every caller. The error is
	// ctx's, or says why the result can't be known.
	Wait(ctx context.Context) (*ExitResult, error)

	// Signal sends a signal by name ("SIGHUP" or "HUP"). ErrBadSignal for a
	// name that doesn't exist, ErrNotRunning when the task has ended.
	Signal(ctx context.Context, signal string) error

	// Stop sends signal (empty: the driver's polite default), waits at most
	// timeout and then kills every process of the task. It returns when the
	// task has ended; stopping an ended task is no error. When ctx ends
	// first, the kill happens at once.
	Stop(ctx context.Context, signal string, timeout time.Duration) error

	// Destroy removes what the task left on the machine (processes, control
	// groups, containers), except its directories and logs. Idempotent.
	Destroy(ctx context.Context) error

	// Stats reads the task's usage now.
	Stats(ctx context.Context) (*api.TaskResourceUsage, error)

	// Exec runs a command where the task runs, and returns after the command
	// has ended and every byte of its output was written to opts. When ctx
	// ends, the command and its children are killed. A command that can't be
	// found is exit code 127, one that can't be executed 126, with the reason
	// on stderr.
	Exec(ctx context.Context, opts *ExecOptions) (*ExitResult, error)
}

// Networked is a Task that has an address of its own.
type Networked interface {
	// Network returns the task's address, nil before there is one.
	Network() *api.AllocNetworkStatus
}

// Handle identifies a task to its driver across restarts of the agent. The
// content is the driver's own; it holds no secret.
type Handle []byte

// Capabilities tell what a driver's tasks can do.
type Capabilities struct {
	Signals     bool // Signal works
	Exec        bool // Exec works
	Isolated    bool // tasks don't share the host's file system; false demands alloc-node-exec of exec's caller
	RemapsPorts bool // ports inside the task differ from the host's
}

// Fingerprint is a driver's state on this machine.
type Fingerprint struct {
	Detected    bool
	Healthy     bool
	Description string
	Attributes  map[string]string // node attributes, such as "driver.docker.version"
}

// TaskConfig is everything a driver needs for one task. Paths are absolute
// and exist. The driver does not change it.
type TaskConfig struct {
	ID        string // unique and stable: "<alloc ID>/<task name>"
	AllocID   string
	Namespace string
	JobID     string
	JobName   string
	Group     string
	Task      string
	NodeID    string

	Config map[string]any    // the task's config block, interpolated
	Env    map[string]string // complete environment
	User   string            // empty: the driver's default

	AllocDir   string // the allocation's root
	SharedDir  string // <AllocDir>/alloc
	TaskDir    string // <AllocDir>/<task>: the task's working directory
	LocalDir   string // <TaskDir>/local
	SecretsDir string // <TaskDir>/secrets
	LogDir     string // <AllocDir>/alloc/logs: files <task>.stdout.<n> and <task>.stderr.<n>
	StateDir   string // the driver's own, per allocation; not visible to tasks

	Logs      LogConfig
	Resources *api.AllocatedTaskResources
	Ports     []api.PortMapping // of the allocation and of the task
	Mounts    []Mount
	DNS       *api.DNSConfig

	// KillWithAgent ends the task when the agent ends (dev mode).
	KillWithAgent bool

	// Report publishes progress as a "Driver" task event. Never nil; may be
	// called from any goroutine until Start or Recover returns.
	Report func(message string, annotations map[string]string)
}

// LogConfig bounds the files of each of stdout and stderr.
type LogConfig struct {
	MaxFiles    int
	MaxFileSize int64 // bytes
	Disabled    bool  // output is discarded
}

// Mount makes a directory of the host visible in the task.
type Mount struct {
	HostPath string
	TaskPath string
	ReadOnly bool
}

// ExitResult is how a task or an exec command ended.
type ExitResult struct {
	ExitCode  int
	Signal    int
	OOMKilled bool
	Message   string    // why, where the driver knows more than a code
	EndedAt   time.Time // zero when not known
}

// Successful reports exit code 0 without a signal or an out-of-memory kill.
func (r *ExitResult) Successful() bool {
	return r != nil && r.ExitCode == 0 && r.Signal == 0 && !r.OOMKilled
}

// ExecOptions describe one exec session.
type ExecOptions struct {
	Command []string // at least one element
	TTY     bool     // allocate a terminal: all output arrives at Stdout
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Resize  <-chan api.TerminalSize // nil without a terminal
}

// Errors of a Task.
var (
	ErrGone       = errors.New("the driver knows nothing of this task")
	ErrNotRunning = errors.New("the task is not running")
	ErrBadSignal  = errors.New("unknown signal")
)

// permanent marks errors that another attempt can't cure.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as one that another attempt can't cure.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// Recoverable reports whether another attempt may succeed.
func Recoverable(err error) bool {
	var p permanent
	return err != nil && !errors.As(err, &p)
}

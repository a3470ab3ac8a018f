package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/wire"
)

// Config says where a supervisor is and how to start it.
type Config struct {
	// Dir is the state directory, one per allocation, made with mode 0700 if
	// it is missing. Everything the supervisor keeps is in it.
	Dir string

	// Program is started when a task is to run and no supervisor lives.
	Program Program

	// EndWithAgent ends the supervisor and its tasks when its last client is
	// gone, however that ended.
	EndWithAgent bool
}

// Errors of a Supervisor, besides those of the context.
var (
	ErrNoTask     = errors.New("the supervisor knows no such task")
	ErrNotRunning = errors.New("the task is not running")
	ErrBusy       = errors.New("a task of this name exists")
)

// StartError says that a command could not be started; errors.Is finds the
// system call's error.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the system call's error.
func (e *StartError) Unwrap() error { return e.Err }

// User is who a process runs as.
type User = wire.User

// Cgroup is a control group for a task's processes.
type Cgroup = wire.Cgroup

// TaskSpec is a task to start.
type TaskSpec struct {
	ID          string // unique in the allocation; free again after Remove
	Run         string // the caller's name of this start, returned by Tasks
	Path        string // the program, absolute
	Argv        []string
	Env         []string
	Dir         string
	User        *User    // nil: as the agent
	Cgroups     []Cgroup // the processes are born in them
	OOMScoreAdj int      // 0: as the agent

	// Logs is an open directory for the files <LogName>.stdout.<n> and
	// .stderr.<n>; nil discards the output. It stays the caller's.
	Logs     *os.File
	LogName  string
	LogFiles int   // how many of each stream are kept
	LogSize  int64 // bytes after which the next file is due, at a line's end
}

// Task is a task as the supervisor knows it.
type Task struct {
	ID, Run   string
	Pid       int
	StartedAt time.Time
	Ended     bool
	Result    Result // when Ended
}

// Result is how a task or command ended.
type Result struct {
	ExitCode  int // 128 + Signal for a signal
	Signal    int
	OOMKilled bool
	Message   string
	EndedAt   time.Time
}

func result(t *wire.TaskState) Result {
	return Result{
		ExitCode: int(t.Code), Signal: int(t.Signal), OOMKilled: t.OOMKilled, Message: t.Message, EndedAt: time.Unix(0, t.EndedAt),
	}
}

func newTask(t *wire.TaskState) Task {
	task := Task{ID: t.ID, Run: t.Run, Pid: int(t.Pid), StartedAt: time.Unix(0, t.StartedAt), Ended: t.Ended}
	if t.Ended {
		task.Result = result(t)
	}
	return task
}

// Supervisor is an allocation's supervisor, whether its process lives or not.
// All methods may be called concurrently.
type Supervisor struct {
	cfg Config

	mu   sync.Mutex // guards what follows, and is held while connecting
	dir  *os.File
	conn *conn // nil: no process
}

// Open makes the directory if needed and connects to the supervisor in it, if
// one lives. Close releases what Open took; the tasks don't notice, unless
// Config.EndWithAgent.
func Open(ctx context.Context, cfg Config) (*Supervisor, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open supervisor: %w", err)
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open supervisor: %w", err)
	}
	dir, err := os.Open(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open supervisor: %w", err)
	}
	s := &Supervisor{cfg: cfg, dir: dir}
	if _, err := s.live(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the connection. Calls that wait return an error.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		alive := s.conn.alive()
		s.conn.close()
		switch {
		case !s.conn.child:
		case alive:
			// The process stays and is still our child: somebody must collect
			// it if it ends before we do.
			go collect(s.conn.pid)
		default:
			s.reap(s.conn)
		}
		s.conn = nil
	}
	if s.dir == nil {
		return nil
	}
	err := s.dir.Close()
	s.dir = nil
	return err
}

// Pid returns the process ID of the supervisor, 0 if none lives.
func (s *Supervisor) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return 0
	}
	return s.conn.pid
}

// StartTask runs a task and returns when it runs, and its record is written.
// It starts the supervisor if there is none. ErrBusy: there is a task of this
// ID, running or ended, that was not removed. *StartError: the command can't
// be run.
func (s *Supervisor) StartTask(ctx context.Context, spec TaskSpec) (Task, error) {
	m := wire.TaskSpec{
		ID: spec.ID, Run: spec.Run, Path: spec.Path, Argv: spec.Argv, Env: spec.Env, Dir: spec.Dir, User: spec.User,
		Cgroups: spec.Cgroups, OOMScoreAdj: int64(spec.OOMScoreAdj), LogFiles: int64(spec.LogFiles), LogSize: spec.LogSize,
	}
	var files []*os.File
	if spec.Logs != nil {
		m.LogName = spec.LogName
		files = append(files, spec.Logs)
	}
	c, err := s.started(ctx)
	if err != nil {
		return Task{}, err
	}
	b, err := c.call(ctx, wire.KindStart, m.Encode(), files...)
	if err != nil {
		return Task{}, fmt.Errorf("start task %s: %w", spec.ID, err)
	}
	st, ok := wire.DecodeTaskState(b)
	if !ok {
		return Task{}, errAnswer
	}
	return newTask(st), nil
}

// Tasks returns all tasks that were not removed.
func (s *Supervisor) Tasks(ctx context.Context) ([]Task, error) {
	b, alive, err := s.call(ctx, wire.KindList, nil)
	if err != nil {
		return nil, err
	}
	var list []Task
	if !alive {
		records, err := s.records()
		for _, r := range records {
			list = append(list, newTask(r))
		}
		return list, err
	}
	d := wire.Decoder{Bytes: b}
	for range d.Int() {
		st, ok := wire.DecodeTaskState([]byte(d.String()))
		if !ok || d.Bad {
			return nil, errAnswer
		}
		list = append(list, newTask(st))
	}
	return list, nil
}

// Wait returns how a task ended, once it has, all its processes are gone and
// all its output is in the files.
func (s *Supervisor) Wait(ctx context.Context, task string) (Result, error) {
	b, alive, err := s.call(ctx, wire.KindWait, name(task))
	if err != nil {
		return Result{}, err
	}
	if !alive {
		r, err := s.record(task)
		if err != nil {
			return Result{}, err
		}
		return result(r), nil
	}
	st, ok := wire.DecodeTaskState(b)
	if !ok {
		return Result{}, errAnswer
	}
	return result(st), nil
}

// Signal sends a signal to the task's main process; ErrNotRunning if that has
// ended.
func (s *Supervisor) Signal(ctx context.Context, task string, signal unix.Signal) error {
	m := wire.Signal{Task: task, Signal: int64(signal)}
	_, alive, err := s.call(ctx, wire.KindSignal, m.Encode())
	if err != nil || alive {
		return err
	}
	if _, err := s.record(task); err != nil {
		return err
	}
	return ErrNotRunning
}

// Stop sends a signal to the task's main process and, after the timeout,
// SIGKILL to all its processes; signal 0 kills at once. It returns when the
// task has ended, as in Wait. When ctx ends first, the kill happens at once
// and Stop still waits for it, for at most stopPatience.
func (s *Supervisor) Stop(ctx context.Context, task string, signal unix.Signal, timeout time.Duration) error {
	m := wire.Stop{Task: task, Signal: int64(signal), Timeout: int64(timeout)}
	_, alive, err := s.call(ctx, wire.KindStop, m.Encode())
	if err != nil && ctx.Err() != nil {
		kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
		defer cancel()
		m.Signal = 0
		_, alive, err = s.call(kill, wire.KindStop, m.Encode())
	}
	if err != nil || alive {
		return err
	}
	_, err = s.record(task)
	return err
}

// stopPatience bounds the wait for killed processes; the supervisor itself
// gives up on one that hangs in the kernel earlier.
const stopPatience = 10 * time.Second

// Pids returns the processes of a running task.
func (s *Supervisor) Pids(ctx context.Context, task string) ([]int, error) {
	b, alive, err := s.call(ctx, wire.KindPids, name(task))
	if err != nil || !alive {
		return nil, err
	}
	d := wire.Decoder{Bytes: b}
	var pids []int
	for range d.Int() {
		pids = append(pids, int(d.Int()))
	}
	return pids, nil
}

// Remove kills a task if it runs, and forgets it. It returns how many tasks
// the supervisor still knows. An unknown task is no error.
func (s *Supervisor) Remove(ctx context.Context, task string) (left int, err error) {
	b, alive, err := s.call(ctx, wire.KindRemove, name(task))
	if errors.Is(err, ErrNoTask) {
		tasks, err := s.Tasks(ctx)
		return len(tasks), err
	}
	if err != nil {
		return 0, err
	}
	if alive {
		d := wire.Decoder{Bytes: b}
		return int(d.Int()), nil
	}
	s.mu.Lock()
	if s.dir != nil {
		err = wire.RemoveRecord(s.dir, task)
	}
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	records, err := s.records()
	return len(records), err
}

// Shutdown ends the supervisor and removes its directory. ErrBusy if it still
// knows a task. The Supervisor is closed then.
func (s *Supervisor) Shutdown(ctx context.Context) error {
	tasks, err := s.Tasks(ctx)
	if err != nil {
		return err
	}
	if len(tasks) > 0 {
		return ErrBusy
	}
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c != nil {
		if _, err := c.call(ctx, wire.KindShutdown, nil); err != nil && !errors.Is(err, errDisconnected) {
			return err
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_ = s.Close()
	return os.RemoveAll(s.cfg.Dir)
}

// Upgrade makes a living supervisor go on as Config.Program if it is another
// one now: the same process with the same tasks. ErrBusy while a command runs
// in a task or one is about to end; try again later.
func (s *Supervisor) Upgrade(ctx context.Context) error {
	c, err := s.live(ctx)
	if err != nil || c == nil {
		return err
	}
	path := s.cfg.Program.Path
	if path == ownProgram { // the supervisor would take it for its own
		path, err = os.Executable()
	}
	var want os.FileInfo
	if err == nil {
		want, err = os.Stat(path)
	}
	if err != nil {
		return fmt.Errorf("upgrade the supervisor: %w", err)
	}
	have, err := os.Stat(fmt.Sprintf("/proc/%d/exe", c.pid))
	if err == nil && os.SameFile(have, want) {
		return nil
	}
	m := wire.Upgrade{Path: path, Args: s.cfg.Program.Args}
	_, err = c.call(ctx, wire.KindUpgrade, m.Encode())
	if errors.Is(err, errDisconnected) {
		var again *conn
		if again, err = s.live(ctx); err == nil && (again == nil || again.pid != c.pid) {
			err = errDisconnected
		}
	}
	if err != nil {
		return fmt.Errorf("upgrade the supervisor: %w", err)
	}
	return nil
}

// record returns the record of a task that ended under a supervisor that is
// gone.
func (s *Supervisor) record(task string) (*wire.TaskState, error) {
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.ID == task && r.Ended {
			return r, nil
		}
	}
	return nil, ErrNoTask
}

func (s *Supervisor) records() ([]*wire.TaskState, error) {
	records, err := wire.ReadRecords(s.cfg.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return records, err
}

func name(task string) []byte {
	var w wire.Encoder
	w.String(task)
	return w.Bytes
}

// call does a call that may be repeated. alive false means that no supervisor
// lives: the records on disk answer, and no task runs.
func (s *Supervisor) call(ctx context.Context, kind wire.Kind, body []byte) (answer []byte, alive bool, err error) {
	for {
		c, err := s.live(ctx)
		if err != nil || c == nil {
			return nil, false, err
		}
		answer, err = c.call(ctx, kind, body)
		if !errors.Is(err, errDisconnected) {
			return answer, true, err
		}
	}
}

// LookPath finds a program as a shell would: a name with a slash is a path,
// relative to dir; any other is searched in the directories of pathVar. The
// error is os.ErrNotExist or os.ErrPermission.
func LookPath(file, dir, pathVar string) (string, error) {
	if file == "" {
		return "", os.ErrNotExist
	}
	if strings.Contains(file, "/") {
		path := join(dir, file)
		return path, executable(path)
	}
	found := error(os.ErrNotExist)
	for d := range strings.SplitSeq(pathVar, ":") {
		path := join(dir, d+"/"+file)
		err := executable(path)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, os.ErrPermission) {
			found = os.ErrPermission
		}
	}
	return "", found
}

func join(dir, path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return dir + "/" + path
}

func executable(path string) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrPermission):
		return os.ErrPermission
	case err != nil:
		return os.ErrNotExist
	case st.IsDir() || st.Mode()&0o111 == 0:
		return os.ErrPermission
	}
	return nil
}

var _ io.Closer = (*Supervisor)(nil)

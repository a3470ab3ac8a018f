package wire

// Version is the protocol this program speaks, MinVersion the oldest it still
// understands. Both peers use the smaller of their versions.
const (
	Version    = 1
	MinVersion = 1
)

// Kind says what a frame is.
type Kind uint8

// The kinds. The comment names the body, and the body of the answer.
const (
	KindOK       Kind = 1  // an answer
	KindError    Kind = 2  // Error: the call failed
	KindHello    Kind = 3  // Hello → Welcome; the first call on a connection
	KindStart    Kind = 4  // TaskSpec + the log directory → TaskState
	KindWait     Kind = 5  // task → TaskState, when the task has ended
	KindSignal   Kind = 6  // Signal → nothing
	KindStop     Kind = 7  // Stop → nothing, when the task has ended
	KindExec     Kind = 8  // ExecSpec + stdin, stdout, stderr → TaskState, when the command has ended
	KindKillExec Kind = 9  // number of the Exec call → nothing
	KindPids     Kind = 10 // task → list of process IDs
	KindRemove   Kind = 11 // task → number of tasks left; kills a running one first
	KindList     Kind = 12 // nothing → list of TaskState
	KindShutdown Kind = 13 // nothing → nothing; refused while a task runs
	KindUpgrade  Kind = 14 // Upgrade → never: the connection ends when it is done
)

// Code says what sort of failure an Error is.
type Code int64

// The codes.
const (
	CodeInternal   Code = iota // the supervisor's own failure
	CodeNotFound               // no such task
	CodeNotRunning             // the task has ended
	CodeConflict               // a task of this ID exists, or tasks still run
	CodeVersion                // the peers have no protocol in common
	CodeStart                  // the command could not be started; Errno says why
	CodeBadRequest             // the request can't be read
)

// Error is a failed call.
type Error struct {
	Code    Code
	Errno   int64 // of the system call that failed, 0 if none
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Encode returns the body.
func (e *Error) Encode() []byte {
	var w Encoder
	w.Int(int64(e.Code))
	w.Int(e.Errno)
	w.String(e.Message)
	return w.Bytes
}

// DecodeError reads an Error.
func DecodeError(b []byte) *Error {
	d := Decoder{Bytes: b}
	return &Error{Code: Code(d.Int()), Errno: d.Int(), Message: d.String()}
}

// Hello opens a connection.
type Hello struct {
	MinVersion, Version int64
	EndWithClient       bool // kill all tasks and exit when the last client is gone
}

// Encode returns the body.
func (h *Hello) Encode() []byte {
	var w Encoder
	w.Int(h.MinVersion)
	w.Int(h.Version)
	w.Bool(h.EndWithClient)
	return w.Bytes
}

// DecodeHello reads a Hello.
func DecodeHello(b []byte) (*Hello, bool) {
	d := Decoder{Bytes: b}
	h := &Hello{MinVersion: d.Int(), Version: d.Int(), EndWithClient: d.Bool()}
	return h, !d.Bad
}

// Welcome answers a Hello.
type Welcome struct {
	Version int64 // the one to speak
	Pid     int64 // the supervisor's
}

// Encode returns the body.
func (m *Welcome) Encode() []byte {
	var w Encoder
	w.Int(m.Version)
	w.Int(m.Pid)
	return w.Bytes
}

// DecodeWelcome reads a Welcome.
func DecodeWelcome(b []byte) (*Welcome, bool) {
	d := Decoder{Bytes: b}
	m := &Welcome{Version: d.Int(), Pid: d.Int()}
	return m, !d.Bad
}

// Cgroup is a control group that a task's processes belong to.
type Cgroup struct {
	Path string // directory, below a version 1 or version 2 hierarchy
	Own  bool   // only this task is in it: whoever is found there gets killed with it
}

func encodeCgroups(w *Encoder, list []Cgroup) {
	w.Int(int64(len(list)))
	for _, c := range list {
		w.String(c.Path)
		w.Bool(c.Own)
	}
}

func decodeCgroups(d *Decoder) []Cgroup {
	n := d.Int()
	if n < 0 || n > int64(len(d.Bytes)) {
		d.Bad = true
		return nil
	}
	var list []Cgroup
	for range n {
		list = append(list, Cgroup{Path: d.String(), Own: d.Bool()})
	}
	return list
}

// User is who a process runs as; nil means as the supervisor.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

func encodeUser(w *Encoder, u *User) {
	w.Bool(u != nil)
	if u == nil {
		return
	}
	w.Int(int64(u.UID))
	w.Int(int64(u.GID))
	w.Int(int64(len(u.Groups)))
	for _, g := range u.Groups {
		w.Int(int64(g))
	}
}

func decodeUser(d *Decoder) *User {
	if !d.Bool() {
		return nil
	}
	u := &User{UID: uint32(d.Int()), GID: uint32(d.Int())}
	n := d.Int()
	if n < 0 || n > int64(len(d.Bytes)) {
		d.Bad = true
		return nil
	}
	for range n {
		u.Groups = append(u.Groups, uint32(d.Int()))
	}
	return u
}

// TaskSpec is a task to start.
type TaskSpec struct {
	ID          string // unique among the supervisor's tasks
	Run         string // the caller's name of this start
	Path        string // the program, absolute
	Argv        []string
	Env         []string
	Dir         string
	User        *User
	Cgroups     []Cgroup
	OOMScoreAdj int64
	LogName     string // files <LogName>.stdout.<n> in the directory passed along; empty: output is discarded
	LogFiles    int64  // of each stream
	LogSize     int64  // bytes of each file
}

// Encode returns the body.
func (t *TaskSpec) Encode() []byte {
	var w Encoder
	w.String(t.ID)
	w.String(t.Run)
	w.String(t.Path)
	w.Strings(t.Argv)
	w.Strings(t.Env)
	w.String(t.Dir)
	encodeUser(&w, t.User)
	encodeCgroups(&w, t.Cgroups)
	w.Int(t.OOMScoreAdj)
	w.String(t.LogName)
	w.Int(t.LogFiles)
	w.Int(t.LogSize)
	return w.Bytes
}

// DecodeTaskSpec reads a TaskSpec.
func DecodeTaskSpec(b []byte) (*TaskSpec, bool) {
	d := Decoder{Bytes: b}
	t := &TaskSpec{
		ID: d.String(), Run: d.String(), Path: d.String(), Argv: d.Strings(), Env: d.Strings(), Dir: d.String(),
		User: decodeUser(&d), Cgroups: decodeCgroups(&d), OOMScoreAdj: d.Int(),
		LogName: d.String(), LogFiles: d.Int(), LogSize: d.Int(),
	}
	return t, !d.Bad && t.ID != "" && len(t.Argv) > 0
}

// ExecSpec is a command to run beside a task, in its control groups.
type ExecSpec struct {
	Task string
	Path string
	Argv []string
	Env  []string
	Dir  string
	User *User
	TTY  bool // the passed stdin is a terminal and becomes the command's own
}

// Encode returns the body.
func (x *ExecSpec) Encode() []byte {
	var w Encoder
	w.String(x.Task)
	w.String(x.Path)
	w.Strings(x.Argv)
	w.Strings(x.Env)
	w.String(x.Dir)
	encodeUser(&w, x.User)
	w.Bool(x.TTY)
	return w.Bytes
}

// DecodeExecSpec reads an ExecSpec.
func DecodeExecSpec(b []byte) (*ExecSpec, bool) {
	d := Decoder{Bytes: b}
	x := &ExecSpec{
		Task: d.String(), Path: d.String(), Argv: d.Strings(), Env: d.Strings(), Dir: d.String(),
		User: decodeUser(&d), TTY: d.Bool(),
	}
	return x, !d.Bad && len(x.Argv) > 0
}

// Signal asks for a signal to a task's main process.
type Signal struct {
	Task   string
	Signal int64
}

// Encode returns the body.
func (s *Signal) Encode() []byte {
	var w Encoder
	w.String(s.Task)
	w.Int(s.Signal)
	return w.Bytes
}

// DecodeSignal reads a Signal.
func DecodeSignal(b []byte) (*Signal, bool) {
	d := Decoder{Bytes: b}
	s := &Signal{Task: d.String(), Signal: d.Int()}
	return s, !d.Bad
}

// Stop asks for a task's end: a signal to its main process, and after the
// timeout SIGKILL to all. Signal 0 is SIGKILL at once.
type Stop struct {
	Task    string
	Signal  int64
	Timeout int64 // nanoseconds
}

// Encode returns the body.
func (s *Stop) Encode() []byte {
	var w Encoder
	w.String(s.Task)
	w.Int(s.Signal)
	w.Int(s.Timeout)
	return w.Bytes
}

// DecodeStop reads a Stop.
func DecodeStop(b []byte) (*Stop, bool) {
	d := Decoder{Bytes: b}
	s := &Stop{Task: d.String(), Signal: d.Int(), Timeout: d.Int()}
	return s, !d.Bad
}

// Upgrade asks the supervisor to go on as another program, with all its tasks.
type Upgrade struct {
	Path string
	Args []string // without the name
}

// Encode returns the body.
func (u *Upgrade) Encode() []byte {
	var w Encoder
	w.String(u.Path)
	w.Strings(u.Args)
	return w.Bytes
}

// DecodeUpgrade reads an Upgrade.
func DecodeUpgrade(b []byte) (*Upgrade, bool) {
	d := Decoder{Bytes: b}
	u := &Upgrade{Path: d.String(), Args: d.Strings()}
	return u, !d.Bad && u.Path != ""
}

// TaskState is a task as its supervisor knows it, and the record on disk.
type TaskState struct {
	ID         string
	Run        string
	Pid        int64
	StartTicks int64 // the process's start in clock ticks since boot, to tell a reused ID
	BootID     string
	Cgroups    []Cgroup
	StartedAt  int64 // Unix nanoseconds
	Ended      bool
	Code       int64 // exit code; 128 + Signal for a signal
	Signal     int64
	OOMKilled  bool
	Message    string
	EndedAt    int64
}

// Encode returns the body.
func (t *TaskState) Encode() []byte {
	var w Encoder
	w.String(t.ID)
	w.String(t.Run)
	w.Int(t.Pid)
	w.Int(t.StartTicks)
	w.String(t.BootID)
	encodeCgroups(&w, t.Cgroups)
	w.Int(t.StartedAt)
	w.Bool(t.Ended)
	w.Int(t.Code)
	w.Int(t.Signal)
	w.Bool(t.OOMKilled)
	w.String(t.Message)
	w.Int(t.EndedAt)
	return w.Bytes
}

// DecodeTaskState reads a TaskState.
func DecodeTaskState(b []byte) (*TaskState, bool) {
	d := Decoder{Bytes: b}
	t := &TaskState{
		ID: d.String(), Run: d.String(), Pid: d.Int(), StartTicks: d.Int(), BootID: d.String(), Cgroups: decodeCgroups(&d),
		StartedAt: d.Int(), Ended: d.Bool(), Code: d.Int(), Signal: d.Int(), OOMKilled: d.Bool(), Message: d.String(),
		EndedAt: d.Int(),
	}
	return t, !d.Bad && t.ID != ""
}

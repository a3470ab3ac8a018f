package supervisor

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/cgroup"
	"github.com/drover-org/drover/internal/shim/wire"
)

// Bounds of a task's end, for processes that even SIGKILL does not end (they
// hang in the kernel) or that got away with the output's pipe.
const (
	killPatience  = 5 * time.Second
	drainPatience = 2 * time.Second
)

// task is one task, running or ended.
type task struct {
	state    wire.TaskState
	pid      int
	exited   bool // the main process was collected
	killed   bool // by us
	giveUp   bool // don't wait for the rest of the processes any longer
	ending   bool // the two timers of the end run
	pumps    []*pump
	open     int // pumps that still read
	timers   []*time.Timer
	waiters  []waiter
	removers []waiter
}

// waiter is a call to answer later.
type waiter struct {
	client *client
	call   uint32
	state  bool // answer with the task's state
}

func (t *task) wait(w waiter) {
	if t.state.Ended {
		t.tell(w)
		return
	}
	t.waiters = append(t.waiters, w)
}

func (t *task) tell(w waiter) {
	if w.state {
		w.client.answer(w.call, t.state.Encode())
	} else {
		w.client.answer(w.call, nil)
	}
}

// forget drops the calls of a client that is gone.
func (t *task) forget(c *client) {
	gone := func(w waiter) bool { return w.client == c }
	t.waiters = slices.DeleteFunc(t.waiters, gone)
	t.removers = slices.DeleteFunc(t.removers, gone)
}

func (s *supervisor) task(id string) (*task, error) {
	if t := s.tasks[id]; t != nil {
		return t, nil
	}
	return nil, &wire.Error{Code: wire.CodeNotFound, Message: "no task " + id}
}

// start runs a task. The frame's file, if there is one, is the log directory.
func (s *supervisor) start(spec *wire.TaskSpec, f *wire.Frame) (*wire.TaskState, error) {
	if old := s.tasks[spec.ID]; old != nil {
		return nil, &wire.Error{Code: wire.CodeConflict, Message: "task " + spec.ID + " exists"}
	}
	t := &task{state: wire.TaskState{ID: spec.ID, Run: spec.Run, BootID: s.boot, Cgroups: spec.Cgroups}}
	var files []uintptr
	defer func() { // the child has its own by now
		for _, fd := range files {
			_ = unix.Close(int(fd))
		}
	}()
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	files = append(files, uintptr(null))
	if spec.LogName != "" {
		if len(f.Files) != 1 {
			return nil, &wire.Error{Code: wire.CodeBadRequest, Message: "logs without a directory"}
		}
		for _, stream := range []string{".stdout.", ".stderr."} {
			fd, err := t.openPump(f.Files[0], spec.LogName+stream, spec)
			if err != nil {
				t.closePumps()
				return nil, err
			}
			files = append(files, uintptr(fd))
		}
	}
	p := &process{
		path: spec.Path, argv: spec.Argv, env: spec.Env, dir: spec.Dir, user: spec.User, cgroups: spec.Cgroups,
		oom: spec.OOMScoreAdj, files: files,
	}
	if len(files) == 1 {
		p.files = []uintptr{files[0], files[0], files[0]}
	}
	if t.tracked() == "" {
		p.env = append(slices.Clip(p.env), marker+spec.ID)
	}
	if t.pid, err = s.spawn(p); err != nil {
		t.closePumps()
		return nil, startError(err)
	}
	t.state.Pid = int64(t.pid)
	t.state.StartedAt = time.Now().UnixNano()
	t.state.StartTicks = statOf(t.pid).start
	s.tasks[spec.ID] = t
	for _, p := range t.pumps {
		s.runPump(t, p)
	}
	if err := wire.WriteRecord(s.dir, &t.state); err != nil {
		// Without a record the task would be unknown after our death.
		t.removers = append(t.removers, waiter{client: &client{closed: true}})
		s.kill(t)
		return nil, err
	}
	return &t.state, nil
}

func (s *supervisor) runPump(t *task, p *pump) {
	t.open++
	go p.run(func() {
		s.do(func() {
			t.open--
			s.finish(t)
		})
	})
}

func startError(err error) error {
	e := &wire.Error{Code: wire.CodeStart, Message: err.Error()}
	if errno, ok := err.(syscall.Errno); ok {
		e.Errno = int64(errno)
	}
	return e
}

// openPump makes the reader of one stream and returns the child's end.
func (t *task) openPump(dirFD int, prefix string, spec *wire.TaskSpec) (int, error) {
	dup, err := unix.FcntlInt(uintptr(dirFD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	dir := os.NewFile(uintptr(dup), "logs")
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		_ = dir.Close()
		return -1, err
	}
	p, err := newPump(fds[0], dir, pumpSpec{prefix, int(spec.LogFiles), spec.LogSize})
	if err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return -1, err
	}
	t.pumps = append(t.pumps, p)
	return fds[1], nil
}

func (t *task) closePumps() {
	for _, p := range t.pumps {
		p.close()
	}
}

// signal sends a signal to the main process.
func (s *supervisor) signal(m *wire.Signal) error {
	t, err := s.task(m.Task)
	if err != nil {
		return err
	}
	if t.exited {
		return &wire.Error{Code: wire.CodeNotRunning, Message: "task " + m.Task + " has ended"}
	}
	return unix.Kill(t.pid, syscall.Signal(m.Signal))
}

// stop begins the end of a task.
func (s *supervisor) stop(t *task, m *wire.Stop) {
	if t.state.Ended {
		return
	}
	if m.Signal == 0 || m.Timeout <= 0 {
		s.kill(t)
		return
	}
	if !t.exited {
		_ = unix.Kill(t.pid, syscall.Signal(m.Signal))
	}
	t.timers = append(t.timers, s.after(time.Duration(m.Timeout), func() { s.kill(t) }))
}

// kill sends SIGKILL to every process of the task. It is repeated by finish
// until none is left.
func (s *supervisor) kill(t *task) {
	if t.state.Ended {
		return
	}
	t.killed = true
	if !t.exited {
		_ = unix.Kill(t.pid, unix.SIGKILL)
	}
	s.killRest(t)
}

func (s *supervisor) killRest(t *task) {
	if dir := t.tracked(); dir != "" {
		cgroup.Kill(dir)
		return
	}
	for _, pid := range s.descendants(t) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// exited notes the end of the main process.
func (s *supervisor) exited(t *task, status unix.WaitStatus) {
	t.exited = true
	t.state.EndedAt = time.Now().UnixNano()
	t.state.Code, t.state.Signal = exitCode(status)
	const killedCode = 128 + int64(unix.SIGKILL) // also what a shell says of its child
	if t.state.Code == killedCode && !t.killed {
		for _, g := range t.state.Cgroups {
			if g.Own && cgroup.OOMKills(g.Path) > 0 {
				t.state.OOMKilled = true
				t.state.Message = "a process was killed for lack of memory"
			}
		}
	}
}

// finish ends the task once nothing of it is left; until then it is called
// with every child that ends and every stream that closes.
func (s *supervisor) finish(t *task) {
	if !t.exited || t.state.Ended {
		return
	}
	if !t.ending {
		t.ending = true
		t.timers = append(t.timers,
			s.after(drainPatience, t.interrupt),
			s.after(killPatience, func() {
				t.giveUp = true
				t.interrupt()
				s.finish(t)
			}))
	}
	if len(s.members(t)) > 0 && !t.giveUp {
		s.killRest(t)
		return
	}
	if t.open > 0 {
		return
	}
	t.state.Ended = true
	if err := wire.WriteRecord(s.dir, &t.state); err != nil {
		println("supervisor: record of", t.state.ID, err.Error())
	}
	for _, timer := range t.timers {
		timer.Stop()
	}
	t.timers = nil
	for _, w := range t.waiters {
		t.tell(w)
	}
	t.waiters = nil
	s.removeIfEnded(t)
	s.trimLater()
}

// interrupt makes the streams end with what has been written so far.
func (t *task) interrupt() {
	for _, p := range t.pumps {
		p.interrupt()
	}
}

// removeIfEnded forgets an ended task if somebody asked for it.
func (s *supervisor) removeIfEnded(t *task) {
	if !t.state.Ended || len(t.removers) == 0 {
		return
	}
	if s.tasks[t.state.ID] == t {
		delete(s.tasks, t.state.ID)
		if err := wire.RemoveRecord(s.dir, t.state.ID); err != nil {
			println("supervisor: record of", t.state.ID, err.Error())
		}
	}
	var w wire.Encoder
	w.Int(int64(len(s.tasks)))
	for _, r := range t.removers {
		r.client.answer(r.call, w.Bytes)
	}
	t.removers = nil
}

// tracked returns the control group that tells who belongs to the task, empty
// if there is none.
func (t *task) tracked() string {
	best := ""
	for _, g := range t.state.Cgroups {
		if g.Own && (best == "" || cgroup.IsV2(g.Path)) {
			best = g.Path
		}
	}
	return best
}

// members returns the processes of a task.
func (s *supervisor) members(t *task) []int {
	dir := t.tracked()
	if dir == "" {
		return s.descendants(t)
	}
	return slices.DeleteFunc(cgroup.Pids(dir), func(pid int) bool { return pid == os.Getpid() })
}

// marker is a variable in the environment of tasks without a control group.
const marker = "DROVER_TASK="

// descendants finds the processes of a task in the tree below this one.
func (s *supervisor) descendants(t *task) []int {
	var list []int
	for _, pid := range children(os.Getpid()) {
		if s.owner(pid) == t {
			list = append(list, tree(pid)...)
		}
	}
	return list
}

// owner tells which task a child belongs to, which may be an orphan that was
// started by another process of the task.
func (s *supervisor) owner(pid int) *task {
	st := statOf(pid)
	if st.state == 'Z' {
		return nil
	}
	if x := s.execs[st.session]; x != nil {
		return x.task
	}
	var running *task
	n := 0
	for _, t := range s.tasks {
		if t.state.Ended {
			continue
		}
		if st.session == t.pid {
			return t
		}
		running = t
		n++
	}
	if id, ok := environ(pid, marker); ok {
		if t := s.tasks[id]; t != nil {
			return t
		}
	}
	if n == 1 && running.tracked() == "" {
		return running
	}
	return nil
}

// exec is a command that runs beside a task.
type exec struct {
	client *client
	call   uint32
	task   *task
	pid    int
	killed bool
}

// exec starts a command; the answer follows when it has ended.
func (s *supervisor) exec(c *client, call uint32, spec *wire.ExecSpec, stdio []int) error {
	t, err := s.task(spec.Task)
	if err != nil {
		return err
	}
	if t.exited || t.killed {
		return &wire.Error{Code: wire.CodeNotRunning, Message: "task " + spec.Task + " is not running"}
	}
	p := &process{
		path: spec.Path, argv: spec.Argv, env: spec.Env, dir: spec.Dir, user: spec.User, cgroups: t.state.Cgroups,
		files: []uintptr{uintptr(stdio[0]), uintptr(stdio[1]), uintptr(stdio[2])}, tty: spec.TTY,
	}
	if t.tracked() == "" {
		p.env = append(slices.Clip(p.env), marker+t.state.ID)
	}
	pid, err := s.spawn(p)
	if err != nil {
		return startError(err)
	}
	s.execs[pid] = &exec{client: c, call: call, task: t, pid: pid}
	return nil
}

// killExec kills a command and what it started.
func (s *supervisor) killExec(x *exec) {
	x.killed = true
	for _, pid := range tree(x.pid) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

func (s *supervisor) execEnded(x *exec, status unix.WaitStatus) {
	if x.killed { // its orphans are ours now
		for _, pid := range children(os.Getpid()) {
			if statOf(pid).session == x.pid {
				for _, pid := range tree(pid) {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
		}
	}
	delete(s.execs, x.pid)
	s.trimLater()
	st := wire.TaskState{ID: strconv.Itoa(x.pid), Ended: true, EndedAt: time.Now().UnixNano()}
	st.Code, st.Signal = exitCode(status)
	x.client.answer(x.call, st.Encode())
}

package supervisor

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/wire"
)

// Files that the client passes to a new supervisor.
const (
	DirFD  = 3 // the state directory
	LockFD = 4 // its lock, already held
	ConnFD = 5 // the first connection
)

// supervisor is all state; only the goroutine of Main touches it.
type supervisor struct {
	dir           *os.File
	lock          *os.File // held for life
	listener      *listener
	boot          string
	tasks         map[string]*task
	execs         map[int]*exec // by process ID
	hierarchies   map[string]*hierarchy
	clients       map[*client]bool
	endWithClient bool
	expecting     bool // a client that lost us by an upgrade and will be back
	trimming      bool // a trim is to come
	ended         bool

	calls chan func() // from the other goroutines
}

// callQueue is how many inputs may wait for Main; their senders wait then.
const callQueue = 16

// Main runs a supervisor until it has nothing left to do, and returns its exit
// code. It is started by internal/shim, which passes the files above.
func Main(args []string) int {
	runtime.LockOSThread()
	s := &supervisor{
		dir:         os.NewFile(DirFD, "dir"),
		lock:        os.NewFile(LockFD, "lock"),
		boot:        wire.BootID(),
		tasks:       map[string]*task{},
		execs:       map[int]*exec{},
		hierarchies: map[string]*hierarchy{},
		clients:     map[*client]bool{},
		calls:       make(chan func(), callQueue),
	}
	err := s.setUp(args)
	if err == nil {
		s.run()
	}
	if err != nil {
		println("supervisor:", err.Error())
		return 1
	}
	return 0
}

// setUp takes over what the client, or the program before this one, passed on.
func (s *supervisor) setUp(args []string) error {
	unix.CloseOnExec(DirFD)
	unix.CloseOnExec(LockFD)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	if len(args) > 1 && args[len(args)-2] == resumeArg {
		return s.resume(args[len(args)-1])
	}
	if err := s.remember(nil); err != nil {
		return err
	}
	var err error
	if s.listener, err = listen(s.dir); err != nil {
		return err
	}
	first, err := wire.NewConn(ConnFD)
	if err != nil {
		return err
	}
	unix.CloseOnExec(ConnFD)
	s.connected(first)
	return nil
}

func (s *supervisor) run() {
	// SIGTERM ends the tasks in order. What a terminal sends has no effect; it
	// is caught, since tasks would inherit that it is ignored.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGCHLD, unix.SIGTERM, unix.SIGHUP, unix.SIGINT)

	go s.accept(s.listener)
	s.reap() // who ended during an upgrade
	for !s.ended {
		select {
		case call := <-s.calls:
			call()
		case sig := <-signals:
			if sig == unix.SIGTERM {
				s.endWithClient = true
				s.killAll()
			}
			s.reap()
		}
		s.endIfIdle()
	}
}

// remember reads the records of an earlier supervisor. The client has completed
// those of tasks that died with it. Tasks in running are known already.
func (s *supervisor) remember(running map[string]*task) error {
	records, err := wire.ReadRecords("/proc/self/fd/" + strconv.Itoa(DirFD))
	for _, r := range records {
		s.tasks[r.ID] = &task{state: *r, exited: true}
	}
	for id, t := range running {
		s.tasks[id] = t
	}
	return err
}

// do hands a function to Main.
func (s *supervisor) do(f func()) { s.calls <- f }

// after hands a function to Main in a while.
func (s *supervisor) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { s.do(f) })
}

// trimDelay is how long after some work its memory is given back.
const trimDelay = 5 * time.Second

// trimLater gives memory back to the system after a while of work, for there is
// a supervisor for every allocation and most do nothing most of the time.
func (s *supervisor) trimLater() {
	if s.trimming {
		return
	}
	s.trimming = true
	s.after(trimDelay, func() {
		s.trimming = false
		debug.FreeOSMemory()
	})
}

// endIfIdle ends the program when nobody would miss it.
func (s *supervisor) endIfIdle() {
	if len(s.clients) > 0 || s.expecting {
		return
	}
	for _, t := range s.tasks {
		if !t.state.Ended {
			if s.endWithClient {
				s.kill(t)
			}
			return
		}
	}
	s.end()
}

// end closes the door. The lock goes with the process.
func (s *supervisor) end() {
	s.listener.close(s.dir)
	s.ended = true
}

func (s *supervisor) killAll() {
	for _, t := range s.tasks {
		s.kill(t)
	}
}

// reap collects every child that has ended, ours and adopted ones.
func (s *supervisor) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		if x := s.execs[pid]; x != nil {
			s.execEnded(x, status)
			continue
		}
		for _, t := range s.tasks {
			if t.pid == pid && !t.exited {
				s.exited(t, status)
			}
		}
	}
	for _, t := range s.tasks {
		if t.exited && !t.state.Ended {
			s.finish(t)
		}
	}
}

// exitCode returns the code and signal of an ended process, the code as a
// shell would give it.
func exitCode(status unix.WaitStatus) (code, sig int64) {
	if status.Signaled() {
		n := int64(status.Signal())
		return 128 + n, n
	}
	return int64(status.ExitStatus()), 0
}

// failure makes the answer to a failed call.
func failure(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return e
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return &wire.Error{Code: wire.CodeInternal, Errno: int64(errno), Message: err.Error()}
	}
	return &wire.Error{Code: wire.CodeInternal, Message: err.Error()}
}

package supervisor

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/wire"
)

// resumeArg and a descriptor end the arguments of a program that goes on where
// another one was.
const resumeArg = "resume"

// comeBack is how long the clients of before have to connect again.
const comeBack = 10 * time.Second

// upgrade goes on as another program: the same process, the same children, the
// same pipes. What is written meanwhile waits in the pipes. It returns only on
// failure, with everything as before. It is refused while a command runs or a
// task is about to end; the caller tries again later.
func (s *supervisor) upgrade(u *wire.Upgrade) error {
	busy := &wire.Error{Code: wire.CodeConflict, Message: "a command runs, or a task is about to end"}
	if len(s.execs) > 0 {
		return busy
	}
	for _, t := range s.tasks {
		if !t.state.Ended && (t.exited || len(t.timers) > 0) {
			return busy
		}
	}
	if err := unix.Access(u.Path, unix.X_OK); err != nil {
		return err
	}
	defer s.unpause() // exec failed
	for _, t := range s.tasks {
		for _, p := range t.pumps {
			if !t.state.Ended {
				p.pause()
			}
		}
	}
	keep := []int{DirFD, LockFD}
	state, err := s.handover(&keep)
	if err != nil {
		return err
	}
	defer unix.Close(state)
	for _, fd := range append(keep, state) {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	argv := append([]string{"drover-shim"}, u.Args...)
	argv = append(argv, resumeArg, strconv.Itoa(state))
	err = syscall.Exec(u.Path, argv, os.Environ())
	for _, fd := range keep {
		unix.CloseOnExec(fd)
	}
	return err
}

func (s *supervisor) unpause() {
	for _, t := range s.tasks {
		if t.state.Ended {
			continue
		}
		for _, p := range t.pumps {
			if !p.ended {
				p.unpause()
				t.open--
				s.runPump(t, p)
			}
		}
	}
}

// handover writes what the next program must know into a memory file, and adds
// the descriptors that it needs to keep.
func (s *supervisor) handover(keep *[]int) (int, error) {
	var w wire.Encoder
	door := descriptor(s.listener.file)
	*keep = append(*keep, door)
	w.Int(int64(door))
	w.Bool(s.endWithClient)
	for _, t := range s.tasks {
		if t.state.Ended {
			continue
		}
		w.String(string(t.state.Encode()))
		w.Bool(t.killed)
		open := 0
		for _, p := range t.pumps {
			if !p.ended {
				open++
			}
		}
		w.Int(int64(open))
		for _, p := range t.pumps {
			if p.ended {
				continue
			}
			from := descriptor(p.from)
			dir, line, ok := p.to.Handover()
			if !ok {
				return -1, &wire.Error{Code: wire.CodeConflict, Message: "a log can't be written"}
			}
			*keep = append(*keep, from, dir)
			w.Int(int64(from))
			w.Int(int64(dir))
			w.Int(line)
			w.String(p.spec.prefix)
			w.Int(int64(p.spec.files))
			w.Int(p.spec.size)
		}
	}
	fd, err := unix.MemfdCreate("supervisor", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	for b := w.Bytes; len(b) > 0; {
		n, err := unix.Write(fd, b)
		if err != nil {
			_ = unix.Close(fd)
			return -1, err
		}
		b = b[n:]
	}
	_, err = unix.Seek(fd, 0, 0)
	return fd, err
}

// descriptor is File.Fd without its side effect of making the file blocking.
func descriptor(f *os.File) int {
	n := -1
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// resume reads a handover.
func (s *supervisor) resume(arg string) error {
	fd, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	b, err := os.ReadFile("/proc/self/fd/" + arg)
	_ = unix.Close(fd)
	if err != nil {
		return err
	}
	d := wire.Decoder{Bytes: b}
	door := int(d.Int())
	unix.CloseOnExec(door)
	s.listener = &listener{file: os.NewFile(uintptr(door), "listener")}
	s.endWithClient = d.Bool()
	running := map[string]*task{}
	for len(d.Bytes) > 0 && !d.Bad {
		st, ok := wire.DecodeTaskState([]byte(d.String()))
		if !ok {
			return unix.EBADMSG
		}
		t := &task{state: *st, pid: int(st.Pid), killed: d.Bool()}
		running[st.ID] = t
		for range d.Int() {
			from, dir, line := int(d.Int()), int(d.Int()), d.Int()
			spec := pumpSpec{d.String(), int(d.Int()), d.Int()}
			unix.CloseOnExec(from)
			unix.CloseOnExec(dir)
			p, err := newPump(from, os.NewFile(uintptr(dir), "logs"), spec)
			if err != nil {
				return err
			}
			p.to.Resume(line)
			t.pumps = append(t.pumps, p)
			s.runPump(t, p)
		}
	}
	if d.Bad {
		return unix.EBADMSG
	}
	s.expecting = true
	s.after(comeBack, func() { s.expecting = false })
	return s.remember(running)
}

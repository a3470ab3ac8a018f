package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/cgroup"
	"github.com/drover-org/drover/internal/shim/wire"
)

// process is a child to make.
type process struct {
	path    string
	argv    []string
	env     []string
	dir     string
	user    *wire.User
	cgroups []wire.Cgroup
	oom     int64
	files   []uintptr // stdin, stdout, stderr
	tty     bool
}

// spawn makes a child in its control groups, as the leader of a session of its
// own. It must run on Main's thread.
func (s *supervisor) spawn(p *process) (int, error) {
	sys := &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL, Setctty: p.tty}
	if p.user != nil {
		sys.Credential = &syscall.Credential{Uid: p.user.UID, Gid: p.user.GID, Groups: p.user.Groups}
	}
	for _, g := range p.cgroups {
		h := s.hierarchyOf(g.Path)
		if h.v2 {
			fd, err := unix.Open(g.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return 0, err
			}
			defer unix.Close(fd)
			sys.UseCgroupFD, sys.CgroupFD = true, fd
			continue
		}
		// Version 1: a child is born where its parent thread is.
		leave, err := h.enter(g.Path)
		if err != nil {
			return 0, err
		}
		defer leave()
	}
	if p.oom != 0 {
		restore, err := adjustOOM(p.oom)
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	return syscall.ForkExec(p.path, p.argv, &syscall.ProcAttr{Dir: p.dir, Env: p.env, Files: p.files, Sys: sys})
}

// hierarchy is what there is to know of a mounted tree of control groups.
type hierarchy struct {
	v2    bool
	mount string // of version 1
	home  string // our own group there
}

// hierarchyOf finds the hierarchy of a group. What was found is kept, by the
// directory that the groups of tasks have in common.
func (s *supervisor) hierarchyOf(dir string) *hierarchy {
	parent := filepath.Dir(dir)
	h := s.hierarchies[parent]
	if h == nil {
		h = &hierarchy{v2: cgroup.IsV2(dir)}
		if !h.v2 {
			h.mount, h.home = homeOf(dir)
		}
		s.hierarchies[parent] = h
	}
	return h
}

// enter moves the calling thread into a version 1 group and returns the way
// back.
func (h *hierarchy) enter(dir string) (func(), error) {
	if err := joinThread(dir); err != nil {
		return nil, err
	}
	return func() {
		if joinThread(h.home) != nil {
			_ = joinThread(h.mount) // the group we came from is gone
		}
	}, nil
}

func joinThread(dir string) error {
	return writeFile(filepath.Join(dir, "tasks"), "0")
}

// homeOf returns the mount of the hierarchy that dir is in, and the directory
// of this process's own group there.
func homeOf(dir string) (mount, home string) {
	mount = dir
	for up := filepath.Dir(mount); ; up = filepath.Dir(mount) {
		var st unix.Statfs_t
		if unix.Statfs(up, &st) != nil || st.Type != unix.CGROUP_SUPER_MAGIC {
			break
		}
		mount = up
	}
	controllers := strings.Split(filepath.Base(mount), ",")
	b, _ := os.ReadFile("/proc/thread-self/cgroup")
	for line := range strings.SplitSeq(string(b), "\n") {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if slices.Contains(controllers, c) {
				return mount, filepath.Join(mount, f[2])
			}
		}
	}
	return mount, mount
}

// adjustOOM sets what the next child inherits, and returns the way back.
func adjustOOM(n int64) (func(), error) {
	const file = "/proc/self/oom_score_adj"
	old, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := writeFile(file, strconv.FormatInt(n, 10)); err != nil {
		return nil, err
	}
	return func() { _ = writeFile(file, strings.TrimSpace(string(old))) }, nil
}

func writeFile(file, value string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(value))
	if e := unix.Close(fd); err == nil {
		err = e
	}
	return err
}

// stat is what /proc tells of a process; zero for one that is gone.
type stat struct {
	state   byte
	session int
	start   int64 // clock ticks since boot
}

func statOf(pid int) stat {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}
	}
	i := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 20 {
		return stat{}
	}
	st := stat{state: f[0][0]}
	st.session, _ = strconv.Atoi(f[3])
	st.start, _ = strconv.ParseInt(f[19], 10, 64)
	return st
}

// children returns the live and dead children of a process.
func children(pid int) []int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, _ := os.ReadDir(dir)
	var list []int
	for _, t := range threads {
		b, _ := os.ReadFile(dir + "/" + t.Name() + "/children")
		for _, word := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(word); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// tree returns a process and its live descendants.
func tree(pid int) []int {
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		list = append(list, children(list[i])...)
	}
	return list
}

// environ looks up a variable in the environment a process was started with.
func environ(pid int, prefix string) (string, bool) {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	for v := range strings.SplitSeq(string(b), "\x00") {
		if value, ok := strings.CutPrefix(v, prefix); ok {
			return value, true
		}
	}
	return "", false
}

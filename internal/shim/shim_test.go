package shim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim"
)

// program is the real supervisor, built for these tests.
var program shim.Program

// agentArg makes the test binary an agent that starts a task and waits to be
// killed.
const agentArg = "act-as-agent"

func TestMain(m *testing.M) {
	shim.Intercept()
	if len(os.Args) > 3 && os.Args[1] == agentArg {
		actAsAgent(os.Args[2], os.Args[3])
	}
	dir, err := os.MkdirTemp("", "shim")
	if err != nil {
		panic(err)
	}
	program = shim.Program{Path: filepath.Join(dir, "drover-shim")}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program.Path, "github.com/drover-org/drover/cmd/drover-shim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func sh(id, script string) shim.TaskSpec {
	return shim.TaskSpec{
		ID: id, Run: "1", Path: "/bin/sh", Argv: []string{"sh", "-c", script},
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, Dir: "/", LogName: id, LogFiles: 3, LogSize: 1 << 20,
	}
}

// fixture is a supervisor with a log directory.
type fixture struct {
	*shim.Supervisor
	t    testing.TB
	cfg  shim.Config
	logs *os.File
}

func setup(t testing.TB) *fixture {
	t.Helper()
	base := t.TempDir()
	logs := filepath.Join(base, "logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, cfg: shim.Config{Dir: filepath.Join(base, "state"), Program: program}}
	var err error
	if f.logs, err = os.Open(logs); err != nil {
		t.Fatal(err)
	}
	f.open()
	t.Cleanup(func() {
		ctx := context.Background()
		tasks, err := f.Tasks(ctx)
		if err != nil {
			t.Error(err)
		}
		for _, task := range tasks {
			if _, err := f.Remove(ctx, task.ID); err != nil {
				t.Error(err)
			}
		}
		if err := f.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(f.cfg.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Error("the state directory is left:", err)
		}
		f.logs.Close()
	})
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	var err error
	if f.Supervisor, err = shim.Open(f.t.Context(), f.cfg); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) start(spec shim.TaskSpec) shim.Task {
	f.t.Helper()
	spec.Logs = f.logs
	task, err := f.StartTask(f.t.Context(), spec)
	if err != nil {
		f.t.Fatal(err)
	}
	return task
}

func (f *fixture) wait(id string) shim.Result {
	f.t.Helper()
	r, err := f.Wait(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// log returns all files of a stream, oldest first.
func (f *fixture) log(stream string) string {
	f.t.Helper()
	var b strings.Builder
	for n := range 1000 {
		data, err := os.ReadFile(filepath.Join(f.logs.Name(), stream+"."+strconv.Itoa(n)))
		if err == nil {
			b.Write(data)
		}
	}
	return b.String()
}

func TestExitCodeAndOutput(t *testing.T) {
	f := setup(t)
	f.start(sh("a", "echo out; echo err >&2; exit 7"))
	if r := f.wait("a"); r.ExitCode != 7 || r.Signal != 0 || r.EndedAt.IsZero() {
		t.Errorf("result %+v", r)
	}
	if out, err := f.log("a.stdout"), f.log("a.stderr"); out != "out\n" || err != "err\n" {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
}

func TestSignals(t *testing.T) {
	f := setup(t)
	f.start(sh("a", `trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.01; done`))
	f.awaitLog("a.stdout", "ready\n")
	if err := f.Signal(t.Context(), "a", unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if r := f.wait("a"); r.ExitCode != 3 {
		t.Errorf("result %+v", r)
	}
	if err := f.Signal(t.Context(), "a", unix.SIGUSR1); !errors.Is(err, shim.ErrNotRunning) {
		t.Errorf("signal to an ended task: %v", err)
	}
	if err := f.Signal(t.Context(), "b", unix.SIGUSR1); !errors.Is(err, shim.ErrNoTask) {
		t.Errorf("signal to an unknown task: %v", err)
	}
}

// awaitLog waits until a log file has at least the wanted content.
func (f *fixture) awaitLog(stream, want string) {
	f.t.Helper()
	await(f.t, func() bool { return strings.Contains(f.log(stream), want) })
}

// await polls for what the machine tells nobody about.
func await(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("it did not happen")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func gone(pid int) bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

func TestStopKillsEverythingAfterTheTimeout(t *testing.T) {
	f := setup(t)
	// One child in a session of its own, one that has lost its parent, all
	// deaf to SIGTERM.
	f.start(sh("a", `trap '' TERM; setsid sleep 1000 & (setsid sleep 1001 & echo $!) ; echo $!; echo ready; while :; do sleep 0.01; done`))
	f.awaitLog("a.stdout", "ready\n")
	pids, err := f.Pids(t.Context(), "a")
	if err != nil || len(pids) < 3 {
		t.Fatalf("pids %v, %v", pids, err)
	}
	if err := f.Stop(t.Context(), "a", unix.SIGTERM, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if r := f.wait("a"); r.Signal != int(unix.SIGKILL) || r.ExitCode != 137 {
		t.Errorf("result %+v", r)
	}
	for _, pid := range pids {
		if !gone(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

func TestTaskEndsWithItsMainProcess(t *testing.T) {
	f := setup(t)
	f.start(sh("a", `(setsid sleep 1000 &) ; sleep 1001 & echo ok`))
	if r := f.wait("a"); r.ExitCode != 0 {
		t.Errorf("result %+v", r)
	}
	if pids, err := f.Pids(t.Context(), "a"); err != nil || len(pids) > 0 {
		t.Errorf("left: %v, %v", pids, err)
	}
}

func TestTwoTasksDontMix(t *testing.T) {
	f := setup(t)
	f.start(sh("a", `(setsid sleep 1000 &); sleep 1001 & echo ready; wait`))
	f.start(sh("b", `(setsid sleep 1002 &); sleep 1003 & echo ready; wait`))
	f.awaitLog("a.stdout", "ready")
	f.awaitLog("b.stdout", "ready")
	await(t, func() bool { pids, _ := f.Pids(t.Context(), "b"); return len(pids) >= 3 })
	if _, err := f.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if pids, err := f.Pids(t.Context(), "b"); err != nil || len(pids) < 3 {
		t.Errorf("the other task lost processes: %v, %v", pids, err)
	}
}

func TestStartFails(t *testing.T) {
	f := setup(t)
	spec := sh("a", "true")
	spec.Path = "/nonexistent"
	spec.Logs = f.logs
	_, err := f.StartTask(t.Context(), spec)
	var start *shim.StartError
	if !errors.As(err, &start) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("error %v", err)
	}
	if tasks, err := f.Tasks(t.Context()); err != nil || len(tasks) != 0 {
		t.Errorf("left: %v, %v", tasks, err)
	}
}

func TestReopen(t *testing.T) {
	f := setup(t)
	task := f.start(sh("a", `echo one; read x < `+f.fifo("go")+`; echo two; exit 5`))
	f.awaitLog("a.stdout", "one\n")
	f.Close()
	f.open()
	tasks, err := f.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].Pid != task.Pid || tasks[0].Run != "1" || tasks[0].Ended {
		t.Fatalf("tasks %+v, %v", tasks, err)
	}
	f.release("go")
	if r := f.wait("a"); r.ExitCode != 5 {
		t.Errorf("result %+v", r)
	}
	if out := f.log("a.stdout"); out != "one\ntwo\n" {
		t.Errorf("log %q", out)
	}
}

func (f *fixture) fifo(name string) string {
	path := filepath.Join(filepath.Dir(f.cfg.Dir), name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

func (f *fixture) release(name string) {
	w, err := os.OpenFile(filepath.Join(filepath.Dir(f.cfg.Dir), name), os.O_WRONLY, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	fmt.Fprintln(w)
	w.Close()
}

func TestEndedWhileNobodyWasThere(t *testing.T) {
	f := setup(t)
	f.start(sh("a", `echo one; read x < `+f.fifo("go")+`; echo two; kill -USR2 $$`))
	f.awaitLog("a.stdout", "one\n")
	pid := f.Pid()
	f.Close()
	f.release("go")
	await(t, func() bool { // the supervisor has nothing left to do
		var st unix.WaitStatus
		_, _ = unix.Wait4(pid, &st, unix.WNOHANG, nil)
		return gone(pid)
	})
	f.open()
	if f.Pid() != 0 {
		t.Error("there is a supervisor")
	}
	if r := f.wait("a"); r.Signal != int(unix.SIGUSR2) || r.ExitCode != 128+int(unix.SIGUSR2) {
		t.Errorf("result %+v", r)
	}
	if out := f.log("a.stdout"); out != "one\ntwo\n" {
		t.Errorf("log %q", out)
	}
	// It starts again in the same place, and remembers.
	f.start(sh("b", "exit 1"))
	f.wait("b")
	if r := f.wait("a"); r.Signal != int(unix.SIGUSR2) {
		t.Errorf("result %+v", r)
	}
}

func TestUpgrade(t *testing.T) {
	f := setup(t)
	task := f.start(sh("a", `i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; printf half; read x < `+f.fifo("go")+`; echo ' line'; exit 5`))
	pid := f.Pid()
	for n := range 3 { // while it writes
		next := filepath.Join(t.TempDir(), "next-"+strconv.Itoa(n))
		content, err := os.ReadFile(program.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(next, content, 0o755); err != nil {
			t.Fatal(err)
		}
		f.Close()
		f.cfg.Program.Path = next
		f.open()
		if err := f.Upgrade(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || exe != next {
			t.Errorf("program %s, %v", exe, err)
		}
	}
	f.cfg.Program.Path = "/etc/passwd" // can't be run: it stays as it is
	f.Close()
	f.open()
	if err := f.Upgrade(t.Context()); err == nil {
		t.Error("no error")
	}
	if f.Pid() != pid {
		t.Errorf("supervisor %d, was %d", f.Pid(), pid)
	}
	tasks, err := f.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].Pid != task.Pid || tasks[0].Ended {
		t.Fatalf("tasks %+v, %v", tasks, err)
	}
	f.awaitLog("a.stdout", "half")
	f.release("go")
	if r := f.wait("a"); r.ExitCode != 5 {
		t.Errorf("result %+v", r)
	}
	var want strings.Builder
	for i := range 20000 {
		fmt.Fprintln(&want, i)
	}
	if got := f.log("a.stdout"); got != want.String()+"half line\n" {
		t.Errorf("the log has %d bytes, want %d", len(got), want.Len()+10)
	}
}

func actAsAgent(state, logs string) {
	ctx := context.Background()
	s, err := shim.Open(ctx, shim.Config{Dir: state, Program: shim.Self()})
	if err != nil {
		panic(err)
	}
	spec := sh("a", `trap '' HUP INT TERM; echo one; read x < `+filepath.Join(filepath.Dir(state), "go")+`; echo two; exit 9`)
	if spec.Logs, err = os.Open(logs); err != nil {
		panic(err)
	}
	task, err := s.StartTask(ctx, spec)
	if err != nil {
		panic(err)
	}
	fmt.Println(task.Pid, s.Pid())
	select {}
}

func TestAgentIsKilled(t *testing.T) {
	f := setup(t)
	f.fifo("go")
	agent := exec.Command(os.Args[0], agentArg, f.cfg.Dir, f.logs.Name())
	agent.Stderr = os.Stderr
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, supervisor int
	if _, err := fmt.Fscan(out, &pid, &supervisor); err != nil {
		t.Fatal(err)
	}
	f.awaitLog("a.stdout", "one\n")
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait()

	f.Close()
	f.open()
	if f.Pid() != supervisor {
		t.Errorf("supervisor %d, was %d", f.Pid(), supervisor)
	}
	tasks, err := f.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].Pid != pid || tasks[0].Ended {
		t.Fatalf("tasks %+v, %v", tasks, err)
	}
	f.release("go")
	if r := f.wait("a"); r.ExitCode != 9 {
		t.Errorf("result %+v", r)
	}
	if out := f.log("a.stdout"); out != "one\ntwo\n" {
		t.Errorf("log %q", out)
	}
}

func TestSupervisorIsKilled(t *testing.T) {
	f := setup(t)
	f.start(sh("a", `sleep 1000 & echo ready; wait`))
	f.awaitLog("a.stdout", "ready\n")
	pids, err := f.Pids(t.Context(), "a")
	if err != nil || len(pids) != 2 {
		t.Fatalf("pids %v, %v", pids, err)
	}
	waited := make(chan shim.Result, 1)
	go func() {
		r, err := f.Wait(t.Context(), "a")
		if err != nil {
			t.Error(err)
		}
		waited <- r
	}()
	if err := unix.Kill(f.Pid(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if r := <-waited; r.Signal != int(unix.SIGKILL) || !strings.Contains(r.Message, "supervisor") {
		t.Errorf("result %+v", r)
	}
	for _, pid := range pids {
		await(t, func() bool { return gone(pid) || zombie(pid) })
	}
}

// zombie reports a process that died and waits for whoever adopted it.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(b, []byte(") Z "))
}

func TestEndWithAgent(t *testing.T) {
	f := setup(t)
	f.Close()
	f.cfg.EndWithAgent = true
	f.open()
	task := f.start(sh("a", `trap '' TERM HUP; echo ready; while :; do sleep 0.01; done`))
	f.awaitLog("a.stdout", "ready\n")
	f.Close()
	await(t, func() bool { return gone(task.Pid) })
	f.open()
	if r := f.wait("a"); r.Signal != int(unix.SIGKILL) {
		t.Errorf("result %+v", r)
	}
}

func TestExec(t *testing.T) {
	f := setup(t)
	f.start(sh("a", "echo ready; exec sleep 1000"))
	var out, errs bytes.Buffer
	r, err := f.Exec(t.Context(), "a", shim.Command{
		Path: "/bin/sh", Argv: []string{"sh", "-c", "cat; echo $X >&2; exit 4"}, Env: []string{"PATH=/bin:/usr/bin", "X=y"}, Dir: "/",
		Stdin: strings.NewReader("input\x00\xff"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || r.ExitCode != 4 || out.String() != "input\x00\xff" || errs.String() != "y\n" {
		t.Errorf("result %+v, %v, stdout %q, stderr %q", r, err, &out, &errs)
	}
}

func TestExecIsKilledWithItsContext(t *testing.T) {
	f := setup(t)
	f.start(sh("a", "exec sleep 1000"))
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := f.Exec(ctx, "a", shim.Command{
			Path: "/bin/sh", Argv: []string{"sh", "-c", "sleep 1000 & echo $!; wait"}, Env: []string{"PATH=/bin:/usr/bin"}, Dir: "/", Stdout: w,
		})
		done <- err
	}()
	var pid int
	if _, err := fmt.Fscan(r, &pid); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	await(t, func() bool { return gone(pid) })
}

// memoryBound is the supervisor's proportional set size: what the design
// allows for one with a running task.
const memoryBound = 3 << 10 // KiB

func TestMemory(t *testing.T) {
	f := setup(t)
	f.start(sh("a", "while read x; do echo $x; done < /proc/self/mountinfo; exec sleep 1000"))
	for range 50 {
		if _, err := f.Exec(t.Context(), "a", shim.Command{Path: "/bin/true", Argv: []string{"true"}, Dir: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", f.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	figure := func(key string) (n int) {
		_, rest, _ := bytes.Cut(b, []byte(key+":"))
		fmt.Sscan(string(rest), &n)
		return n
	}
	t.Logf("supervisor: %d KiB PSS, %d KiB of it anonymous", figure("\nPss"), figure("\nPss_Anon"))
	if n := figure("\nPss"); n == 0 || n > memoryBound {
		t.Errorf("%d KiB PSS, allowed are %d", n, memoryBound)
	}
}

// BenchmarkStart is from nothing to a running task, with a new supervisor.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		f := setup(b)
		b.StartTimer()
		f.start(sh("a", "exit 0"))
	}
}

func BenchmarkExec(b *testing.B) {
	f := setup(b)
	f.start(sh("a", "exec sleep 1000"))
	for b.Loop() {
		var out bytes.Buffer
		if _, err := f.Exec(b.Context(), "a", shim.Command{Path: "/bin/echo", Argv: []string{"echo", "x"}, Dir: "/", Stdout: &out}); err != nil || out.Len() != 2 {
			b.Fatal(err, out.Len())
		}
	}
}

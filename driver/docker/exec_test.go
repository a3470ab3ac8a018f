package docker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

func idle(t testing.TB, d *Driver) *task {
	cfg, _ := newTask(t, shell("sleep 1000"))
	return startTask(t, d, cfg)
}

type capture struct{ out, err bytes.Buffer }

func (c *capture) run(t testing.TB, task *task, stdin io.Reader, command ...string) *driver.ExitResult {
	t.Helper()
	result, err := task.Exec(deadline(t), &driver.ExecOptions{Command: command, Stdin: stdin, Stdout: &c.out, Stderr: &c.err})
	if err != nil {
		t.Fatalf("Exec %q: %v", command, err)
	}
	return result
}

func TestExecExitCodes(t *testing.T) {
	d, _ := startDriver(t)
	task := idle(t, d)
	for _, test := range []struct {
		command []string
		code    int
		out     string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"sh", "-c", "echo hello; exit 7"}, 7, "hello\n"},
		{[]string{"no-such-command"}, 127, ""},
		{[]string{"/no/such/command"}, 127, ""},
		{[]string{"/etc/passwd"}, 126, ""},
		{[]string{"echo", "-n", "OCI runtime exec failed: not really"}, 0, "OCI runtime exec failed: not really"},
		{[]string{"sh", "-c", "exit 126"}, 126, ""},
		{[]string{"sh", "-c", "kill -9 $$"}, 137, ""},
	} {
		var c capture
		result := c.run(t, task, nil, test.command...)
		if result.ExitCode != test.code || c.out.String() != test.out {
			t.Errorf("%q: exit code %d, stdout %q; want %d, %q", test.command, result.ExitCode, &c.out, test.code, test.out)
		}
		if refused := strings.Contains(test.command[0], "such") || strings.HasPrefix(test.command[0], "/etc"); refused == (c.err.Len() == 0) {
			t.Errorf("%q: stderr %q", test.command, &c.err)
		}
	}
}

// TestExecLosesNothing runs many sessions, several at a time, and compares
// every byte of both streams.
func TestExecLosesNothing(t *testing.T) {
	d, _ := startDriver(t)
	task := idle(t, d)
	const sessions, size = 48, 1 << 20
	var group sync.WaitGroup
	limit := make(chan struct{}, 8)
	for i := range sessions {
		limit <- struct{}{}
		group.Go(func() {
			defer func() { <-limit }()
			input := make([]byte, size)
			random := rand.NewChaCha8([32]byte{byte(i)})
			_, _ = random.Read(input)
			var c capture
			result, err := task.Exec(deadline(t), &driver.ExecOptions{
				Command: []string{"sh", "-c", "cat; echo done >&2"}, Stdin: bytes.NewReader(input), Stdout: &c.out, Stderr: &c.err,
			})
			if err != nil || result.ExitCode != 0 {
				t.Errorf("session %d: %+v, %v", i, result, err)
				return
			}
			if sha256.Sum256(c.out.Bytes()) != sha256.Sum256(input) || c.err.String() != "done\n" {
				t.Errorf("session %d: %d of %d bytes, stderr %q", i, c.out.Len(), size, &c.err)
			}
		})
	}
	for i := range 100 { // short ones are cut the most easily
		limit <- struct{}{}
		group.Go(func() {
			defer func() { <-limit }()
			var c capture
			want := fmt.Sprintf("line %d\n", i)
			result, err := task.Exec(deadline(t), &driver.ExecOptions{Command: []string{"echo", "-n", want}, Stdout: &c.out, Stderr: &c.err})
			if err != nil || result.ExitCode != 0 || c.out.String() != want {
				t.Errorf("short session %d: %q, %+v, %v", i, &c.out, result, err)
			}
		})
	}
	group.Wait()
}

func TestExecTerminal(t *testing.T) {
	d, _ := startDriver(t)
	task := idle(t, d)
	in, typed := io.Pipe()
	defer in.Close()
	sizes := make(chan api.TerminalSize, 2)
	out := &watched{}
	finished := make(chan *driver.ExitResult, 1)
	go func() {
		result, err := task.Exec(deadline(t), &driver.ExecOptions{Command: []string{"sh"}, TTY: true, Stdin: in, Stdout: out, Stderr: out, Resize: sizes})
		if err != nil {
			t.Errorf("Exec: %v", err)
		}
		finished <- result
	}()
	sizes <- api.TerminalSize{Height: 33, Width: 77}
	until(t, "the first size", func() bool {
		fmt.Fprintln(typed, "stty size")
		return strings.Contains(out.String(), "33 77")
	})
	sizes <- api.TerminalSize{Height: 44, Width: 88}
	until(t, "the second size", func() bool {
		fmt.Fprintln(typed, "stty size")
		return strings.Contains(out.String(), "44 88")
	})
	fmt.Fprintln(typed, "exit 5")
	if result := <-finished; result == nil || result.ExitCode != 5 {
		t.Errorf("result %+v, want 5", result)
	}
}

func TestExecTerminalEndOfInput(t *testing.T) {
	d, _ := startDriver(t)
	task := idle(t, d)
	var out bytes.Buffer
	result, err := task.Exec(deadline(t), &driver.ExecOptions{
		Command: []string{"sh", "-c", "cat; echo after"}, TTY: true, Stdin: strings.NewReader("one\n"), Stdout: &out, Stderr: &out,
	})
	if err != nil || result.ExitCode != 0 || !strings.Contains(out.String(), "after") {
		t.Errorf("%+v, %v: %q", result, err, &out)
	}
}

// watched is a buffer that can be read while it is written.
type watched struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

func TestExecIsKilledWithItsChildren(t *testing.T) {
	d, _ := startDriver(t)
	task := idle(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := &watched{}
	finished := make(chan error, 1)
	go func() {
		_, err := task.Exec(ctx, &driver.ExecOptions{Command: []string{"sh", "-c", "sleep 4242 & sleep 4243; echo no"}, Stdout: out, Stderr: out})
		finished <- err
	}()
	processes := func() int {
		list, err := exec.Command("docker", "top", task.handle.Container).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(list), "sleep 424")
	}
	until(t, "both children", func() bool { return processes() >= 2 })
	cancel()
	select {
	case err := <-finished:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Exec: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Exec did not return")
	}
	until(t, "the children's end", func() bool { return processes() == 0 })
	if out.String() != "" {
		t.Errorf("output %q", out)
	}
}

func TestExecInAnEndedTask(t *testing.T) {
	d, _ := startDriver(t)
	task := idle(t, d)
	if err := task.Stop(deadline(t), "KILL", 0); err != nil {
		t.Fatal(err)
	}
	_, err := task.Exec(deadline(t), &driver.ExecOptions{Command: []string{"true"}, Stdout: io.Discard, Stderr: io.Discard})
	if !errors.Is(err, driver.ErrNotRunning) {
		t.Errorf("Exec: %v", err)
	}
}

// The container ends while a command runs in it.
func TestExecWhenTheTaskEnds(t *testing.T) {
	d, _ := startDriver(t)
	task := idle(t, d)
	out := &watched{}
	finished := make(chan *driver.ExitResult, 1)
	go func() {
		result, _ := task.Exec(deadline(t), &driver.ExecOptions{Command: []string{"sh", "-c", "echo up; sleep 1000"}, Stdout: out, Stderr: out})
		finished <- result
	}()
	until(t, "the command", func() bool { return out.String() == "up\n" })
	if err := task.Stop(deadline(t), "KILL", 0); err != nil {
		t.Fatal(err)
	}
	if result := <-finished; result.Successful() {
		t.Errorf("result %+v of a killed command", result)
	}
}

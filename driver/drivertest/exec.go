package drivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// host starts the task that commands run in.
func (s *suite) host() driver.Task {
	s.Helper()
	if !s.d.Capabilities().Exec {
		s.Skip("the driver has no exec")
	}
	task := s.start(forever)
	s.ready("ready")
	return task
}

func execStreams(s *suite) {
	task := s.host()
	out, errs, r := s.exec(task, `cat; echo "$CONFORMANCE" >&2`, []byte("in\x00\xff\n"))
	if string(out) != "in\x00\xff\n" || string(errs) != "yes\n" || r.ExitCode != 0 {
		s.Errorf("stdout %q, stderr %q, %+v", out, errs, r)
	}
	// Streams that nobody wants are no failure.
	r, err := task.Exec(s.context(), &driver.ExecOptions{Command: []string{"/bin/sh", "-c", "cat; echo x; echo y >&2; exit 3"}})
	if err != nil || r.ExitCode != 3 {
		s.Errorf("without streams: %+v, %v", r, err)
	}
}

func execExitCode(s *suite) {
	task := s.host()
	for script, code := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 200": 200, "kill -9 $$": 137} {
		if _, _, r := s.exec(task, script, nil); r.ExitCode != code {
			s.Errorf("%s: %+v", script, r)
		}
	}
}

func execNotFound(s *suite) {
	task := s.host()
	for command, code := range map[string]int{"/no/such/command": 127, "no-such-command": 127, "/etc/passwd": 126, "/": 126} {
		_, errs, r := s.command(task, []string{command}, nil)
		if r.ExitCode != code || len(errs) == 0 {
			s.Errorf("%s: %+v, stderr %q", command, r, errs)
		}
	}
	// The task is unharmed.
	if out, _, _ := s.exec(task, "echo fine", nil); string(out) != "fine\n" {
		s.Errorf("stdout %q", out)
	}
}

// execHalfClose ends the input while output is still to come.
func execHalfClose(s *suite) {
	task := s.host()
	in, input := io.Pipe()
	output, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := task.Exec(s.context(), &driver.ExecOptions{
			Command: []string{"/bin/sh", "-c", "read x; echo got $x; cat >/dev/null; echo end"}, Stdin: in, Stdout: out, Stderr: io.Discard,
		})
		out.CloseWithError(err)
		done <- err
	}()
	if _, err := io.WriteString(input, "hello\n"); err != nil {
		s.Fatal(err)
	}
	first := make([]byte, len("got hello\n"))
	if _, err := io.ReadFull(output, first); err != nil || string(first) != "got hello\n" {
		s.Fatalf("%q, %v", first, err)
	}
	_ = input.Close()
	rest, err := io.ReadAll(output)
	if err != nil || string(rest) != "end\n" {
		s.Errorf("%q, %v", rest, err)
	}
	if err := <-done; err != nil {
		s.Error(err)
	}
}

// execWhole is many sessions with more output than any buffer on the way.
func execWhole(s *suite) {
	task := s.host()
	const sessions, parallel, size = 200, 8, 300_000
	data := make([]byte, size)
	_, _ = rand.Read(data)
	queue := make(chan int)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for n := range queue {
				var out, errs bytes.Buffer
				r, err := task.Exec(s.context(), &driver.ExecOptions{
					Command: []string{"/bin/sh", "-c", "cat; echo end >&2; exit 9"}, Stdin: bytes.NewReader(data), Stdout: &out, Stderr: &errs,
				})
				if err != nil || r.ExitCode != 9 || errs.String() != "end\n" || !bytes.Equal(out.Bytes(), data) {
					s.Errorf("session %d: %d of %d bytes, stderr %q, %+v, %v", n, out.Len(), size, &errs, r, err)
				}
			}
		})
	}
	for n := range sessions {
		queue <- n
	}
	close(queue)
	wg.Wait()
}

// execBackground leaves a process behind that holds the output open.
func execBackground(s *suite) {
	task := s.host()
	out, _, r := s.exec(task, "sleep 1000 & head -c 50000 /dev/zero; echo end", nil)
	if len(out) != 50004 || r.ExitCode != 0 {
		s.Errorf("%d bytes, %+v", len(out), r)
	}
}

// screen collects what a terminal shows.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *suite) shows(screen *screen, want string) {
	s.Helper()
	deadline := time.After(patience)
	for !strings.Contains(screen.String(), want) {
		select {
		case <-deadline:
			s.Fatalf("the terminal does not show %q but %q", want, screen)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func execTerminal(s *suite) {
	task := s.host()
	in, input := io.Pipe()
	defer in.Close()
	var shown screen
	sizes := make(chan api.TerminalSize, 1)
	sizes <- api.TerminalSize{Height: 33, Width: 111}
	done := make(chan error, 1)
	var r *driver.ExitResult
	go func() {
		var err error
		r, err = task.Exec(s.context(), &driver.ExecOptions{
			Command: []string{"/bin/sh", "-c", `[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal; until [ "$(stty size)" = "33 111" ]; do :; done
				echo first; read x; echo "read $x" >&2; until [ "$(stty size)" = "44 222" ]; do :; done; echo second; exit 8`},
			TTY: true, Stdin: in, Stdout: &shown, Resize: sizes,
		})
		done <- err
	}()
	s.shows(&shown, "terminal\r\n")
	s.shows(&shown, "first\r\n")
	if _, err := io.WriteString(input, "typed\n"); err != nil {
		s.Fatal(err)
	}
	s.shows(&shown, "read typed\r\n")
	sizes <- api.TerminalSize{Height: 44, Width: 222}
	if err := <-done; err != nil {
		s.Fatal(err)
	}
	if r.ExitCode != 8 || !strings.HasSuffix(shown.String(), "second\r\n") {
		s.Errorf("%+v, shown %q", r, &shown)
	}
}

func execContext(s *suite) {
	task := s.host()
	ctx, cancel := context.WithCancel(s.context())
	var shown screen
	done := make(chan error, 1)
	go func() {
		_, err := task.Exec(ctx, &driver.ExecOptions{
			Command: []string{"/bin/sh", "-c", "trap '' INT TERM HUP; echo started; while :; do sleep 0.01; done"}, Stdout: &shown, Stderr: io.Discard,
		})
		done <- err
	}()
	s.shows(&shown, "started")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		s.Errorf("Exec: %v", err)
	}
	if out, _, _ := s.exec(task, "echo fine", nil); string(out) != "fine\n" {
		s.Errorf("the task suffered: %q", out)
	}
}

func execEnded(s *suite) {
	if !s.d.Capabilities().Exec {
		s.Skip("the driver has no exec")
	}
	task := s.start(Program{})
	s.wait(task)
	_, err := task.Exec(s.context(), &driver.ExecOptions{Command: []string{"true"}, Stdout: io.Discard, Stderr: io.Discard})
	if !errors.Is(err, driver.ErrNotRunning) {
		s.Errorf("Exec: %v", err)
	}
}

package test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdPTY runs a command on a terminal. The script's lines:
//
//	resize ROWS COLS    set the terminal's size (also the first thing)
//	expect TEXT         wait until TEXT has come since the last expect
//	send TEXT           type TEXT; \n, \r, \x03 and so on as in Go
//
// After the script the command must end by itself.
func cmdPTY(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) >= 2, "[!] pty FILE COMMAND…")
	script := ts.ReadFile(args[0])
	cmd := exec.Command(args[1], args[2:]...)
	if args[1] == "drover" {
		cmd.Path = binary
		cmd.Err = nil
	}
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "NOMAD_ADDR="+ts.Getenv("NOMAD_ADDR"), "TERM=xterm", "NO_COLOR=")
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	ts.Check(err)
	s := &screen{more: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.read(f)
	defer func() {
		_ = cmd.Process.Kill()
		_ = f.Close()
		<-s.ended
	}()
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		s.step(ts, f, line)
	}
	err = s.finish(ts, cmd)
	_, _ = ts.Stdout().Write(s.all())
	if (err != nil) != neg {
		ts.Fatalf("%v ended with %v; the terminal shows\n%s", args[1:], err, s.all())
	}
}

// screen collects what comes out of a terminal.
type screen struct {
	mu    sync.Mutex // guards text
	text  []byte
	seen  int           // of text, by the last expect
	more  chan struct{} // has room for one: text was added
	ended chan struct{} // closed at the end of the output
}

func (s *screen) read(f *os.File) {
	defer close(s.ended)
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		s.mu.Lock()
		s.text = append(s.text, buf[:n]...)
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (s *screen) all() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.ReplaceAll(s.text, []byte("\r\n"), []byte("\n"))
}

func (s *screen) step(ts *testscript.TestScript, f *os.File, line string) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch verb {
	case "", "#":
	case "send":
		text, err := strconv.Unquote(`"` + rest + `"`)
		ts.Check(err)
		_, err = f.WriteString(text)
		ts.Check(err)
	case "expect":
		s.expect(ts, rest)
	case "resize":
		rows, cols, _ := strings.Cut(rest, " ")
		r, err := strconv.ParseUint(rows, 10, 16)
		ts.Check(err)
		c, err := strconv.ParseUint(cols, 10, 16)
		ts.Check(err)
		ts.Check(pty.Setsize(f, &pty.Winsize{Rows: uint16(r), Cols: uint16(c)}))
	default:
		ts.Fatalf("a terminal's script has no %q", verb)
	}
}

func (s *screen) expect(ts *testscript.TestScript, text string) {
	timeout := time.After(patience)
	for {
		s.mu.Lock()
		at := bytes.Index(s.text[s.seen:], []byte(text))
		if at >= 0 {
			s.seen += at + len(text)
		}
		s.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-s.more:
		case <-s.ended:
			if !bytes.Contains(s.all()[min(s.seen, len(s.all())):], []byte(text)) {
				ts.Fatalf("the terminal ended without %q:\n%s", text, s.all())
			}
			return
		case <-timeout:
			ts.Fatalf("waited %v for %q; the terminal shows\n%s", patience, text, s.all())
		}
	}
}

// finish waits for the command.
func (s *screen) finish(ts *testscript.TestScript, cmd *exec.Cmd) error {
	done := make(chan error, 1)
	go func() {
		<-s.ended
		done <- cmd.Wait()
	}()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		return err
	case <-time.After(patience):
		ts.Fatalf("the command has not ended within %v; the terminal shows\n%s", patience, s.all())
	}
	return nil
}

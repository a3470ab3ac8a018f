package docker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drover-org/drover/driver"
)

// counting prints numbers on both streams, at its own pace.
const counting = `i=0; while [ $i -lt %d ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); %s done; printf tail`

func counted(n int, prefix, end string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s %d\n", prefix, i)
	}
	return b.String() + end
}

func checkCounted(t *testing.T, cfg *driver.TaskConfig, n int) {
	t.Helper()
	for _, s := range [][3]string{{"stdout", "out", "tail"}, {"stderr", "err", ""}} {
		got, want := logged(t, cfg, s[0]), counted(n, s[1], s[2])
		if got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s: %d bytes, want %d; differs at %d: %q", s[0], len(got), len(want), i, got[max(0, i-40):min(len(got), i+40)])
		}
	}
}

func TestLogsAreWhole(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, shell(fmt.Sprintf(counting, 20000, "")))
	wait(t, startTask(t, d, cfg))
	checkCounted(t, cfg, 20000)
}

func TestLongLinesAreWhole(t *testing.T) {
	d, _ := startDriver(t)
	for name, tty := range map[string]bool{"plain": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			const script = `head -c 100000 /dev/zero | tr '\0' a; echo; head -c 16384 /dev/zero | tr '\0' b; echo; echo c; head -c 20000 /dev/zero | tr '\0' d`
			stdout, _ := run(t, d, with(shell(script), "tty", tty))
			want := strings.Repeat("a", 100000) + "\n" + strings.Repeat("b", 16384) + "\nc\n" + strings.Repeat("d", 20000)
			if tty {
				want = strings.ReplaceAll(want, "\n", "\r\n")
			}
			if stdout != want {
				t.Errorf("%d bytes, want %d", len(stdout), len(want))
			}
		})
	}
}

func TestLogsRotateAtLineEnds(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, shell(fmt.Sprintf(counting, 3000, "")))
	cfg.Logs = driver.LogConfig{MaxFiles: 3, MaxFileSize: 5000}
	wait(t, startTask(t, d, cfg))
	files, err := filepath.Glob(cfg.LogDir + "/web.stdout.*")
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 5000 || !bytes.HasPrefix(b, []byte("out ")) || !bytes.HasSuffix(b, []byte("\n")) && !bytes.HasSuffix(b, []byte("\ntail")) {
			t.Errorf("%s: %d bytes, %.20q to %q", file, len(b), b, b[len(b)-20:])
		}
	}
	if !strings.HasSuffix(counted(3000, "out", "tail"), logged(t, cfg, "stdout")) {
		t.Error("the files don't hold the end of the output")
	}
}

// TestLogsOverAgentRestarts ends the driver several times while the task
// prints. Each time the cursor is as it would be on a disk after a crash: at
// any older state, while the files are newer.
func TestLogsOverAgentRestarts(t *testing.T) {
	const lines = 600
	d, end := startDriver(t)
	cfg, _ := newTask(t, shell(fmt.Sprintf(counting, lines, "usleep 5000;")))
	first := startTask(t, d, cfg)
	var running driver.Task = first
	cursorFile := filepath.Join(cfg.StateDir, first.cursorName())
	for round := range 4 {
		old, err := os.ReadFile(cursorFile)
		if err != nil {
			t.Fatal(err)
		}
		mark := len(logged(t, cfg, "stdout"))
		until(t, "more output", func() bool { return len(logged(t, cfg, "stdout")) > mark+500 })
		end()
		if _, err := running.Wait(deadline(t)); err == nil {
			t.Fatal("Wait succeeds though the driver ended first")
		}
		if round%2 == 0 { // crashed
			if err := os.WriteFile(cursorFile, old, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, end = startDriver(t)
		recovered, err := d.Recover(deadline(t), cfg, first.Handle())
		if err != nil {
			t.Fatal(err)
		}
		running = recovered
	}
	if result := wait(t, running); !result.Successful() {
		t.Errorf("result %+v", result)
	}
	checkCounted(t, cfg, lines)
}

// The task ends while there is no agent.
func TestRecoverOfAnEndedTask(t *testing.T) {
	d, end := startDriver(t)
	cfg, _ := newTask(t, shell(fmt.Sprintf(counting, 300, "usleep 1000;")+"; exit 9"))
	task := startTask(t, d, cfg)
	until(t, "output", func() bool { return logged(t, cfg, "stdout") != "" })
	end()
	until(t, "the end", func() bool {
		return !inspect(t, mustClient(t), task.handle.Container).Container.State.Running
	})
	d, _ = startDriver(t)
	recovered, err := d.Recover(deadline(t), cfg, task.Handle())
	if err != nil {
		t.Fatal(err)
	}
	if result := wait(t, recovered); result.ExitCode != 9 || result.EndedAt.IsZero() {
		t.Errorf("result %+v", result)
	}
	checkCounted(t, cfg, 300)
}

func mustClient(t *testing.T) *Driver {
	d, err := New(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.cli().Close() })
	return d
}

func TestDiscardedOutput(t *testing.T) {
	d, _ := startDriver(t)
	stdout, result := run(t, d, shell("echo nothing"), func(cfg *driver.TaskConfig) { cfg.Logs.Disabled = true })
	if !result.Successful() || stdout != "" {
		t.Errorf("%+v, output %q", result, stdout)
	}
}

// Any output, cut as the Engine cuts it, comes back from a terminal's record.
func TestTerminalMessages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var record bytes.Buffer
		var want []byte
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		count := 0
		for range rapid.IntRange(0, 10).Draw(rt, "lines") {
			line := bytes.Repeat([]byte("x y"), rapid.SampledFrom([]int{0, 1, 5, 5461, 5462, 12000}).Draw(rt, "length"))
			line = append(line, bytes.Repeat([]byte("z"), rapid.IntRange(0, 2).Draw(rt, "rest"))...)
			line = append(line, '\n')
			want = append(want, line...)
			at = at.Add(time.Duration(rapid.IntRange(0, 1).Draw(rt, "later")))
			for len(line) > 0 {
				n := len(line)
				if n-1 >= partSize {
					n = partSize
				}
				record.WriteString(at.Format(stampLayout) + " ")
				record.Write(line[:n])
				line = line[n:]
				count++
			}
		}
		var got []byte
		err := terminalMessages(bufio.NewReader(iotestSmall{&record}), func(m message) error {
			got = append(got, m.text...)
			count--
			return nil
		})
		if !errors.Is(err, io.EOF) || !bytes.Equal(got, want) || count != 0 {
			rt.Fatalf("%d bytes of %d, %d messages missing, %v", len(got), len(want), count, err)
		}
	})
}

// iotestSmall reads in odd pieces.
type iotestSmall struct{ r io.Reader }

func (s iotestSmall) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 1000)]) }

func TestFramedMessagesRefuseNonsense(t *testing.T) {
	frame := func(kind byte, text string) []byte {
		b := []byte{kind, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint32(b[4:], uint32(len(text)))
		return append(b, text...)
	}
	for name, input := range map[string][]byte{
		"no time":     frame(1, "hello\n"),
		"error frame": frame(3, "2026-01-02T03:04:05.000000000Z broken"),
		"cut":         frame(1, "2026-01-02T03:04:05.000000000Z hello\n")[:20],
		"huge":        {1, 0, 0, 0, 255, 255, 255, 255},
	} {
		err := framedMessages(bufio.NewReader(bytes.NewReader(input)), func(message) error { return nil })
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A flood makes the Engine go on to new files faster than it can be followed.
func TestLogsOfAFloodAreWhole(t *testing.T) {
	d, _ := startDriver(t)
	const lines = 1000000
	cfg, _ := newTask(t, shell(fmt.Sprintf("seq 1 %d", lines)))
	cfg.Logs = driver.LogConfig{MaxFiles: 10, MaxFileSize: 1 << 20}
	wait(t, startTask(t, d, cfg))
	n := 0
	for line := range strings.Lines(logged(t, cfg, "stdout")) {
		if n++; line != fmt.Sprintf("%d\n", n) {
			t.Fatalf("line %d is %q", n, line)
		}
	}
	if n != lines {
		t.Errorf("%d lines, want %d", n, lines)
	}
}

package agent

import (
	"encoding/base64"
	"io"
	"net"
	"testing"
	"time"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/ws"
)

// countedConn counts what is written to it, and drops it.
type countedConn struct{ writes, bytes int }

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes++
	c.bytes += len(p)
	return len(p), nil
}
func (*countedConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (*countedConn) Close() error                     { return nil }
func (*countedConn) LocalAddr() net.Addr              { return nil }
func (*countedConn) RemoteAddr() net.Addr             { return nil }
func (*countedConn) SetDeadline(time.Time) error      { return nil }
func (*countedConn) SetReadDeadline(time.Time) error  { return nil }
func (*countedConn) SetWriteDeadline(time.Time) error { return nil }

// What a command writes leaves in one system call for each that read it, and
// nothing is allocated on the way; what comes in is decoded where it lies. The
// end of a session is one system call.
func TestExecCost(t *testing.T) {
	var conn countedConn
	s := &session{conn: ws.New(&conn, nil)}
	out := &output{s: s, head: stdoutHead}
	const chunk = 2 * execChunk // as much as is read at a time
	data := make([]byte, chunk)
	allocs := testing.AllocsPerRun(100, func() {
		conn = countedConn{}
		if n, err := out.Write(data); n != chunk || err != nil {
			t.Fatal(n, err)
		}
	})
	if want := 2*(4+len(stdoutHead)+base64.StdEncoding.EncodedLen(execChunk)+len(inputTail)) + 4; conn.writes != 1 || conn.bytes > want {
		t.Errorf("%d bytes of output took %d writes and %d bytes, expected 1 and at most %d", chunk, conn.writes, conn.bytes, want)
	}
	if allocs > 1 {
		t.Errorf("%v allocations for %d bytes of output", allocs, chunk)
	}

	text := []byte(`{"stdin":{"data":"` + base64.StdEncoding.EncodeToString(data) + `"}}`)
	frame := make([]byte, len(text))
	if n := testing.AllocsPerRun(100, func() {
		copy(frame, text)
		if _, data, err := parseInput(frame); len(data) != chunk || err != nil {
			t.Fatal(len(data), err)
		}
	}); n > 1 {
		t.Errorf("%v allocations for %d bytes of input", n, chunk)
	}

	conn = countedConn{}
	if err := s.sendEnd(&driver.ExitResult{}, false); err != nil || conn.writes != 1 {
		t.Errorf("the end of a session took %d writes (%v), expected 1", conn.writes, err)
	}
}

func BenchmarkExecInput(b *testing.B) {
	text := []byte(`{"stdin":{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, execChunk)) + `"}}`)
	frame := make([]byte, len(text))
	b.SetBytes(execChunk)
	for b.Loop() {
		copy(frame, text)
		_, _, _ = parseInput(frame)
	}
}

package wire

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func specs() *rapid.Generator[*TaskSpec] {
	return rapid.Custom(func(t *rapid.T) *TaskSpec {
		text := rapid.StringN(0, 20, 40)
		list := rapid.SliceOfN(text, 1, 4)
		s := &TaskSpec{
			ID: rapid.StringN(1, 20, 40).Draw(t, "id"), Run: text.Draw(t, "run"), Path: text.Draw(t, "path"),
			Argv: list.Draw(t, "argv"), Env: list.Draw(t, "env"), Dir: text.Draw(t, "dir"),
			OOMScoreAdj: rapid.Int64().Draw(t, "oom"), LogName: text.Draw(t, "log"), LogFiles: rapid.Int64().Draw(t, "files"),
			LogSize: rapid.Int64().Draw(t, "size"),
		}
		if rapid.Bool().Draw(t, "user") {
			s.User = &User{UID: rapid.Uint32().Draw(t, "uid"), GID: rapid.Uint32().Draw(t, "gid"), Groups: []uint32{1, 1 << 31}}
		}
		if rapid.Bool().Draw(t, "cgroups") {
			s.Cgroups = []Cgroup{{Path: text.Draw(t, "cgroup"), Own: rapid.Bool().Draw(t, "own")}}
		}
		return s
	})
}

func TestTaskSpecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := specs().Draw(t, "spec")
		got, ok := DecodeTaskSpec(want.Encode())
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Fatal(ok, diff)
		}
	})
}

// Whatever arrives, decoding ends without a panic and without more memory than
// the message is worth.
func TestGarbage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "mutate") {
			b = specs().Draw(t, "spec").Encode()
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		DecodeTaskSpec(b)
		DecodeExecSpec(b)
		DecodeTaskState(b)
		DecodeHello(b)
		DecodeWelcome(b)
		DecodeStop(b)
		DecodeSignal(b)
		DecodeUpgrade(b)
		DecodeError(b)
	})
}

// An older peer's message lacks the newest fields: they are zero.
func TestShorterMessage(t *testing.T) {
	b := (&Stop{Task: "a", Signal: 2, Timeout: 5}).Encode()
	m, ok := DecodeStop(b[:len(b)-1])
	if !ok || m.Task != "a" || m.Signal != 2 || m.Timeout != 0 {
		t.Errorf("%+v, %v", m, ok)
	}
}

func pair(t *testing.T) (*Conn, *Conn, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewConn(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewConn(fds[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b, fds[0]
}

func TestFramesAndFiles(t *testing.T) {
	a, b, _ := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	big := make([]byte, 1<<20) // more than a socket holds
	sent := make(chan error, 1)
	go func() {
		err := a.Send(&Frame{Kind: KindExec, Call: 1, Body: []byte("first"), Files: []int{int(w.Fd()), int(w.Fd())}}, true)
		if err == nil {
			err = a.Send(&Frame{Kind: KindStart, Call: 2, Body: big}, true)
		}
		if err == nil {
			err = a.Send(&Frame{Kind: KindExec, Call: 3, Files: []int{int(w.Fd())}}, true)
		}
		w.Close()
		sent <- err
	}()
	for call, want := range []struct{ body, files int }{{5, 2}, {len(big), 0}, {0, 1}} {
		f, err := b.Recv()
		if err != nil || f.Call != uint32(call+1) || len(f.Body) != want.body || len(f.Files) != want.files {
			t.Fatalf("frame %d: %v, %v", call+1, f, err)
		}
		for _, fd := range f.Files {
			if _, err := unix.Write(fd, []byte("x")); err != nil {
				t.Error(err)
			}
		}
		f.Close()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "xxx" {
		t.Errorf("through the files: %q, %v", got, err)
	}
	a.Close()
	if err := a.Send(&Frame{}, true); !errors.Is(err, os.ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	if _, err := b.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

func TestSlowReader(t *testing.T) {
	a, _, _ := pair(t)
	var err error
	for range 10000 {
		if err = a.Send(&Frame{Body: make([]byte, 1000)}, false); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrSlow) {
		t.Errorf("error %v", err)
	}
}

func TestMalformedFrame(t *testing.T) {
	_, b, fd := pair(t)
	if _, err := unix.Write(fd, []byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if f, err := b.Recv(); err == nil {
		t.Errorf("frame %+v", f)
	}
}

func TestRecords(t *testing.T) {
	path := t.TempDir()
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	want := &TaskState{ID: "0a1b/we b.%", Run: "r", Pid: 5, Ended: true, Code: 137, Signal: 9, OOMKilled: true, Message: "why", EndedAt: 7}
	if err := WriteRecord(dir, want); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"/torn.task", []byte{0x80}, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecords(path)
	if diff := cmp.Diff([]*TaskState{want}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for range 2 {
		if err := RemoveRecord(dir, want.ID); err != nil {
			t.Error(err)
		}
	}
	if got, err := ReadRecords(path); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

package asciicast

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A recording's times are those of the session, and no character is torn.
func TestRecording(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	path := filepath.Join(t.TempDir(), "session.cast")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	r := New(f, Header{Width: 80, Height: 24, Command: []string{"/bin/sh", "-l"}}, func() time.Time { return now })
	for _, s := range []struct {
		from Stream
		text string
	}{{Stdout, "h\xc3"}, {Stderr, "E"}, {Stdout, "\xa9llo\r\n"}, {Stdout, "\xff\x1b[0m"}, {Stdin, "ls\n"}, {Stdout, "\xe2\x82"}} {
		now = now.Add(500 * time.Millisecond)
		if err := r.Record(s.from, []byte(s.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Resize(100, 40); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := `{"version":2,"width":80,"height":24,"timestamp":1700000000,"command":"/bin/sh -l"}
[0.5,"o","h"]
[1,"o","E"]
[1.5,"o","éllo\r\n"]
[2,"o","\ufffd\u001b[0m"]
[2.5,"i","ls\n"]
[3,"r","100x40"]
[3,"o","\ufffd\ufffd"]
`
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("got\n%s, %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Create(path); err == nil {
		t.Error("a file was overwritten")
	}
	if err := r.Record(Stdout, []byte("late")); err == nil || r.Err() == nil {
		t.Error("what can't be written is no error")
	}
}

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A recording is an asciicast whose times are those of the session, and in
// which no character is torn.
func TestRecording(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	path := filepath.Join(t.TempDir(), "session.cast")
	r, err := newRecording(path, 80, 24, []string{"/bin/sh", "-l"}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	o, e := r.tee(&out), r.tee(&errs)
	for _, s := range []struct {
		w    interface{ Write([]byte) (int, error) }
		text string
	}{{o, "h\xc3"}, {e, "E"}, {o, "\xa9llo\r\n"}, {o, "\xff\x1b[0m"}, {o, "\xe2\x82"}} {
		now = now.Add(500 * time.Millisecond)
		if _, err := s.w.Write([]byte(s.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	want := `{"version":2,"width":80,"height":24,"timestamp":1700000000,"command":"/bin/sh -l"}
[0.5,"o","h"]
[1,"o","E"]
[1.5,"o","éllo\r\n"]
[2,"o","\ufffd\u001b[0m"]
[2.5,"o","\ufffd\ufffd"]
`
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("got\n%s, %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if out.String() != "h\xc3\xa9llo\r\n\xff\x1b[0m\xe2\x82" || errs.String() != "E" {
		t.Errorf("passed on: %q, %q", out.String(), errs.String())
	}
	if _, err := newRecording(path, 1, 1, nil, time.Now); err == nil {
		t.Error("a file was overwritten")
	}
}

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// recording is an exec session as an asciicast (version 2), which players of
// terminal sessions read: a header, then one event a line. What was typed is
// not recorded, since it may hold secrets that are not shown.
type recording struct {
	mu    sync.Mutex // guards what follows
	out   io.WriteCloser
	now   func() time.Time
	start time.Time
	rest  map[io.Writer][]byte // of each stream: the beginning of a character
	err   error                // of the first write that failed
}

// newRecording makes the file, which must not exist, for its owner alone.
func newRecording(path string, width, height int, command []string, now func() time.Time) (*recording, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	r := &recording{out: f, now: now, start: now(), rest: map[io.Writer][]byte{}}
	r.line(struct {
		Version   int    `json:"version"`
		Width     int    `json:"width"`
		Height    int    `json:"height"`
		Timestamp int64  `json:"timestamp"`
		Command   string `json:"command"`
	}{2, width, height, r.start.Unix(), strings.Join(command, " ")})
	return r, nil
}

// line writes one line and needs the lock, or nobody else.
func (r *recording) line(v any) {
	if r.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = r.out.Write(append(b, '\n'))
	}
	r.err = err
}

// tee returns a writer to w that records what passes. A recording that fails
// does not hold up the session.
func (r *recording) tee(w io.Writer) io.Writer { return &tee{r, w} }

type tee struct {
	r *recording
	w io.Writer
}

func (t *tee) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.r.record(t.w, p[:n])
	return n, err
}

// record adds output. A character that is not whole yet waits for the rest.
func (r *recording) record(from io.Writer, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := append(r.rest[from], p...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				whole = at
			}
			break
		}
	}
	r.rest[from] = bytes.Clone(text[whole:])
	if whole > 0 {
		r.line([]any{r.now().Sub(r.start).Seconds(), "o", string(text[:whole])})
	}
}

// close writes what is left and tells whether the recording is whole.
func (r *recording) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rest := range r.rest {
		if len(rest) > 0 {
			r.line([]any{r.now().Sub(r.start).Seconds(), "o", string(rest)})
		}
	}
	return errors.Join(r.err, r.out.Close())
}

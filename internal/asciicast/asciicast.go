package asciicast

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Header is how a session began.
type Header struct {
	Width, Height int
	Command       []string
	Title         string // may be empty
}

// Stream is where an event comes from.
type Stream int

// The streams. Players show what a session had as output.
const (
	Stdout Stream = iota
	Stderr
	Stdin
	streams
)

// Recorder writes the recording of one session. After a write that failed it
// writes nothing more. Safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex // guards what follows
	out   io.WriteCloser
	now   func() time.Time
	start time.Time
	rest  [streams][]byte // the beginning of a character
	err   error           // of the first write that failed
}

// Create makes the file, which must not exist, for its owner alone.
func Create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// New begins a recording, which closes out at its end.
func New(out io.WriteCloser, h Header, now func() time.Time) *Recorder {
	r := &Recorder{out: out, now: now, start: now()}
	r.line(struct {
		Version   int    `json:"version"`
		Width     int    `json:"width"`
		Height    int    `json:"height"`
		Timestamp int64  `json:"timestamp"`
		Command   string `json:"command"`
		Title     string `json:"title,omitempty"`
	}{2, h.Width, h.Height, r.start.Unix(), strings.Join(h.Command, " "), h.Title})
	return r
}

// line writes one line and needs the lock, or nobody else.
func (r *Recorder) line(v any) {
	if r.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = r.out.Write(append(b, '\n'))
	}
	r.err = err
}

func (r *Recorder) event(kind, text string) {
	r.line([]any{r.now().Sub(r.start).Seconds(), kind, text})
}

func (s Stream) kind() string {
	if s == Stdin {
		return "i"
	}
	return "o"
}

// Record adds what passed over a stream. A character that is not whole yet
// waits for the rest.
func (r *Recorder) Record(s Stream, p []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := append(r.rest[s], p...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				whole = at
			}
			break
		}
	}
	r.rest[s] = bytes.Clone(text[whole:])
	if whole > 0 {
		r.event(s.kind(), string(text[:whole]))
	}
	return r.err
}

// Resize adds that the terminal has another size.
func (r *Recorder) Resize(width, height int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event("r", strconv.Itoa(width)+"x"+strconv.Itoa(height))
	return r.err
}

// Err returns the error of the first write that failed.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close writes what is left and tells whether the recording is whole.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s, rest := range r.rest {
		if len(rest) > 0 {
			r.event(Stream(s).kind(), string(rest))
		}
	}
	return errors.Join(r.err, r.out.Close())
}

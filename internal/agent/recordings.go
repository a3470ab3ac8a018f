package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/asciicast"
	"github.com/drover-org/drover/internal/web"
	"github.com/drover-org/drover/internal/ws"
)

// Recording says which exec sessions must be recorded on this node. One that
// must be and can't is refused, or ends.
type Recording struct {
	Namespaces []string // of the allocations; * stands for any text; none: nothing is recorded
	Jobs       []string // and of these jobs; none: of all
	Input      bool     // what is typed as well
	Dir        string   // for nobody but the agent

	MaxAge     time.Duration // how long a recording is kept
	MaxSize    int64         // bytes of all recordings; the oldest go first
	MaxSession int64         // bytes of one
}

// covers reports whether sessions with an allocation must be recorded.
func (p *Recording) covers(a *api.Allocation) bool {
	any := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return api.Glob(p, name) })
	}
	return any(p.Namespaces, a.Namespace) && (len(p.Jobs) == 0 || any(p.Jobs, a.JobID))
}

// recordings keeps the recordings of a node's sessions: files in one directory
// whose names begin with the time, so that their order is their age.
type recordings struct {
	policy Recording
	now    func() time.Time
	log    *slog.Logger

	mu   sync.Mutex // guards what follows
	kept map[string]int64
	open map[string]bool // those of kept that are being written
	size int64           // of all
}

const (
	castSuffix = ".cast"
	castTime   = "20060102T150405.000Z"
)

// openRecordings finds what an earlier agent kept.
func openRecordings(c *Config) (*recordings, error) {
	x := &recordings{policy: c.Recording, now: c.Now, log: c.Log, kept: map[string]int64{}, open: map[string]bool{}}
	if len(x.policy.Namespaces) == 0 {
		return x, nil
	}
	if err := os.MkdirAll(x.policy.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of recordings: %w", err)
	}
	entries, err := os.ReadDir(x.policy.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory of recordings: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if _, ok := startOf(e.Name()); ok && err == nil && info.Mode().IsRegular() {
			x.kept[e.Name()] = info.Size()
			x.size += info.Size()
		}
	}
	x.enforce()
	return x, nil
}

// startOf reads the time in a recording's name.
func startOf(name string) (time.Time, bool) {
	stamp, _, _ := strings.Cut(name, "-")
	at, err := time.Parse(castTime, stamp)
	return at, err == nil && strings.HasSuffix(name, castSuffix)
}

// name returns a new recording's.
func (x *recordings) name(alloc string) string {
	return x.now().UTC().Format(castTime) + "-" + alloc + "-" + api.NewID()[:8] + castSuffix
}

// begin makes the file of a recording and whatever room it needs.
func (x *recordings) begin(name string, h asciicast.Header) (*asciicast.Recorder, error) {
	f, err := asciicast.Create(filepath.Join(x.policy.Dir, name))
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.kept[name], x.open[name] = 0, true
	x.mu.Unlock()
	r := asciicast.New(&castFile{File: f, all: x, name: name}, h, x.now)
	if err := r.Err(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// castFile is the file of a recording that is being written.
type castFile struct {
	*os.File
	all  *recordings
	name string
}

// errCastSize is how a session ends that is longer than can be recorded.
var errCastSize = errors.New("the recording has reached client.exec_recording.max_session_mb")

// Write writes all of p, or nothing if there is no room.
func (f *castFile) Write(p []byte) (int, error) {
	if err := f.all.reserve(f.name, int64(len(p))); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// Close ends the recording.
func (f *castFile) Close() error {
	f.all.mu.Lock()
	delete(f.all.open, f.name)
	f.all.mu.Unlock()
	return f.File.Close()
}

// reserve makes room for n more bytes of a recording; older ones go for it.
func (x *recordings) reserve(name string, n int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.kept[name]+n > x.policy.MaxSession {
		return errCastSize
	}
	for x.size+n > x.policy.MaxSize {
		if !x.dropOldest() {
			return errors.New("the recordings that are being written fill client.exec_recording.max_size_mb")
		}
	}
	x.kept[name] += n
	x.size += n
	return nil
}

// dropOldest removes the oldest recording that is not being written. It needs
// the lock.
func (x *recordings) dropOldest() bool {
	oldest := ""
	for name := range x.kept {
		if !x.open[name] && (oldest == "" || name < oldest) {
			oldest = name
		}
	}
	return oldest != "" && x.drop(oldest)
}

// drop removes a recording, and needs the lock.
func (x *recordings) drop(name string) bool {
	if err := os.Remove(filepath.Join(x.policy.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.log.Warn("a recording can't be removed", "file", name, "error", err)
		return false
	}
	x.size -= x.kept[name]
	delete(x.kept, name)
	return true
}

// enforce removes what is too old, or more than may be kept.
func (x *recordings) enforce() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name := range x.kept {
		if at, _ := startOf(name); !x.open[name] && x.now().Sub(at) > x.policy.MaxAge {
			x.drop(name)
		}
	}
	for x.size > x.policy.MaxSize && x.dropOldest() {
	}
}

// mustRecord returns the name of the recording that a session must have, which
// it announces to the server that records who did what; or nothing.
func (a *Agent) mustRecord(w http.ResponseWriter, r *http.Request) string {
	run, err := a.find(r.PathValue("id"))
	if err != nil || !a.casts.policy.covers(run.allocation()) {
		return ""
	}
	name := a.casts.name(run.id)
	web.SetRecording(w.Header(), name)
	return name
}

// record begins the recording of a session.
func (s *session) record(name string, r *http.Request, p execParams) error {
	h := asciicast.Header{Width: 80, Height: 24, Command: p.command, Title: "allocation " + r.PathValue("id") + ", task " + p.task}
	if v := web.VerdictOf(r); v != nil && v.Caller != nil {
		h.Title += ", by " + strings.TrimSpace(string(v.Caller.Kind)+" "+v.Caller.Name+" "+v.Caller.AccessorID)
	}
	cast, err := s.a.casts.begin(name, h)
	if err != nil {
		s.a.log.Error("an exec session is refused: it can't be recorded", "error", err)
		return unrecorded(err)
	}
	s.cast = cast
	return nil
}

// recorded ends the recording.
func (s *session) recorded() error {
	if s.cast == nil {
		return nil
	}
	err := s.cast.Close()
	if err == nil {
		return nil
	}
	return unrecorded(err)
}

// recordInput records what the caller sent.
func (s *session) recordInput(f api.ExecInput, data []byte) error {
	if s.cast == nil {
		return nil
	}
	var err error
	switch {
	case len(data) > 0 && s.a.casts.policy.Input:
		err = s.cast.Record(asciicast.Stdin, data)
	case f.TTYSize != nil:
		err = s.cast.Resize(f.TTYSize.Width, f.TTYSize.Height)
	}
	if err != nil {
		return unrecorded(err)
	}
	return nil
}

// unrecorded is how a session ends that must be recorded and isn't.
func unrecorded(err error) error {
	reason := "its recording can't be written; the node's log tells why"
	if errors.Is(err, errCastSize) {
		reason = errCastSize.Error()
	}
	return &ws.CloseError{Code: ws.InternalError, Reason: "the session must be recorded: " + reason}
}

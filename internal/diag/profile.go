package diag

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// How long what is taken over a time takes, in seconds.
const (
	defaultSeconds = 1
	maxSeconds     = 300 // a trace grows by megabytes a second
)

// How often what waits is sampled while a profile of that is taken: every
// event that blocked for a microsecond on average, and one of ten contentions.
// Without a reader the runtime records none.
const (
	blockRate     = int(time.Microsecond)
	mutexFraction = 10
)

// profile is how one of them is taken.
type profile struct {
	slot chan struct{} // whoever takes it
	take func(w http.ResponseWriter, r *http.Request, o profileOptions) error
}

// profileOptions are a caller's.
type profileOptions struct {
	name    string
	seconds time.Duration
	debug   int  // 1 and 2: text
	gc      bool // collect before, so that the heap is what is in use
}

// profiles serves what the runtime tells of this process. Each is taken for
// one caller at a time.
type profiles map[string]*profile

func newProfiles() profiles {
	p := profiles{}
	for name, take := range map[string]func(http.ResponseWriter, *http.Request, profileOptions) error{
		"cmdline": cmdline, "profile": cpu, "trace": executionTrace,
		"heap": lookup, "allocs": lookup, "goroutine": lookup, "threadcreate": lookup,
		"block": blocking, "mutex": contention,
	} {
		p[name] = &profile{make(chan struct{}, 1), take}
	}
	return p
}

// ServeHTTP takes the profile that the path names.
func (p profiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	one := p[name]
	if one == nil {
		web.WriteError(w, api.Errorf(api.CodeNotFound, "there is no profile %q: known are allocs, block, cmdline, goroutine, heap, mutex, profile, threadcreate and trace", name))
		return
	}
	q := web.ParamsOf(r)
	seconds := q.Int("seconds", defaultSeconds, 0, maxSeconds)
	if seconds == 0 { // clients send what was not asked for as 0
		seconds = defaultSeconds
	}
	o := profileOptions{name: name, seconds: time.Duration(seconds) * time.Second, debug: int(q.Int("debug", 0, 0, 2)), gc: q.Int("gc", 0, 0, 1) == 1}
	if err := q.Err(); err != nil {
		web.WriteError(w, err)
		return
	}
	select {
	case one.slot <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "1")
		web.WriteError(w, api.Errorf(api.CodeLimited, "somebody takes the profile %q of this agent already: try again when that is done, at the latest in %d s", name, maxSeconds))
		return
	}
	defer func() { <-one.slot }()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	if o.debug > 0 || name == "cmdline" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Del("Content-Disposition")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	if err := one.take(w, r, o); err != nil {
		h.Del("Content-Disposition")
		web.WriteError(w, err)
	}
}

// cmdline is the command that the process was started with.
func cmdline(w http.ResponseWriter, _ *http.Request, _ profileOptions) error {
	_, _ = w.Write([]byte(strings.Join(os.Args, "\x00"))) // an error: the caller has gone
	return nil
}

func cpu(w http.ResponseWriter, r *http.Request, o profileOptions) error {
	if err := pprof.StartCPUProfile(w); err != nil {
		return api.Errorf(api.CodeConflict, "the CPU profile can't be taken: %w", err)
	}
	pause(r.Context(), o.seconds)
	pprof.StopCPUProfile()
	return nil
}

func executionTrace(w http.ResponseWriter, r *http.Request, o profileOptions) error {
	if err := trace.Start(w); err != nil {
		return api.Errorf(api.CodeConflict, "the trace can't be taken: %w", err)
	}
	pause(r.Context(), o.seconds)
	trace.Stop()
	return nil
}

// blocking samples what waits on channels and locks for a time.
func blocking(w http.ResponseWriter, r *http.Request, o profileOptions) error {
	runtime.SetBlockProfileRate(blockRate)
	pause(r.Context(), o.seconds)
	runtime.SetBlockProfileRate(0)
	return lookup(w, r, o)
}

// contention samples who holds locks that others want for a time.
func contention(w http.ResponseWriter, r *http.Request, o profileOptions) error {
	before := runtime.SetMutexProfileFraction(mutexFraction)
	pause(r.Context(), o.seconds)
	runtime.SetMutexProfileFraction(before)
	return lookup(w, r, o)
}

func lookup(w http.ResponseWriter, _ *http.Request, o profileOptions) error {
	if o.gc {
		runtime.GC()
	}
	_ = pprof.Lookup(o.name).WriteTo(w, o.debug) // an error: the caller has gone
	return nil
}

// pause waits, or less when the caller has gone.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

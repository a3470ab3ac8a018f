package limit

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// Kind is what a request holds on to while it lasts.
type Kind int

// The kinds.
const (
	Plain Kind = iota // nothing: it is answered at once
	Exec              // a session with a task: any websocket
	Files             // logs and files of an allocation, read, followed or copied
	Watch             // a blocking query, or a stream of events or logs
	kinds
)

// Config is what a Handler needs.
type Config struct {
	Now func() time.Time

	// Rate and Burst are requests per second and at once; a Rate of 0 is no
	// bound.
	Rate  float64
	Burst int
	// Exec, Files and Watches bound the sessions of a caller at a time; 0: no
	// bound.
	Exec, Files, Watches int
	// Stall is how long a request body may make the agent wait, beside what it
	// takes at minBody; 0: for ever.
	Stall time.Duration

	// Caller returns the accessor ID of a valid token's owner, else "". Nil
	// knows nobody.
	Caller   func(ctx context.Context, token string) string
	Refusals *Refusals
}

// minBody is the slowest a request body may come in, bytes per second.
const minBody = 8 << 10

// Limiter bounds requests. Its handlers count together.
type Limiter struct {
	cfg      Config
	start    time.Time
	rate     *Rate // nil: no bound
	sessions [kinds]*Sessions
}

// New returns a Limiter.
func New(cfg Config) *Limiter {
	l := &Limiter{cfg: cfg, start: cfg.Now()}
	if cfg.Rate > 0 {
		l.rate = NewRate(cfg.Rate, cfg.Burst)
	}
	l.sessions = [kinds]*Sessions{Exec: NewSessions(cfg.Exec), Files: NewSessions(cfg.Files), Watch: NewSessions(cfg.Watches)}
	return l
}

// Open returns how many sessions of a kind, which is not Plain, there are.
func (l *Limiter) Open(k Kind) int { return l.sessions[k].Open() }

// reasons are why another session of a kind is refused, and how that is said.
var reasons = [kinds]struct {
	reason Reason
	what   string
	key    string
}{
	Exec:  {ExecSessions, "exec sessions", "limits.http_max_exec_per_client"},
	Files: {FileStreams, "reads of logs and files", "limits.http_max_streams_per_client"},
	Watch: {Watches, "blocking queries and event streams", "limits.http_max_watches_per_client"},
}

// Handler bounds what reaches next.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := l.key(r)
		if wait := l.take(key); wait > 0 {
			l.cfg.Refusals.Note(RequestRate, r.RemoteAddr)
			refuse(w, wait, api.Errorf(api.CodeLimited, "too many requests: %g a second are allowed (limits.http_request_rate); try again in %v", l.cfg.Rate, wait.Round(time.Millisecond)))
			return
		}
		kind := KindOf(r)
		if kind == Plain {
			l.serve(w, r, next)
			return
		}
		s := l.sessions[kind]
		if !s.Enter(key) {
			why := &reasons[kind]
			l.cfg.Refusals.Note(why.reason, r.RemoteAddr)
			refuse(w, time.Second, api.Errorf(api.CodeLimited, "too many %s at a time: %d are allowed (%s); end one or try later", why.what, s.max, why.key))
			return
		}
		defer s.Leave(key)
		if kind == Watch && !streams(r) {
			l.serve(w, r, next)
			return
		}
		// What is streamed may wait for its reader as long as it likes. An
		// error means that the connection has no such bound.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		next.ServeHTTP(w, r)
	})
}

// key is whom the request is counted for; 0: nobody.
func (l *Limiter) key(r *http.Request) Key {
	if l.cfg.Caller != nil {
		if token := web.Token(r); token != "" {
			if id := l.cfg.Caller(r.Context(), token); id != "" {
				return TokenKey(id)
			}
		}
	}
	k, _ := AddressKey(r.RemoteAddr)
	return k
}

func (l *Limiter) take(k Key) (wait time.Duration) {
	if l.rate == nil || k == 0 {
		return 0
	}
	return l.rate.Take(k, l.cfg.Now().Sub(l.start))
}

// refuse answers with when to try again.
func refuse(w http.ResponseWriter, wait time.Duration, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	web.WriteError(w, err)
}

// serve serves a request that has to come in, and be answered, in bounded
// time.
func (l *Limiter) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if l.cfg.Stall > 0 && r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		b := &body{ReadCloser: r.Body, conn: http.NewResponseController(w), start: time.Now(), stall: l.cfg.Stall}
		b.slow = func() { l.cfg.Refusals.Note(SlowBody, r.RemoteAddr) }
		r.Body = b
		defer b.end()
	}
	next.ServeHTTP(w, r)
}

// body is a request body that comes at minBody or faster, after Stall.
type body struct {
	io.ReadCloser
	conn  *http.ResponseController
	start time.Time
	stall time.Duration
	got   int64
	done  bool
	slow  func()
}

// Read reads on until the body is late.
func (b *body) Read(p []byte) (int, error) {
	if !b.done {
		_ = b.conn.SetReadDeadline(b.start.Add(b.stall + time.Duration(b.got)*time.Second/minBody))
	}
	n, err := b.ReadCloser.Read(p)
	b.got += int64(n)
	if err != nil && !b.done {
		b.done = true
		if errors.Is(err, os.ErrDeadlineExceeded) {
			b.slow()
		} else {
			_ = b.conn.SetReadDeadline(time.Time{}) // it rules what follows on the connection as well
		}
	}
	return n, err
}

// unread is how long the server may wait for the rest of a body that the
// handler did not want; the next request sets its own deadline.
const unread = 2 * time.Second

func (b *body) end() {
	if !b.done {
		_ = b.conn.SetReadDeadline(time.Now().Add(unread))
	}
}

// KindOf tells what a request will hold on to.
func KindOf(r *http.Request) Kind {
	switch path := r.URL.Path; {
	case len(r.Header["Upgrade"]) > 0 && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return Exec
	case strings.HasPrefix(path, "/v1/client/fs/"), strings.HasPrefix(path, "/v1/client/allocation/") && strings.HasSuffix(path, "/copy"):
		return Files
	case streams(r), strings.HasPrefix(path, "/v1/agent/pprof/"), waits(r.URL.RawQuery):
		return Watch
	}
	return Plain
}

// streams reports whether a request is answered without end.
func streams(r *http.Request) bool {
	return r.URL.Path == "/v1/event/stream" || r.URL.Path == "/v1/agent/monitor"
}

// waits reports whether a query asks to wait for a change. Names may be
// written in more than one way; only the usual one is recognised without
// parsing.
func waits(query string) bool {
	if query == "" {
		return false
	}
	if strings.ContainsAny(query, "%+;") {
		q, err := url.ParseQuery(query)
		if err != nil {
			return false // it will be refused
		}
		v := q.Get("index")
		return v != "" && v != "0"
	}
	for len(query) > 0 {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if v, ok := strings.CutPrefix(pair, "index="); ok {
			return v != "" && v != "0" // the first counts
		}
	}
	return false
}

package limit

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Reason is why something was refused, as the metrics name it.
type Reason string

// The reasons.
const (
	HTTPConns    Reason = "http_connections" // too many of one address
	RPCConns     Reason = "rpc_connections"  // too many of one address
	RPCPending   Reason = "rpc_pending"      // too many that have not said what they want
	RPCRefused   Reason = "rpc_refused"      // without TLS, of the wrong role, or unknown
	RequestRate  Reason = "request_rate"
	ExecSessions Reason = "exec_sessions"
	FileStreams  Reason = "file_streams"
	Watches      Reason = "watches"
	SlowReader   Reason = "slow_reader" // did not take its answer
	SlowBody     Reason = "slow_body"   // did not send its request
	LargeBody    Reason = "large_body"  // too large, or nested too deeply
)

// Reasons lists them all.
func Reasons() []Reason {
	return []Reason{HTTPConns, RPCConns, RPCPending, RPCRefused, RequestRate, ExecSessions, FileStreams, Watches, SlowReader, SlowBody, LargeBody}
}

// tellEvery is the least time between two lines in the log about one reason: a
// flood must not become one of the log.
const tellEvery = 10 * time.Second

// Refusals counts what was refused. Safe for concurrent use.
type Refusals struct {
	log    *slog.Logger
	now    func() time.Time
	counts map[Reason]*refusalCount // not changed after NewRefusals
}

type refusalCount struct {
	n, told atomic.Uint64
	next    atomic.Int64 // Unix nanoseconds: when the log is told again
}

// NewRefusals returns Refusals that tell a log.
func NewRefusals(log *slog.Logger, now func() time.Time) *Refusals {
	r := &Refusals{log: log, now: now, counts: map[Reason]*refusalCount{}}
	for _, reason := range Reasons() {
		r.counts[reason] = new(refusalCount)
	}
	return r
}

// Note counts one, of an address, with what else the log should know.
func (r *Refusals) Note(reason Reason, remote string, detail ...any) {
	c := r.counts[reason]
	n := c.n.Add(1)
	now, next := r.now().UnixNano(), c.next.Load()
	if now < next || !c.next.CompareAndSwap(next, now+int64(tellEvery)) {
		return
	}
	r.log.Warn("refused: a limit was reached", append([]any{"limit", string(reason), "remote", remote, "since_last_told", n - c.told.Swap(n)}, detail...)...)
}

// Count returns how many were refused for a reason.
func (r *Refusals) Count(reason Reason) uint64 { return r.counts[reason].n.Load() }

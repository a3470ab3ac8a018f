package bench

import (
	"context"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// late holds the reports of slow nodes back for a while. All wait equally
// long, so the oldest is always the next. Of each allocation one report waits,
// the newest: it goes when the first one is due.
type late struct {
	by    time.Duration
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
	kick  chan struct{} // capacity 1: there is something after there was nothing

	mu      sync.Mutex
	queue   []lateReport                // guarded by mu
	pending map[string]*api.AllocUpdate // guarded by mu; by allocation ID
}

type lateReport struct {
	due  time.Time
	node *node
	id   string // of the allocation
}

func newLate(cfg *Config) *late {
	return &late{by: cfg.SlowBy, now: cfg.Now, after: cfg.After, kick: make(chan struct{}, 1), pending: map[string]*api.AllocUpdate{}}
}

func (l *late) add(n *node, u *api.AllocUpdate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[u.ID] == nil {
		l.queue = append(l.queue, lateReport{l.now().Add(l.by), n, u.ID})
	}
	l.pending[u.ID] = u
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// run sends what is due until ctx ends.
func (l *late) run(ctx context.Context) {
	for {
		wait, some := l.send()
		if !some {
			select {
			case <-l.kick:
				continue
			case <-ctx.Done():
				return
			}
		}
		select { // what comes meanwhile is due later
		case <-l.after(wait):
		case <-ctx.Done():
			return
		}
	}
}

// send reports what is due, and returns how long the next one waits, if there
// is one.
func (l *late) send() (wait time.Duration, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for len(l.queue) > 0 {
		r := l.queue[0]
		if wait := r.due.Sub(now); wait > 0 {
			return wait, true
		}
		l.queue = l.queue[1:]
		r.node.link.Report(l.pending[r.id])
		delete(l.pending, r.id)
	}
	return 0, false
}

package liveness

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Defaults of a Config.
const (
	DefaultMinTTL       = 10 * time.Second
	DefaultMaxPerSecond = 50
	DefaultGrace        = 10 * time.Second
	DefaultFailoverTTL  = 300 * time.Second
)

// Config is what a Liveness needs. Durations and the rate are defaults where
// they are zero.
type Config struct {
	Store    *store.Store
	Proposer store.Proposer
	Log      *slog.Logger
	Now      func() time.Time
	NewID    func() string

	MinTTL       time.Duration // of a small cluster
	MaxPerSecond float64       // heartbeats of all nodes together
	Grace        time.Duration // on top of the time to live
	FailoverTTL  time.Duration // after a change of leader
}

// Liveness keeps the deadlines of all nodes while Run runs.
type Liveness struct {
	cfg  Config
	wake chan struct{} // the earliest deadline may have changed

	mu     sync.Mutex
	nodes  map[string]*deadline // nil while this server does not lead
	queue  queue                // of the same deadlines, earliest first
	jitter func(time.Duration) time.Duration
}

// New returns a Liveness that refuses everything until Run.
func New(cfg Config) *Liveness {
	if cfg.MinTTL <= 0 {
		cfg.MinTTL = DefaultMinTTL
	}
	if cfg.MaxPerSecond <= 0 {
		cfg.MaxPerSecond = DefaultMaxPerSecond
	}
	if cfg.Grace <= 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.FailoverTTL <= 0 {
		cfg.FailoverTTL = DefaultFailoverTTL
	}
	return &Liveness{cfg: cfg, wake: make(chan struct{}, 1), jitter: rand.N[time.Duration]}
}

// Beat notes a sign of life and returns the time within which the next one is
// due: at least MinTTL, at least what keeps the rate, plus a random part up to
// the same again, so that nodes don't beat in step. It returns
// api.ErrNotLeader while Run does not run.
func (l *Liveness) Beat(nodeID string) (time.Duration, error) {
	nodes := l.cfg.Store.Snapshot().NodeCount()
	ttl := max(l.cfg.MinTTL, time.Duration(float64(nodes)/l.cfg.MaxPerSecond*float64(time.Second)))
	ttl += l.jitter(ttl)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nodes == nil {
		return 0, api.ErrNotLeader
	}
	l.set(nodeID, l.cfg.Now().Add(ttl+l.cfg.Grace))
	return ttl, nil
}

// Gone notes that a node's connection ended. A node that lives connects again
// in seconds, so it need not be waited for longer than in a small cluster.
func (l *Liveness) Gone(nodeID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.nodes[nodeID]
	if d == nil {
		return
	}
	if at := l.cfg.Now().Add(l.cfg.MinTTL + l.cfg.Grace); at.Before(d.at) {
		l.set(nodeID, at)
	}
}

// set moves a node's deadline; l.mu is held.
func (l *Liveness) set(nodeID string, at time.Time) {
	if d := l.nodes[nodeID]; d != nil {
		d.at = at
		heap.Fix(&l.queue, d.place)
	} else {
		d = &deadline{nodeID: nodeID, at: at}
		l.nodes[nodeID] = d
		heap.Push(&l.queue, d)
	}
	if l.queue[0].nodeID == nodeID {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Run holds the deadlines until ctx ends; it is for the leader. Every node
// that is not down gets a first deadline, one that is disconnected the end of
// the patience with it.
func (l *Liveness) Run(ctx context.Context) error {
	l.begin()
	defer l.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-l.wake:
		}
		due, next := l.due()
		l.giveUp(ctx, due)
		if next > 0 {
			timer.Reset(next)
		}
	}
}

func (l *Liveness) begin() {
	snap := l.cfg.Store.Snapshot()
	first := l.cfg.Now().Add(l.cfg.FailoverTTL)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes, l.queue = map[string]*deadline{}, nil
	for n := range snap.Nodes() {
		switch n.Status {
		case api.NodeDown:
		case api.NodeDisconnected:
			l.set(n.ID, patience(snap, n, l.cfg.Now()))
		default:
			l.set(n.ID, first)
		}
	}
}

func (l *Liveness) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes, l.queue = nil, nil
}

// due takes out the nodes whose deadline has passed and tells how long it is
// to the next one, 0 without any.
func (l *Liveness) due() (ids []string, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	for len(l.queue) > 0 {
		d := l.queue[0]
		if left := d.at.Sub(now); left > 0 {
			return ids, left
		}
		heap.Pop(&l.queue)
		delete(l.nodes, d.nodeID)
		ids = append(ids, d.nodeID)
	}
	return ids, 0
}

// proposals is how many nodes are given up at a time; they share appends.
const proposals = 16

// tryAgain is when a node is looked at again that could not be given up.
const tryAgain = time.Second

// giveUp notes that nodes are silent and has their jobs evaluated.
func (l *Liveness) giveUp(ctx context.Context, ids []string) {
	var g errgroup.Group
	g.SetLimit(proposals)
	for _, id := range ids {
		g.Go(func() error {
			again, err := l.markSilent(ctx, id)
			if ctx.Err() != nil || errors.Is(err, api.ErrNotLeader) {
				return nil // a new leader begins anew
			}
			if err != nil {
				l.cfg.Log.Error("can't mark a silent node", "node", id, "error", err, "retry", tryAgain)
				again = l.cfg.Now().Add(tryAgain)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if !again.IsZero() && l.nodes != nil && l.nodes[id] == nil {
				l.set(id, again)
			}
			return nil
		})
	}
	_ = g.Wait() // its functions return nil
}

// markSilent gives a silent node the status that it deserves, and returns when
// to look at it again, zero for never.
func (l *Liveness) markSilent(ctx context.Context, id string) (again time.Time, err error) {
	snap := l.cfg.Store.Snapshot()
	n := snap.Node(id)
	if n == nil || n.Status == api.NodeDown {
		return time.Time{}, nil
	}
	status, again := verdict(snap, n, l.cfg.Now())
	if status == n.Status {
		return again, nil
	}
	l.cfg.Log.Warn("node is silent", "node", id, "name", n.Name, "status", status)
	_, err = l.cfg.Proposer.Propose(ctx, &store.UpdateNodeStatus{
		NodeID: id, Status: status, Description: "heartbeat missed", Event: events[status],
		Evals: l.evals(snap, n), Now: l.cfg.Now().UnixNano(),
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("mark node %s as %s: %w", id, status, err)
	}
	return again, nil
}

// evals asks for an evaluation of every job that has something left on n.
func (l *Liveness) evals(snap *store.Snapshot, n *api.Node) []*api.Evaluation {
	var evals []*api.Evaluation
	seen := map[api.NamespacedID]bool{}
	now := l.cfg.Now().UnixNano()
	for a := range snap.AllocsByNode(n.ID) {
		key := api.NamespacedID{ID: a.JobID, Namespace: a.Namespace}
		if a.ClientTerminal() || seen[key] {
			continue
		}
		seen[key] = true
		job := snap.Job(a.Namespace, a.JobID)
		if job == nil {
			job = a.Job
		}
		evals = append(evals, &api.Evaluation{
			ID: l.cfg.NewID(), Namespace: a.Namespace, JobID: a.JobID, Priority: job.Priority, Type: job.Type,
			JobModifyIndex: job.ModifyIndex, TriggeredBy: api.EvalTriggerNodeUpdate, NodeID: n.ID, NodeModifyIndex: n.ModifyIndex,
			Status: api.EvalStatusPending, CreateTime: now, ModifyTime: now,
		})
	}
	return evals
}

// deadline is when a node must have been heard of.
type deadline struct {
	nodeID string
	at     time.Time
	place  int // in the queue
}

// queue is a heap of deadlines, earliest first.
type queue []*deadline

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	d := x.(*deadline)
	d.place = len(*q)
	*q = append(*q, d)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return d
}

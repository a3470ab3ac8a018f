package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/link"
)

// Racks is how many values meta.rack has.
const Racks = 20

// dialing bounds the connections that are being made at a time.
const dialing = 64

// Bounds of Config.
const (
	MaxNodes = 100_000
	MaxChurn = 100_000
	MaxDelay = time.Hour // of SlowBy and DeadAfter
)

// Config says what to simulate.
type Config struct {
	Count      int      // nodes
	Servers    []string // rpc addresses, host:port
	Name       string   // prefix of the nodes' names and seed of their IDs; empty: "bench"
	Datacenter string   // empty: "dc1"
	Log        *slog.Logger
	Churn      int           // how many allocations report a restart of their tasks each second
	Slow       int           // how many nodes, the first ones, report late
	SlowBy     time.Duration // by this
	Dead       int           // how many nodes, the last ones, hang for good without saying so
	DeadAfter  time.Duration // since the start
	Now        func() time.Time
	After      func(time.Duration) <-chan time.Time // with Now the clock; nil: that of the machine

	// Progress, if set, is called every Every (0: a second) from one
	// goroutine, and once at the end.
	Progress func(Status)
	Every    time.Duration
}

// Status is how far the simulation is.
type Status struct {
	Nodes     int   // to be simulated
	Connected int   // registered over a stream that stands
	Dead      int   // that hang
	Running   int   // allocations that run
	Assigned  int64 // assignments received
	Reported  int64 // reports made
}

// Nodes simulates nodes until ctx ends, then returns nil. Nodes of the same
// name have the same IDs in the next run.
func Nodes(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	if cfg.Name == "" {
		cfg.Name = "bench"
	}
	if cfg.Datacenter == "" {
		cfg.Datacenter = "dc1"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	f := newFleet(cfg)
	var g errgroup.Group
	for _, n := range f.nodes {
		g.Go(func() error { return n.link.Run(ctx) })
	}
	g.Go(func() error { f.progress(ctx); return nil })
	if cfg.Churn > 0 {
		g.Go(func() error { f.churn(ctx); return nil })
	}
	if cfg.Slow > 0 {
		g.Go(func() error { f.late.run(ctx); return nil })
	}
	if cfg.Dead > 0 {
		g.Go(func() error { f.kill(ctx); return nil })
	}
	return g.Wait()
}

func (c *Config) check() error {
	switch {
	case c.Count < 1 || c.Count > MaxNodes:
		return api.Errorf(api.CodeInvalid, "count %d must be from 1 to %d", c.Count, MaxNodes)
	case c.Churn < 0 || c.Churn > MaxChurn:
		return api.Errorf(api.CodeInvalid, "churn %d must be from 0 to %d", c.Churn, MaxChurn)
	case c.Slow < 0 || c.Slow > c.Count:
		return api.Errorf(api.CodeInvalid, "slow %d must be from 0 to the count of nodes, %d", c.Slow, c.Count)
	case c.Slow > 0 && (c.SlowBy <= 0 || c.SlowBy > MaxDelay):
		return api.Errorf(api.CodeInvalid, "slow nodes must report late by more than 0s and at most %s, not %s", MaxDelay, c.SlowBy)
	case c.Dead < 0 || c.Dead > c.Count:
		return api.Errorf(api.CodeInvalid, "dead %d must be from 0 to the count of nodes, %d", c.Dead, c.Count)
	case c.Dead > 0 && (c.DeadAfter <= 0 || c.DeadAfter > MaxDelay):
		return api.Errorf(api.CodeInvalid, "nodes must die after more than 0s and at most %s, not %s", MaxDelay, c.DeadAfter)
	case len(c.Servers) == 0:
		return api.Errorf(api.CodeInvalid, "no servers: give the rpc address of at least one, such as 127.0.0.1:4647")
	}
	return nil
}

// fleet is what all nodes share.
type fleet struct {
	cfg   Config
	nodes []*node
	dials chan struct{}
	jobs  jobCache
	late  *late // nil: no node is slow

	running, dead      atomic.Int64
	assigned, reported atomic.Int64
}

func newFleet(cfg Config) *fleet {
	f := &fleet{cfg: cfg, dials: make(chan struct{}, dialing), jobs: jobCache{jobs: map[string]*api.Job{}}}
	if cfg.Slow > 0 {
		f.late = newLate(&f.cfg)
	}
	f.nodes = make([]*node, cfg.Count)
	for i := range f.nodes {
		f.nodes[i] = newNode(f, i)
	}
	return f
}

func (f *fleet) status() Status {
	s := Status{Nodes: len(f.nodes), Running: int(f.running.Load()), Dead: int(f.dead.Load()), Assigned: f.assigned.Load(), Reported: f.reported.Load()}
	for _, n := range f.nodes {
		if !n.isDead() && n.link.Connected() {
			s.Connected++
		}
	}
	return s
}

func (f *fleet) progress(ctx context.Context) {
	if f.cfg.Progress == nil {
		return
	}
	tick := time.NewTicker(f.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.cfg.Progress(f.status())
		case <-ctx.Done():
			f.cfg.Progress(f.status())
			return
		}
	}
}

// dial connects, a bounded number of nodes at a time.
func (f *fleet) dial(ctx context.Context, addr string) (net.Conn, error) {
	select {
	case f.dials <- struct{}{}:
		defer func() { <-f.dials }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return link.Dialer{}.Dial(ctx, addr)
}

// jobCache decodes a job once for all nodes.
type jobCache struct {
	mu   sync.Mutex
	jobs map[string]*api.Job // by JSON
}

// maxJobs bounds the cache; it is emptied when full.
const maxJobs = 256

func (c *jobCache) decode(b []byte) (*api.Job, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if job := c.jobs[string(b)]; job != nil {
		return job, nil
	}
	job, err := link.DecodeJob(b)
	if err != nil {
		return nil, err
	}
	if len(c.jobs) >= maxJobs {
		clear(c.jobs)
	}
	c.jobs[string(b)] = job
	return job, nil
}

// node is one simulated node.
type node struct {
	fleet  *fleet
	number int
	link   *link.Node
	dead   chan struct{} // closed when the node dies; nil if it is not to

	mu     sync.Mutex
	allocs map[string]held // guarded by mu
}

// held is an allocation that runs; what has stopped is only a key.
type held struct {
	deployment string         // whose health was reported
	group      *api.TaskGroup // of the shared job
	restarts   uint64         // reported so far
	running    bool
}

func newNode(f *fleet, number int) *node {
	n := &node{fleet: f, number: number, allocs: map[string]held{}}
	if number >= f.cfg.Count-f.cfg.Dead {
		n.dead = make(chan struct{})
	}
	n.link = link.NewNode(link.NodeConfig{
		Servers: f.cfg.Servers, Log: f.cfg.Log, Node: n.describe, OnAssign: n.assign,
		DecodeJob: f.jobs.decode, Dial: n.dial,
	})
	return n
}

func (n *node) describe() *api.Node {
	name := fmt.Sprintf("%s-%05d", n.fleet.cfg.Name, n.number)
	return describe(name, n.fleet.cfg.Datacenter, n.number)
}

// assign does at once what servers want.
func (n *node) assign(a link.Assignment) {
	n.fleet.assigned.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isDead() {
		return // it was read before
	}
	if a.Full {
		wanted := make(map[string]bool, len(a.Allocs))
		for _, alloc := range a.Allocs {
			wanted[alloc.ID] = true
		}
		for id := range n.allocs {
			if !wanted[id] {
				n.drop(id)
			}
		}
	}
	for _, id := range a.Gone {
		n.drop(id)
	}
	for _, alloc := range a.Allocs {
		n.apply(alloc)
	}
}

func (n *node) apply(alloc *api.Allocation) {
	h, known := n.allocs[alloc.ID]
	switch {
	case alloc.ServerTerminal():
		done := known && !h.running || alloc.ClientTerminal()
		n.drop(alloc.ID)
		n.allocs[alloc.ID] = held{}
		if !done {
			n.report(stopped(alloc, n.fleet.cfg.Now()))
		}
	case alloc.ClientTerminal():
		return
	case !known || h.deployment != alloc.DeploymentID:
		n.drop(alloc.ID)
		n.allocs[alloc.ID] = held{deployment: alloc.DeploymentID, group: alloc.Group(), running: true}
		n.fleet.running.Add(1)
		n.report(started(alloc, n.fleet.cfg.Now()))
	}
}

func (n *node) drop(id string) {
	if n.allocs[id].running {
		n.fleet.running.Add(-1)
	}
	delete(n.allocs, id)
}

func (n *node) report(u *api.AllocUpdate) {
	n.fleet.reported.Add(1)
	if n.number < n.fleet.cfg.Slow {
		n.fleet.late.add(n, u)
		return
	}
	n.link.Report(u)
}

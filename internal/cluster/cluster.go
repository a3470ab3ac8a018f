package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Config is what a Cluster needs.
type Config struct {
	Store *store.Store
	Log   *slog.Logger

	Dir     string  // log, votes and snapshots; empty: memory
	Network Network // nil: none, for a server that stays alone
	Address string  // host:port other servers and clients reach this one at
	Name    string  // of this server, for people

	// Alone says that the log begins with this server: it forms it if there is
	// none yet, and as long as it is the only one needs no time to hear from
	// others.
	Alone bool
	// Peers asks the leader. Nil: this server stays alone.
	Peers Peers

	// wrapLogs lets a test count appends.
	wrapLogs func(raft.LogStore) raft.LogStore
}

// Timeouts of raft. A server alone waits for nobody; several must outlast a
// pause of the network or the collector.
const (
	aloneTimeout   = 20 * time.Millisecond
	severalTimeout = time.Second
	// commitTimeout is how often an idle leader tells followers what is
	// committed. What they wait for they are told at once: see announce.go.
	commitTimeout = 50 * time.Millisecond
)

// How long the log of a server in memory gets.
const (
	memoryTrailing  = 64
	memoryThreshold = 512
	memoryInterval  = 10 * time.Second
)

// maxBatch is how many entries share one append, and one publication.
const maxBatch = 256

// notifyQueue holds changes of leadership until Run takes them; raft waits
// when it is full.
const notifyQueue = 16

// Cluster is this server's part in the log. It is a store.Proposer.
type Cluster struct {
	cfg      Config
	storage  *storage
	network  io.Closer
	raft     *raft.Raft
	fsm      *fsm
	notify   chan bool
	leaders  chan raft.Observation // another server leads, or none
	fatal    chan error
	restores chan *restoring
	done     chan struct{}   // closed when raft is shut down
	life     context.Context // of everything that others than Run began
	end      context.CancelFunc
	tell     announcer
	reads    rounds[uint64] // of a follower: what a read must have seen
	checks   rounds[uint64] // of a leader: that it leads still

	mu      sync.Mutex
	leading context.Context // nil unless leading and caught up
	since   time.Time       // when leading last changed, or the log was opened
	changed chan struct{}   // closed and replaced when leading or the leader changes
}

// Open opens the log and takes part in it. The state is in the store when a
// leader is there. Whoever calls Open calls Run.
func Open(cfg Config) (*Cluster, error) {
	logger := raftLogger(cfg.Log)
	st, err := openStorage(cfg.Dir, logger)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		cfg: cfg, storage: st, notify: make(chan bool, notifyQueue), leaders: make(chan raft.Observation, notifyQueue),
		fatal: make(chan error, 1), restores: make(chan *restoring), done: make(chan struct{}), changed: make(chan struct{}),
		since: time.Now(),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.reads.life, c.checks.life = c.life, c.life
	if cfg.wrapLogs != nil {
		st.logs = cfg.wrapLogs(st.logs)
	}
	c.fsm = &fsm{applied: newAwaited(cfg.Store), store: cfg.Store, memory: cfg.Dir == "", halt: func(err error) { c.fatal <- err }}

	rc := raft.DefaultConfig()
	rc.LocalID = st.id
	rc.Logger = logger
	rc.NotifyCh = c.notify
	rc.BatchApplyCh = true
	rc.MaxAppendEntries = maxBatch
	rc.CommitTimeout = commitTimeout
	rc.HeartbeatTimeout = severalTimeout
	if cfg.Alone {
		rc.HeartbeatTimeout = aloneTimeout
		// Asking others first gains nothing, and the timeout would include the
		// writing of the vote: on a slow disk elections would start over.
		rc.PreVoteDisabled = true
	}
	rc.ElectionTimeout, rc.LeaderLeaseTimeout = rc.HeartbeatTimeout, rc.HeartbeatTimeout

	if cfg.Dir == "" { // the log takes the same memory as the state: keep it short
		rc.TrailingLogs, rc.SnapshotThreshold, rc.SnapshotInterval = memoryTrailing, memoryThreshold, memoryInterval
	}

	var transport raft.Transport
	if cfg.Network != nil {
		t := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Logger: logger, Stream: streamLayer{cfg.Network, address(cfg.Address)}, MaxPool: 3, Timeout: 10 * time.Second,
		})
		transport, c.network = t, t
	} else {
		_, t := raft.NewInmemTransport(raft.ServerAddress(cfg.Address))
		transport, c.network = t, t
	}
	if err := c.start(rc, transport); err != nil {
		return nil, errors.Join(err, c.network.Close(), st.Close())
	}
	return c, nil
}

func (c *Cluster) start(rc *raft.Config, transport raft.Transport) error {
	st := c.storage
	if c.cfg.Alone {
		existing, err := raft.HasExistingState(st.logs, st.stable, st.snapshots)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if !existing {
			servers := raft.Configuration{Servers: []raft.Server{{ID: st.id, Address: transport.LocalAddr()}}}
			if err := raft.BootstrapCluster(rc, st.logs, st.stable, st.snapshots, transport, servers); err != nil {
				return fmt.Errorf("form cluster: %w", err)
			}
		}
	}
	var err error
	if c.raft, err = raft.NewRaft(rc, c.fsm, st.logs, st.stable, st.snapshots, transport); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	c.tell = announcer{cluster: c, transport: transport, followers: map[raft.ServerID]*follower{}}
	c.raft.RegisterObserver(raft.NewObserver(c.leaders, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	}))
	c.fsm.voters.Store(int32(len(c.configuration().Servers)))
	return c.pace()
}

// Run follows leadership until ctx ends or the server can't go on, then
// leaves the log and closes it.
func (c *Cluster) Run(ctx context.Context) (err error) {
	stepDown := func() {}
	defer func() {
		stepDown()
		c.end()
		down := c.raft.Shutdown().Error()
		close(c.done)
		err = errors.Join(err, down, c.network.Close(), c.storage.Close())
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-c.fatal:
			return err
		case <-c.leaders:
			c.wake()
		case r := <-c.restores:
			leads := c.Leads()
			stepDown()
			stepDown = func() {}
			if !leads {
				r.done <- api.ErrNotLeader
				continue
			}
			err := c.restore(r)
			if c.raft.State() == raft.Leader {
				stepDown = c.stepUp(ctx)
			}
			r.done <- err
		case leads := <-c.notify:
			stepDown()
			stepDown = func() {}
			if !leads {
				c.cfg.Log.Warn("leadership lost")
				continue
			}
			// Entries of earlier leaders come first. An error means that
			// leadership is lost again, which the next notification says.
			if _, err := await(ctx, c, func() raft.Future { return c.raft.Barrier(0) }); err != nil {
				continue
			}
			c.cfg.Log.Info("this server leads", "term", c.raft.CurrentTerm(), "index", c.raft.AppliedIndex())
			stepDown = c.stepUp(ctx)
		}
	}
}

// stepUp begins leadership; the function it returns ends it.
func (c *Cluster) stepUp(ctx context.Context) (stepDown func()) {
	leading, end := context.WithCancel(ctx)
	c.setLeading(leading)
	return func() {
		c.setLeading(noLeadership)
		end()
	}
}

// noLeadership is what a server that does not lead has.
var noLeadership context.Context

func (c *Cluster) setLeading(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leading == nil && ctx == nil {
		return
	}
	c.leading, c.since = ctx, time.Now()
	close(c.changed)
	c.changed = make(chan struct{})
}

// wake wakes who waits for a leader.
func (c *Cluster) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// leadership returns the context of leadership, nil without, and a channel
// that is closed when that changes.
func (c *Cluster) leadership() (context.Context, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leading != nil && c.leading.Err() != nil {
		return nil, c.changed // Run is about to say so
	}
	return c.leading, c.changed
}

// leadAgain is how long a leader waits to call a function again that failed.
const leadAgain = time.Second

// Lead calls f whenever this server leads and has applied everything
// committed before; f's context ends with leadership. If f returns while it
// leads, the error is logged and f is called again after a pause. Lead
// returns nil when ctx ends, after f has returned.
func (c *Cluster) Lead(ctx context.Context, f func(context.Context) error) error {
	for ctx.Err() == nil {
		leading, changed := c.leadership()
		if leading == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		term, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(leading, cancel)
		err := f(term)
		over := term.Err() != nil
		stop()
		cancel()
		if over {
			continue
		}
		c.cfg.Log.Error("a leader's loop ended early", "error", err, "retry", leadAgain)
		select {
		case <-time.After(leadAgain):
		case <-leading.Done():
		case <-ctx.Done():
		}
	}
	return nil
}

// Leads reports whether this server leads and has applied everything that
// was committed before it did.
func (c *Cluster) Leads() bool {
	leading, _ := c.leadership()
	return leading != nil
}

// Leader returns the address of the leader, "" when there is none. A server
// that leads and is not caught up yet is none: it could not answer.
func (c *Cluster) Leader() string {
	addr, id := c.raft.LeaderWithID()
	if id == c.storage.id && !c.Leads() {
		return ""
	}
	return string(addr)
}

// LastContact is how long ago this server heard of its leader, 0 on the
// leader.
func (c *Cluster) LastContact() time.Duration {
	if c.raft.State() == raft.Leader {
		return 0
	}
	last := c.raft.LastContact()
	if last.IsZero() {
		return 0
	}
	return time.Since(last)
}

// ID returns this server's ID, which it keeps for good.
func (c *Cluster) ID() string { return string(c.storage.id) }

// Position is where this server is in the log.
func (c *Cluster) Position() api.LogPosition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return api.LogPosition{Term: c.raft.CurrentTerm(), Index: c.raft.LastIndex(), Since: c.since}
}

// Stats returns what raft tells of itself, for operators.
func (c *Cluster) Stats() map[string]string { return c.raft.Stats() }

// TakeSnapshot writes the state to disk now, so that the log may be cut. It
// returns nil when there is nothing new.
func (c *Cluster) TakeSnapshot(ctx context.Context) error {
	_, err := await(ctx, c, c.raft.Snapshot)
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/agent/allocdir"
	"github.com/drover-org/drover/internal/agent/fingerprint"
	"github.com/drover-org/drover/internal/agent/localdb"
)

// Link is the way to the servers.
type Link interface {
	// Report passes on the observed state of an allocation. It does not wait;
	// of several reports of an allocation the newest counts.
	Report(*api.AllocUpdate)
	// Identities gets the signed identities that a task of this node is to be
	// given. It fails with CodeUnavailable while there is no server.
	Identities(ctx context.Context, allocID, task string) ([]*api.SignedIdentity, error)
	// NodeChanged says that Agent.Node returns something new.
	NodeChanged()
	// InTouch returns until when servers take this node for alive at least: the
	// time of their last answer and how long it holds. It is zero before the
	// first answer.
	InTouch() time.Time
	// IdentityClaims returns what the node's own identity says. It waits for
	// the first one until ctx ends.
	IdentityClaims(ctx context.Context) (map[string]any, error)
	// RenewIdentity asks the servers for another one.
	RenewIdentity()
}

// Config is what an Agent needs.
type Config struct {
	Log     *slog.Logger
	Now     func() time.Time         // nil: time.Now
	Rand    func() float64           // jitter from 0 to 1; nil: random
	Drivers map[string]driver.Driver // by name

	StateDir string // identity and database; absolute
	AllocDir string // directories of allocations; absolute; empty: <StateDir>/alloc
	Region   string

	// Fingerprint describes the node. ID, SecretID and AllocDir are filled in.
	Fingerprint fingerprint.Config

	MaxKillTimeout time.Duration     // bounds the tasks' kill timeouts; 0: DefaultMaxKillTimeout
	KillOnExit     bool              // tasks end with the agent (dev mode)
	HostEnv        map[string]string // environment for tasks that are not isolated; see FilterEnv

	GCMaxAllocs       int           // terminal allocations kept; 0: DefaultGCMaxAllocs
	GCDiskThreshold   float64       // percent used from which terminal ones go; 0: DefaultGCDiskThreshold
	GCInodeThreshold  float64       // likewise; 0: DefaultGCInodeThreshold
	GCInterval        time.Duration // between looks at the disk; 0: DefaultGCInterval
	DriverInterval    time.Duration // between looks at the drivers; 0: DefaultDriverInterval
	MaxExecSessions   int           // exec and port forwarding, at the same time; 0: DefaultMaxExecSessions
	MaxStreams        int           // followed files and logs at the same time; 0: DefaultMaxStreams
	DisableRemoteExec bool
	LogRetention      LogRetention
	Recording         Recording
}

// Defaults of a Config.
const (
	DefaultMaxKillTimeout   = 30 * time.Second
	DefaultGCMaxAllocs      = 50
	DefaultGCDiskThreshold  = 80
	DefaultGCInodeThreshold = 70
	DefaultGCInterval       = time.Minute
	DefaultDriverInterval   = 30 * time.Second
	DefaultMaxExecSessions  = 1024
	DefaultMaxStreams       = 1024
)

func (c *Config) setDefaults() {
	def(&c.MaxKillTimeout, DefaultMaxKillTimeout)
	def(&c.GCMaxAllocs, DefaultGCMaxAllocs)
	def(&c.GCDiskThreshold, DefaultGCDiskThreshold)
	def(&c.GCInodeThreshold, DefaultGCInodeThreshold)
	def(&c.GCInterval, DefaultGCInterval)
	def(&c.DriverInterval, DefaultDriverInterval)
	def(&c.MaxExecSessions, DefaultMaxExecSessions)
	def(&c.MaxStreams, DefaultMaxStreams)
	def(&c.Region, api.DefaultRegion)
	def(&c.AllocDir, filepath.Join(c.StateDir, "alloc"))
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Agent is one node. All methods may be called concurrently.
type Agent struct {
	cfg      Config
	log      *slog.Logger
	identity localdb.Identity
	tree     *allocdir.Tree
	db       *localdb.DB
	retained *retention
	casts    *recordings
	link     Link
	handler  http.Handler
	node     atomic.Pointer[api.Node]
	host     hostSampler
	streams  semaphore
	copies   semaphore
	watches  atomic.Pointer[watchHub] // nil outside Run

	began    time.Time      // counts as the first touch with servers
	settled  chan struct{}  // closed when it is known what became of an earlier agent's tasks, or settleTime has passed
	closing  chan struct{}  // closed when Run ends
	sessions sync.WaitGroup // those in open, which outlive their handlers' server

	driversKnown chan struct{} // closed after the first look at every driver
	wake         chan struct{} // of size 1: there is something pending
	probes       chan struct{} // a place for each check that asks at a time

	mu        sync.RWMutex // guards what follows
	runners   map[string]*runner
	collected map[string]*api.AllocUpdate // removed from this node; never run again
	pending   assignment
	ended     bool // Run is over: no more sessions
	open      map[*session]context.CancelCauseFunc
	opened    uint64             // sessions since the start
	refused   uint64             // sessions that were too many
	meta      map[string]*string // dynamic metadata
	drivers   map[string]*api.DriverInfo
}

// New opens the node's state. It starts nothing.
func New(c Config) (*Agent, error) {
	c.setDefaults()
	a := &Agent{
		cfg: c, log: c.Log, runners: map[string]*runner{}, probes: make(chan struct{}, maxProbes), collected: map[string]*api.AllocUpdate{},
		drivers: map[string]*api.DriverInfo{}, driversKnown: make(chan struct{}), wake: make(chan struct{}, 1),
		began: c.Now(), settled: make(chan struct{}), closing: make(chan struct{}), open: map[*session]context.CancelCauseFunc{}, streams: newSemaphore(c.MaxStreams), copies: newSemaphore(maxCopies),
	}
	a.handler = a.newHandler()
	var err error
	if a.identity, err = localdb.LoadIdentity(c.StateDir); err != nil {
		return nil, err
	}
	if a.tree, err = allocdir.NewTree(c.AllocDir); err != nil {
		return nil, err
	}
	if a.retained, err = openRetention(&a.cfg, a.tree); err != nil {
		return nil, errors.Join(err, a.tree.Close())
	}
	if a.casts, err = openRecordings(&a.cfg); err != nil {
		return nil, errors.Join(err, a.retained.close(), a.tree.Close())
	}
	if a.db, err = localdb.Open(localdb.Config{Dir: c.StateDir, Log: c.Log, Now: c.Now}); err != nil {
		return nil, errors.Join(err, a.retained.close(), a.tree.Close())
	}
	if a.meta, err = a.db.Meta(); err == nil {
		err = a.refreshNode()
	}
	if err != nil {
		return nil, errors.Join(err, a.db.Close(), a.retained.close(), a.tree.Close())
	}
	return a, nil
}

// Connect tells the agent its way to the servers. It must be called once,
// before Run; it is apart from New because the link needs the agent first.
func (a *Agent) Connect(l Link) { a.link = l }

// outOfTouchSince returns from when on servers may take this node for silent.
func (a *Agent) outOfTouchSince() time.Time {
	if at := a.link.InTouch(); at.After(a.began) {
		return at
	}
	return a.began
}

// NodeID returns the node's ID, which stays the same as long as the node's
// state directory does.
func (a *Agent) NodeID() string { return a.identity.ID }

func (a *Agent) runner(id string) *runner {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.runners[id]
}

// firstLook is how long Node waits for drivers that are slow to answer.
const firstLook = 500 * time.Millisecond

// Node returns the node as servers should know it, with its secret. It must
// not be changed. Right after the start it waits a moment for the drivers.
func (a *Agent) Node() *api.Node {
	select {
	case <-a.driversKnown:
	default:
		timer := time.NewTimer(firstLook)
		defer timer.Stop()
		select {
		case <-a.driversKnown:
		case <-timer.C:
		}
	}
	return a.node.Load()
}

// refreshNode describes the machine anew.
func (a *Agent) refreshNode() error {
	c := a.cfg.Fingerprint
	c.ID, c.SecretID, c.AllocDir, c.Region = a.identity.ID, a.identity.SecretID, a.cfg.AllocDir, a.cfg.Region
	n, err := fingerprint.Node(c)
	if err != nil {
		return fmt.Errorf("describe this machine: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n.Meta = mergeMeta(n.Meta, a.meta)
	n.Drivers = maps.Clone(a.drivers)
	for _, d := range n.Drivers {
		maps.Copy(n.Attributes, d.Attributes)
	}
	a.node.Store(n)
	return nil
}

// Run runs the node until ctx ends. Tasks live on unless Config.KillOnExit.
func (a *Agent) Run(ctx context.Context) error {
	if a.link == nil {
		return errors.New("agent: Connect must be called before Run")
	}
	var wg sync.WaitGroup
	defer func() {
		close(a.closing)
		a.endSessions()
		wg.Wait()
		if err := errors.Join(a.db.Close(), a.retained.close(), a.tree.Close()); err != nil {
			a.log.Error("the node's state was not closed cleanly", "error", err)
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	if hub, err := newWatchHub(); err != nil {
		a.log.Warn("file changes can't be watched, followers will poll", "error", err)
	} else {
		a.watches.Store(hub)
		wg.Go(hub.run)
		defer func() { a.watches.Store(nil); hub.close() }()
	}
	wg.Go(func() { a.watchDrivers(ctx) })
	if err := a.restore(ctx, &wg); err != nil {
		return err
	}
	wg.Go(func() { a.settle(ctx) })
	collect := time.NewTicker(a.cfg.GCInterval)
	defer collect.Stop()
	pings := time.NewTicker(pingInterval)
	defer pings.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
			a.apply(ctx, &wg)
			a.collectExcess()
		case <-collect.C:
			a.collectExcess()
		case <-pings.C:
			a.ping()
		}
	}
}

// restore continues what an earlier agent ran.
func (a *Agent) restore(ctx context.Context, wg *sync.WaitGroup) error {
	list, err := a.db.Load()
	if err != nil {
		return err
	}
	// Predecessors first, so that who has to wait finds them.
	slices.SortStableFunc(list, func(x, y *localdb.Alloc) int { return cmp.Compare(createIndex(x), createIndex(y)) })
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range list {
		if s.Collected != nil {
			a.collected[s.ID] = s.Collected
			continue
		}
		if err := a.launch(ctx, wg, s.Alloc, s.Tasks); err != nil {
			a.log.Error("an allocation can't be continued", "alloc", s.ID, "error", err)
		}
	}
	return nil
}

// settleTime is what drivers get to tell of an earlier agent's tasks before
// requests are answered from what is known.
const settleTime = 5 * time.Second

// settle waits until the drivers have told what became of the tasks.
func (a *Agent) settle(ctx context.Context) {
	defer close(a.settled)
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	a.mu.RLock()
	runners := slices.Collect(maps.Values(a.runners))
	a.mu.RUnlock()
	for _, r := range runners {
		for _, name := range r.taskNames() {
			r.task(name).Settled(ctx)
		}
	}
}

func createIndex(s *localdb.Alloc) uint64 {
	if s.Alloc == nil {
		return 0
	}
	return s.Alloc.CreateIndex
}

// Assign takes what servers want of this node: new and changed allocations,
// and the IDs of those that were deleted. With full, allocs are all there are.
// It returns at once; calls count in their order.
func (a *Agent) Assign(full bool, allocs []*api.Allocation, gone []string) {
	a.mu.Lock()
	a.pending.merge(full, allocs, gone)
	a.mu.Unlock()
	a.nudge()
}

func (a *Agent) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// apply carries out what is pending.
func (a *Agent) apply(ctx context.Context, wg *sync.WaitGroup) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.pending
	a.pending = assignment{}
	have := make(map[string]uint64, len(a.runners)+len(a.collected))
	for id, r := range a.runners {
		have[id] = r.index()
	}
	for id := range a.collected {
		have[id] = 0
	}
	c := reconcile(have, p)
	for _, alloc := range c.update { // first: who is new may wait for the end of who is stopped
		if r := a.runners[alloc.ID]; r != nil {
			r.update(alloc)
		} else if last := a.collected[alloc.ID]; last != nil && !alloc.ClientTerminal() {
			a.link.Report(last)
		}
	}
	for _, alloc := range c.start {
		if err := a.launch(ctx, wg, alloc, nil); err != nil {
			a.log.Error("an allocation can't be started", "alloc", alloc.ID, "error", err)
			a.link.Report(&api.AllocUpdate{ID: alloc.ID, ClientStatus: api.AllocClientFailed, ClientDescription: err.Error()})
		}
	}
	for _, alloc := range c.absent {
		a.link.Report(&api.AllocUpdate{ID: alloc.ID, ClientStatus: api.AllocClientComplete, TaskStates: alloc.TaskStates,
			ClientDescription: "the node does not run it any more"})
	}
	for _, id := range c.remove {
		if r := a.runners[id]; r != nil {
			r.remove()
			continue
		}
		delete(a.collected, id)
		wg.Go(func() {
			a.retained.drop(id)
			if err := a.db.Delete(id); err != nil {
				a.log.Error("the node's state can't be written", "alloc", id, "error", err)
			}
		})
	}
}

// launch starts the runner of an allocation. a.mu is held.
func (a *Agent) launch(ctx context.Context, wg *sync.WaitGroup, alloc *api.Allocation, tasks map[string]*localdb.TaskRecord) error {
	if alloc.Job == nil || alloc.Group() == nil {
		return fmt.Errorf("allocation %s has no job with a group %q", alloc.ID, alloc.TaskGroup)
	}
	r, err := newRunner(a, alloc, tasks)
	if err != nil {
		return err
	}
	r.prev = a.runners[alloc.PreviousAllocation]
	r.holders = a.holders(alloc)
	a.runners[alloc.ID] = r
	wg.Go(func() {
		defer close(r.done)
		r.run(ctx)
	})
	return nil
}

// holders returns the allocations that have not ended and have to before a new
// one starts: those it displaces, and who has a port that it needs. Servers
// give a port away when its owner has ended, but they may have had to take that
// for granted while the node was out of reach. a.mu is held.
func (a *Agent) holders(alloc *api.Allocation) (list []*runner) {
	ports := hostPorts(alloc)
	if len(ports) == 0 && len(alloc.PreemptedAllocations) == 0 {
		return nil
	}
	for _, r := range a.runners {
		if !r.terminal() && (slices.Contains(alloc.PreemptedAllocations, r.id) || overlap(hostPorts(r.allocation()), ports)) {
			list = append(list, r)
		}
	}
	return list
}

// forget drops a runner whose allocation is gone from this node. last, if not
// nil, is kept so that the allocation never runs here again.
func (a *Agent) forget(id string, last *api.AllocUpdate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.runners, id)
	if last != nil {
		a.collected[id] = last
	}
}

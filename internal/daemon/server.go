package daemon

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/cluster"
	"github.com/drover-org/drover/internal/control/drain"
	"github.com/drover-org/drover/internal/control/evals"
	"github.com/drover-org/drover/internal/control/keys"
	"github.com/drover-org/drover/internal/control/liveness"
	"github.com/drover-org/drover/internal/control/periodic"
	"github.com/drover-org/drover/internal/control/plans"
	"github.com/drover-org/drover/internal/control/reap"
	"github.com/drover-org/drover/internal/control/rollout"
	"github.com/drover-org/drover/internal/control/voters"
	"github.com/drover-org/drover/internal/events"
	"github.com/drover-org/drover/internal/gossip"
	"github.com/drover-org/drover/internal/keyring"
	"github.com/drover-org/drover/internal/link"
	"github.com/drover-org/drover/internal/peer"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/version"
)

// serverPart is the server side.
type serverPart struct {
	store   *store.Store
	events  *events.Ring // nil: switched off
	ring    *keyring.Ring
	cluster *cluster.Cluster
	gossip  *gossip.Gossip // nil: the serf port is closed
	peers   *peer.Client
	own     *keyring.ServerKey
	keys    *voters.Keys // of the other servers
	server  *server.Server
	nodes   *link.Server
	mux     *link.Mux
	workers *evals.Workers
}

// buildServer opens the log and adds the parts: gossip, cluster, leader, rpc.
func (d *daemon) buildServer() error {
	s := &serverPart{store: store.New(), events: d.eventRing(), peers: peer.NewClient(d.dialer().DialPeer), keys: voters.NewKeys()}
	if s.events != nil {
		s.store.PublishTo(s.events)
	}
	var err error
	if s.own, err = serverKey(d.dirs.server); err != nil {
		return err
	}
	s.ring = keyring.NewRing(s.own, func() [][]byte { all, _ := s.keys.All(); return all }, s.store, time.Now)
	// Cluster, use cases and connections of nodes need each other through the
	// mux, which does nothing before it runs.
	mux := link.MuxConfig{
		Listener: d.limitRPC(d.rpcListener), Refused: d.refuseRPC, Log: d.log, HandshakeTimeout: d.cfg.Limits.RPCHandshakeTimeout,
		Plain: d.cfg.TLS.RPCUpgradeMode, Allow: d.allowRPC,
		Control:  func(ctx context.Context, c net.Conn) { s.nodes.ServeControl(ctx, c) },
		DialBack: func(ctx context.Context, c net.Conn) { s.nodes.ServeDialBack(ctx, c) },
	}
	if d.cfg.TLS.RPC {
		mux.TLS = d.certs.RPC()
	}
	s.mux = link.NewMux(mux)
	dir := d.dirs.server
	if dir != "" {
		dir = filepath.Join(dir, "raft")
	}
	s.cluster, err = cluster.Open(cluster.Config{
		Store: s.store, Log: d.log, Dir: dir, Address: d.rpcAddr, Name: d.memberName(), Alone: d.cfg.Server.BootstrapExpect == 1,
		Network: raftNetwork{s.mux.Raft(), d.dialer()}, Peers: s.peers,
	})
	if err != nil {
		return err
	}
	if s.gossip, err = d.openGossip(s.cluster.ID()); err != nil {
		return err
	}
	c := &d.cfg.Server
	live := liveness.New(liveness.Config{
		Store: s.store, Proposer: s.cluster, Log: d.log, Now: time.Now, NewID: api.NewID,
		MinTTL: c.MinHeartbeatTTL, MaxPerSecond: c.MaxHeartbeatsPerSecond, Grace: c.HeartbeatGrace, FailoverTTL: c.FailoverHeartbeatTTL,
	})
	reaper := reap.New(reap.Config{
		Store: s.store, Proposer: s.cluster, Log: d.log, Now: time.Now, Interval: c.JobGCInterval,
		Thresholds: reap.Thresholds{
			Job: c.JobGCThreshold, Eval: c.EvalGCThreshold, BatchEval: c.BatchEvalGCThreshold,
			Node: c.NodeGCThreshold, Deployment: c.DeploymentGCThreshold, ACLToken: c.ACLTokenGCThreshold,
		},
	})
	if s.workers, err = d.schedulerWorkers(); err != nil {
		return err
	}
	useCases := server.Config{
		Workers:      s.workers,
		Introduction: server.Introduction{Enforcement: c.Introduction.Enforcement, DefaultTTL: c.Introduction.DefaultTTL, MaxTTL: c.Introduction.MaxTTL},
		Store:        s.store, Proposer: s.cluster, Cluster: members{s.cluster, d}, Gossip: s.gossiper(), Liveness: beats{live, s}, Collector: reaper, Events: s.events,
		Keyring: s.ring, OIDCIssuer: c.OIDCIssuer, Region: d.cfg.Region, Version: version.Number(), TempDir: d.dirs.server, KeepVersions: c.JobTrackedVersions, Log: d.log, Now: time.Now, NewID: api.NewID,
	}
	if d.cfg.ACL.Enabled {
		d.buildACL(&useCases, s.ring)
	}
	useCases.Authorizer = d.noting(useCases.Authorizer)
	s.server = server.New(useCases)
	s.nodes = link.NewServer(link.ServerConfig{Backend: s.server, Log: d.log, Servers: s.servers})
	consent := &voters.Consent{Formed: s.cluster.Formed, Now: time.Now}
	answers := peer.Handler(asked{d, consent, live}, d.log)

	d.server = s
	if s.gossip != nil {
		d.parts = append(d.parts, part{"gossip", s.gossip.Run})
	}
	d.parts = append(d.parts,
		part{"cluster", s.cluster.Run},
		part{"leader", func(ctx context.Context) error {
			return s.cluster.Lead(ctx, func(ctx context.Context) error { return d.lead(ctx, live, reaper) })
		}},
		part{"rpc", func(ctx context.Context) error {
			defer s.nodes.CloseIdle()
			return s.mux.Run(ctx)
		}},
		part{"peers", func(ctx context.Context) error {
			defer s.peers.Close()
			return serve(ctx, d.log, s.mux.Peer(), answers, headerTimeout)
		}},
		part{"leave", func(ctx context.Context) error {
			if s.gossip != nil {
				if err := voters.NewFormer(d.voters()).Run(ctx); err != nil {
					return err
				}
			}
			<-ctx.Done()
			d.leave()
			return nil
		}},
	)
	return nil
}

// schedulerWorkers are those that the configuration asks for. The upkeep needs
// none, so a file may leave it out.
func (d *daemon) schedulerWorkers() (*evals.Workers, error) {
	count, types := d.cfg.Server.NumSchedulers, slices.Clone(d.cfg.Server.EnabledSchedulers)
	if !slices.Contains(types, api.SchedulerCore) {
		types = append(types, api.SchedulerCore)
	}
	if err := server.CheckSchedulerWorkers(count, types); err != nil {
		return nil, err
	}
	if count == 0 {
		d.log.Warn("server.num_schedulers is 0: while this server leads, jobs wait")
	}
	w := evals.NewWorkers(time.Now, api.NewID)
	w.Set(count, types)
	return w, nil
}

// eventRing keeps what the event stream tells, nil when it is switched off.
func (d *daemon) eventRing() *events.Ring {
	if !d.cfg.Server.EnableEventBroker {
		return nil
	}
	return events.New(events.Config{Batches: d.cfg.Server.EventBufferSize, Bytes: events.DefaultBytes, EncodedBytes: events.DefaultEncodedBytes})
}

// lead runs the leader's loops for one term: made anew, they know nothing of
// an earlier one.
func (d *daemon) lead(ctx context.Context, live *liveness.Liveness, reaper *reap.Reaper) error {
	s := d.server
	placer := plans.New(plans.Config{Store: s.store, Proposer: s.cluster, Now: time.Now, NewID: api.NewID, Log: d.log})
	dispatcher := evals.New(evals.Config{Workers: s.workers, Store: s.store, Proposer: s.cluster, Planner: placer, Now: time.Now, NewID: api.NewID, Log: d.log})
	launcher := periodic.New(periodic.Config{Store: s.store, Proposer: s.cluster, Now: time.Now, NewID: api.NewID, Log: d.log})
	deployments := rollout.New(rollout.Config{Store: s.store, Proposer: s.cluster, Now: time.Now, NewID: api.NewID, Log: d.log})
	drains := drain.New(drain.Config{Store: s.store, Proposer: s.cluster, Now: time.Now, NewID: api.NewID, Log: d.log})
	keeper := keys.New(keys.Config{
		Store: s.store, Proposer: s.cluster, Maker: s.ring, Log: d.log, Now: time.Now, NewID: api.NewID,
		Reseal: func(ctx context.Context, row *store.ACLToken) (*store.ACLToken, error) {
			return auth.Reseal(ctx, s.ring, row)
		},
		Joined:   func() <-chan struct{} { _, changed := s.keys.All(); return changed },
		Interval: d.cfg.Server.RootKeyGCInterval, Thresholds: d.keyThresholds(),
	})
	g, ctx := errgroup.WithContext(ctx)
	if s.gossip != nil {
		g.Go(func() error { return voters.NewKeeper(d.voters()).Run(ctx) })
	}
	g.Go(func() error { return keeper.Run(ctx) })
	g.Go(func() error { return live.Run(ctx) })
	g.Go(func() error { return reaper.Run(ctx) })
	g.Go(func() error { return placer.Run(ctx) })
	g.Go(func() error { return dispatcher.Run(ctx) })
	g.Go(func() error { return deployments.Run(ctx) })
	g.Go(func() error { return launcher.Run(ctx) })
	g.Go(func() error { return drains.Run(ctx) })
	return g.Wait()
}

// voters is what the loops about the servers of the log need.
func (d *daemon) voters() voters.Config {
	s := d.server
	own := func() *voters.Hello {
		h := voters.Hello(d.hello())
		return &h
	}
	return voters.Config{
		Log: s.cluster, Gossip: neighbours{s.gossip, d}, Peers: introductions{s.peers}, Own: own, Expect: d.cfg.Server.BootstrapExpect, Keys: s.keys, Logger: d.log,
	}
}

// leaveTime bounds what an agent does at its end for the others' sake.
const leaveTime = 15 * time.Second

// leave hands leadership on, and takes this server out of its region if its
// end is for good.
func (d *daemon) leave() {
	s := d.server
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if d.cfg.Leave == nil || !d.cfg.Leave() {
		s.cluster.StepDown(ctx)
		return
	}
	if err := s.cluster.Leave(ctx); err != nil {
		d.log.Error("this server could not leave the log: remove it with \"operator raft remove-peer\"", "id", s.cluster.ID(), "error", err)
	}
	if s.gossip == nil {
		return
	}
	if err := s.gossip.Leave(); err != nil {
		d.log.Warn("not every server knows that this one left", "error", err)
	}
}

// serverKey opens the key to which root keys are wrapped for this server. It
// lies beside the log, not in it.
func serverKey(dir string) (*keyring.ServerKey, error) {
	if dir == "" {
		return keyring.NewServerKey()
	}
	return keyring.OpenServerKey(filepath.Join(dir, "keyring.key"))
}

func (d *daemon) keyThresholds() keys.Thresholds {
	return keys.Thresholds{Rotate: d.cfg.Server.RootKeyRotationThreshold, Collect: d.cfg.Server.RootKeyGCThreshold}
}

// maxPublicKeysAge is how long others may keep the public keys at most: so
// long they may fail to know a key that an operator made active at once.
const maxPublicKeysAge = time.Hour

// raftNetwork carries raft over the rpc port.
type raftNetwork struct {
	net.Listener
	link.Dialer
}

// reconnectTime is what a node gets that is not connected although it is taken
// for ready: after a restart of the server or the node it soon is.
const reconnectTime = 3 * time.Second

// nodeConnected tells whether a node is connected to a server of the region,
// and waits a moment for one that has just lost its connection.
func (s *serverPart) nodeConnected(ctx context.Context, nodeID string) bool {
	if s.nodes.Connected(nodeID) || s.where(ctx, nodeID) != "" {
		return true
	}
	if node := s.store.Snapshot().Node(nodeID); node == nil || node.Status != api.NodeReady {
		return false
	}
	soon, cancel := context.WithTimeout(ctx, reconnectTime)
	defer cancel()
	return s.nodes.Await(soon, nodeID) || s.where(ctx, nodeID) != ""
}

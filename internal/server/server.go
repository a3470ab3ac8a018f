package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
	"github.com/drover-org/drover/internal/store"
)

// Config is what a Server needs. All fields are required but Authorizer,
// Events, Gossip, ACL, OIDCIssuer and Drivers.
type Config struct {
	Store        *store.Store
	Proposer     store.Proposer
	Cluster      Cluster
	Gossip       Gossip // nil: this server knows of no others
	Liveness     Liveness
	Collector    Collector
	Keyring      Keyring
	Workers      Workers
	Introduction Introduction
	Authorizer   Authorizer   // nil: everybody may do everything
	Events       *events.Ring // what the store publishes to; nil: there are no event streams
	ACL          *ACL         // nil: there are no policies and tokens
	OIDCIssuer   string       // URL others reach the public keys at; empty: none
	Region       string
	Version      string   // of this program
	TempDir      string   // for files of the state's size; empty: the usual place
	KeepVersions int      // versions of a job without a name that are kept; 0: api.MaxJobVersions
	Drivers      []string // that this version has; a job may also name one that a node offers
	Log          *slog.Logger
	Now          func() time.Time
	NewID        func() string
}

// Cluster is what the use cases need to know of the servers.
type Cluster interface {
	// CheckRead returns when this server may answer a read: at once for a stale
	// one, otherwise when its state holds every write that was acknowledged
	// before the call. It returns api.ErrNotLeader or another api.Error if that
	// can't be.
	CheckRead(ctx context.Context, stale bool) error
	// RemoveServer takes a server out of the log, Transfer hands leadership to
	// one. They are for the leader.
	RemoveServer(ctx context.Context, id string) error
	Transfer(ctx context.Context, id string) error
	// Restore puts another state, saved at an index, in the place of this one on
	// all servers. It is for the leader.
	Restore(ctx context.Context, index uint64, state io.Reader, size int64) error
	// Leader returns the RPC address of the leader, "" when there is none.
	Leader() string
	// LastContact is how long ago this server heard of its leader; 0 on the
	// leader.
	LastContact() time.Duration
	// ID is this server's in the log, and Position where it is in that.
	ID() string
	Position() api.LogPosition
	// Servers lists the voters and other members of the log.
	Servers() []*api.RaftServer
	// Members lists the servers of all regions as this one sees them.
	Members() []*api.AgentMember
}

// Liveness keeps nodes' heartbeats while this server leads.
type Liveness interface {
	// Beat notes a sign of life and returns when the next one is due. It
	// returns api.ErrNotLeader while this server does not lead.
	Beat(nodeID string) (ttl time.Duration, err error)
	// Gone notes that a node's connection ended.
	Gone(nodeID string)
}

// Workers process evaluations while this server leads.
type Workers interface {
	List() []*api.SchedulerWorker
	Setting() (count int, types []string)
	Set(count int, types []string)
}

// Collector removes what is over.
type Collector interface {
	// Collect removes everything that may go now, whatever its age.
	Collect(ctx context.Context) error
}

// Server answers the use cases. It is safe for concurrent use.
type Server struct {
	cfg    Config
	store  *store.Store
	parses parses
	states chan struct{} // a place for the one saving or restoring
}

// New returns a Server. It starts nothing.
func New(cfg Config) *Server {
	if cfg.Authorizer == nil {
		cfg.Authorizer = AllowAll{}
	}
	return &Server{cfg: cfg, store: cfg.Store, parses: newParses(), states: make(chan struct{}, 1)}
}

// Region returns the region this server belongs to.
func (s *Server) Region() string { return s.cfg.Region }

func (s *Server) now() time.Time { return s.cfg.Now() }

// propose puts a command into the log and waits until it is applied.
func (s *Server) propose(ctx context.Context, cmd store.Command) (store.Result, error) {
	res, err := s.cfg.Proposer.Propose(ctx, cmd)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return res, api.Errorf(api.CodeUnavailable, "given up while waiting for the log; the change may still take effect: %w", err)
	}
	return res, err
}

// checkRegion refuses requests for another region.
func (s *Server) checkRegion(region string) error {
	if region != "" && region != s.cfg.Region {
		return api.Errorf(api.CodeInvalid, "No path to region %q: this agent is of %q", region, s.cfg.Region)
	}
	return nil
}

// checkID refuses what is not a full UUID, naming the noun.
func checkID(noun, id string) error {
	if _, ok := api.ParseID(id); !ok {
		return api.Errorf(api.CodeInvalid, "%s ID %q is not a UUID: it must have 36 characters, like 5456bd7a-9fc0-c0dd-6131-cbee77f57577", noun, id)
	}
	return nil
}

func missing(noun string) error {
	return &api.Error{Code: api.CodeNotFound, Message: noun + " not found"}
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/audit"
	"github.com/drover-org/drover/internal/certs"
	"github.com/drover-org/drover/internal/config"
	"github.com/drover-org/drover/internal/diag"
	"github.com/drover-org/drover/internal/gossip"
	"github.com/drover-org/drover/internal/limit"
	"github.com/drover-org/drover/internal/version"
)

// Config is what Run needs beside the log.
type Config struct {
	*config.Config // validated

	// Level is the log's, which a reload changes. Nil: it can't.
	Level *slog.LevelVar
	// Reload brings configurations that were read again; only their
	// Reloadable part is taken over. Nil: never.
	Reload <-chan *config.Config
	// Leave says, when the agent has been asked to end, whether its server
	// leaves the region for good. Nil: it does not.
	Leave func() bool
	// Ready, if set, is called once when the agent listens.
	Ready func(Info)
}

// Info tells where an agent is.
type Info struct {
	HTTP    string // host:port of the API
	RPC     string // host:port for nodes; empty without a server
	Serf    string // host:port for servers that join; empty without gossip
	NodeID  string // empty without a node
	DataDir string
}

// NewLogger returns the log that a configuration asks for, and its level.
func NewLogger(c *config.Config, w io.Writer) (*slog.Logger, *slog.LevelVar, error) {
	at, err := config.ParseLevel(c.LogLevel)
	if err != nil {
		return nil, nil, err
	}
	level := new(slog.LevelVar)
	level.Set(at)
	opts := &slog.HandlerOptions{Level: level}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(w, opts)), level, nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), level, nil
}

// Run runs an agent until ctx ends or the agent can't go on. Tasks live on,
// except in dev mode, where they end and nothing is left.
func Run(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	dirs, err := openDirs(cfg.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dirs.close()) }()

	tee := diag.NewTee(log.Handler())
	log = slog.New(tee)
	d := &daemon{cfg: cfg, log: log, tee: tee, dirs: dirs}
	defer func() { err = errors.Join(err, d.closeListeners()) }()
	d.buildLimits()
	if err := d.openCerts(); err != nil {
		return err
	}
	if err := d.listen(); err != nil {
		return err
	}
	if err := d.openAudit(); err != nil {
		return err
	}
	if cfg.Server.Enabled {
		if err := d.buildServer(); err != nil {
			return errors.Join(fmt.Errorf("server: %w", err), d.abandon())
		}
	}
	if cfg.Client.Enabled {
		if err := d.buildNode(); err != nil {
			return errors.Join(fmt.Errorf("client: %w", err), d.abandon())
		}
	}
	d.buildHTTP()
	if cfg.Reload != nil {
		d.parts = append(d.parts, part{"reload", d.reload})
	}
	d.parts = append(d.parts, part{"ready", func(ctx context.Context) error {
		log.Info("agent runs", "version", version.Number(), "http", d.httpAddr, "rpc", d.rpcAddr, "server", cfg.Server.Enabled, "client", cfg.Client.Enabled, "data_dir", dirs.root)
		if cfg.Ready != nil {
			cfg.Ready(d.info())
		}
		settle(ctx)
		<-ctx.Done()
		return nil
	}})
	return runParts(ctx, log, d.parts)
}

// settle gives back, once, what starting took: an idle agent would keep its
// garbage until the runtime's next collection, which comes after minutes.
func settle(ctx context.Context) {
	select {
	case <-time.After(settleAfter):
		debug.FreeOSMemory()
	case <-ctx.Done():
	}
}

// settleAfter is longer than it takes to lead and to register the own node.
const settleAfter = 2 * time.Second

// daemon is what Run builds.
type daemon struct {
	cfg   Config
	log   *slog.Logger
	tee   *diag.Tee // behind log
	dirs  *dirs
	parts []part // in the order they start

	httpListener, rpcListener net.Listener   // the latter nil without a server
	httpAddr, rpcAddr         string         // as others reach them
	gossipSockets             gossip.Sockets // zero without gossip
	serfAddr                  string

	certs   *certs.Keeper // nil without TLS
	limits  *limit.Limiter
	refused *limit.Refusals

	audit  *audit.Log  // nil without
	server *serverPart // nil without
	node   *nodePart   // nil without
}

func (d *daemon) info() Info {
	i := Info{HTTP: d.httpAddr, RPC: d.rpcAddr, Serf: d.serfAddr, DataDir: d.dirs.root}
	if d.node != nil {
		i.NodeID = d.node.agent.NodeID()
	}
	return i
}

// listen opens the ports before anything else, so that a second agent on this
// machine fails at once.
func (d *daemon) listen() error {
	var err error
	if d.httpListener, err = net.Listen("tcp", d.cfg.HTTPBind()); err != nil {
		return fmt.Errorf("listen for HTTP: %w; another agent may be running, or set ports.http", err)
	}
	d.httpAddr = advertised(d.cfg.Advertise.HTTP, d.httpListener.Addr())
	if !d.cfg.Server.Enabled {
		return nil
	}
	if d.rpcListener, err = net.Listen("tcp", d.cfg.RPCBind()); err != nil {
		return fmt.Errorf("listen for nodes: %w; another agent may be running, or set ports.rpc", err)
	}
	d.rpcAddr = advertised(d.cfg.Advertise.RPC, d.rpcListener.Addr())
	return d.listenGossip()
}

// closeListeners closes what no part has closed.
func (d *daemon) closeListeners() error {
	var errs []error
	open := []io.Closer{}
	for _, l := range []net.Listener{d.httpListener, d.rpcListener, d.gossipSockets.Streams} {
		if l != nil {
			open = append(open, l)
		}
	}
	if p := d.gossipSockets.Packets; p != nil {
		open = append(open, p)
	}
	for _, l := range open {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// abandon ends parts that were opened and never ran.
func (d *daemon) abandon() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return runParts(ctx, d.log, d.parts)
}

// reload takes over what can change in a running agent.
func (d *daemon) reload(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-d.cfg.Reload:
			r := c.Reloadable()
			level, err := config.ParseLevel(r.LogLevel)
			if err != nil {
				d.log.Error("reload: the configuration is not taken over", "error", err)
				continue
			}
			if d.cfg.Level != nil {
				d.cfg.Level.Set(level)
			}
			d.log.Info("configuration reloaded", "log_level", r.LogLevel)
			d.reloadCerts(r)
		}
	}
}

// dirs are the agent's directories.
type dirs struct {
	root          string
	server        string // empty: memory
	client, alloc string
	bin           string // the supervisor's program
	recordings    string // of exec sessions
	temporary     bool   // root goes with the agent
	lock          *os.File
}

// openDirs makes the directories and takes the lock on them. A dev agent
// without data_dir gets a temporary one.
func openDirs(c *config.Config) (*dirs, error) {
	d := &dirs{root: c.DataDir}
	if d.root == "" {
		var err error
		if d.root, err = os.MkdirTemp("", "drover-dev-"); err != nil {
			return nil, err
		}
		d.temporary = true
	}
	or := func(path, name string) string {
		if path != "" {
			return path
		}
		return filepath.Join(d.root, name)
	}
	if !c.Dev {
		d.server = or(c.Server.DataDir, "server")
	}
	d.client, d.alloc, d.bin = or(c.Client.StateDir, "client"), or(c.Client.AllocDir, "alloc"), filepath.Join(d.root, "bin")
	d.recordings = or(c.Client.Recording.Dir, "recordings")
	if err := d.take(); err != nil {
		if d.temporary {
			err = errors.Join(err, os.RemoveAll(d.root))
		}
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	return d, nil
}

// take makes the root and locks it.
func (d *dirs) take() error {
	if err := os.MkdirAll(d.root, 0o755); err != nil { // tasks of other users pass through it
		return err
	}
	var err error
	if d.lock, err = os.OpenFile(filepath.Join(d.root, "agent.lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("%s is in use by another agent: stop it or choose another directory (%w)", d.root, err), d.lock.Close())
	}
	return nil
}

func (d *dirs) close() error {
	var err error
	if d.temporary {
		err = os.RemoveAll(d.root)
	}
	return errors.Join(err, d.lock.Close()) // the lock goes with the file
}

// advertised is how others reach a listener: as configured, or its own
// address, or this machine's when it listens on all.
func advertised(configured string, l net.Addr) string {
	host, port, err := net.SplitHostPort(l.String())
	if err != nil {
		return l.String()
	}
	if configured != "" {
		if _, _, err := net.SplitHostPort(configured); err == nil {
			return configured
		}
		return net.JoinHostPort(configured, port)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ownAddress()
	}
	return net.JoinHostPort(host, port)
}

// ownAddress is the address this machine sends from to the outside, without
// sending anything.
func ownAddress() string {
	conn, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return "127.0.0.1"
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	return host
}

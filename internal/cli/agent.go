package cli

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/drover-org/drover/internal/config"
	"github.com/drover-org/drover/internal/daemon"
	"github.com/drover-org/drover/internal/version"
)

type agentOptions struct {
	dev   bool
	files listFlag
	keys  map[string][]string // flags that set keys, by name
}

func agentVerb() *verb {
	o := agentOptions{keys: map[string][]string{}}
	return &verb{
		name: "agent", args: "[options]", offline: true, argKind: "file",
		short: "Run an agent: a server, a node, or both",
		long: `
Runs until it is interrupted. With -dev it is a server, a node and the HTTP API
in one process on 127.0.0.1:4646, keeps nothing, and takes its tasks along when
it ends; -tls makes it speak https with a certificate of its own, whose
authority NOMAD_CACERT has to name. Otherwise -config names files (HCL or JSON) or folders of them, read
in the order given, and flags set single keys over them; tasks live on when the
agent ends, and the next one finds them again.

SIGINT and SIGTERM end the agent. SIGHUP has it read its configuration again
and take the log level and the certificates from it.`,
		flags: o.declare,
		run:   func(ctx context.Context, e *env, args []string) error { return runAgent(ctx, e, &o, args) },
	}
}

func (o *agentOptions) declare(fs *flag.FlagSet) {
	fs.BoolVar(&o.dev, "dev", false, "a whole cluster in this process, nothing kept")
	fs.Var(&o.files, "config", "`PATH` of a configuration file or folder (may be repeated)")
	for _, f := range config.Flags() {
		set := func(text string) error {
			o.keys[f.Name] = append(o.keys[f.Name], text)
			return nil
		}
		switch {
		case f.Bool:
			fs.BoolFunc(f.Name, f.Help, set)
		case f.List:
			fs.Func(f.Name, f.Help+" (may be repeated)", set)
		default:
			fs.Func(f.Name, f.Help, set)
		}
	}
}

func (o *agentOptions) load() (*config.Config, []string, error) {
	return config.Load(o.dev, o.files, o.keys)
}

func runAgent(ctx context.Context, e *env, o *agentOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	cfg, warnings, err := o.load()
	if err != nil {
		return err
	}
	log, level, err := daemon.NewLogger(cfg, e.Err)
	if err != nil {
		return err
	}
	e.say("%s %s", e.out.cyan("==>"), e.out.bold(version.String()))
	for _, w := range warnings {
		log.Warn("configuration", "detail", w)
	}
	ctx, cancel := context.WithCancel(ctx)
	reloads := make(chan *config.Config)
	var wg sync.WaitGroup
	wg.Go(func() { o.reloads(ctx, reloads, log) })
	err = daemon.Run(ctx, daemon.Config{
		Config: cfg, Level: level, Reload: reloads, Leave: func() bool { return leaves(ctx, cfg) }, Ready: func(at daemon.Info) { e.banner(cfg, at) },
	}, log)
	interrupted := ctx.Err() != nil
	cancel()
	wg.Wait()
	if interrupted && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Interrupted is why a command's context ends at a signal.
type Interrupted struct{ Signal os.Signal }

// Error tells the signal.
func (i Interrupted) Error() string { return "ended by the signal " + i.Signal.String() }

// leaves reports whether the signal that ended ctx makes a server leave.
func leaves(ctx context.Context, cfg *config.Config) bool {
	var i Interrupted
	if !errors.As(context.Cause(ctx), &i) {
		return false
	}
	return i.Signal == os.Interrupt && cfg.LeaveOnInterrupt || i.Signal == syscall.SIGTERM && cfg.LeaveOnTerminate
}

// reloads reads the configuration again at every SIGHUP, until ctx ends; a
// wrong one changes nothing.
func (o *agentOptions) reloads(ctx context.Context, to chan<- *config.Config, log *slog.Logger) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		cfg, _, err := o.load()
		if err != nil {
			log.Error("configuration not reloaded", "err", err)
			continue
		}
		if !send(ctx, to, cfg) {
			return
		}
	}
}

// banner says what runs and where it is found.
func (e *env) banner(cfg *config.Config, at daemon.Info) {
	var roles []string
	if cfg.Server.Enabled {
		roles = append(roles, "server")
	}
	if cfg.Client.Enabled {
		roles = append(roles, "node")
	}
	what := strings.Join(roles, " and ")
	if cfg.Dev {
		what += ", dev mode: nothing is kept"
	}
	f := &facts{}
	f.add("Runs", what)
	f.add("Name", cfg.Name+" in "+cfg.Datacenter+", region "+cfg.Region)
	scheme := "http://"
	if cfg.TLS.HTTP {
		scheme = "https://"
	}
	f.add("HTTP API", scheme+at.HTTP)
	if cfg.TLS.HTTP {
		f.addIf("Authority", cfg.TLS.CAFile)
	}
	if cfg.Server.Enabled {
		f.add("Nodes join at", at.RPC)
		f.addIf("Servers join at", at.Serf)
	} else {
		f.add("Servers", strings.Join(cfg.ServerAddresses(), ", "))
	}
	f.addIf("Node", at.NodeID)
	f.add("Data", at.DataDir)
	f.add("Process", strconv.Itoa(os.Getpid()))
	e.show(f)
}

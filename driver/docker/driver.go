package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/drover-org/drover/driver"
)

// Driver runs tasks as containers of one Engine. Start and Recover wait until
// Run runs.
type Driver struct {
	cfg    Config
	engine atomic.Pointer[client.Client] // see cli
	log    *slog.Logger
	images *images

	began chan struct{} // closed when Run begins
	ended chan struct{} // closed when Run ends

	mu       sync.Mutex
	scope    context.Context // Run's, nil before
	stopped  bool            // no goroutine starts any more
	running  sync.WaitGroup
	tasks    map[string]*task         // by container ID
	execs    map[string]chan struct{} // by exec ID, closed when it ends
	up       chan struct{}            // closed when the Engine answers again
	detected bool                     // the Engine has answered once
}

// New makes a Driver. It does not talk to the Engine.
func New(cfg Config) (*Driver, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cli, err := connect(&cfg)
	if err != nil {
		return nil, err
	}
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)).With("driver", driverName)
	if cfg.CoreMHz == 0 {
		cfg.CoreMHz = coreMHz()
	}
	d := &Driver{
		cfg:   cfg,
		log:   cfg.Log,
		began: make(chan struct{}),
		ended: make(chan struct{}),
		tasks: map[string]*task{},
		execs: map[string]chan struct{}{},
		up:    make(chan struct{}),
	}
	d.engine.Store(cli)
	d.images = newImages(d)
	return d, nil
}

func connect(cfg *Config) (*client.Client, error) {
	opts := []client.Opt{client.WithHost(cfg.Endpoint)}
	if t := cfg.TLS; t != (TLSConfig{}) {
		opts = append(opts, client.WithTLSClientConfig(t.CA, t.Cert, t.Key))
	}
	cli, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("docker.endpoint: %q: %w", cfg.Endpoint, err)
	}
	return cli, nil
}

// cli is the client in use, shared by all. It agrees on the version of the
// API with the Engine at the first call.
func (d *Driver) cli() *client.Client { return d.engine.Load() }

// renew agrees on the version again, with an Engine that went away and may
// have come back as another. Calls under way keep the old client.
func (d *Driver) renew(ctx context.Context) {
	fresh, err := connect(&d.cfg)
	if err != nil {
		return // it was possible before
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := fresh.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		fresh.Close()
		return
	}
	d.engine.Swap(fresh).Close() // its idle connections
}

const driverName = "docker"

// Name returns "docker".
func (d *Driver) Name() string { return driverName }

// Capabilities tells that tasks are isolated and have ports of their own.
func (d *Driver) Capabilities() driver.Capabilities {
	return driver.Capabilities{Signals: true, Exec: true, Isolated: true, RemapsPorts: true}
}

// Validate checks a task's config block against the keys there are and what
// the operator allows.
func (d *Driver) Validate(config map[string]any) error {
	_, err := d.cfg.parse(config, true)
	return err
}

// Run watches the Engine until ctx ends. It is called once. Containers go on
// when it returns; their tasks' Wait fails then.
func (d *Driver) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	if d.scope != nil {
		d.mu.Unlock()
		return errors.New("docker: Run was called twice")
	}
	d.scope = ctx
	d.mu.Unlock()

	d.spawn(d.watch)
	d.spawn(d.images.run)
	d.spawn(d.reapDangling)
	close(d.began)

	<-ctx.Done()
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.running.Wait()
	close(d.ended)
	return d.cli().Close()
}

// spawn runs f until Run ends. It reports false when Run has ended.
func (d *Driver) spawn(f func(context.Context)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return false
	}
	ctx := d.scope
	d.running.Go(func() { f(ctx) })
	return true
}

// ready waits until Run runs.
func (d *Driver) ready(ctx context.Context) error {
	select {
	case <-d.began:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-d.ended:
		return errNotRunning
	default:
		return nil
	}
}

// Start pulls the image where needed and runs the container.
func (d *Driver) Start(ctx context.Context, cfg *driver.TaskConfig) (driver.Task, error) {
	if err := d.ready(ctx); err != nil {
		return nil, err
	}
	tc, err := d.cfg.parse(cfg.Config, false)
	if err != nil {
		return nil, driver.Permanent(err)
	}
	version := ""
	if tc.MACAddress != "" { // its place depends on the version of the API
		cli := d.cli()
		if _, err := cli.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
			return nil, err
		}
		version = cli.ClientVersion()
	}
	spec, err := d.containerSpec(cfg, tc, version)
	if err != nil {
		return nil, driver.Permanent(err)
	}
	d.images.acquire(tc.Image)
	id, err := d.create(ctx, cfg, tc, spec)
	if err != nil {
		d.images.release(tc.Image)
		return nil, err
	}
	t := d.track(cfg, handle{
		Container:     id,
		Image:         tc.Image,
		TTY:           tc.TTY,
		Logs:          d.collects(cfg, spec.HostConfig.LogConfig.Type),
		AdvertiseIPv6: tc.AdvertiseIPv6,
	})
	if err := t.begin(ctx); err != nil {
		d.untrack(t)
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if rmErr := errors.Join(d.remove(undo, id), t.removeCursor()); rmErr != nil {
			d.log.Warn("a container that did not start could not be removed", "container", id, "error", rmErr)
		}
		return nil, err
	}
	return t, nil
}

// patience bounds the calls that clean up after a caller has gone.
const patience = 30 * time.Second

// collects reports whether output can be, and shall be, copied.
func (d *Driver) collects(cfg *driver.TaskConfig, logDriver string) bool {
	return !d.cfg.DisableLogCollection && !cfg.Logs.Disabled && logDriver != "none"
}

// create makes the container, with its image and in the place of one that an
// earlier attempt left.
func (d *Driver) create(ctx context.Context, cfg *driver.TaskConfig, tc *taskConfig, spec client.ContainerCreateOptions) (string, error) {
	present, err := d.images.prepare(ctx, cfg, tc)
	if err != nil {
		return "", err
	}
	attempts := cmp.Or(tc.ExistsAttempts, d.cfg.ContainerExistsAttempts)
	for {
		created, err := d.cli().ContainerCreate(ctx, spec)
		switch {
		case err == nil:
			for _, warning := range created.Warnings {
				d.log.Warn("the Engine warns of a container", "container", created.ID, "task", cfg.ID, "warning", warning)
			}
			return created.ID, nil
		case cerrdefs.IsNotFound(err) && !present:
			if err := d.images.pull(ctx, cfg, tc); err != nil {
				return "", err
			}
			present = true
		case cerrdefs.IsConflict(err) && attempts > 0:
			attempts--
			if err := d.replace(ctx, cfg, spec.Name); err != nil {
				return "", err
			}
		case cerrdefs.IsInvalidArgument(err) || cerrdefs.IsNotFound(err):
			return "", driver.Permanent(fmt.Errorf("create the container: %w", err))
		default:
			return "", fmt.Errorf("create the container: %w", err)
		}
	}
}

// replace makes room for a container of this name. One that belongs to the
// same task was left by an attempt that is over.
func (d *Driver) replace(ctx context.Context, cfg *driver.TaskConfig, name string) error {
	found, err := d.cli().ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	old := found.Container
	if old.Config == nil || old.Config.Labels[LabelAlloc] != cfg.AllocID || old.Config.Labels[LabelTask] != cfg.Task {
		return driver.Permanent(fmt.Errorf("the name %s belongs to a container of somebody else, %.12s; remove or rename it", name, old.ID))
	}
	if !d.cfg.GC.Container && old.State != nil && !old.State.Running {
		_, err := d.cli().ContainerRename(ctx, old.ID, client.ContainerRenameOptions{NewName: name + "-" + old.ID[:12]})
		return err
	}
	return d.remove(ctx, old.ID)
}

// remove removes a container with its processes. That it is gone already, or
// being removed by somebody else, is no error.
func (d *Driver) remove(ctx context.Context, id string) error {
	err := d.retry(ctx, "remove", func() error {
		_, err := d.cli().ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	}, func(err error) bool { return !cerrdefs.IsConflict(err) })
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// Recover finds the container of h again. While the Engine does not answer it
// returns a Task all the same, whose Wait ends when the Engine tells.
func (d *Driver) Recover(ctx context.Context, cfg *driver.TaskConfig, h driver.Handle) (driver.Task, error) {
	if len(h) == 0 {
		return nil, driver.ErrGone // Start replaces a container that was left
	}
	if err := d.ready(ctx); err != nil {
		return nil, err
	}
	parsed, err := parseHandle(h)
	if err != nil {
		return nil, err
	}
	if t := d.tracked(parsed.Container); t != nil {
		return t, nil
	}
	found, err := d.cli().ContainerInspect(ctx, parsed.Container, client.ContainerInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return nil, driver.ErrGone
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		d.log.Warn("the Engine does not answer; the task is recovered when it does", "task", cfg.ID, "container", parsed.Container, "error", err)
	}
	d.images.acquire(parsed.Image)
	t := d.track(cfg, parsed)
	if err == nil {
		t.know(found.Container)
		if state := found.Container.State; state != nil && !state.Running {
			t.notify(exit{code: state.ExitCode})
		}
	}
	if !d.spawn(t.run) {
		d.untrack(t)
		return nil, errNotRunning
	}
	return t, nil
}

func (d *Driver) track(cfg *driver.TaskConfig, h handle) *task {
	t := &task{d: d, cfg: cfg, handle: h, exited: make(chan exit, 1), done: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tasks[h.Container] = t
	return t
}

// untrack forgets a task and its use of the image. Idempotent.
func (d *Driver) untrack(t *task) {
	d.mu.Lock()
	present := d.tasks[t.handle.Container] == t
	delete(d.tasks, t.handle.Container)
	d.mu.Unlock()
	if present {
		d.images.release(t.handle.Image)
	}
}

func (d *Driver) tracked(container string) *task {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tasks[container]
}

var _ driver.Driver = (*Driver)(nil)

package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// handle is what is stored of a task.
type handle struct {
	Container     string `json:"container"`
	Image         string `json:"image"`
	TTY           bool   `json:"tty,omitempty"`
	Logs          bool   `json:"logs,omitempty"` // output is copied
	AdvertiseIPv6 bool   `json:"advertise_ipv6,omitempty"`
}

func parseHandle(h driver.Handle) (handle, error) {
	var parsed handle
	if err := json.Unmarshal(h, &parsed); err != nil {
		return handle{}, fmt.Errorf("the handle of a docker task: %w", err)
	}
	if parsed.Container == "" {
		return handle{}, errors.New("the handle of a docker task names no container")
	}
	return parsed, nil
}

// task is one container.
type task struct {
	d      *Driver
	cfg    *driver.TaskConfig
	handle handle

	exited chan exit     // the first notice of the end
	done   chan struct{} // closed when result or err is set
	result *driver.ExitResult
	err    error

	mu         sync.Mutex // guards what follows
	network    *api.AllocNetworkStatus
	path       string // the container's PATH
	stopSignal string
	startedAt  time.Time
	sample     cpuSample // of the last Stats
}

// exit is a notice that a container ended.
type exit struct {
	code    int
	at      time.Time
	removed bool // the container itself is gone
	inspect bool // the code is not known yet
}

// notify tells that the container ended. Only the first notice counts.
func (t *task) notify(e exit) {
	select {
	case t.exited <- e:
	default:
	}
}

// begin starts the created container. On an error nothing runs.
func (t *task) begin(ctx context.Context) error {
	if t.handle.Logs {
		if err := t.newCursor(); err != nil {
			return fmt.Errorf("prepare the log files: %w", err)
		}
	}
	if _, err := t.d.cli().ContainerStart(ctx, t.handle.Container, client.ContainerStartOptions{}); err != nil {
		err := fmt.Errorf("start the container: %w", err)
		if cerrdefs.IsInvalidArgument(err) { // a program that is not in the image, for example
			return driver.Permanent(err)
		}
		return err
	}
	// A failure costs the address and the image's stop signal, not the task.
	if found, err := t.d.cli().ContainerInspect(ctx, t.handle.Container, client.ContainerInspectOptions{}); err == nil {
		t.know(found.Container)
	} else {
		t.d.log.Warn("a started container can't be inspected", "container", t.handle.Container, "error", err)
	}
	if !t.d.spawn(t.run) {
		return errNotRunning
	}
	return nil
}

// know remembers what an inspection of the container told.
func (t *task) know(c container.InspectResponse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.Config != nil {
		t.stopSignal = c.Config.StopSignal
		t.path = pathOf(c.Config.Env)
	}
	if c.State != nil {
		t.startedAt, _ = time.Parse(time.RFC3339Nano, c.State.StartedAt)
	}
	if c.NetworkSettings == nil {
		return
	}
	for name, endpoint := range c.NetworkSettings.Networks {
		if endpoint == nil || !endpoint.IPAddress.IsValid() && !endpoint.GlobalIPv6Address.IsValid() {
			continue
		}
		n := &api.AllocNetworkStatus{InterfaceName: name}
		if endpoint.IPAddress.IsValid() {
			n.Address = endpoint.IPAddress.String()
		}
		if endpoint.GlobalIPv6Address.IsValid() {
			n.AddressIPv6 = endpoint.GlobalIPv6Address.String()
			if t.handle.AdvertiseIPv6 {
				n.Address = n.AddressIPv6
			}
		}
		t.network = n
	}
}

// Network returns the container's address, nil in the host's network.
func (t *task) Network() *api.AllocNetworkStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.network
}

// Handle names the container.
func (t *task) Handle() driver.Handle {
	b, err := json.Marshal(t.handle)
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	return b
}

// run copies the output until the container has ended, and then learns how.
func (t *task) run(ctx context.Context) {
	copying, stop := context.WithCancel(ctx)
	defer stop()
	out, copied := t.copier(), make(chan struct{})
	go func() {
		defer close(copied)
		out.follow(copying)
	}()

	var e exit
	select {
	case e = <-t.exited:
	case <-ctx.Done():
		<-copied
		return
	}
	result, err := t.examine(ctx, e)
	out.finish(ctx, stop, copied, e.removed)
	if ctx.Err() != nil { // the output may not be whole: the next Driver will see to it
		return
	}
	t.result, t.err = result, err
	close(t.done)
}

// examine asks the Engine how the container ended.
func (t *task) examine(ctx context.Context, e exit) (*driver.ExitResult, error) {
	result := &driver.ExitResult{ExitCode: e.code, EndedAt: e.at}
	var found client.ContainerInspectResult
	err := t.d.retry(ctx, "inspect", func() (err error) {
		found, err = t.d.cli().ContainerInspect(ctx, t.handle.Container, client.ContainerInspectOptions{})
		return err
	}, cerrdefs.IsNotFound)
	state := found.Container.State
	switch {
	case cerrdefs.IsNotFound(err) && (e.removed || e.inspect):
		return nil, errors.New("the container was removed by somebody else before it could be asked how it ended")
	case cerrdefs.IsNotFound(err):
		return result, nil // removed at once, but the event told the code
	case err != nil:
		return nil, err
	case state == nil || state.Running: // somebody has started it again
		return result, nil
	}
	result.ExitCode = state.ExitCode
	result.OOMKilled = state.OOMKilled
	result.Message = state.Error
	if at, err := time.Parse(time.RFC3339Nano, state.FinishedAt); err == nil && at.Year() > 1 {
		result.EndedAt = at
	}
	if result.OOMKilled && result.Message == "" {
		result.Message = "the container ran out of memory"
	}
	return result, nil
}

// Wait returns how the container ended, when all its output is in the files.
func (t *task) Wait(ctx context.Context) (*driver.ExitResult, error) {
	select {
	case <-t.done:
		return t.result, t.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.d.ended:
		select {
		case <-t.done:
			return t.result, t.err
		default:
			return nil, errNotRunning
		}
	}
}

// Signal sends a signal to the container's first process.
func (t *task) Signal(ctx context.Context, name string) error {
	sig, err := signalName(name)
	if err != nil {
		return err
	}
	select {
	case <-t.done:
		return driver.ErrNotRunning
	default:
	}
	return t.kill(ctx, sig)
}

// kill sends a signal; ErrNotRunning when the container has ended.
func (t *task) kill(ctx context.Context, sig string) error {
	_, err := t.d.cli().ContainerKill(ctx, t.handle.Container, client.ContainerKillOptions{Signal: sig})
	if cerrdefs.IsConflict(err) || cerrdefs.IsNotFound(err) {
		return driver.ErrNotRunning
	}
	return err
}

// Stop sends signal, or the image's stop signal, and kills after timeout.
func (t *task) Stop(ctx context.Context, signal string, timeout time.Duration) error {
	if signal == "" {
		t.mu.Lock()
		signal = t.stopSignal
		t.mu.Unlock()
	}
	if signal == "" {
		signal = "SIGTERM"
	}
	sig, err := signalName(signal)
	if err != nil {
		return err
	}
	if timeout > 0 && ctx.Err() == nil {
		err := t.kill(ctx, sig)
		if err != nil && !errors.Is(err, driver.ErrNotRunning) && ctx.Err() == nil {
			return fmt.Errorf("signal the container: %w", err)
		}
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case <-t.done:
			return nil
		case <-t.d.ended:
			return errNotRunning
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := t.kill(ctx, "SIGKILL"); err != nil && !errors.Is(err, driver.ErrNotRunning) {
		return fmt.Errorf("kill the container: %w", err)
	}
	select {
	case <-t.done:
		return nil
	case <-t.d.ended:
		return errNotRunning
	case <-ctx.Done():
		return fmt.Errorf("the container goes on %s after it was killed", patience)
	}
}

// Destroy ends the container and removes it, unless gc.container is off.
func (t *task) Destroy(ctx context.Context) error {
	select {
	case <-t.done:
	default:
		if err := t.Stop(ctx, "SIGKILL", 0); err != nil {
			return err
		}
	}
	if t.d.cfg.GC.Container {
		if err := t.d.remove(ctx, t.handle.Container); err != nil {
			return fmt.Errorf("remove the container: %w", err)
		}
	}
	t.d.untrack(t)
	return t.removeCursor()
}

var (
	_ driver.Task      = (*task)(nil)
	_ driver.Networked = (*task)(nil)
)

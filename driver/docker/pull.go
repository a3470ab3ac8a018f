package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errhttp"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/drover-org/drover/driver"
)

// reportEvery is the least time between two reports of a pull's progress.
const reportEvery = 5 * time.Second

// pull is one download that any number of tasks wait for.
type pull struct {
	image  string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // after done

	waiters int // guarded by images.mu; the last one to leave cancels

	mu       sync.Mutex
	layers   map[string]jsonstream.Progress
	changed  chan struct{} // closed at each progress
	progress string
}

// pull brings the image, or waits for another task's pull of it.
func (im *images) pull(ctx context.Context, cfg *driver.TaskConfig, tc *taskConfig) error {
	if registryOf(tc.Image) == "" {
		return driver.Permanent(invalid("image", "%q is not here, and an ID can't be pulled", tc.Image))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(tc.ImagePullTimeout, im.d.cfg.ImagePullTimeout), errPullTimeout)
	defer cancel()
	credentials, err := im.d.credentials(ctx, tc)
	if err != nil {
		if !tc.AuthSoftFail {
			return fmt.Errorf("credentials for %s: %w", tc.Image, err)
		}
		cfg.Report("No credentials; the image is pulled without", map[string]string{"image": tc.Image, "error": err.Error()})
	}
	err = im.await(ctx, cfg, tc.Image, credentials)
	if err != nil && credentials != "" && tc.AuthSoftFail && ctx.Err() == nil {
		cfg.Report("The pull failed; the image is pulled without credentials", map[string]string{"image": tc.Image, "error": err.Error()})
		err = im.await(ctx, cfg, tc.Image, "")
	}
	switch {
	case err == nil:
		return nil
	case context.Cause(ctx) == errPullTimeout:
		err = errPullTimeout
	case cerrdefs.IsNotFound(err) || cerrdefs.IsUnauthorized(err) || cerrdefs.IsPermissionDenied(err):
		return driver.Permanent(fmt.Errorf("pull %s: %w", tc.Image, err))
	}
	return fmt.Errorf("pull %s: %w", tc.Image, err)
}

var (
	errPullTimeout = errors.New("image_pull_timeout is over")
	errPullIdle    = errors.New("no progress within pull_activity_timeout")
)

// await joins or begins the pull and reports its progress until it ends.
func (im *images) await(ctx context.Context, cfg *driver.TaskConfig, image, credentials string) error {
	key := image + "\x00" + credentials
	im.mu.Lock()
	p := im.pulls[key]
	if p == nil {
		pulling, cancel := context.WithCancel(context.WithoutCancel(ctx))
		p = &pull{image: image, cancel: cancel, done: make(chan struct{}), layers: map[string]jsonstream.Progress{}, changed: make(chan struct{})}
		im.pulls[key] = p
		if !im.d.spawn(func(run context.Context) {
			stop := context.AfterFunc(run, cancel)
			defer stop()
			p.err = im.download(pulling, p, credentials)
			im.mu.Lock()
			delete(im.pulls, key)
			im.mu.Unlock()
			cancel()
			close(p.done)
		}) {
			delete(im.pulls, key)
			im.mu.Unlock()
			cancel()
			return errNotRunning
		}
	}
	p.waiters++
	im.mu.Unlock()
	defer func() {
		im.mu.Lock()
		defer im.mu.Unlock()
		if p.waiters--; p.waiters == 0 {
			p.cancel()
			if im.pulls[key] == p { // nobody may join a pull that was given up
				delete(im.pulls, key)
			}
		}
	}()
	return p.follow(ctx, cfg)
}

// follow reports to one waiting task.
func (p *pull) follow(ctx context.Context, cfg *driver.TaskConfig) error {
	began := time.Now()
	cfg.Report("Downloading image", map[string]string{"image": p.image})
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	p.mu.Lock()
	changed := p.changed
	p.mu.Unlock()
	var last string
	for {
		select {
		case <-p.done:
			if p.err == nil {
				cfg.Report("Downloaded image", map[string]string{"image": p.image, "duration": time.Since(began).Round(time.Millisecond).String(), "progress": p.state()})
			}
			return p.err
		case <-ctx.Done():
			return ctx.Err()
		case <-changed: // the first progress at once, later ones by the ticker
			changed = nil
		case <-ticker.C:
		}
		if now := p.state(); now != last {
			last = now
			cfg.Report("Downloading image: "+now, map[string]string{"image": p.image, "progress": now})
		}
	}
}

func (p *pull) state() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progress
}

// note takes a message of the Engine into account.
func (p *pull) note(m jsonstream.Message) {
	if m.Progress == nil || m.ID == "" || m.Progress.Total <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Progress.Total < p.layers[m.ID].Total {
		return
	}
	p.layers[m.ID] = *m.Progress
	var current, total int64
	for _, layer := range p.layers {
		current += layer.Current
		total += layer.Total
	}
	p.progress = fmt.Sprintf("%s of %s in %s layers", units.BytesSize(float64(current)), units.BytesSize(float64(total)), strconv.Itoa(len(p.layers)))
	close(p.changed)
	p.changed = make(chan struct{})
}

// download pulls, and owns the image when it was not here before.
func (im *images) download(ctx context.Context, p *pull, credentials string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(im.d.cfg.PullActivityTimeout, func() { cancel(errPullIdle) })
	defer idle.Stop()
	had, err := im.here(ctx, p.image)
	if err != nil {
		return err
	}
	if err := im.transfer(ctx, p, credentials, idle); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if !had {
		im.own(p.image)
	}
	return nil
}

// pullError is a failure told inside the stream of a pull, with its class.
type pullError struct {
	error
	class error
}

func (e *pullError) Unwrap() []error { return []error{e.error, e.class} }

func (im *images) transfer(ctx context.Context, p *pull, credentials string, idle *time.Timer) error {
	res, err := im.d.cli().ImagePull(ctx, p.image, client.ImagePullOptions{RegistryAuth: credentials})
	if err != nil {
		return err
	}
	defer res.Close()
	dec := json.NewDecoder(res)
	for {
		var m jsonstream.Message
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error != nil {
			return &pullError{error: m.Error, class: errhttp.ToNative(m.Error.Code)}
		}
		idle.Reset(im.d.cfg.PullActivityTimeout)
		p.note(m)
	}
}

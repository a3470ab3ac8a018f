package docker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

const (
	// compareEvery bounds how long a missed event stays unnoticed.
	compareEvery = 30 * time.Second
	// overlap is how far back a new stream of events begins, for those that
	// came before the Engine had heard that we listen.
	overlap = 2 * time.Second
	// retryLeast and retryMost bound the pause between attempts to reach the
	// Engine.
	retryLeast = 100 * time.Millisecond
	retryMost  = 2 * time.Second
)

// watch hands the Engine's events to their tasks, for ever anew.
func (d *Driver) watch(ctx context.Context) {
	retry := retryLeast
	for ctx.Err() == nil {
		began := time.Now()
		err := d.watchOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > retryMost {
			retry = retryLeast
		}
		d.log.Debug("the Engine's events ended", "error", err)
		pause(ctx, retry)
		retry = min(2*retry, retryMost)
		d.renew(ctx)
	}
}

// watchOnce is one stream of events, until it breaks.
func (d *Driver) watchOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := d.cli().Events(ctx, client.EventsListOptions{
		Since: stamp(time.Now().Add(-overlap)),
		Filters: client.Filters{}.
			Add("type", string(events.ContainerEventType)).
			Add("event", string(events.ActionDie), string(events.ActionExecDie)).
			Add("label", LabelAlloc),
	})
	if err := d.compare(ctx); err != nil {
		return err
	}
	d.answered()
	ticker := time.NewTicker(compareEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-stream.Err:
			return err
		case event := <-stream.Messages:
			d.dispatch(event)
		case <-ticker.C:
			if err := d.compare(ctx); err != nil {
				return err
			}
		}
	}
}

func (d *Driver) dispatch(event events.Message) {
	switch event.Action {
	case events.ActionDie:
		code, err := strconv.Atoi(event.Actor.Attributes["exitCode"])
		if t := d.tracked(event.Actor.ID); t != nil && err == nil {
			t.notify(exit{code: code, at: time.Unix(0, event.TimeNano)})
		}
	case events.ActionExecDie:
		d.execEnded(event.Actor.Attributes["execID"])
	}
}

// compare finds the tasks whose containers ended unnoticed.
func (d *Driver) compare(ctx context.Context) error {
	d.mu.Lock()
	believed := make([]*task, 0, len(d.tasks)) // before the list: newer ones are not in it
	for _, t := range d.tasks {
		believed = append(believed, t)
	}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := d.cli().ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", LabelAlloc)})
	if err != nil {
		return err
	}
	states := make(map[string]container.ContainerState, len(list.Items))
	for _, c := range list.Items {
		states[c.ID] = c.State
	}
	for _, t := range believed {
		switch state, ok := states[t.handle.Container]; {
		case !ok:
			t.notify(exit{removed: true})
		case state == container.StateExited || state == container.StateDead:
			t.notify(exit{inspect: true})
		}
	}
	return nil
}

// answered wakes those who wait for the Engine.
func (d *Driver) answered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.up)
	d.up = make(chan struct{})
	d.detected = true
}

// retry calls f until it does not fail, fails for good, or ctx ends.
func (d *Driver) retry(ctx context.Context, what string, f func() error, final func(error) bool) error {
	wait := retryLeast
	for {
		d.mu.Lock()
		up := d.up
		d.mu.Unlock()
		err := f()
		if err == nil || final(err) || ctx.Err() != nil {
			return err
		}
		d.log.Debug("the Engine failed; trying again", "call", what, "error", err)
		timer := time.NewTimer(wait)
		select {
		case <-up:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		wait = min(2*wait, retryMost)
	}
}

func pause(ctx context.Context, t time.Duration) {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// stamp writes a time as the Engine's since filters want it.
func stamp(t time.Time) string {
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

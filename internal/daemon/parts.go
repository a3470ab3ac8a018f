package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// part is something that runs as long as the agent does.
type part struct {
	name string
	run  func(context.Context) error // until its context ends
}

// running is a part at work.
type running struct {
	part
	stop context.CancelFunc
	done chan struct{} // closed when it has ended
	err  error         // then
}

// runParts starts parts in order and runs them until ctx ends or one of them
// does. Then it ends them one after the other, the last one first, and waits
// for each. It returns their errors.
func runParts(ctx context.Context, log *slog.Logger, parts []part) error {
	all := make([]*running, len(parts))
	first := make(chan *running, len(parts))
	for i, p := range parts {
		// Not a child of ctx: parts end in order, not together.
		partCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{part: p, stop: stop, done: make(chan struct{})}
		all[i] = r
		go func() {
			r.err = r.run(partCtx)
			close(r.done)
			first <- r
		}()
	}
	var errs []error
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case r := <-first:
		if r.err == nil {
			r.err = errors.New("ended before it was asked to")
		}
		log.Error("stopping, because a part of the agent ended", "part", r.name, "error", r.err)
	}
	for _, r := range slices.Backward(all) {
		r.stop()
		<-r.done
		if r.err != nil && !errors.Is(r.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, r.err))
		}
		log.Debug("stopped", "part", r.name)
	}
	return errors.Join(errs...)
}

package client

import (
	"context"
	"time"

	"github.com/drover-org/drover/api"
)

// Patience with an agent or server that is away for a moment, for example
// because it restarts.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
	maxAway    = 2 * time.Minute // then the error is returned
)

// Follow reads again and again: read gets the options with the index of the
// answer before, and use sees every answer that is newer. It ends when use
// returns false, when ctx ends, or with the first error of read; but once
// there was an answer, an agent that is unavailable is asked again for a
// while, so that its restart is not noticed.
func Follow[T any](ctx context.Context, opts api.ListOptions, read func(context.Context, api.ListOptions) (T, api.Meta, error), use func(T, api.Meta) bool) error {
	return follow(ctx, opts, read, use, sleep)
}

func follow[T any](ctx context.Context, opts api.ListOptions, read func(context.Context, api.ListOptions) (T, api.Meta, error), use func(T, api.Meta) bool, sleep func(context.Context, time.Duration) error) error {
	first := true
	var away, pause time.Duration
	for {
		v, meta, err := read(ctx, opts)
		if api.ErrorCode(err) == api.CodeUnavailable && !first && away < maxAway && ctx.Err() == nil {
			pause = min(max(2*pause, firstPause), maxPause)
			away += pause
			if err := sleep(ctx, pause); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if (first || meta.Index != opts.Index) && !use(v, meta) {
			return nil
		}
		first, away, pause = false, 0, 0
		if meta.Index < opts.Index {
			meta.Index = 0 // the servers started anew: so do we
		}
		opts.Index = max(meta.Index, 1) // 0 would not block
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

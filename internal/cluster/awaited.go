package cluster

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/drover-org/drover/internal/store"
)

// awaited wakes those who wait for the store to reach an index.
type awaited struct {
	store   *store.Store
	waiting atomic.Int32 // how many wait, so that nobody costs nothing

	mu    sync.Mutex
	moved chan struct{} // guarded by mu: closed and replaced when the index has grown
}

func newAwaited(s *store.Store) *awaited { return &awaited{store: s, moved: make(chan struct{})} }

// wait returns when the store is at index or later, or when ctx ends.
func (a *awaited) wait(ctx context.Context, index uint64) error {
	if a.store.Snapshot().Index() >= index {
		return nil
	}
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	for {
		a.mu.Lock()
		moved := a.moved
		a.mu.Unlock()
		if a.store.Snapshot().Index() >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// grown tells that the store's index has grown.
func (a *awaited) grown() {
	if a.waiting.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.moved)
	a.moved = make(chan struct{})
}

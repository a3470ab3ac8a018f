package auth

import (
	"context"
	"time"

	"github.com/drover-org/drover/internal/store"
)

// Changed implements server.Authorizer: all who wait share one channel, which
// is closed when policies, tokens or roles change and when the first of the
// secrets waited for expires. Those whose rights stay ask again, which costs
// less than keeping a channel for each.
func (r *Resolver) Changed(ctx context.Context, token string) <-chan struct{} {
	r.mu.Lock()
	var change <-chan struct{} = r.change // before looking, so that no change is missed
	r.mu.Unlock()
	rights, err := r.Rights(ctx, token)
	if err != nil {
		return change
	}
	if rights.alloc != "" {
		change = r.orChange(ctx, change, rights.alloc)
	}
	if rights.Expires.IsZero() {
		return change
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next.IsZero() || rights.Expires.Before(r.next) {
		r.next = rights.Expires
		select {
		case r.sooner <- struct{}{}:
		default: // Run has yet to look
		}
	}
	return change
}

// orChange returns a channel that is closed with change, or when an allocation
// changes, whose end is that of its tasks' identities. It holds a goroutine
// until then or until ctx ends.
func (r *Resolver) orChange(ctx context.Context, change <-chan struct{}, alloc string) <-chan struct{} {
	either := make(chan struct{})
	watch := r.cfg.Store.Watch(store.KeyAlloc(alloc))
	go func() {
		defer watch.Close()
		select {
		case <-ctx.Done():
			return
		case <-change:
		case <-watch.C():
		}
		close(either)
	}()
	return either
}

// Run tells those who wait in Changed, until ctx ends.
func (r *Resolver) Run(ctx context.Context) error {
	watch := r.cfg.Store.Watch(store.KeyACL())
	r.fire() // for what changed before
	for {
		err := r.wait(ctx, watch)
		watch.Close()
		if err != nil {
			return nil
		}
		watch = r.cfg.Store.Watch(store.KeyACL()) // before they ask again, so that no change is missed
		r.fire()
	}
}

// wait returns nil when something changed or expired, and ctx's error.
func (r *Resolver) wait(ctx context.Context, watch *store.Watch) error {
	for {
		expired, stop := r.expiry()
		select {
		case <-ctx.Done():
			stop()
			return ctx.Err()
		case <-watch.C():
			stop()
			return nil
		case <-expired:
			return nil
		case <-r.sooner:
			stop()
		}
	}
}

// expiry returns a channel that fires at the next expiry; nil without one.
func (r *Resolver) expiry() (<-chan time.Time, func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next.IsZero() {
		return nil, func() {}
	}
	t := time.NewTimer(r.next.Sub(r.cfg.Now()))
	return t.C, func() { t.Stop() }
}

// fire wakes everybody; those with something that expires say so again.
func (r *Resolver) fire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.change)
	r.change, r.next = make(chan struct{}), time.Time{}
}

package cluster

import (
	"context"
	"sync"
)

// rounds lets callers that come together share one question. Who comes while
// one is asked takes part in the next, so that an answer is never older than
// its caller's call.
type rounds[T any] struct {
	life context.Context // ends every question

	mu    sync.Mutex
	next  *round[T] // guarded by mu: the one that waits for the one under way
	asked bool      // guarded by mu: one is under way
}

type round[T any] struct {
	done  chan struct{}
	value T // when done is closed, like err
	err   error
}

// join takes part in the next round. ask is bounded and ends with the context
// it is given, which is of no caller.
func (r *rounds[T]) join(ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	r.mu.Lock()
	mine := r.next
	if mine == nil {
		mine = &round[T]{done: make(chan struct{})}
		if r.asked {
			r.next = mine
		} else {
			r.asked = true
			go r.run(mine, ask)
		}
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.value, mine.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// run asks until nobody waits for the next round.
func (r *rounds[T]) run(cur *round[T], ask func(context.Context) (T, error)) {
	for cur != nil {
		ctx, cancel := context.WithTimeout(r.life, leaderWait)
		cur.value, cur.err = ask(ctx)
		cancel()
		close(cur.done)
		r.mu.Lock()
		cur, r.next = r.next, nil
		r.asked = cur != nil
		r.mu.Unlock()
	}
}

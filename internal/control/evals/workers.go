package evals

import (
	"container/list"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// Workers are who processes evaluations on this server while it leads: how
// many at a time, and of which types. They can be changed while they work, and
// outlive a term.
type Workers struct {
	now   func() time.Time
	newID func() string

	mu      sync.Mutex
	types   []string
	all     []*worker
	waiting list.List     // of chan *worker, the oldest first
	changed chan struct{} // closed when another setting counts
}

// worker is one of them.
type worker struct {
	id      string
	started time.Time
	busy    bool
	going   bool // busy, and ends after this
}

// NewWorkers returns as many workers as Go uses processors, for all types.
func NewWorkers(now func() time.Time, newID func() string) *Workers {
	w := &Workers{now: now, newID: newID, changed: make(chan struct{})}
	w.Set(runtime.GOMAXPROCS(0), api.SchedulerTypes())
	return w
}

// Setting returns how many there are and for which types.
func (w *Workers) Setting() (count int, types []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.staying(), w.types
}

// Set changes how many there are, and for which types. What is being worked on
// is ended.
func (w *Workers) Set(count int, types []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.types = slices.Clone(types)
	kept := w.all[:0]
	for _, one := range w.all {
		if one.going = len(kept) >= count; !one.going || one.busy {
			kept = append(kept, one)
		}
	}
	clear(w.all[len(kept):])
	for w.all = kept; len(w.all) < count; {
		w.all = append(w.all, &worker{id: w.newID(), started: w.now()})
	}
	close(w.changed)
	w.changed = make(chan struct{})
	w.grant()
}

// Changed returns a channel that is closed when Set is called.
func (w *Workers) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// List tells what each does.
func (w *Workers) List() []*api.SchedulerWorker {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*api.SchedulerWorker, len(w.all))
	for i, one := range w.all {
		out[i] = &api.SchedulerWorker{
			ID: one.id, EnabledSchedulers: w.types, Started: one.started.UTC(),
			Status: api.WorkerStarted, WorkloadStatus: api.WorkerWaiting,
		}
		if one.busy {
			out[i].WorkloadStatus = api.WorkerScheduling
		}
		if one.going {
			out[i].Status = api.WorkerStopping
		}
	}
	return out
}

// staying is how many there are without those that go; mu is held.
func (w *Workers) staying() (n int) {
	for _, one := range w.all {
		if !one.going {
			n++
		}
	}
	return n
}

// takes returns which types are worked on; none without workers.
func (w *Workers) takes() []string {
	count, types := w.Setting()
	if count == 0 {
		return nil
	}
	return types
}

// acquire waits for a worker. Who came first is served first.
func (w *Workers) acquire(ctx context.Context) (*worker, error) {
	given := make(chan *worker, 1)
	w.mu.Lock()
	at := w.waiting.PushBack(given)
	w.grant()
	w.mu.Unlock()
	select {
	case one := <-given:
		return one, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case one := <-given: // at the same time
		w.free(one)
	default:
		w.waiting.Remove(at)
	}
	return nil, ctx.Err()
}

// release takes a worker back.
func (w *Workers) release(one *worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free(one)
}

// free is release; mu is held.
func (w *Workers) free(one *worker) {
	one.busy = false
	if one.going {
		w.all = slices.DeleteFunc(w.all, func(o *worker) bool { return o == one })
	}
	w.grant()
}

// grant gives workers that have nothing to do to those who wait; mu is held.
func (w *Workers) grant() {
	for _, one := range w.all {
		if w.waiting.Len() == 0 {
			return
		}
		if !one.busy && !one.going {
			one.busy = true
			w.waiting.Remove(w.waiting.Front()).(chan *worker) <- one
		}
	}
}

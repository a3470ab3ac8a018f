package evals

import (
	"context"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

// Workers that are taken away end what they do, and nobody waits for ever who
// could be served.
func TestPool(t *testing.T) {
	w := NewWorkers(time.Now, api.NewID)
	w.Set(2, api.SchedulerTypes())
	ctx, cancel := context.WithCancel(t.Context())
	a, _ := w.acquire(ctx)
	b, _ := w.acquire(ctx)
	if a == nil || b == nil || a == b {
		t.Fatal("two workers do two things")
	}
	w.Set(1, api.SchedulerTypes())
	if n, _ := w.Setting(); n != 1 || len(w.List()) != 2 || w.List()[1].Status != api.WorkerStopping || w.List()[1].WorkloadStatus != api.WorkerScheduling {
		t.Errorf("one is stopping: %+v", w.List())
	}
	w.release(b)
	if len(w.List()) != 1 {
		t.Errorf("it has ended: %+v", w.List())
	}
	cancel()
	if _, err := w.acquire(ctx); err == nil {
		t.Error("nobody is free")
	}
	if w.waiting.Len() != 0 {
		t.Error("who gave up still waits")
	}
	got := make(chan *worker)
	go func() {
		one, _ := w.acquire(context.Background())
		got <- one
	}()
	w.release(a)
	one := <-got
	if one == nil {
		t.Fatal("the free one is given")
	}
	w.Set(0, api.SchedulerTypes())
	w.Set(1, api.SchedulerTypes())
	if l := w.List(); len(l) != 1 || l[0].ID != one.id || l[0].Status != api.WorkerStarted {
		t.Errorf("who is stopping stays when he is wanted again: %+v", l)
	}
	w.release(one)
}

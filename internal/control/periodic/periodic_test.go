package periodic_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/control/periodic"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 25, 12, 0, 30, 0, time.UTC)

// world is a store, a clock and what the launcher waits for.
type world struct {
	t   *testing.T
	log *storetest.Proposer

	mu    sync.Mutex
	now   time.Time
	alarm chan time.Time
	waits chan time.Duration // each time that the launcher waits
}

func newWorld(t *testing.T) *world {
	return &world{t: t, log: storetest.New(), now: start, alarm: make(chan time.Time), waits: make(chan time.Duration)}
}

func (w *world) time() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

// run runs a launcher until the test is over.
func (w *world) run(proposer store.Proposer) {
	ctx, cancel := context.WithCancel(w.t.Context())
	l := periodic.New(periodic.Config{
		Store: w.log.Store, Proposer: proposer, Log: slog.New(slog.DiscardHandler), Now: w.time, NewID: api.NewID,
		After: func(d time.Duration) <-chan time.Time {
			select {
			case w.waits <- d:
			case <-ctx.Done():
			}
			return w.alarm
		},
	})
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// quiet returns how long the launcher waits when it has nothing to do. Each
// launch wakes it once more.
func (w *world) quiet(want time.Duration) {
	w.t.Helper()
	for {
		select {
		case d := <-w.waits:
			if d == want {
				return
			}
		case <-time.After(10 * time.Second):
			w.t.Fatalf("it does not wait for %s", want)
		}
	}
}

// pass moves the clock and wakes the launcher.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	w.alarm <- w.now
}

func (w *world) register(id, spec string, overlap bool) {
	w.t.Helper()
	_, err := w.log.Propose(w.t.Context(), &store.RegisterJob{Now: w.time().UnixNano(), Job: &api.Job{
		ID: id, Name: id, Namespace: "default", Type: api.JobTypeBatch, SubmitTime: w.time().UnixNano(),
		Periodic:   &api.PeriodicConfig{Enabled: new(true), Spec: spec, TimeZone: "UTC", ProhibitOverlap: !overlap},
		TaskGroups: []*api.TaskGroup{{Name: "g", Count: new(1)}},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) instances(id string) []string {
	var out []string
	for j := range w.log.Store.Snapshot().Instances("default", id) {
		out = append(out, j.ID)
	}
	return out
}

func (w *world) expect(id string, at ...time.Time) {
	w.t.Helper()
	var want []string
	for _, t := range at {
		want = append(want, api.PeriodicLaunchID(id, t))
	}
	if got := w.instances(id); !slices.Equal(got, want) {
		w.t.Errorf("instances of %s = %q, want %q", id, got, want)
	}
}

func TestLaunches(t *testing.T) {
	w := newWorld(t)
	w.run(w.log)
	w.quiet(time.Minute) // nothing is periodic: only the clock is looked at
	w.register("often", "* * * * *", true)
	w.quiet(30 * time.Second)
	w.pass(30 * time.Second)
	w.quiet(time.Minute)
	first := start.Add(30 * time.Second)
	w.expect("often", first)

	w.pass(time.Minute)
	w.quiet(time.Minute)
	w.expect("often", first, first.Add(time.Minute))

	// Three launches were missed: one makes up for them.
	w.pass(3*time.Minute + 10*time.Second)
	w.quiet(50 * time.Second)
	w.expect("often", first, first.Add(time.Minute), first.Add(2*time.Minute))
}

// What runs already keeps a job from starting, and the launch is not put off.
func TestNoOverlap(t *testing.T) {
	w := newWorld(t)
	w.register("alone", "* * * * *", false)
	w.run(w.log)
	w.quiet(30 * time.Second)
	for range 3 {
		w.pass(time.Minute)
		w.quiet(30 * time.Second)
	}
	first := start.Add(30 * time.Second)
	w.expect("alone", first)
	for e := range w.log.Store.Snapshot().EvalsByJob("default", api.PeriodicLaunchID("alone", first)) {
		done := e.Copy()
		done.Status = api.EvalStatusComplete
		if _, err := w.log.Propose(t.Context(), &store.UpsertEvals{Evals: []*api.Evaluation{done}, Now: w.time().UnixNano()}); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(time.Minute)
	w.quiet(30 * time.Second)
	w.expect("alone", first, start.Add(3*time.Minute+30*time.Second))
}

// A new leader makes up for what was due while there was none.
func TestNextLeader(t *testing.T) {
	w := newWorld(t)
	w.register("often", "* * * * *", true)
	w.mu.Lock()
	w.now = start.Add(time.Hour)
	w.mu.Unlock()
	w.run(w.log)
	w.quiet(30 * time.Second)
	w.expect("often", start.Add(30*time.Second))
}

// refusing is a log that can't be written.
type refusing struct{ store.Proposer }

func (refusing) Propose(context.Context, store.Command) (store.Result, error) {
	return store.Result{}, errors.New("the disk is full")
}

// A launch that can't be made is tried again, without haste.
func TestRetry(t *testing.T) {
	w := newWorld(t)
	w.register("often", "* * * * *", true)
	w.mu.Lock()
	w.now = start.Add(time.Minute)
	w.mu.Unlock()
	w.run(refusing{})
	for range 3 {
		if d := <-w.waits; d != 5*time.Second {
			t.Errorf("tried again after %s", d)
		}
		w.pass(5 * time.Second)
	}
	w.expect("often")
}

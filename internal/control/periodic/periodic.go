package periodic

import (
	"context"
	"log/slog"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/cron"
	"github.com/drover-org/drover/internal/store"
)

// Config is what a Launcher needs.
type Config struct {
	Store    *store.Store
	Proposer store.Proposer
	Log      *slog.Logger
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time // nil: time.After
	NewID    func() string
}

// Launcher starts periodic jobs.
type Launcher struct {
	cfg   Config
	times map[api.NamespacedID]due // remembered, since reading an expression is not cheap
}

// due is when a job is due next.
type due struct {
	version uint64    // what it was computed from: the JobModifyIndex,
	since   int64     // and the end of what is done with
	at      time.Time // zero: never
}

// New returns a Launcher.
func New(cfg Config) *Launcher {
	if cfg.After == nil {
		cfg.After = time.After
	}
	return &Launcher{cfg: cfg}
}

const (
	// longest is the longest wait between looks at the clock, which may be set.
	longest = time.Minute
	// again is how long Run waits after a launch that could not be made.
	again = 5 * time.Second
)

// Run starts jobs until ctx ends; it is for the leader.
func (l *Launcher) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		w := l.cfg.Store.Watch(store.KeyPeriodic())
		ready, pause := l.look(l.cfg.Store.Snapshot(), l.cfg.Now())
		if len(ready) > 0 {
			if l.launch(ctx, ready) {
				w.Close()
				continue
			}
			pause = again // or as soon as something else changes
		}
		select {
		case <-l.cfg.After(pause):
		case <-w.C():
		case <-ctx.Done():
		}
		w.Close()
	}
	return nil
}

// ready is a job that is due, with the time that it was due at.
type ready struct {
	job *api.Job
	at  time.Time
}

// look returns the jobs that are due and how long it takes until more may be.
func (l *Launcher) look(snap *store.Snapshot, now time.Time) (list []ready, pause time.Duration) {
	times := make(map[api.NamespacedID]due, len(l.times))
	pause = longest
	for j, since := range snap.PeriodicJobs() {
		next, ok := l.times[j.Key()]
		if !ok || next.version != j.JobModifyIndex || next.since != since {
			at, err := cron.Next(j.Periodic, time.Unix(0, since))
			if err != nil { // of an earlier version that took it
				l.cfg.Log.Error("a periodic job can't be started", "namespace", j.Namespace, "job", j.ID, "error", err)
			}
			next = due{j.JobModifyIndex, since, at}
		}
		times[j.Key()] = next
		switch {
		case next.at.IsZero():
		case !next.at.After(now):
			list = append(list, ready{j, next.at})
		default:
			pause = min(pause, next.at.Sub(now))
		}
	}
	l.times = times
	return list, pause
}

// launch starts jobs and reports whether all of them are done with.
func (l *Launcher) launch(ctx context.Context, list []ready) bool {
	ok := true
	for _, r := range list {
		now := l.cfg.Now()
		res, err := l.cfg.Proposer.Propose(ctx, command(r, now, l.cfg.NewID()))
		log := l.cfg.Log.With("namespace", r.job.Namespace, "job", r.job.ID, "due", r.at)
		switch out, _ := res.Value.(*store.Launched); {
		case err != nil && ctx.Err() == nil: // mostly because it was stopped or changed meanwhile
			log.Warn("a periodic job was not started", "error", err)
			ok = false
		case out != nil && out.Job == nil:
			log.Info("a launch was left out: an earlier instance has not ended, and the job prohibits overlap")
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return ok
}

// command makes the command that starts the instance of a job that is due.
func command(r ready, now time.Time, evalID string) *store.LaunchJob {
	j, id := r.job, api.PeriodicLaunchID(r.job.ID, r.at)
	return &store.LaunchJob{
		Namespace: j.Namespace, Parent: j.ID, ID: id, Due: now.UnixNano(), Now: now.UnixNano(),
		Eval: &api.Evaluation{
			ID: evalID, Namespace: j.Namespace, JobID: id, Priority: j.Priority, Type: j.Type, TriggeredBy: api.EvalTriggerPeriodicJob,
			Status: api.EvalStatusPending, CreateTime: now.UnixNano(), ModifyTime: now.UnixNano(),
		},
	}
}

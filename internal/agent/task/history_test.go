package task

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/agent/localdb"
)

// chronicle checks each state of a task against those before it.
type chronicle struct {
	t      *testing.T
	seed   uint64
	past   []*api.TaskEvent // every event there ever was
	states []*api.TaskState
}

// look takes over a state: its events go on from those before, in order of
// time, and tell the same as the rest of the state.
func (c *chronicle) look(s *api.TaskState, after string) {
	c.t.Helper()
	fail := func(what string) {
		c.t.Helper()
		var kinds []string
		for _, e := range s.Events {
			kinds = append(kinds, e.Type)
		}
		c.t.Fatalf("seed %d, after %s: %s\nstate %+v\nevents %q", c.seed, after, what, s, kinds)
	}
	if len(s.Events) == 0 || len(s.Events) > api.MaxTaskEvents {
		fail("the number of events")
	}
	for i, e := range s.Events {
		if i > 0 && e.Time <= s.Events[i-1].Time {
			fail("events out of order")
		}
		if e.Time < startOf(c) || e.Time > time.Now().UnixNano()+1000 {
			fail("an event of another time")
		}
	}
	// What was told before is still told, except for the oldest.
	last := int64(0)
	if len(c.past) > 0 {
		last = c.past[len(c.past)-1].Time
	}
	known := 0
	for known < len(s.Events) && s.Events[known].Time <= last {
		known++
	}
	for i, e := range s.Events[:known] {
		if at := len(c.past) - known + i; at < 0 || c.past[at].Time != e.Time || c.past[at].Type != e.Type {
			fail("an event of the past became another: " + e.Type)
		}
	}
	if known+len(s.Events[known:]) < min(api.MaxTaskEvents, len(c.past)) {
		fail("events of the past are gone")
	}
	c.past = append(c.past, s.Events[known:]...)

	open := false
	var started, ended *api.TaskEvent
	for _, e := range c.past {
		switch e.Type {
		case api.EventStarted:
			if open {
				fail("started twice without an end")
			}
			open, started = true, e
		case api.EventTerminated:
			if !open {
				fail("ended without a start")
			}
			open, ended = false, e
		case api.EventFailedRestoring:
			open = false
		}
	}
	if open != (s.State == api.TaskStateRunning) {
		fail("the state is not that of the events")
	}
	near := func(at time.Time, e *api.TaskEvent) bool {
		return e.Time-at.UnixNano() >= 0 && e.Time-at.UnixNano() < 1000
	}
	if started != nil && !near(s.StartedAt, started) {
		fail("StartedAt is not the time of the last start")
	}
	if ended != nil && s.State == api.TaskStateDead && s.FinishedAt.UnixNano() < started.Time {
		fail("FinishedAt is before the last start")
	}
	if n := len(c.states); n > 0 && (s.Restarts < c.states[n-1].Restarts || s.LastRestart.Before(c.states[n-1].LastRestart)) {
		fail("restarts are forgotten")
	}
	c.states = append(c.states, s)
}

func startOf(c *chronicle) int64 {
	if len(c.past) == 0 {
		return 0
	}
	return c.past[0].Time
}

// The events of a task are in order and tell of every start and end once,
// over restarts of the task by its policy and by people, and over restarts of
// the agent during which the task goes on, ends or is lost.
func TestEventsOverRestarts(t *testing.T) {
	for seed := range uint64(60) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			c := &chronicle{t: t, seed: seed}
			patient := func(cfg *Config) {
				cfg.Task.RestartPolicy.Attempts = ptr(1000)
				cfg.Task.RestartPolicy.Interval = ptr(api.Duration(24 * time.Hour))
			}
			r := newRig(t, func(cfg *Config, _ *scripted) { patient(cfg) })
			c.look(r.task.State(), "new")
			r.begin()
			process := r.d.last()
			for range 40 {
				synctest.Wait()
				if p := r.d.last(); p != nil {
					process = p
				}
				var op string
				switch rng.IntN(8) {
				case 0, 1:
					op = "an end"
					process.end(driver.ExitResult{ExitCode: rng.IntN(3), EndedAt: time.Now()})
				case 2:
					op = "a signal"
					_ = r.task.Signal(t.Context(), "SIGHUP")
				case 3:
					op = "a restart by somebody"
					_ = r.task.Restart(t.Context(), "User requested restart")
				case 4, 5:
					op = "time"
					time.Sleep(time.Duration(rng.IntN(15)) * time.Second)
				default:
					op = "a restart of the agent"
					r.stop()
					r.wg.Wait()
					b, err := json.Marshal(r.task.Record()) // what is on disk
					if err != nil {
						t.Fatal(err)
					}
					rec := &localdb.TaskRecord{}
					if err := json.Unmarshal(b, rec); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Duration(1+rng.IntN(3)) * time.Second)
					gone := false
					switch rng.IntN(4) {
					case 0:
						op += ", and an end meanwhile"
						process.end(driver.ExitResult{ExitCode: 1, EndedAt: time.Now()})
						time.Sleep(2 * time.Second)
					case 1:
						op += ", and the task is lost"
						gone = true
					}
					was := process
					over := was.over() && rec.Handle == nil
					r = newRig(t, func(cfg *Config, d *scripted) {
						patient(cfg)
						cfg.Record, cfg.Restore = rec, true
						d.recover = func(driver.Handle) (driver.Task, error) {
							if gone || over {
								return nil, driver.ErrGone
							}
							return was, nil
						}
					})
					r.begin()
				}
				synctest.Wait()
				c.look(r.task.State(), op)
			}
			if kinds := c.past; !slices.ContainsFunc(kinds, func(e *api.TaskEvent) bool { return e.Type == api.EventTerminated }) {
				t.Errorf("seed %d: nothing ended", seed)
			}
		})
	}
}

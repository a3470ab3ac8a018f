package check

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
)

// Spec is one check of a service, resolved.
type Spec struct {
	ID       string
	Service  string
	Name     string
	Group    string
	Task     string // empty: the service is the group's
	Restarts string // the task that a restart is for; empty: the main tasks of the group
	OnUpdate string
	Initial  string
	Interval time.Duration
	Timeout  time.Duration
	Rule     Rule
	Probe    Probe
	Key      string // changes when anything of it does
}

// Probe asks once. It returns when ctx ends, in one of the levels but Pending.
type Probe func(ctx context.Context) Answer

// Config is what a Set needs.
type Config struct {
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time
	Rand    func() float64 // from 0 to 1
	Slots   chan struct{}  // a place for each probe that runs at a time
	Changed func()         // a level changed
	// Restart is called when a check demands it; ctx ends with the check. It
	// must not wait.
	Restart func(ctx context.Context, s *Spec, reason string)
}

// Set runs the checks of one allocation.
type Set struct {
	cfg Config
	wg  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	running map[string]*running
}

type running struct {
	spec   *Spec
	cancel context.CancelFunc
	state  State
}

// NewSet returns a set in which nothing runs.
func NewSet(c Config) *Set { return &Set{cfg: c, running: map[string]*running{}} }

// Sync makes the set run these checks and no others. A check that goes on keeps
// its state.
func (s *Set) Sync(ctx context.Context, specs []*Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := make(map[string]bool, len(specs))
	for _, spec := range specs {
		wanted[spec.ID] = true
		if r := s.running[spec.ID]; r != nil {
			if r.spec.Key == spec.Key {
				continue
			}
			r.cancel()
		}
		ctx, cancel := context.WithCancel(ctx)
		began := s.cfg.Now()
		r := &running{spec: spec, cancel: cancel, state: Initial(spec.Initial, began)}
		s.running[spec.ID] = r
		s.wg.Go(func() { s.run(ctx, r, began) })
	}
	for id, r := range s.running {
		if !wanted[id] {
			r.cancel()
			delete(s.running, id)
		}
	}
}

// Close ends all checks and waits for them.
func (s *Set) Close() {
	s.Sync(context.Background(), nil)
	s.wg.Wait()
}

// maxFirstWait bounds the random wait before the first probe, which keeps
// checks that begin together from going on together.
const maxFirstWait = time.Second

func (s *Set) run(ctx context.Context, r *running, began time.Time) {
	wait := time.Duration(s.cfg.Rand() * float64(min(r.spec.Interval, maxFirstWait)))
	for {
		select {
		case <-s.cfg.After(wait):
		case <-ctx.Done():
			return
		}
		wait = r.spec.Interval
		select {
		case s.cfg.Slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		probing, cancel := context.WithTimeout(ctx, r.spec.Timeout)
		answer := r.spec.Probe(probing)
		cancel()
		<-s.cfg.Slots
		if ctx.Err() != nil {
			return
		}
		answer.Output = clip(answer.Output)
		s.mu.Lock()
		before := r.state
		next, restart := before.Next(r.spec.Rule, answer, began, s.cfg.Now())
		reason := next.reason(r.spec.Name)
		if restart {
			next.bad = 0
		}
		r.state = next
		s.mu.Unlock()
		if next.Level != before.Level {
			s.cfg.Changed()
		}
		if restart {
			s.cfg.Restart(ctx, r.spec, reason)
		}
	}
}

// States returns what is known of the checks that run, by ID.
func (s *Set) States() map[string]State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]State, len(s.running))
	for id, r := range s.running {
		out[id] = r.state
	}
	return out
}

// Results returns the checks as the API shows them; those of specs that do not
// run are pending.
func (s *Set) Results(specs []*Spec) map[string]*api.CheckResult {
	states := maps.Clone(s.States())
	out := make(map[string]*api.CheckResult, len(specs))
	for _, spec := range specs {
		st := states[spec.ID]
		r := &api.CheckResult{
			ID: spec.ID, Mode: api.CheckHealthiness, Status: st.Level.status(), StatusCode: st.Answer.Code, Output: st.Answer.Output,
			Group: spec.Group, Task: spec.Task, Service: spec.Service, Check: spec.Name,
		}
		if spec.OnUpdate == api.OnUpdateIgnore {
			r.Mode = api.CheckReadiness
		}
		if !st.At.IsZero() {
			r.Timestamp = st.At.Unix()
		}
		out[spec.ID] = r
	}
	return out
}

package agent

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/fake"
	"github.com/drover-org/drover/internal/agent/localdb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// servers records what an agent reports.
type servers struct {
	touch   time.Time // answer of InTouch; guarded by mu
	mu      sync.Mutex
	updates map[string][]*api.AllocUpdate
	nodes   int
	news    chan struct{}
}

func newServers() *servers {
	return &servers{updates: map[string][]*api.AllocUpdate{}, news: make(chan struct{})}
}

func (s *servers) Report(u *api.AllocUpdate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates[u.ID] = append(s.updates[u.ID], u)
	close(s.news)
	s.news = make(chan struct{})
}

func (s *servers) Identities(context.Context, string, string) ([]*api.SignedIdentity, error) {
	return nil, api.Errorf(api.CodeUnavailable, "there is no server")
}

func (s *servers) InTouch() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touch
}

func (s *servers) IdentityClaims(context.Context) (map[string]any, error) {
	return map[string]any{"nomad_node_id": "x"}, nil
}

func (s *servers) RenewIdentity() { s.NodeChanged() }

func (s *servers) NodeChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes++
}

// last returns the newest report of an allocation, and a channel that is
// closed at the next report of any.
func (s *servers) last(id string) (*api.AllocUpdate, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.updates[id]; len(list) > 0 {
		return list[len(list)-1], s.news
	}
	return nil, s.news
}

// world is a node: directories that stay, and agents that come and go.
type world struct {
	t      testing.TB
	dir    string
	change func(*Config)
	clock  fake.Clock
	s      *servers
	d      *fake.Driver
	counts *counter
	a      *Agent
	stop   func()
}

// counter counts the starts of tasks.
type counter struct {
	driver.Driver
	mu     sync.Mutex
	starts map[string]int
}

func (c *counter) Start(ctx context.Context, cfg *driver.TaskConfig) (driver.Task, error) {
	c.mu.Lock()
	c.starts[cfg.ID]++
	c.mu.Unlock()
	return c.Driver.Start(ctx, cfg)
}

func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), change: change, clock: fake.SystemClock{}, counts: &counter{starts: map[string]int{}}}
	w.boot()
	t.Cleanup(func() { w.stop() })
	return w
}

// boot starts an agent.
func (w *world) boot() {
	w.t.Helper()
	w.s, w.d = newServers(), fake.New(fake.Config{Clock: w.clock})
	w.counts.Driver = w.d
	c := Config{
		Log: slog.New(slog.DiscardHandler), StateDir: filepath.Join(w.dir, "state"), AllocDir: filepath.Join(w.dir, "alloc"),
		Drivers: map[string]driver.Driver{fake.Name: w.counts}, GCDiskThreshold: 101, GCInodeThreshold: 101,
	}
	if w.change != nil {
		w.change(&c)
	}
	a, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	a.Connect(w.s)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	w.a = a
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
		_ = w.d.Close()
	})
}

// freeze stops the time of the fake driver's tasks from the next boot on: what they do
// is due when the test advances the clock.
func (w *world) freeze() *fake.VirtualClock {
	w.t.Helper()
	clock := fake.NewVirtualClock(time.Now())
	w.clock = clock
	w.reboot()
	return clock
}

// reboot ends the agent and starts another on the same directories.
func (w *world) reboot() { w.t.Helper(); w.stop(); w.boot() }

// alloc makes an allocation with one task "main".
func (w *world) alloc(config map[string]any, change ...func(*api.Allocation, *api.TaskGroup)) *api.Allocation {
	task := &api.Task{
		Name: "main", Driver: fake.Name, Config: config, KillTimeout: ptr(api.Duration(5 * time.Second)),
		RestartPolicy: &api.RestartPolicy{Attempts: ptr(0), Mode: "fail"},
	}
	g := &api.TaskGroup{Name: "g", Count: ptr(1), Tasks: []*api.Task{task}}
	job := &api.Job{ID: "job", Name: "job", Namespace: "default", Type: api.JobTypeBatch, TaskGroups: []*api.TaskGroup{g}}
	a := &api.Allocation{
		ID: api.NewID(), Name: "job.g[0]", Namespace: "default", JobID: "job", Job: job, TaskGroup: "g", NodeID: w.a.NodeID(),
		DesiredStatus: api.AllocDesiredRun, ClientStatus: api.AllocClientPending, AllocModifyIndex: 10, CreateIndex: 10,
	}
	for _, f := range change {
		f(a, g)
	}
	return a
}

func (w *world) assign(allocs ...*api.Allocation) { w.a.Assign(false, allocs, nil) }

// run assigns an allocation and waits until it runs.
func (w *world) run(config map[string]any, change ...func(*api.Allocation, *api.TaskGroup)) *api.Allocation {
	w.t.Helper()
	a := w.alloc(config, change...)
	w.assign(a)
	w.until(a.ID, func(u *api.AllocUpdate) bool { return u.ClientStatus == api.AllocClientRunning })
	return a
}

// until waits for a report.
func (w *world) until(id string, ok func(*api.AllocUpdate) bool) *api.AllocUpdate {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		u, news := w.s.last(id)
		if u != nil && ok(u) {
			return u
		}
		select {
		case <-news:
		case <-ctx.Done():
			w.t.Fatalf("the report did not come; the last is %+v", u)
		}
	}
}

func (w *world) untilStatus(id, status string) *api.AllocUpdate {
	w.t.Helper()
	return w.until(id, func(u *api.AllocUpdate) bool { return u.ClientStatus == status })
}

// gone waits until nothing of an allocation is left.
func (w *world) gone(id string) {
	w.t.Helper()
	if r := w.a.runner(id); r != nil {
		select {
		case <-r.done:
		case <-time.After(10 * time.Second):
			w.t.Fatal("the allocation is not removed")
		}
	}
	if _, err := os.Lstat(filepath.Join(w.dir, "alloc", id)); !os.IsNotExist(err) {
		w.t.Errorf("the directory of %s is left: %v", id, err)
	}
}

func stopped(a *api.Allocation) *api.Allocation {
	c := a.Copy()
	c.DesiredStatus, c.AllocModifyIndex = api.AllocDesiredStop, a.AllocModifyIndex+1
	return c
}

func kinds(s *api.TaskState) []string {
	var list []string
	for _, e := range s.Events {
		list = append(list, e.Type)
	}
	return list
}

func forever() map[string]any { return map[string]any{"run_for": "1h"} }

func TestRunStopAndPurge(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	w.assign(stopped(a))
	u := w.untilStatus(a.ID, api.AllocClientComplete)
	want := []string{"Received", "Task Setup", "Started", "Killing", "Terminated", "Killed"}
	if got := kinds(u.TaskStates["main"]); !slices.Equal(got, want) || u.TaskStates["main"].Failed {
		t.Errorf("events = %q, want %q", got, want)
	}
	if w.a.runner(a.ID) == nil {
		t.Error("a stopped allocation is forgotten before servers are")
	}
	w.a.Assign(false, nil, []string{a.ID})
	w.gone(a.ID)
	if list, err := w.a.db.Load(); err != nil || len(list) != 0 {
		t.Errorf("records are left: %v, %v", list, err)
	}
}

func TestPurgeWhileRunning(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	w.a.Assign(true, nil, nil)
	w.gone(a.ID)
}

func TestStatuses(t *testing.T) {
	w := newWorld(t, nil)
	ok := w.alloc(map[string]any{"run_for": "1ms"})
	bad := w.alloc(map[string]any{"run_for": "1ms", "exit_code": 7})
	noDriver := w.alloc(nil, func(_ *api.Allocation, g *api.TaskGroup) { g.Tasks[0].Driver = "none" })
	late := w.alloc(forever(), func(a *api.Allocation, g *api.TaskGroup) { g.MaxRunDuration = ptr(api.Duration(10 * time.Millisecond)) })
	never := stopped(w.alloc(forever()))
	w.assign(ok, bad, noDriver, late, never)
	w.untilStatus(ok.ID, api.AllocClientComplete)
	if u := w.untilStatus(bad.ID, api.AllocClientFailed); u.TaskStates["main"].Events[3].Details["exit_code"] != "7" {
		t.Errorf("events = %+v", u.TaskStates["main"].Events)
	}
	if u := w.untilStatus(noDriver.ID, api.AllocClientFailed); !slices.Contains(kinds(u.TaskStates["main"]), api.EventFailedValidation) {
		t.Errorf("events = %q", kinds(u.TaskStates["main"]))
	}
	if u := w.untilStatus(late.ID, api.AllocClientComplete); u.ClientDescription != exceededRun {
		t.Errorf("description = %q", u.ClientDescription)
	}
	w.untilStatus(never.ID, api.AllocClientComplete)
	if w.counts.starts[never.ID+"/main"] != 0 {
		t.Error("a stopped allocation was started")
	}
}

// TestLifecycle runs a group with every hook and compares the order of starts
// and ends.
func TestLifecycle(t *testing.T) {
	w := newWorld(t, nil)
	clock := w.freeze()
	hook := func(name, hook string, sidecar bool, runFor string) *api.Task {
		return &api.Task{Name: name, Driver: fake.Name, Config: map[string]any{"run_for": runFor}, Lifecycle: &api.TaskLifecycle{Hook: hook, Sidecar: sidecar},
			KillTimeout: ptr(api.Duration(time.Second))}
	}
	a := w.alloc(map[string]any{"run_for": "30ms"}, func(_ *api.Allocation, g *api.TaskGroup) {
		g.Tasks = append(g.Tasks, hook("init", api.HookPrestart, false, "5ms"), hook("proxy", api.HookPrestart, true, "1h"),
			hook("after", api.HookPoststart, false, "1ms"), hook("cleanup", api.HookPoststop, false, "1ms"))
	})
	w.assign(a)
	dead := func(name string) func(*api.AllocUpdate) bool {
		return func(u *api.AllocUpdate) bool { return u.TaskStates[name].State == api.TaskStateDead }
	}
	running := func(name string) func(*api.AllocUpdate) bool {
		return func(u *api.AllocUpdate) bool { return u.TaskStates[name].State == api.TaskStateRunning }
	}
	for _, next := range []struct {
		begun string
		ends  time.Duration
	}{{"init", 5 * time.Millisecond}, {"after", time.Millisecond}, {"", 30 * time.Millisecond}, {"cleanup", time.Millisecond}} {
		switch next.begun {
		case "":
			w.until(a.ID, dead("after"))
		default:
			w.until(a.ID, running(next.begun))
		}
		clock.Advance(2 * next.ends) // what follows starts later than this ended
	}
	u := w.untilStatus(a.ID, api.AllocClientComplete)
	s := u.TaskStates
	for name, ok := range map[string]bool{
		"init before main":       s["init"].FinishedAt.Before(s["main"].StartedAt),
		"proxy before main":      s["proxy"].StartedAt.Before(s["main"].StartedAt),
		"after after main":       s["after"].StartedAt.After(s["main"].StartedAt),
		"proxy outlives main":    s["proxy"].FinishedAt.After(s["main"].FinishedAt),
		"cleanup at the end":     s["cleanup"].StartedAt.After(s["proxy"].FinishedAt),
		"proxy told why":         slices.Contains(kinds(s["proxy"]), api.EventMainTasksDead),
		"nothing failed, really": !s["proxy"].Failed && !s["cleanup"].Failed,
	} {
		if !ok {
			t.Errorf("not so: %s", name)
		}
	}
}

// A replacement starts when its predecessor ends, also when that happens just
// as it looks.
func TestReplacementsStart(t *testing.T) {
	w := newWorld(t, nil)
	const pairs = 200
	old := make([]*api.Allocation, pairs)
	for i := range old {
		old[i] = w.alloc(forever())
	}
	w.assign(old...)
	for _, a := range old {
		w.untilStatus(a.ID, api.AllocClientRunning)
	}
	list := make([]*api.Allocation, 0, 2*pairs)
	for _, a := range old {
		next := w.alloc(forever(), func(n *api.Allocation, _ *api.TaskGroup) { n.PreviousAllocation = a.ID })
		list = append(list, stopped(a), next)
	}
	w.assign(list...)
	for i := range old {
		w.untilStatus(old[i].ID, api.AllocClientComplete)
		w.untilStatus(list[2*i+1].ID, api.AllocClientRunning)
	}
}

func TestSiblingFails(t *testing.T) {
	w := newWorld(t, nil)
	a := w.alloc(map[string]any{"run_for": "1h", "kill_after": "50ms"}, func(_ *api.Allocation, g *api.TaskGroup) {
		g.Tasks = append(g.Tasks, &api.Task{Name: "bad", Driver: fake.Name, Config: map[string]any{"run_for": "20ms", "exit_code": 1}})
	})
	w.assign(a)
	u := w.untilStatus(a.ID, api.AllocClientFailed)
	main := u.TaskStates["main"]
	if main.State != api.TaskStateDead {
		t.Error("failed is reported while a sibling runs")
	}
	if i := slices.Index(kinds(main), api.EventSiblingFailed); i < 0 || main.Events[i].Details["failed_sibling"] != "bad" {
		t.Errorf("events = %q", kinds(main))
	}
}

// TestAgentRestart ends the agent under running tasks; one of them ends while
// there is none.
func TestAgentRestart(t *testing.T) {
	w := newWorld(t, nil)
	clock := w.freeze()
	a, b := w.run(forever()), w.run(map[string]any{"run_for": "150ms", "exit_code": 4})
	started := w.untilStatus(a.ID, api.AllocClientRunning).TaskStates["main"].StartedAt
	w.stop()
	clock.Advance(200 * time.Millisecond)
	w.boot()
	u := w.untilStatus(b.ID, api.AllocClientFailed)
	if got := kinds(u.TaskStates["main"]); !slices.Equal(got, []string{"Received", "Task Setup", "Started", "Terminated", "Not Restarting"}) {
		t.Errorf("events = %q", got)
	}
	u = w.untilStatus(a.ID, api.AllocClientRunning)
	if !u.TaskStates["main"].StartedAt.Equal(started) || len(u.TaskStates["main"].Events) != 3 {
		t.Errorf("state = %+v", u.TaskStates["main"])
	}
	// Servers still know the old index: nothing changes; then they stop it.
	w.a.Assign(true, []*api.Allocation{a, b}, nil)
	w.assign(stopped(a))
	w.untilStatus(a.ID, api.AllocClientComplete)
	for _, id := range []string{a.ID, b.ID} {
		if n := w.counts.starts[id+"/main"]; n != 1 {
			t.Errorf("%s was started %d times", id, n)
		}
	}
}

// TestCutOff loses what the agent had not stored yet: the handle, or all.
func TestCutOff(t *testing.T) {
	for name, damage := range map[string]func(w *world, id string) error{
		"handle": func(w *world, id string) error {
			db, err := localdb.Open(localdb.Config{Dir: filepath.Join(w.dir, "state"), Log: slog.New(slog.DiscardHandler), Now: time.Now})
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			return db.PutTask(id, "main", func() *localdb.TaskRecord {
				return &localdb.TaskRecord{State: &api.TaskState{State: api.TaskStatePending}}
			})
		},
		"database": func(w *world, _ string) error {
			return os.WriteFile(filepath.Join(w.dir, "state", "node.db"), []byte("rubbish"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			a := w.run(forever())
			w.stop()
			if err := damage(w, a.ID); err != nil {
				t.Fatal(err)
			}
			id := w.a.NodeID()
			w.boot()
			if w.a.NodeID() != id {
				t.Error("the node has another ID")
			}
			w.a.Assign(true, []*api.Allocation{a}, nil)
			w.untilStatus(a.ID, api.AllocClientRunning)
			if n := w.counts.starts[a.ID+"/main"]; n != 1 {
				t.Errorf("started %d times", n)
			}
			w.a.Assign(true, nil, nil)
			w.gone(a.ID)
		})
	}
}

func TestKillOnExit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.KillOnExit = true })
	a := w.run(forever())
	w.stop()
	w.boot()
	u := w.untilStatus(a.ID, api.AllocClientComplete)
	if got := kinds(u.TaskStates["main"]); got[len(got)-1] != api.EventKilled {
		t.Errorf("events = %q", got)
	}
}

func TestInPlaceUpdateAndHealth(t *testing.T) {
	w := newWorld(t, nil)
	update := func(a *api.Allocation, g *api.TaskGroup) {
		g.Update = &api.UpdateStrategy{HealthCheck: "checks", MinHealthyTime: ptr(api.Duration(10 * time.Millisecond)), HealthyDeadline: ptr(api.Duration(time.Minute))}
		a.DeploymentID = "first"
	}
	a := w.run(forever(), update)
	healthy := func(u *api.AllocUpdate) bool { return u.DeploymentHealthy != nil && *u.DeploymentHealthy }
	u := w.until(a.ID, healthy)
	if u.HealthTimestamp.IsZero() || len(u.TaskStates["main"].Events) != 3 {
		t.Errorf("report = %+v", u)
	}
	next := a.Copy()
	next.DeploymentID, next.AllocModifyIndex = "second", 20
	w.s.mu.Lock()
	seen := len(w.s.updates[a.ID])
	w.s.mu.Unlock()
	w.assign(next)
	w.until(a.ID, func(u *api.AllocUpdate) bool {
		w.s.mu.Lock()
		defer w.s.mu.Unlock()
		return len(w.s.updates[a.ID]) > seen && healthy(u)
	})
	if n := w.counts.starts[a.ID+"/main"]; n != 1 {
		t.Errorf("started %d times", n)
	}
	w.reboot()
	w.untilStatus(a.ID, api.AllocClientRunning)
	if got := w.a.runner(a.ID); got.index() != 20 {
		t.Error("the update is not stored")
	}
}

// TestStickyDisk lets a replacement wait for its predecessor and take over
// its data.
func TestStickyDisk(t *testing.T) {
	w := newWorld(t, nil)
	disk := func(_ *api.Allocation, g *api.TaskGroup) { g.EphemeralDisk = &api.EphemeralDisk{Sticky: true} }
	old := w.run(map[string]any{"run_for": "1h", "kill_after": "50ms"}, disk)
	if err := os.WriteFile(filepath.Join(w.dir, "alloc", old.ID, "alloc", "data", "db"), []byte("rows"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := w.alloc(forever(), disk, func(a *api.Allocation, _ *api.TaskGroup) { a.PreviousAllocation = old.ID })
	w.assign(stopped(old), next)
	u := w.untilStatus(next.ID, api.AllocClientRunning)
	before := w.untilStatus(old.ID, api.AllocClientComplete)
	if u.TaskStates["main"].StartedAt.Before(time.Unix(0, before.TaskStates["main"].Events[4].Time)) {
		t.Error("the replacement started too early")
	}
	if b, err := os.ReadFile(filepath.Join(w.dir, "alloc", next.ID, "alloc", "data", "db")); err != nil || string(b) != "rows" {
		t.Errorf("data = %q, %v", b, err)
	}
}

// TestReplacementWaits lets an allocation wait for its predecessor without any
// reason of its own: servers count on it. Told to stop meanwhile, it does not
// end before the other.
func TestReplacementWaits(t *testing.T) {
	w := newWorld(t, nil)
	old := w.run(map[string]any{"run_for": "1h", "kill_after": "50ms"})
	next := w.alloc(forever(), func(a *api.Allocation, _ *api.TaskGroup) { a.PreviousAllocation = old.ID })
	third := w.alloc(forever(), func(a *api.Allocation, _ *api.TaskGroup) { a.PreemptedAllocations = []string{next.ID} })
	w.assign(stopped(old), next)
	w.until(old.ID, func(u *api.AllocUpdate) bool { return slices.Contains(kinds(u.TaskStates["main"]), api.EventKilling) })
	w.assign(stopped(next), third)
	u := w.untilStatus(third.ID, api.AllocClientRunning)
	ended := w.untilStatus(old.ID, api.AllocClientComplete).TaskStates["main"].FinishedAt
	if started := u.TaskStates["main"].StartedAt; started.Before(ended) {
		t.Errorf("started at %v, before the end of its predecessors' predecessor at %v", started, ended)
	}
}

// TestStopOnClientAfter ends an allocation when servers are out of touch for too
// long, and only then.
func TestStopOnClientAfter(t *testing.T) {
	w := newWorld(t, nil)
	touch := func(at time.Time) {
		w.s.mu.Lock()
		w.s.touch = at
		w.s.mu.Unlock()
	}
	touch(time.Now().Add(time.Hour)) // what the last answer is good for
	goes := w.run(forever(), func(_ *api.Allocation, g *api.TaskGroup) {
		g.Disconnect = &api.DisconnectStrategy{StopOnClientAfter: new(api.Duration(time.Millisecond))}
	})
	stays := w.run(forever())
	w.a.runner(goes.ID).nudge()
	w.run(forever()) // meanwhile it would have ended
	if u, _ := w.s.last(goes.ID); u.ClientStatus != api.AllocClientRunning {
		t.Fatalf("%s although servers answered", u.ClientStatus)
	}
	touch(time.Time{})
	w.a.runner(goes.ID).nudge()
	w.a.runner(stays.ID).nudge()
	if u := w.untilStatus(goes.ID, api.AllocClientComplete); u.ClientDescription != outOfTouch {
		t.Errorf("described as %q", u.ClientDescription)
	}
	if u, _ := w.s.last(stays.ID); u.ClientStatus != api.AllocClientRunning {
		t.Errorf("an allocation without the block is %s", u.ClientStatus)
	}
}

// TestLostFromSight reports again what servers took for unknown.
func TestLostFromSight(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	w.s.mu.Lock()
	seen := len(w.s.updates[a.ID])
	w.s.mu.Unlock()
	unknown := a.Copy()
	unknown.ClientStatus = api.AllocClientUnknown
	unknown.AllocModifyIndex++
	w.assign(unknown)
	w.until(a.ID, func(u *api.AllocUpdate) bool {
		w.s.mu.Lock()
		defer w.s.mu.Unlock()
		return len(w.s.updates[a.ID]) > seen && u.ClientStatus == api.AllocClientRunning
	})
}

// TestPortInUse lets an allocation wait for a stranger that is told to stop
// and still has its port.
func TestPortInUse(t *testing.T) {
	w := newWorld(t, nil)
	ports := func(p ...api.PortMapping) func(*api.Allocation, *api.TaskGroup) {
		return func(a *api.Allocation, _ *api.TaskGroup) {
			a.AllocatedResources = &api.AllocatedResources{Shared: api.AllocatedSharedResources{Ports: p}}
		}
	}
	shared := api.PortMapping{Value: 90, IgnoreCollision: true}
	old := w.run(map[string]any{"run_for": "1h", "kill_after": "50ms"}, ports(api.PortMapping{Value: 80}, shared))
	w.run(forever(), ports(api.PortMapping{Value: 81}, shared)) // not kept waiting
	next := w.alloc(forever(), ports(api.PortMapping{Value: 80}))
	w.assign(stopped(old), next)
	u := w.untilStatus(next.ID, api.AllocClientRunning)
	ended := w.untilStatus(old.ID, api.AllocClientComplete).TaskStates["main"].FinishedAt
	if u.TaskStates["main"].StartedAt.Before(ended) {
		t.Error("it started while its port was in use")
	}
}

func TestCollection(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.GCMaxAllocs = 2 })
	var allocs []*api.Allocation
	for range 4 {
		a := w.alloc(map[string]any{"run_for": "1ms"})
		allocs = append(allocs, a)
		w.assign(a)
		w.untilStatus(a.ID, api.AllocClientComplete)
	}
	w.gone(allocs[0].ID)
	w.gone(allocs[1].ID)
	if w.a.runner(allocs[2].ID) == nil || w.a.runner(allocs[3].ID) == nil {
		t.Error("too many were removed")
	}
	// Servers that don't know yet send it again; it must not run again.
	w.reboot()
	again := allocs[0].Copy()
	again.AllocModifyIndex++
	w.a.Assign(true, append([]*api.Allocation{again}, allocs[1:]...), nil)
	w.untilStatus(again.ID, api.AllocClientComplete)
	if n := w.counts.starts[again.ID+"/main"]; n != 1 {
		t.Errorf("started %d times", n)
	}
}

func TestNode(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Fingerprint.Version = "1.2.3"; c.Fingerprint.Datacenter = "dc9" })
	n := w.a.Node()
	if n.ID != w.a.NodeID() || n.SecretID == "" || n.Datacenter != "dc9" || n.Attributes["driver.mock_driver"] != "1" || !n.Drivers["mock_driver"].Healthy {
		t.Errorf("node = %+v", n)
	}
}

// server serves the agent's API.
func (w *world) server() *httptest.Server {
	w.t.Helper()
	s := httptest.NewServer(w.a.Handler())
	w.t.Cleanup(s.Close)
	return s
}

package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// mk makes a task for tests: kind is main, leader, pre, side, post, stop; state
// is p(ending), r(unning), d(one), f(ailed) or b for pending between starts.
func mk(name, kind string, state byte) view {
	v := view{name: name, state: &api.TaskState{State: api.TaskStatePending}}
	switch kind {
	case "leader":
		v.leader = true
	case "pre":
		v.lifecycle = &api.TaskLifecycle{Hook: api.HookPrestart}
	case "side":
		v.lifecycle = &api.TaskLifecycle{Hook: api.HookPrestart, Sidecar: true}
	case "post":
		v.lifecycle = &api.TaskLifecycle{Hook: api.HookPoststart}
	case "stop":
		v.lifecycle = &api.TaskLifecycle{Hook: api.HookPoststop}
	}
	if state != 'p' {
		v.state.StartedAt = epoch
	}
	switch state {
	case 'r':
		v.state.State = api.TaskStateRunning
	case 'd', 'f':
		v.state.State, v.state.Failed, v.state.FinishedAt = api.TaskStateDead, state == 'f', epoch
	}
	return v
}

func TestOrder(t *testing.T) {
	group := func(states string) []view {
		kinds := []string{"pre", "side", "leader", "main", "post", "stop"}
		list := make([]view, len(kinds))
		for i, k := range kinds {
			list[i] = mk(k, k, states[i])
		}
		return list
	}
	for _, c := range []struct {
		states      string // pre side leader main post stop
		stop        bool
		begin, kill string
		event       string
	}{
		{"pppppp", false, "pre side", "", ""},
		{"rrpppp", false, "", "", ""},
		{"drpppp", false, "leader main", "", ""},
		{"dppppp", false, "side", "", ""},
		{"drrppp", false, "main", "", ""},
		{"drrrpp", false, "post", "", ""},
		{"drrbrp", false, "main", "", ""},
		{"frpppp", false, "", "leader", api.EventSiblingFailed},
		{"frdppp", false, "", "main post", api.EventSiblingFailed},
		{"drrfrp", false, "", "leader", api.EventSiblingFailed},
		{"drdrrp", false, "", "main post", api.EventLeaderDead},
		{"drdddp", false, "", "side", api.EventLeaderDead},
		{"dddddp", false, "stop", "", ""},
		{"dddddd", false, "", "", ""},
		{"drrrrp", true, "", "leader", ""},
		{"drdrrp", true, "", "main post", ""},
		{"drdddp", true, "", "side", ""},
		{"dddddp", true, "stop", "", ""},
		{"dddddr", true, "stop", "", ""},
		{"pppppp", true, "", "leader", ""},
	} {
		s := order(group(c.states), c.stop, epoch)
		var kill, event string
		for i, k := range s.kill {
			if i > 0 {
				kill += " "
			}
			kill += k.name
			if k.event != nil {
				event = k.event.Type
			}
		}
		var begin string
		for i, name := range s.begin {
			if i > 0 {
				begin += " "
			}
			begin += name
		}
		if begin != c.begin || kill != c.kill || event != c.event {
			t.Errorf("%s stop %v: begin %q, kill %q because %q; want %q, %q, %q", c.states, c.stop, begin, kill, event, c.begin, c.kill, c.event)
		}
	}
	if s := order([]view{mk("a", "main", 'd'), mk("b", "side", 'r')}, false, epoch); len(s.kill) != 1 || s.kill[0].event.Type != api.EventMainTasksDead {
		t.Errorf("sidecar of dead main tasks: %+v", s)
	}
	if s := order([]view{mk("a", "main", 'd'), mk("b", "main", 'r')}, false, epoch); len(s.kill)+len(s.begin) != 0 {
		t.Errorf("one of two batch tasks is done: %+v", s)
	}
	if s := order([]view{mk("a", "main", 'd'), mk("z", "stop", 'p')}, true, epoch); len(s.begin) != 1 {
		t.Errorf("poststop after a stop: %+v", s)
	}
}

func TestStatus(t *testing.T) {
	for states, want := range map[string]string{
		"p": "pending", "r": "running", "d": "complete", "f": "failed", "pp": "pending", "pr": "running", "rd": "running",
		"pd": "pending", "rf": "failed", "pf": "failed", "dd": "complete", "df": "failed", "bd": "pending",
	} {
		var list []view
		for i := range len(states) {
			list = append(list, mk(string(rune('a'+i)), "main", states[i]))
		}
		if got, desc := status(list); got != want || desc == "" {
			t.Errorf("status(%s) = %s, %q; want %s", states, got, desc, want)
		}
	}
}

func TestHealth(t *testing.T) {
	h := &health{mode: "checks", min: 10 * time.Second, deadline: epoch.Add(time.Minute)}
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	running := []view{mk("pre", "pre", 'd'), mk("a", "main", 'r'), mk("stop", "stop", 'p'), mk("post", "post", 'd')}
	for name, c := range map[string]struct {
		h     *health
		tasks []view
		now   time.Time
		want  *bool
		again time.Time
	}{
		"too early":       {h, running, at(9 * time.Second), nil, at(10 * time.Second)},
		"long enough":     {h, running, at(10 * time.Second), ptr(true), time.Time{}},
		"not running":     {h, []view{mk("a", "main", 'b')}, at(20 * time.Second), nil, at(time.Minute)},
		"over deadline":   {h, []view{mk("a", "main", 'b')}, at(time.Minute), ptr(false), time.Time{}},
		"failed":          {h, []view{mk("a", "main", 'f')}, at(0), ptr(false), time.Time{}},
		"prestart runs":   {h, []view{mk("pre", "pre", 'r'), mk("a", "main", 'p')}, at(20 * time.Second), nil, at(time.Minute)},
		"manual":          {&health{mode: "manual"}, []view{mk("a", "main", 'f')}, at(time.Hour), nil, time.Time{}},
		"healthy at last": {h, running, at(2 * time.Minute), ptr(true), time.Time{}},
	} {
		got, again := c.h.judge(c.tasks, nil, c.now)
		if diff := cmp.Diff(c.want, got); diff != "" || !again.Equal(c.again) {
			t.Errorf("%s: %s, again %v, want %v", name, diff, again, c.again)
		}
	}
}

func TestHealthOf(t *testing.T) {
	g := &api.TaskGroup{Name: "g", Update: &api.UpdateStrategy{HealthCheck: "task_states", MinHealthyTime: ptr(api.Duration(time.Second))},
		Migrate: &api.MigrateStrategy{HealthCheck: "checks", MinHealthyTime: ptr(api.Duration(2 * time.Second))}}
	job := &api.Job{Type: api.JobTypeService, TaskGroups: []*api.TaskGroup{g}}
	if h := healthOf(&api.Allocation{Job: job, TaskGroup: "g", DeploymentID: "d"}, epoch); h == nil || h.min != time.Second {
		t.Errorf("in a deployment: %+v", h)
	}
	if h := healthOf(&api.Allocation{Job: job, TaskGroup: "g"}, epoch); h == nil || h.min != 2*time.Second {
		t.Errorf("in a migration: %+v", h)
	}
	if h := healthOf(&api.Allocation{Job: job, TaskGroup: "g", DeploymentID: "d", DeploymentStatus: &api.AllocDeploymentStatus{Healthy: ptr(true)}}, epoch); h != nil {
		t.Errorf("decided already: %+v", h)
	}
	batch := &api.Job{Type: api.JobTypeBatch, TaskGroups: []*api.TaskGroup{{Name: "g"}}}
	if h := healthOf(&api.Allocation{Job: batch, TaskGroup: "g"}, epoch); h != nil {
		t.Errorf("of a batch job: %+v", h)
	}
}

func TestReconcile(t *testing.T) {
	alloc := func(id string, index uint64, desired, client string) *api.Allocation {
		return &api.Allocation{ID: id, AllocModifyIndex: index, DesiredStatus: desired, ClientStatus: client}
	}
	have := map[string]uint64{"kept": 5, "changed": 5, "deleted": 5, "unlisted": 5, "stopping": 5}
	var p assignment
	p.merge(true, []*api.Allocation{
		alloc("kept", 5, "run", "running"), alloc("changed", 6, "run", "running"), alloc("stopping", 6, "stop", "running"),
		alloc("new", 7, "run", "pending"), alloc("over", 7, "run", "complete"), alloc("missed", 7, "stop", "pending"), alloc("done", 7, "stop", "complete"),
		alloc("deleted", 5, "run", "running"),
	}, nil)
	p.merge(false, nil, []string{"deleted"})
	c := reconcile(have, p)
	ids := func(list []*api.Allocation) (out []string) {
		for _, a := range list {
			out = append(out, a.ID)
		}
		return out
	}
	if !slices.Equal(ids(c.start), []string{"new"}) || !slices.Equal(ids(c.update), []string{"changed", "stopping"}) ||
		!slices.Equal(ids(c.absent), []string{"missed"}) || !slices.Equal(c.remove, []string{"deleted", "unlisted"}) {
		t.Errorf("start %v, update %v, absent %v, remove %v", ids(c.start), ids(c.update), ids(c.absent), c.remove)
	}
	if c := reconcile(have, assignment{}); len(c.remove)+len(c.start)+len(c.update) != 0 {
		t.Errorf("nothing wanted: %+v", c)
	}
}

func TestFilterEnv(t *testing.T) {
	env := FilterEnv([]string{"HOME=/root", "NOMAD_TOKEN=x", "AWS_ACCESS_KEY_ID=x", "MY_PASSWORD=x", "GITHUB_TOKEN=x", "EQ=a=b"})
	want := map[string]string{"HOME": "/root", "EQ": "a=b", "PATH": defaultPath}
	if diff := cmp.Diff(want, env); diff != "" {
		t.Error(diff)
	}
}

// A rollout waits for the checks besides the tasks, and says which one fails.
func TestHealthByChecks(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	tasks := []view{{name: "main", state: &api.TaskState{State: api.TaskStateRunning, StartedAt: at(0)}}}
	good := checkView{name: "a", service: "s", healthy: true, since: at(3), asked: true}
	bad := checkView{name: "b", service: "s", since: at(1), asked: true, output: "refused"}
	silent := checkView{name: "c", service: "s"}
	for _, c := range []struct {
		name, mode string
		checks     []checkView
		now        int
		want       string
		again      int
	}{
		{"no checks", "checks", nil, 5, "healthy", 0},
		{"not for long enough", "", []checkView{good}, 5, "open", 8},
		{"for long enough", "checks", []checkView{good}, 8, "healthy", 0},
		{"one fails", "checks", []checkView{good, bad}, 8, "open", 20},
		{"deadline", "checks", []checkView{good, bad}, 20, `check "b" of service "s" fails at the healthy deadline: refused`, 0},
		{"no answer", "checks", []checkView{good, silent}, 20, `check "c" of service "s" has not answered by the healthy deadline`, 0},
		{"too late", "checks", []checkView{{healthy: true, since: at(18)}}, 20, "not healthy for the minimum of 5s by the healthy deadline", 0},
		{"tasks only", "task_states", []checkView{bad}, 8, "healthy", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHealth(c.mode, new(api.Duration(5*time.Second)), new(api.Duration(20*time.Second)), start)
			healthy, again := h.judge(tasks, c.checks, at(c.now))
			got := "open"
			switch {
			case healthy != nil && *healthy:
				got = "healthy"
			case healthy != nil:
				got = ill(h.mode, tasks, c.checks, h.min)
			}
			if want := at(c.again); got != c.want || !again.IsZero() && !again.Equal(want) || again.IsZero() != (c.again == 0) {
				t.Errorf("%s, again at %s", got, again)
			}
		})
	}
}

package task

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/localdb"
)

func ptr[T any](v T) *T { return &v }

func TestDecide(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	policy := func(attempts int, mode string) *api.RestartPolicy {
		return &api.RestartPolicy{Attempts: &attempts, Mode: mode, Interval: ptr(api.Duration(10 * time.Minute)), Delay: ptr(api.Duration(20 * time.Second))}
	}
	seen := func(count int, ago time.Duration) localdb.RestartInfo {
		return localdb.RestartInfo{Count: count, Since: now.Add(-ago)}
	}
	success, batch, fatal := outcome{success: true}, outcome{success: true, completes: true}, outcome{permanent: true}
	for name, c := range map[string]struct {
		policy *api.RestartPolicy
		seen   localdb.RestartInfo
		o      outcome
		rnd    float64
		action action
		delay  time.Duration
		count  int
		reason string
	}{
		"batch succeeds":      {policy(3, "fail"), seen(1, 0), batch, 0, actDone, 0, 1, ""},
		"batch, no restarts":  {policy(0, "fail"), seen(0, 0), batch, 0, actDone, 0, 0, ""},
		"batch fails":         {policy(3, "fail"), localdb.RestartInfo{}, outcome{completes: true}, 0, actRestart, 20 * time.Second, 1, "within policy"},
		"service succeeds":    {policy(3, "fail"), localdb.RestartInfo{}, success, 0, actRestart, 20 * time.Second, 1, "within policy"},
		"full jitter":         {policy(3, "fail"), seen(1, time.Minute), outcome{}, 1, actRestart, 25 * time.Second, 2, "within policy"},
		"no restarts":         {policy(0, "delay"), seen(0, 0), outcome{}, 0, actFail, 0, 0, "allows no restarts"},
		"no policy":           {nil, seen(0, 0), outcome{}, 0, actFail, 0, 0, "allows no restarts"},
		"unrecoverable":       {policy(3, "delay"), seen(0, 0), fatal, 0, actFail, 0, 0, "unrecoverable"},
		"last attempt":        {policy(3, "fail"), seen(2, 9*time.Minute), outcome{}, 0, actRestart, 20 * time.Second, 3, "within policy"},
		"attempts used up":    {policy(3, "fail"), seen(3, 9*time.Minute), outcome{}, 0, actFail, 0, 4, `3 in interval 10m0s and mode is "fail"`},
		"wait for interval":   {policy(3, "delay"), seen(3, 4*time.Minute), outcome{}, 0, actRestart, 6 * time.Minute, 4, `mode is "delay"`},
		"never below delay":   {policy(3, "delay"), seen(3, 10*time.Minute-time.Second), outcome{}, 0, actRestart, 20 * time.Second, 4, `mode is "delay"`},
		"interval is over":    {policy(3, "fail"), seen(3, 10*time.Minute), outcome{}, 0, actRestart, 20 * time.Second, 1, "within policy"},
		"success is counted":  {policy(1, "fail"), seen(1, time.Minute), success, 0, actFail, 0, 2, "Exceeded"},
		"clock went backward": {policy(3, "fail"), seen(3, -time.Minute), outcome{}, 0, actFail, 0, 4, "Exceeded"},
	} {
		got, d := decide(c.policy, c.seen, c.o, now, c.rnd)
		if d.action != c.action || d.delay != c.delay || got.Count != c.count || !strings.Contains(d.reason, c.reason) {
			t.Errorf("%s: %+v, count %d; want action %d, delay %v, count %d, reason %q", name, d, got.Count, c.action, c.delay, c.count, c.reason)
		}
	}
}

func TestCompletes(t *testing.T) {
	for _, c := range []struct {
		kind string
		hook *api.TaskLifecycle
		want bool
	}{
		{api.JobTypeService, nil, false}, {api.JobTypeSystem, nil, false}, {api.JobTypeBatch, nil, true}, {api.JobTypeSysBatch, nil, true},
		{api.JobTypeService, &api.TaskLifecycle{Hook: api.HookPrestart}, true},
		{api.JobTypeBatch, &api.TaskLifecycle{Hook: api.HookPrestart, Sidecar: true}, false},
		{api.JobTypeService, &api.TaskLifecycle{Hook: api.HookPoststop}, true},
	} {
		if got := Completes(&api.Job{Type: c.kind}, &api.Task{Lifecycle: c.hook}); got != c.want {
			t.Errorf("Completes(%s, %+v) = %v", c.kind, c.hook, got)
		}
	}
}

package sched

import (
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

func policy(function string, delay, most time.Duration) *api.ReschedulePolicy {
	yes := true
	d, m := api.Duration(delay), api.Duration(most)
	return &api.ReschedulePolicy{DelayFunction: function, Delay: &d, MaxDelay: &m, Unlimited: &yes}
}

// Each failure comes at once after the replacement before.
func TestDelaysGrow(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	for _, tc := range []struct {
		function string
		want     []time.Duration // seconds
	}{
		{"constant", []time.Duration{5, 5, 5, 5}},
		{"exponential", []time.Duration{5, 10, 20, 40, 60, 60}},
		{"fibonacci", []time.Duration{5, 5, 10, 15, 25, 40, 60, 60}},
	} {
		p := policy(tc.function, 5*time.Second, time.Minute)
		a := &api.Allocation{ID: "x", NodeID: "n"}
		now := start
		for i, want := range tc.want {
			a.ModifyTime = now.UnixNano()
			v := reschedule(p, a, now, false)
			if !v.replace || v.delay != want*time.Second || !v.at.Equal(now.Add(v.delay)) {
				t.Errorf("%s, replacement %d: %+v, want a delay of %ds", tc.function, i, v, want)
			}
			now = v.at
			a = &api.Allocation{ID: "x", NodeID: "n", RescheduleTracker: trackerAfter(p, a, v.delay, now)}
		}
		if n := len(a.RescheduleTracker.Events); n > keptEvents+1 {
			t.Errorf("%s: %d events are kept", tc.function, n)
		}
		if tc.function == "constant" {
			continue
		}
		a.ModifyTime = now.Add(2 * time.Minute).UnixNano()
		if v := reschedule(p, a, now.Add(2*time.Minute), false); v.delay != 5*time.Second {
			t.Errorf("%s after a quiet time: %v", tc.function, v.delay)
		}
	}
}

func TestAttemptsCountWithinTheInterval(t *testing.T) {
	no, attempts := false, 2
	delay, interval := api.Duration(time.Second), api.Duration(time.Hour)
	p := &api.ReschedulePolicy{DelayFunction: "constant", Delay: &delay, Attempts: &attempts, Interval: &interval, Unlimited: &no}
	now := time.Unix(1_000_000, 0)
	event := func(ago time.Duration) *api.RescheduleEvent {
		return &api.RescheduleEvent{RescheduleTime: now.Add(-ago).UnixNano()}
	}
	for _, tc := range []struct {
		events []*api.RescheduleEvent
		want   bool
	}{
		{nil, true},
		{[]*api.RescheduleEvent{event(time.Minute)}, true},
		{[]*api.RescheduleEvent{event(2 * time.Minute), event(time.Minute)}, false},
		{[]*api.RescheduleEvent{event(2 * time.Hour), event(time.Minute)}, true},
	} {
		a := &api.Allocation{ModifyTime: now.UnixNano(), RescheduleTracker: &api.RescheduleTracker{Events: tc.events}}
		if got := reschedule(p, a, now, false).replace; got != tc.want {
			t.Errorf("%d events: %v", len(tc.events), got)
		}
		if !reschedule(p, a, now, true).replace {
			t.Error("force asks the policy")
		}
	}
	old := &api.Allocation{ModifyTime: now.UnixNano(), RescheduleTracker: &api.RescheduleTracker{Events: []*api.RescheduleEvent{event(2 * time.Hour), event(time.Minute)}}}
	if n := len(trackerAfter(p, old, time.Second, now).Events); n != 2 {
		t.Errorf("%d events are kept, want the one inside the interval and the new one", n)
	}
}

func TestANodesClockMayBeAhead(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	a := &api.Allocation{TaskStates: map[string]*api.TaskState{"t": {FinishedAt: now.Add(time.Hour)}}}
	if v := reschedule(policy("constant", time.Second, 0), a, now, false); v.at.Sub(now) != time.Second {
		t.Errorf("due in %v", v.at.Sub(now))
	}
}

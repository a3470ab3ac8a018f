package httpapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Text with everything that needs care in JSON.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-z0-9-]{0,12}`), rapid.String(),
		rapid.SampledFrom([]string{"<&>", "\u2028", "a\x00b", "\xff\xfe", `"\`, "\n\t\r\b\f\x1b", "é漢", "\x7f"}))
}

func times(t *rapid.T, name string) time.Time {
	if rapid.Bool().Draw(t, name+" zero") {
		return time.Time{}
	}
	return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, name), rapid.Int64Range(0, 999999999).Draw(t, name+" ns")).UTC()
}

func boolPtr(t *rapid.T, name string) *bool {
	return rapid.SampledFrom([]*bool{nil, new(bool), func() *bool { b := true; return &b }()}).Draw(t, name)
}

var details = []string{
	api.DetailFailsTask, api.DetailRestartReason, api.DetailDriverError, api.DetailExitCode, api.DetailSignal, api.DetailKillTimeout,
	api.DetailStartDelay, api.DetailDiskLimit, api.DetailTaskSignal, api.DetailExitMessage, api.DetailOOMKilled, "other",
}

func event(t *rapid.T) *api.TaskEvent {
	e := &api.TaskEvent{
		Type:    rapid.SampledFrom([]string{api.EventReceived, api.EventSignaling, api.EventTerminated, api.EventKilling, api.EventRestarting, "New Kind"}).Draw(t, "type"),
		Time:    rapid.Int64().Draw(t, "time"),
		Message: texts().Draw(t, "message"),
	}
	value := rapid.OneOf(texts(), rapid.SampledFrom([]string{"true", "137", "-9", "5s", "5000000000", "99999999999999999999"}))
	if rapid.Bool().Draw(t, "has details") {
		e.Details = rapid.MapOfN(rapid.SampledFrom(details), value, 0, 4).Draw(t, "details")
	}
	return e
}

func allocation(t *rapid.T) *api.Allocation {
	s := func(name string) string { return texts().Draw(t, name) }
	a := &api.Allocation{
		ID: s("ID"), EvalID: s("EvalID"), Name: s("Name"), Namespace: s("ns"), NodeID: s("node"), NodeName: s("nodename"), JobID: s("job"),
		TaskGroup: s("group"), DesiredStatus: s("desired"), DesiredDescription: s("dd"), ClientStatus: s("cs"), ClientDescription: s("cd"),
		FollowupEvalID: s("fu"), PreviousAllocation: s("prev"), NextAllocation: s("next"), PreemptedByAllocation: s("pre"),
		DesiredTransition:    api.DesiredTransition{Migrate: boolPtr(t, "m"), Reschedule: boolPtr(t, "r"), NoShutdownDelay: boolPtr(t, "n")},
		PreemptedAllocations: rapid.SampledFrom([][]string{nil, {}, {"a", "<b>"}}).Draw(t, "preempted"),
		CreateIndex:          rapid.Uint64().Draw(t, "ci"), ModifyIndex: rapid.Uint64().Draw(t, "mi"),
		CreateTime: rapid.Int64().Draw(t, "ct"), ModifyTime: rapid.Int64().Draw(t, "mt"),
	}
	if rapid.Bool().Draw(t, "has job") {
		a.Job = &api.Job{Type: s("jobtype"), Version: rapid.Uint64().Draw(t, "version")}
	}
	if rapid.Bool().Draw(t, "has resources") {
		a.AllocatedResources = &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{s("task"): {Cpu: api.AllocatedCPU{CpuShares: 5}}}}
	}
	if rapid.Bool().Draw(t, "has health") {
		a.DeploymentStatus = &api.AllocDeploymentStatus{Healthy: boolPtr(t, "healthy"), Timestamp: times(t, "at"), Canary: rapid.Bool().Draw(t, "canary"), ModifyIndex: 7}
	}
	if rapid.Bool().Draw(t, "has tracker") {
		a.RescheduleTracker = &api.RescheduleTracker{LastReschedule: s("last")}
		for range rapid.IntRange(0, 2).Draw(t, "events") {
			a.RescheduleTracker.Events = append(a.RescheduleTracker.Events, &api.RescheduleEvent{RescheduleTime: 5, PrevAllocID: s("pa"), PrevNodeID: s("pn"), Delay: api.Duration(time.Second)})
		}
	}
	if rapid.Bool().Draw(t, "has states") {
		a.TaskStates = map[string]*api.TaskState{}
		for range rapid.IntRange(0, 3).Draw(t, "tasks") {
			st := &api.TaskState{State: s("state"), Failed: rapid.Bool().Draw(t, "failed"), Restarts: 3, LastRestart: times(t, "lr"), StartedAt: times(t, "sa"), Paused: s("paused")}
			for range rapid.IntRange(0, 3).Draw(t, "task events") {
				st.Events = append(st.Events, event(t))
			}
			a.TaskStates[s("taskname")] = st
		}
	}
	return a
}

// The hand-written encoder writes, byte for byte, what encoding/json writes.
func TestStubIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := allocation(t)
		show := stubShow{resources: rapid.Bool().Draw(t, "resources"), taskStates: rapid.Bool().Draw(t, "states")}
		got, err := show.append(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		stub := a.Stub()
		if show.resources {
			stub.AllocatedResources = a.AllocatedResources
		}
		if !show.taskStates {
			stub.TaskStates = nil
		}
		var want bytes.Buffer
		if err := web.EncodeJSON(&want, stub); err != nil {
			t.Fatal(err)
		}
		// An event's MarshalJSON escapes HTML, which the encoder around it
		// can't take back: compare the meaning, and the bytes without that.
		if diff := cmp.Diff(decoded(t, want.Bytes()), decoded(t, got)); diff != "" {
			t.Fatal(diff)
		}
		plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(want.String())
		if diff := cmp.Diff(plain, string(got)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func decoded(t *rapid.T, b []byte) any {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// A listed allocation costs no memory of its own.
func TestStubAllocatesNothing(t *testing.T) {
	a, buf := runningAlloc(), make([]byte, 0, 64<<10)
	if n := testing.AllocsPerRun(100, func() { buf, _ = stubShow{taskStates: true}.append(buf[:0], a) }); n != 0 {
		t.Errorf("%v allocations per stub", n)
	}
}

func runningAlloc() *api.Allocation {
	return &api.Allocation{
		ID: "a8198d79-cfdb-6593-a999-1e9adabcba2e", Name: "example.cache[0]", Job: &api.Job{Type: "service"}, ClientStatus: "running",
		TaskStates: map[string]*api.TaskState{"redis": {State: "running", Events: []*api.TaskEvent{
			api.NewTaskEvent(api.EventReceived, time.Unix(1, 0)), api.NewTaskEvent(api.EventTaskSetup, time.Unix(1, 0), "message", "Building Task Directory"),
			api.NewTaskEvent(api.EventStarted, time.Unix(1, 0)),
		}}},
	}
}

func BenchmarkStub(b *testing.B) {
	a := runningAlloc()
	show := stubShow{taskStates: true}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = show.append(buf[:0], a)
	}
	b.SetBytes(int64(len(buf)))
}

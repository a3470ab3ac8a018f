package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// sampleExceptions are the places where an answer differs from the samples of
// the API's documentation, each with its reason.
var sampleExceptions = map[string]string{
	"RescheduleTracker.Events[].Delay": "the sample shows text; clients decode integer nanoseconds, as every other duration",
}

func sample(t *testing.T, name string) any {
	t.Helper()
	b, err := os.ReadFile("testdata/samples/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// like reports every member of want, a sample, that got lacks or has with
// another type. What is null in the sample may have a value.
func like(path string, want, got any) (problems []string) {
	if sampleExceptions[path] != "" || want == nil {
		return nil
	}
	if g, w := kindOf(got), kindOf(want); g != w {
		return []string{fmt.Sprintf("%s is %s, the sample has %s", path, g, w)}
	}
	switch want := want.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(want)) {
			value, ok := got.(map[string]any)[key]
			p := strings.TrimPrefix(path+"."+key, ".")
			if strings.HasPrefix(key, nodeID+".") { // keys of Scores
				p = path
			}
			if !ok {
				problems = append(problems, p+" is missing")
				continue
			}
			problems = append(problems, like(p, want[key], value)...)
		}
	case []any:
		if len(want) > 0 && len(got.([]any)) == 0 {
			return []string{path + " is empty"}
		}
		for i := range want {
			problems = append(problems, like(path+"[]", want[i], got.([]any)[min(i, len(got.([]any))-1)])...)
		}
	}
	return problems
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "an array"
	}
	return fmt.Sprintf("a %T", v)
}

// chain registers the sample's own job and lets the scheduler place it three
// times, each replacing one that failed. It returns the one in the middle.
func (w *world) chain() string {
	w.t.Helper()
	n := testNode(nodeID)
	n.Drivers["docker"] = &api.DriverInfo{Detected: true, Healthy: true}
	n.NodeResources.Networks = []*api.NetworkResource{{Mode: "host", Device: "lo0", IP: "127.0.0.1"}}
	if _, err := w.server.RegisterNode(w.t.Context(), n, ""); err != nil {
		w.t.Fatal(err)
	}
	job := sample(w.t, "read").(map[string]any)["Job"].(map[string]any)
	job["Reschedule"] = map[string]any{"Unlimited": true, "Delay": 5e9, "DelayFunction": "constant", "Interval": 0, "Attempts": 0, "MaxDelay": 0}
	job["Update"] = map[string]any{"Stagger": 1e10, "MaxParallel": 0}
	body, err := json.Marshal(map[string]any{"Job": job})
	if err != nil {
		w.t.Fatal(err)
	}
	w.send("POST", "/v1/jobs", string(body), nil)
	now := start
	var ids []string
	for range 3 {
		now = now.Add(time.Hour)
		j := w.store.Snapshot().Job("default", "example")
		eval := &api.Evaluation{ID: w.newID(), Namespace: "default", JobID: j.ID, Type: j.Type, Priority: j.Priority, TriggeredBy: api.EvalTriggerJobRegister, Status: api.EvalStatusPending}
		w.propose(&store.UpsertEvals{Evals: []*api.Evaluation{eval}, Now: now.UnixNano()})
		plan := sched.Plan(w.store.Snapshot(), eval, func() time.Time { return now }, w.newID)
		if len(plan.Placements) != 1 {
			w.t.Fatalf("placement %d: %+v", len(ids), plan.Eval)
		}
		id := plan.Placements[0].Allocs[0].ID
		w.propose(&store.ApplyPlan{Plan: plan, Now: now.UnixNano()})
		events := []*api.TaskEvent{
			api.NewTaskEvent(api.EventReceived, now), api.NewTaskEvent(api.EventDriver, now, api.DetailDriverMessage, "Downloading image redis:3.2"),
			api.NewTaskEvent(api.EventStarted, now), api.NewTaskEvent(api.EventTerminated, now, api.DetailExitCode, "1"),
		}
		err := w.server.UpdateAllocs(w.t.Context(), nodeID, []*api.AllocUpdate{{ID: id, ClientStatus: api.AllocClientFailed, TaskStates: map[string]*api.TaskState{
			"redis": {State: api.TaskStateDead, Failed: true, StartedAt: now, FinishedAt: now, Events: events},
		}}})
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids[1]
}

// Lists and full reads have every member of the documentation's samples, with
// its type, filled by the scheduler and a report.
func TestSamplesOfReads(t *testing.T) {
	w := newWorld(t)
	id := w.chain()
	var list []any
	w.get("/v1/allocations?prefix="+id[:8], &list)
	if len(list) != 1 {
		t.Fatalf("%d allocations have the prefix %s", len(list), id[:8])
	}
	for _, p := range like("", sample(t, "list").([]any)[0], list[0]) {
		t.Error("list:", p)
	}
	var full map[string]any
	w.get("/v1/allocation/"+id, &full)
	for _, p := range like("", sample(t, "read"), full) {
		t.Error("read:", p)
	}
	for key, empty := range map[string]any{"PreviousAllocation": "", "NextAllocation": "", "EvalID": "", "AllocModifyIndex": 0.0, "CreateTime": 0.0} {
		if full[key] == empty {
			t.Errorf("%s is empty", key)
		}
	}
	port := full["AllocatedResources"].(map[string]any)["Tasks"].(map[string]any)["redis"].(map[string]any)["Networks"].([]any)[0].(map[string]any)["DynamicPorts"].([]any)[0].(map[string]any)
	if v, _ := port["Value"].(float64); v < 20000 || v > 32000 || port["Label"] != "db" {
		t.Errorf("the port that was given: %v", port)
	}
	if full["NetworkStatus"] == nil || full["Metrics"].(map[string]any)["NodesAvailable"].(map[string]any)["dc1"] != 1.0 {
		t.Errorf("network %v, metrics %v", full["NetworkStatus"], full["Metrics"])
	}
}

// Stop answers as its sample does.
func TestSampleOfStop(t *testing.T) {
	w := newWorld(t)
	id := w.place("web", w.run("web", 1).EvalID, 1)[0]
	var got map[string]any
	w.send("POST", "/v1/allocation/"+id+"/stop", "", &got)
	for _, p := range like("", sample(t, "stop"), got) {
		t.Error("stop:", p)
	}
}

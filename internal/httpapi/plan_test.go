package httpapi_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

// A plan tells what a registration would do and leaves nothing behind.
func TestPlan(t *testing.T) {
	w := newWorld(t)
	var plan api.JobPlanResponse
	planBody := func(body string) string { return strings.TrimSuffix(body, "}") + `,"Diff":true}` }

	w.send("POST", "/v1/job/web/plan", planBody(jobBody("web", 3)), &plan)
	if u := plan.Annotations.DesiredTGUpdates["cache"]; u == nil || u.Place != 3 || plan.JobModifyIndex != 0 || len(plan.FailedTGAllocs) != 0 {
		t.Errorf("a new job: %+v, %+v", plan, u)
	}
	if plan.Diff.Type != api.DiffAdded || plan.Diff.TaskGroups[0].Updates["create"] != 3 {
		t.Errorf("diff of a new job: %+v", plan.Diff)
	}

	reg := w.run("web", 2)
	ids := w.place("web", reg.EvalID, 2)
	for _, id := range ids {
		w.report(id, "running")
	}
	before := w.store.Snapshot().Index()
	w.send("POST", "/v1/job/web/plan", planBody(jobBody("web", 2)), &plan)
	if u := plan.Annotations.DesiredTGUpdates["cache"]; u.Ignore != 2 || plan.Diff.Type != api.DiffNone || plan.JobModifyIndex != reg.JobModifyIndex {
		t.Errorf("no change: %+v, diff %s", u, plan.Diff.Type)
	}
	w.send("POST", "/v1/job/web/plan", planBody(jobBody("web", 5)), &plan)
	if u := plan.Annotations.DesiredTGUpdates["cache"]; u.Place != 3 || plan.Diff.Type != api.DiffEdited {
		t.Errorf("more: %+v, diff %s", u, plan.Diff.Type)
	}

	huge := strings.Replace(jobBody("web", 2), `"CPU":100`, `"CPU":99999999`, 1)
	w.send("POST", "/v1/job/web/plan", huge, &plan)
	if m := plan.FailedTGAllocs["cache"]; m == nil || m.NodesExhausted == 0 && m.NodesEvaluated == 0 {
		t.Errorf("a job that fits nowhere: %+v", plan.FailedTGAllocs)
	}
	if w.store.Snapshot().Index() != before {
		t.Error("a plan changed the state")
	}
	for body, part := range map[string]string{
		jobBody("other", 1): `"web"`,
		jobBody("web", -1):  "cache",
		strings.Replace(jobBody("web", 1), "service", "batch", 1):       "Type",
		`{"Job":{"ID":"web","TaskGroups":[{"Name":"cache"}]},"Diff":1}`: "field Diff",
	} {
		if status, text, _ := w.call("POST", "/v1/job/web/plan", body); status != 400 || !strings.Contains(text, part) {
			t.Errorf("got %d %s, want %s", status, text, part)
		}
	}
}

// Whatever a job holds, to plan what is registered shows no change and would
// touch nothing, and to register it again makes no version.
func TestPlanOfTheRegisteredJobIsEmpty(t *testing.T) {
	files, err := filepath.Glob("../../jobspec/testdata/good/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	w := newWorld(t)
	planned := 0
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := json.Marshal(map[string]any{"JobHCL": string(source)})
		status, parsed, _ := w.call("POST", "/v1/jobs/parse", string(body))
		if status != 200 {
			continue // it wants variables
		}
		var job api.Job
		if err := json.Unmarshal([]byte(parsed), &job); err != nil {
			t.Fatal(err)
		}
		job.Namespace = ""
		for _, g := range job.TaskGroups {
			for _, task := range g.Tasks { // what is not for this release
				task.Templates, task.Artifacts, task.Vault = nil, nil, nil
				if task.Resources != nil {
					task.Resources.Devices = nil
				}
			}
		}
		body, _ = json.Marshal(map[string]any{"Job": &job, "Diff": true})
		if status, text, _ := w.call("PUT", "/v1/jobs", string(body)); status != 200 {
			t.Logf("%s is not for this release: %s", path, text)
			continue
		}
		planned++
		var plan api.JobPlanResponse
		at := "/v1/job/" + url.PathEscape(job.ID)
		w.send("POST", at+"/plan", string(body), &plan)
		if plan.Diff.Type != api.DiffNone || plan.JobModifyIndex == 0 {
			t.Errorf("%s: planned again: %+v", path, plan.Diff)
		}
		w.send("PUT", "/v1/jobs", string(body), nil)
		var stored api.Job
		if w.get(at, &stored); stored.Version != 0 {
			t.Errorf("%s: registered again it is version %d", path, stored.Version)
		}
		// The stored job itself, as a client reads and sends it.
		again, _ := json.Marshal(map[string]any{"Job": &stored, "Diff": true})
		if w.send("POST", at+"/plan", string(again), &plan); plan.Diff.Type != api.DiffNone {
			t.Errorf("%s: read and planned: %+v", path, plan.Diff)
		}
	}
	if planned < 3 {
		t.Errorf("only %d jobs could be registered", planned)
	}
}

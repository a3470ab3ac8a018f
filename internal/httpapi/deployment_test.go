package httpapi_test

import (
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

func (w *world) deploy(jobID, evalID string, state *api.DeploymentState) string {
	w.t.Helper()
	job := w.store.Snapshot().Job("default", jobID)
	id := w.newID()
	w.propose(&store.ApplyPlan{Now: 1, Plan: &api.Plan{EvalID: evalID, Deployment: &api.Deployment{
		ID: id, Namespace: "default", JobID: jobID, JobVersion: job.Version, JobCreateIndex: job.CreateIndex,
		Status: api.DeploymentRunning, TaskGroups: map[string]*api.DeploymentState{"cache": state},
	}}})
	return id
}

// Failing a deployment with auto-revert registers the stable version again,
// in the same step.
func TestFailReverts(t *testing.T) {
	w := newWorld(t)
	w.run("web", 1)
	w.send("POST", "/v1/job/web/stable", `{"JobID":"web","JobVersion":0,"Stable":true}`, nil)
	var reg api.JobRegisterResponse
	w.send("POST", "/v1/jobs", strings.Replace(jobBody("web", 1), `"MemoryMB":64`, `"MemoryMB":65`, 1), &reg)
	d := w.deploy("web", reg.EvalID, &api.DeploymentState{AutoRevert: true, DesiredTotal: 1})
	var res api.DeploymentUpdateResponse
	w.send("PUT", "/v1/deployment/fail/"+d, "", &res)
	if res.RevertedJobVersion == nil || *res.RevertedJobVersion != 0 || res.EvalID == "" {
		t.Fatalf("response %+v", res)
	}
	var job api.Job
	w.get("/v1/job/web", &job)
	if job.Version != 2 || job.TaskGroups[0].Tasks[0].Resources.MemoryMB != 64 {
		t.Errorf("version %d with %d MiB", job.Version, job.TaskGroups[0].Tasks[0].Resources.MemoryMB)
	}
	var dep api.Deployment
	w.get("/v1/deployment/"+d, &dep)
	if dep.Status != api.DeploymentFailed || !strings.Contains(dep.StatusDescription, "version 0") {
		t.Errorf("deployment %s: %s", dep.Status, dep.StatusDescription)
	}
	if status, body, _ := w.call("PUT", "/v1/deployment/fail/"+d, ""); status != 400 || !strings.Contains(body, "failed") {
		t.Errorf("failing it again: %d %s", status, body)
	}
}

func TestPauseAndPromote(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 1)
	d := w.deploy("web", reg.EvalID, &api.DeploymentState{DesiredCanaries: 1, DesiredTotal: 1})
	var dep api.Deployment
	w.send("POST", "/v1/deployment/pause/"+d, `{"DeploymentID":"`+d+`","Pause":true}`, nil)
	if w.get("/v1/deployment/"+d, &dep); dep.Status != api.DeploymentPaused {
		t.Errorf("paused: %s", dep.Status)
	}
	w.send("POST", "/v1/deployment/pause/"+d, `{"Pause":false}`, nil)
	if w.get("/v1/deployment/"+d, &dep); dep.Status != api.DeploymentRunning {
		t.Errorf("resumed: %s", dep.Status)
	}
	for body, part := range map[string]string{
		`{"All":true}`:                        "healthy canaries",
		`{}`:                                  "All",
		`{"All":true,"Groups":["cache"]}`:     "All",
		`{"Groups":["none"]}`:                 `"none"`,
		`{"DeploymentID":"other","All":true}`: `"other"`,
		`{"Groups":"cache"}`:                  "field Groups",
	} {
		if status, text, _ := w.call("POST", "/v1/deployment/promote/"+d, body); status != 400 || !strings.Contains(text, part) {
			t.Errorf("%s: %d %s, want %s", body, status, text, part)
		}
	}
	if status, text, _ := w.call("POST", "/v1/deployment/allocation-health/"+d, `{"HealthyAllocationIDs":["x"]}`); status != 400 || !strings.Contains(text, `"x"`) {
		t.Errorf("health of a stranger: %d %s", status, text)
	}
}

func TestSearchPrefixes(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 25)
	ids := w.place("web", reg.EvalID, 25)
	for prefix, want := range map[string]int{ids[3]: 1, ids[3][:7]: 14, ids[3][:9]: 1, "ffffff": 0, "not hex": 0, "": 20} {
		var res api.SearchResponse
		w.send("POST", "/v1/search", `{"Prefix":"`+prefix+`","Context":"allocs"}`, &res)
		if got := len(res.Matches["allocs"]); got != want {
			t.Errorf("prefix %q: %d allocations, want %d (%v)", prefix, got, want, res.Matches["allocs"])
		}
		if res.Truncations["allocs"] != (prefix == "") {
			t.Errorf("prefix %q: truncated %v", prefix, res.Truncations["allocs"])
		}
	}
	var res api.SearchResponse
	w.send("POST", "/v1/search", `{"Prefix":"node-f","Context":"nodes"}`, &res)
	if len(res.Matches["nodes"]) != 1 {
		t.Errorf("nodes by name: %v", res.Matches)
	}
}

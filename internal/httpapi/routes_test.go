package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Every route that an unmodified client asks answers as it should.
func TestRoutes(t *testing.T) {
	w := newWorld(t)
	reg := w.run("team/web", 1)
	id := w.place("team/web", reg.EvalID, 1)[0]
	w.report(id, "running")
	w.propose(&store.ApplyPlan{Plan: &api.Plan{EvalID: reg.EvalID, Deployment: &api.Deployment{
		ID: noID, Namespace: "default", JobID: "team/web", JobCreateIndex: reg.JobModifyIndex, Status: api.DeploymentRunning,
		TaskGroups: map[string]*api.DeploymentState{"cache": {DesiredTotal: 1}},
	}}, Now: 1})

	tests := []struct {
		method, target, body string
		status               int
		want                 string // a part of the body
	}{
		{"GET", "/v1/jobs", "", 200, `"ID":"team/web"`},
		{"GET", "/v1/jobs?prefix=team&meta=true", "", 200, `"ID":"team/web"`},
		{"GET", "/v1/jobs?prefix=x", "", 200, `[]`},
		{"GET", "/v1/job/team%2Fweb", "", 200, `"ID":"team/web"`},
		{"GET", "/v1/job/team/web", "", 200, `"ID":"team/web"`},
		{"GET", "/v1/job/team%2Fweb/summary", "", 200, `"Running":1`},
		{"GET", "/v1/job/team/web/allocations", "", 200, id},
		{"GET", "/v1/job/none/allocations", "", 200, `[]`},
		{"GET", "/v1/job/team%2Fweb/evaluations", "", 200, reg.EvalID},
		{"GET", "/v1/job/none/evaluations", "", 200, `[]`},
		{"GET", "/v1/job/team%2Fweb/deployments", "", 200, noID},
		{"GET", "/v1/job/none/deployments", "", 200, `[]`},
		{"GET", "/v1/job/team%2Fweb/deployment", "", 200, noID},
		{"GET", "/v1/job/none/deployment", "", 200, `null`},
		{"DELETE", "/v1/job/none", "", 200, `"EvalID":""`},
		{"GET", "/v1/job/team%2Fweb/versions", "", 200, `"Versions":[{`},
		{"GET", "/v1/job/team%2Fweb/scale", "", 200, `"Desired":1,"Placed":1,"Running":1`},
		{"GET", "/v1/job/team%2Fweb/services", "", 200, `[]`},
		{"GET", "/v1/job/team%2Fweb/actions", "", 200, `[]`},
		{"POST", "/v1/job/team%2Fweb/evaluate", "", 200, `"EvalID":"0`},
		{"POST", "/v1/job/team%2Fweb/stable", `{"JobVersion":0,"Stable":true}`, 200, `"Index":`},
		{"GET", "/v1/jobs/statuses", "", 200, `"GroupCountSum":1`},
		{"POST", "/v1/jobs/statuses", `{"Jobs":[{"ID":"team/web","Namespace":"default"}]}`, 200, id},
		{"POST", "/v1/validate/job", jobBody("v", 1), 200, `"ValidationErrors":null`},
		{"POST", "/v1/validate/job", jobBody("v", -1), 200, `cache`},

		{"GET", "/v1/allocations", "", 200, id},
		{"GET", "/v1/allocations?namespace=*&prefix=" + id[:8], "", 200, id},
		{"GET", "/v1/allocations?namespace=other", "", 200, `[]`},
		{"GET", "/v1/allocations?resources=true", "", 200, `"AllocatedResources":{`},
		{"GET", "/v1/allocations?task_states=false", "", 200, `"TaskStates":null`},
		{"GET", `/v1/allocations?filter=ClientStatus+==+"running"+and+Job.Type+==+"service"`, "", 200, id},
		{"GET", `/v1/allocations?filter=DeploymentStatus.Healthy+==+true`, "", 200, `[]`},
		{"GET", "/v1/allocation/" + id, "", 200, `"AllocModifyIndex":`},
		{"GET", "/v1/allocation/" + id + "/services", "", 200, `[]`},

		{"GET", "/v1/evaluations", "", 200, reg.EvalID},
		{"GET", "/v1/evaluations?status=pending&job=team%2Fweb", "", 200, reg.EvalID},
		{"GET", "/v1/evaluations?status=failed", "", 200, `[]`},
		{"GET", "/v1/evaluations/count", "", 200, `{"Count":2}`},
		{"GET", "/v1/evaluation/" + reg.EvalID + "?related=true", "", 200, `"TriggeredBy":"job-register"`},
		{"GET", "/v1/evaluation/" + reg.EvalID + "/allocations", "", 200, id},

		{"GET", "/v1/deployments", "", 200, noID},
		{"GET", "/v1/deployments?prefix=00", "", 200, noID},
		{"GET", "/v1/deployment/" + noID, "", 200, `"Status":"running"`},
		{"GET", "/v1/deployment/allocations/" + noID, "", 200, `[]`},
		{"POST", "/v1/deployment/pause/" + noID, `{"Pause":true}`, 200, `"DeploymentModifyIndex":`},
		{"POST", "/v1/deployment/fail/" + noID, "", 200, `"RevertedJobVersion":null`},

		{"GET", "/v1/nodes", "", 200, `"Version":"0.1.0"`},
		{"GET", "/v1/nodes?resources=true&os=true", "", 200, `"NodeResources":{`},
		{"GET", "/v1/nodes?prefix=fb21", "", 200, nodeID},
		{"GET", "/v1/node/" + nodeID, "", 200, `"Status":"ready"`},
		{"GET", "/v1/node/" + nodeID + "/allocations", "", 200, `"TaskResources":{`},
		{"GET", "/v1/node/" + noID + "/allocations", "", 200, `[]`},
		{"PUT", "/v1/node/" + nodeID + "/eligibility", `{"Eligibility":"ineligible"}`, 200, `"NodeModifyIndex":`},
		{"PUT", "/v1/node/" + nodeID + "/evaluate", "", 200, `"EvalIDs":["`},
		{"GET", "/v1/node/pools", "", 200, `"Name":"all"`},
		{"GET", "/v1/node/pool/default", "", 200, `"Name":"default"`},
		{"GET", "/v1/node/pool/all/nodes", "", 200, nodeID},

		{"POST", "/v1/search", `{"Prefix":"0","Context":"all"}`, 200, id},
		{"POST", "/v1/search", `{"Prefix":"team","Context":"jobs"}`, 200, `"jobs":["team/web"]`},
		{"POST", "/v1/search/fuzzy", `{"Text":"RED","Context":"all"}`, 200, `"tasks":[{"ID":"redis","Scope":["default","team/web","cache"]}]`},
		{"GET", "/v1/namespaces", "", 200, `"Name":"default"`},
		{"GET", "/v1/namespace/default", "", 200, `"Name":"default"`},
		{"GET", "/v1/status/leader", "", 200, `"127.0.0.1:4647"`},
		{"GET", "/v1/status/peers", "", 200, `["127.0.0.1:4647"]`},
		{"GET", "/v1/regions", "", 200, `["global"]`},
		{"GET", "/v1/agent/self", "", 200, `"member":{"Name":"s1.global"`},
		{"GET", "/v1/agent/health?type=client", "", 200, `{"client":{"ok":true,"message":"ok"}}`},
		{"GET", "/v1/agent/health", "", 500, `"server":{"ok":false`},
		{"GET", "/v1/agent/members", "", 200, `"ServerRegion":"global"`},
		{"GET", "/v1/agent/servers", "", 200, `["127.0.0.1:4647"]`},
		{"GET", "/v1/agent/schedulers", "", 200, `"enabled_schedulers":["service","batch","system","sysbatch","_core"],"started":"`},
		{"PUT", "/v1/agent/schedulers/config", `{"num_schedulers":3,"enabled_schedulers":["_core","batch"]}`, 200, `{"server_id":"s1.global","num_schedulers":3,"enabled_schedulers":["_core","batch"]}`},
		{"PUT", "/v1/agent/schedulers/config", `{"num_schedulers":3,"enabled_schedulers":["batch"]}`, 400, `Invalid request`},
		{"GET", "/v1/agent/schedulers/config", "", 200, `{"server_id":"s1.global","num_schedulers":3,"enabled_schedulers":["_core","batch"]}`},
		{"GET", "/v1/operator/raft/configuration", "", 200, `"Leader":true`},
		{"GET", "/v1/operator/scheduler/configuration", "", 200, `"SchedulerAlgorithm":"binpack"`},
		{"PUT", "/v1/operator/scheduler/configuration?cas=77", `{"SchedulerAlgorithm":"spread"}`, 200, `"Updated":false`},
		{"PUT", "/v1/operator/scheduler/configuration", `{"SchedulerAlgorithm":"spread"}`, 200, `"Updated":true`},
		{"GET", "/v1/operator/autopilot/health", "", 200, `"Leader":"s1","Voters":["s1"]`},
		{"GET", "/v1/operator/autopilot/configuration", "", 200, `"CleanupDeadServers":false,"LastContactThreshold":"200ms"`},
		{"PUT", "/v1/operator/autopilot/configuration", `{"CleanupDeadServers":true}`, 501, `there is no autopilot to configure`},
		{"GET", "/v1/operator/license", "", 204, ``},
		{"PUT", "/v1/system/gc", "", 200, ``},
		{"GET", "/v1/metrics", "", 200, `"Gauges":[]`},
		{"GET", "/v1/metrics?format=prometheus", "", 200, ``},
		{"GET", "/.well-known/jwks.json", "", 200, `"keys":[`},
		{"GET", "/v1/volumes?type=csi", "", 200, `[]`},
		{"GET", "/v1/services", "", 200, `[]`},
		{"GET", "/v1/acl/tokens", "", 400, `ACL support disabled`},

		{"GET", "/v1/client/allocation/" + id + "/stats", "", 200, "node " + nodeID},
		{"GET", "/v1/allocation/" + id + "/checks", "", 200, "/v1/client/allocation/" + id + "/checks"},
		{"GET", "/v1/client/fs/logs/" + id + "?task=redis&type=stdout", "", 200, "node " + nodeID},
		{"GET", "/v1/client/stats", "", 200, "node " + nodeID},
		{"GET", "/v1/client/stats?node_id=" + nodeID, "", 200, "node " + nodeID},

		{"POST", "/v1/allocation/" + id + "/stop", "", 200, `"EvalID":"`},
		{"DELETE", "/v1/job/team%2Fweb?purge=true", "", 200, `"EvalID":"`},
		{"GET", "/v1/job/team%2Fweb", "", 404, `job not found`},
		{"PUT", "/v1/node/" + nodeID + "/purge", "", 200, `"EvalIDs":["`},
	}
	for _, tt := range tests {
		target := strings.ReplaceAll(strings.ReplaceAll(tt.target, `"`, "%22"), " ", "+")
		status, body, _ := w.call(tt.method, target, tt.body)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: got %d %.600s\nwant %d with %s", tt.method, tt.target, status, body, tt.status, tt.want)
		}
	}
	if w.gc != 1 {
		t.Errorf("collected %d times", w.gc)
	}
}

// The caller's mistakes are 4xx, and the text names what is wrong.
func TestBadInput(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 1)
	id := w.place("web", reg.EvalID, 1)[0]
	before := w.store.Snapshot().Index()
	big := `{"Job":{"ID":"` + strings.Repeat("x", 10<<20) + `"}}`
	tests := []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/v1/nothing", "", 404, ""},
		{"GET", "/nothing", "", 404, ""},
		{"GET", "/v1/allocation/" + id + "/nothing", "", 404, "resource not found"},
		{"DELETE", "/v1/jobs", "", 405, "Invalid method"},
		{"HEAD", "/v1/allocations", "", 405, ""},
		{"POST", "/v1/allocations", "", 405, "Invalid method"},
		{"GET", "/v1/allocation/" + id + "/stop", "", 405, "Invalid method"},
		{"GET", "/v1/client/allocation/" + id + "/restart", "", 405, "Invalid method"},
		{"PATCH", "/v1/job/web/plan", "", 405, "Invalid method"},

		{"GET", "/v1/allocations?prefix=a", "", 400, `prefix "a"`},
		{"GET", "/v1/allocations?prefix=zz", "", 400, `prefix "zz"`},
		{"GET", "/v1/allocations?prefix=" + id + "00", "", 400, "too long"},
		{"GET", "/v1/allocations?resources=maybe", "", 400, `"resources"`},
		{"GET", "/v1/allocations?task_states=7", "", 400, `"task_states"`},
		{"GET", "/v1/allocations?index=-1", "", 400, `"index"`},
		{"GET", "/v1/allocations?wait=10", "", 400, `"wait"`},
		{"GET", "/v1/allocations?per_page=-1", "", 400, `"per_page"`},
		{"GET", "/v1/allocations?stale=perhaps", "", 400, `"stale"`},
		{"GET", "/v1/allocations?next_token=garbage", "", 400, `"next_token"`},
		{"GET", "/v1/allocations?region=mars", "", 400, `"mars"`},
		{"GET", "/v1/allocations?filter=((", "", 400, `"filter"`},
		{"GET", "/v1/allocations?filter=ClientStatuss==x", "", 400, `"ClientStatuss", the nearest is "ClientStatus"`},
		{"GET", "/v1/allocations?filter=Job==x", "", 400, `selector "Job"`},
		{"GET", "/v1/allocations?filter=CreateIndex==soon", "", 400, `selector "CreateIndex"`},
		{"GET", "/v1/evaluations?filter=JobID==x&status=failed", "", 400, "Filter expression cannot be used with other filter parameters"},
		{"GET", "/v1/allocation/nope", "", 400, `"nope"`},
		{"GET", "/v1/allocation/" + noID, "", 404, "alloc not found"},
		{"POST", "/v1/allocation/nope/stop", "", 400, `"nope"`},
		{"POST", "/v1/allocation/" + noID + "/stop", "", 404, "allocation not found"},
		{"POST", "/v1/allocation/" + id + "/stop?no_shutdown_delay=x", "", 400, `"no_shutdown_delay"`},
		{"GET", "/v1/client/allocation/" + noID + "/stats", "", 404, noID},
		{"GET", "/v1/client/fs/ls", "", 400, "alloc id"},
		{"GET", "/v1/client/fs/ls/", "", 400, "alloc id"},
		{"GET", "/v1/client/stats?node_id=" + noID, "", 404, noID},

		{"POST", "/v1/jobs", "", 400, "Request body is empty"},
		{"POST", "/v1/jobs", "{", 400, "line 1"},
		{"POST", "/v1/jobs", `{}`, 400, "Job must be specified"},
		{"POST", "/v1/jobs", `{"Job":{"ID":"x","TaskGroups":[{"Count":"two"}]}}`, 400, "Job.TaskGroups[0].Count"},
		{"POST", "/v1/jobs", `{"Job":{"ID":"x","TaskGroups":[{"Tasks":[{"KillTimeout":"soon"}]}]}}`, 400, "Job.TaskGroups[0].Tasks[0].KillTimeout"},
		{"POST", "/v1/jobs", jobBody("x", -1), 400, "cache"},
		{"POST", "/v1/jobs", strings.Replace(jobBody("x", 1), "raw_exec", "rawexec", 1), 400, `"rawexec"`},
		{"POST", "/v1/jobs", strings.Replace(jobBody("x", 1), `"Type"`, `"Region":"mars","Type"`, 1), 400, `"mars"`},
		{"POST", "/v1/jobs", strings.Replace(jobBody("x", 1), `"Type"`, `"Namespace":"other","Type"`, 1), 400, `"other"`},
		{"POST", "/v1/jobs", strings.TrimSuffix(jobBody("x", 1), "}") + `,"EvalPriority":999}`, 400, "EvalPriority"},
		{"POST", "/v1/jobs", big, 413, "10 MiB"},
		{"POST", "/v1/job/other", jobBody("x", 1), 400, `"other"`},
		{"POST", "/v1/jobs", strings.Replace(jobBody("web", 1), "service", "batch", 1), 400, "Type"},
		{"POST", "/v1/jobs", strings.TrimSuffix(jobBody("web", 3), "}") + `,"EnforceIndex":true,"JobModifyIndex":9999}`, 409, "Enforcing job modify index 9999"},
		{"DELETE", "/v1/job/web?purge=maybe", "", 400, `"purge"`},
		{"GET", "/v1/job/none", "", 404, "job not found"},
		{"GET", "/v1/job/", "", 400, "names no job"},
		{"GET", "/v1/job/web/submission", "", 400, `"version"`},
		{"GET", "/v1/job/web/submission?version=0", "", 404, "job source not found"},
		{"POST", "/v1/job/web/revert", `{"JobVersion":7}`, 404, "version 7"},
		{"POST", "/v1/job/web/scale", `{"Count":2}`, 400, "Target"},
		{"POST", "/v1/job/web/scale", `{"Count":-2,"Target":{"Group":"cache"}}`, 400, "Count is -2"},
		{"POST", "/v1/job/web/scale", `{"Count":2,"Target":{"Group":"none"}}`, 400, `"none"`},
		{"POST", "/v1/job/web/dispatch", `{}`, 400, "not parameterized"},
		{"POST", "/v1/job/web/periodic/force", ``, 400, "not periodic"},
		{"GET", "/v1/evaluation/nope", "", 400, `"nope"`},
		{"GET", "/v1/evaluation/" + noID, "", 404, "eval not found"},
		{"GET", "/v1/deployment/" + noID, "", 404, "deployment not found"},
		{"POST", "/v1/deployment/promote/" + noID, `{"All":true}`, 404, "deployment not found"},
		{"GET", "/v1/node/" + noID, "", 404, "node not found"},
		{"PUT", "/v1/node/" + nodeID + "/eligibility", `{"Eligibility":"maybe"}`, 400, "Eligibility"},
		{"PUT", "/v1/node/" + nodeID + "/drain", `{"DrainSpec": {"Deadline": -7}}`, 400, "DrainSpec.Deadline"},
		{"PUT", "/v1/node/" + nodeID + "/drain", `{"DrainSpec": {}, "MarkEligible": true}`, 400, "MarkEligible"},
		{"POST", "/v1/search", `{"Prefix":"x","Context":"moons"}`, 400, `"moons"`},
		{"POST", "/v1/search/fuzzy", `{"Text":"x"}`, 400, "at least 2"},
		{"PUT", "/v1/operator/scheduler/configuration", `{"SchedulerAlgorithm":"luck"}`, 400, "SchedulerAlgorithm"},
		{"GET", "/v1/namespace/none", "", 404, "namespace not found"},
		{"GET", "/v1/metrics?format=xml", "", 400, `"format"`},
	}
	for _, tt := range tests {
		status, body, h := w.call(tt.method, tt.target, tt.body)
		if status != tt.status || !strings.Contains(body, tt.want) || tt.want == "" && tt.method != "HEAD" && body != "" {
			t.Errorf("%s %s: got %d %.600s\nwant %d with %s", tt.method, tt.target, status, body, tt.status, tt.want)
		}
		if status == 405 && h.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", tt.method, tt.target)
		}
	}
	if after := w.store.Snapshot().Index(); after != before && countJobs(w) != 1 {
		t.Errorf("refused requests left something: %d jobs", countJobs(w))
	}
}

func countJobs(w *world) int {
	n := 0
	for range w.store.Snapshot().Jobs() {
		n++
	}
	return n
}

// A web page can't drive the agent; curl with its default content type can.
func TestPagesAreRefused(t *testing.T) {
	w := newWorld(t)
	if status, _, _ := w.call("POST", "/v1/jobs", jobBody("x", 1), "Origin", "http://evil.example"); status != 403 {
		t.Errorf("foreign origin: %d", status)
	}
	if status, _, _ := w.call("GET", "/v1/client/allocation/"+noID+"/exec", "", "Origin", "http://evil.example", "Upgrade", "websocket"); status != 403 {
		t.Errorf("foreign websocket: %d", status)
	}
	if status, body, _ := w.call("POST", "/v1/jobs", jobBody("x", 1), "Content-Type", "application/x-www-form-urlencoded"); status != 200 {
		t.Errorf("curl -d: %d %s", status, body)
	}
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	first := w.run("web", 1)
	if first.EvalID == "" || first.EvalCreateIndex != first.Index || first.JobModifyIndex != first.Index {
		t.Errorf("first registration: %+v", first)
	}
	again := w.run("web", 1)
	var versions api.JobVersionsResponse
	w.get("/v1/job/web/versions", &versions)
	if len(versions.Versions) != 1 || again.EvalID == first.EvalID || again.EvalID == "" || again.JobModifyIndex != first.JobModifyIndex {
		t.Errorf("an identical registration made %d versions and %+v", len(versions.Versions), again)
	}

	// Counts are kept when asked; a warning names what was not understood.
	var res api.JobRegisterResponse
	body := strings.Replace(jobBody("web", 5), `"Driver"`, `"Drover":1,"Driver"`, 1)
	body = strings.Replace(body, `"MemoryMB":64`, `"MemoryMB":65`, 1)
	w.send("PUT", "/v1/job/web", strings.TrimSuffix(body, "}")+`,"PreserveCounts":true,"EvalPriority":77,"Submission":{"Source":"job {}","Format":"hcl2"}}`, &res)
	if !strings.Contains(res.Warnings, "Job.TaskGroups[0].Tasks[0].Drover") {
		t.Errorf("warnings: %q", res.Warnings)
	}
	var job api.Job
	w.get("/v1/job/web", &job)
	if job.Version != 1 || *job.TaskGroups[0].Count != 1 || job.TaskGroups[0].Tasks[0].Resources.MemoryMB != 65 {
		t.Errorf("version %d, count %d", job.Version, *job.TaskGroups[0].Count)
	}
	var e api.Evaluation
	w.get("/v1/evaluation/"+res.EvalID, &e)
	if e.Priority != 77 || e.JobModifyIndex != res.JobModifyIndex || e.Status != "pending" {
		t.Errorf("evaluation: %+v", e)
	}
	var sub api.JobSubmission
	w.get("/v1/job/web/submission?version=1", &sub)
	if sub.Source != "job {}" || sub.JobID != "web" {
		t.Errorf("submission: %+v", sub)
	}

	// Scaling makes a version, reverting makes another that equals the first.
	w.send("POST", "/v1/job/web/scale", `{"Count":4,"Target":{"Group":"cache"},"Message":"more"}`, &res)
	w.get("/v1/job/web", &job)
	if job.Version != 2 || *job.TaskGroups[0].Count != 4 {
		t.Errorf("after scaling: version %d count %d", job.Version, *job.TaskGroups[0].Count)
	}
	var scale api.JobScaleStatus
	w.get("/v1/job/web/scale", &scale)
	if ev := scale.TaskGroups["cache"].Events; len(ev) != 1 || ev[0].Message != "more" || ev[0].PreviousCount != 1 || *ev[0].EvalID != res.EvalID {
		t.Errorf("scaling events: %+v", ev)
	}
	w.send("POST", "/v1/job/web/revert", `{"JobID":"web","JobVersion":0}`, &res)
	w.get("/v1/job/web", &job)
	if job.Version != 3 || job.TaskGroups[0].Tasks[0].Resources.MemoryMB != 64 || *job.TaskGroups[0].Count != 1 {
		t.Errorf("after reverting: version %d", job.Version)
	}
}

func TestStopAsksForTheMove(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 1)
	id := w.place("web", reg.EvalID, 1)[0]
	var res api.AllocStopResponse
	h := w.send("PUT", "/v1/allocation/"+id+"/stop?no_shutdown_delay=true", "ignored", &res)
	if h.Get("X-Nomad-Index") == "" || res.Index == 0 {
		t.Errorf("index: header %q, body %d", h.Get("X-Nomad-Index"), res.Index)
	}
	a := w.store.Snapshot().Alloc(id)
	d := a.DesiredTransition
	if !d.ShouldMigrate() || !d.SkipShutdownDelay() || d.Reschedule == nil || *d.Reschedule || a.DesiredStatus != "run" {
		t.Errorf("transition %+v, desired %s", d, a.DesiredStatus)
	}
	if e := w.store.Snapshot().Eval(res.EvalID); e == nil || e.TriggeredBy != api.EvalTriggerAllocStop || e.JobID != "web" {
		t.Errorf("evaluation %+v", e)
	}
}

func TestSplice(t *testing.T) {
	var asked *http.Request
	w := newWorld(t, connected(func(nodeID string) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = r
			return textResponse(r, "from "+nodeID), nil
		})
	}))
	w.register(otherID)
	reg := w.run("web", 1)
	id := w.place("web", reg.EvalID, 1)[0]
	// The same allocation as seen by an agent whose node is another.
	w.node.id = otherID
	status, body, _ := w.call("GET", "/v1/client/fs/ls/"+id+"?path=/", "", "X-Nomad-Token", "s3cret", "Authorization", "Bearer s3cret")
	if status != 200 || body != "from "+nodeID {
		t.Fatalf("got %d %s", status, body)
	}
	if asked.Header.Get("X-Nomad-Token") != "" || asked.Header.Get("Authorization") != "" {
		t.Error("the node saw the caller's token")
	}
	if asked.URL.RequestURI() != "/v1/client/fs/ls/"+id+"?path=/" {
		t.Errorf("the node was asked %s", asked.URL.RequestURI())
	}
	gone := newWorld(t)
	reg = gone.run("web", 1)
	id = gone.place("web", reg.EvalID, 1)[0]
	gone.node.id = otherID
	if status, body, _ := gone.call("GET", "/v1/client/fs/ls/"+id, ""); status != 404 || !strings.Contains(body, "No path to node") {
		t.Errorf("node without a connection: %d %s", status, body)
	}
}

func TestPaging(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 7)
	all := w.place("web", reg.EvalID, 7)
	for _, query := range []string{"", "&reverse=true", "&prefix=00", "&prefix=00&reverse=true", `&filter=JobID==web`} {
		var got []string
		for token, pages := "", 0; pages < 20; pages++ {
			var page []*api.AllocListStub
			h := w.get("/v1/allocations?per_page=2"+query+"&next_token="+token, &page)
			for _, a := range page {
				got = append(got, a.ID)
			}
			// Writes between the pages neither repeat nor hide what was there.
			w.report(all[pages%7], "running")
			if token = h.Get("X-Nomad-NextToken"); token == "" {
				break
			}
		}
		want := slices.Clone(all)
		if strings.Contains(query, "reverse") {
			slices.Reverse(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", query, got, want)
		}
	}
	var evals, page []*api.Evaluation
	w.run("web", 6)
	w.run("web", 5)
	w.get("/v1/evaluations?reverse=true", &evals)
	h := w.get("/v1/evaluations?reverse=true&per_page=1", &page)
	w.get("/v1/evaluations?reverse=true&per_page=1&next_token="+h.Get("X-Nomad-NextToken"), &page)
	if len(evals) != 3 || page[0].ID != evals[1].ID {
		t.Errorf("evaluations: %d, second page %v", len(evals), page)
	}
}

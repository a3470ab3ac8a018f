package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

func (w *world) wants(t *testing.T, method, target, body, want string) {
	t.Helper()
	status, text, _ := w.call(method, target, body)
	if got := fmt.Sprint(status, " ", text); !strings.HasPrefix(got, want) {
		t.Errorf("%s %s %s: %s, want %s", method, target, body, got, want)
	}
}

func TestNamespaceRoutes(t *testing.T) {
	w := newWorld(t)
	for _, tc := range [][4]string{
		{"GET", "/v1/namespace/prod", "", "404 namespace not found"},
		{"PUT", "/v1/namespace", `{"Name":"prod","Description":"a"}`, "200 "},
		{"POST", "/v1/namespace/prod", `{"Description":"b","Meta":{"x":"y"}}`, "200 "},
		{"POST", "/v1/namespaces", `{"Name":"dev"}`, "200 "},
		{"PUT", "/v1/namespace/prod", `{"Name":"dev"}`, `400 Name is "dev", but the path names "prod"`},
		{"PUT", "/v1/namespace", `{"Name":"*"}`, `400 invalid name "*".`},
		{"PUT", "/v1/namespace", `{"Name":"x","Quota":"q"}`, `400 Quota: there is no quota "q"`},
		{"PUT", "/v1/namespace", ``, `400 `},
		{"DELETE", "/v1/namespace/default", "", `400 namespace "default" is built in`},
		{"DELETE", "/v1/namespace/nosuch", "", `404 namespace not found`},
		{"GET", "/v1/namespaces?filter=Nam==1", "", `400 filter: selector "Nam"`},
	} {
		w.wants(t, tc[0], tc[1], tc[2], tc[3])
	}
	var ns api.Namespace
	h := w.get("/v1/namespace/prod", &ns)
	if ns.Description != "b" || ns.Meta["x"] != "y" || h.Get("X-Nomad-Index") != fmt.Sprint(ns.ModifyIndex) {
		t.Errorf("%+v %v", ns, h)
	}
	names := func(query string) string {
		var list []api.Namespace
		h := w.get("/v1/namespaces"+query, &list)
		var out []string
		for _, n := range list {
			out = append(out, n.Name)
		}
		return strings.Join(append(out, h.Get("X-Nomad-NextToken")), " ")
	}
	for query, want := range map[string]string{
		"": "default dev prod ", "?prefix=d": "default dev ", "?per_page=2": "default dev prod", "?per_page=2&next_token=prod": "prod ",
		"?reverse=true": "prod dev default ", "?reverse=true&next_token=dev": "dev default ", `?filter=Meta.x+==+"y"`: "prod ",
		"?prefix=x": "",
	} {
		if got := names(query); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	w.hidden = map[string]bool{"prod": true}
	if got := names(""); got != "default dev " {
		t.Errorf("of three, one hidden: %q", got)
	}
	w.wants(t, "GET", "/v1/namespace/prod", "", "404 namespace not found")
	w.deny = map[api.Capability]bool{api.CapManagement: true}
	w.wants(t, "PUT", "/v1/namespace", `{"Name":"more"}`, "403 ")
	w.wants(t, "DELETE", "/v1/namespace/dev", "", "403 ")
}

// The same job ID lives once in every namespace, and all that hangs on a job
// follows it there.
func TestJobsInNamespaces(t *testing.T) {
	w := newWorld(t)
	w.send("PUT", "/v1/namespace", `{"Name":"prod","Capabilities":{"DisabledTaskDrivers":["docker"]}}`, nil)
	w.send("PUT", "/v1/node/pools", `{"Name":"gpu"}`, nil)
	w.send("PUT", "/v1/namespace", `{"Name":"gpu","NodePoolConfiguration":{"Default":"gpu"}}`, nil)
	w.run("web", 1)
	var reg api.JobRegisterResponse
	w.send("POST", "/v1/jobs?namespace=prod", jobBody("web", 3), &reg)
	w.wants(t, "POST", "/v1/jobs?namespace=nosuch", jobBody("web", 1), `400 namespace "nosuch" does not exist`)
	w.wants(t, "PUT", "/v1/job/web/plan?namespace=nosuch", jobBody("web", 1), `400 namespace "nosuch" does not exist`)
	docker := strings.Replace(jobBody("box", 1), "raw_exec", "docker", 1)
	w.wants(t, "POST", "/v1/jobs?namespace=prod", docker, `400 group "cache" > task "redis" > Driver: namespace "prod" does not allow "docker"`)
	w.send("POST", "/v1/jobs", docker, nil)
	w.send("POST", "/v1/jobs?namespace=gpu", jobBody("train", 1), nil)

	var job api.Job
	if w.get("/v1/job/web?namespace=prod", &job); job.Namespace != "prod" || job.TaskGroups[0].CountOf() != 3 {
		t.Errorf("%s %d", job.Namespace, job.TaskGroups[0].CountOf())
	}
	if w.get("/v1/job/train?namespace=gpu", &job); job.NodePool != "gpu" {
		t.Errorf("the pool of a namespace was not taken: %s", job.NodePool)
	}
	w.wants(t, "GET", "/v1/job/train", "", "404 job not found")
	list := func(query string) []string {
		var jobs []api.JobListStub
		w.get("/v1/jobs"+query, &jobs)
		out := []string{}
		for _, j := range jobs {
			out = append(out, j.Namespace+"/"+j.ID)
		}
		return out
	}
	for query, want := range map[string][]string{
		"": {"default/box", "default/web"}, "?namespace=prod": {"prod/web"}, "?namespace=nosuch": {},
		"?namespace=*": {"default/box", "default/web", "gpu/train", "prod/web"}, "?namespace=*&prefix=w": {"default/web", "prod/web"},
		"?namespace=*&per_page=2": {"default/box", "default/web"}, "?namespace=*&per_page=2&next_token=gpu.train": {"gpu/train", "prod/web"},
		`?namespace=*&filter=ID=="web"&reverse=true`: {"prod/web", "default/web"},
	} {
		if got := list(query); !slices.Equal(got, want) {
			t.Errorf("jobs%s: %v, want %v", query, got, want)
		}
	}
	w.hidden = map[string]bool{"prod": true}
	if got := list("?namespace=*"); !slices.Equal(got, []string{"default/box", "default/web", "gpu/train"}) {
		t.Errorf("with prod hidden: %v", got)
	}
	w.hidden = nil
	w.send("DELETE", "/v1/job/web?namespace=prod", "", nil)
	if w.get("/v1/job/web", &job); job.Stop {
		t.Error("stopping a job stopped its namesake")
	}
}

// What is found by its ID alone looks missing to those who may not read there,
// whatever they want to do with it.
func TestHiddenInAnotherNamespace(t *testing.T) {
	w := newWorld(t)
	w.send("PUT", "/v1/namespace", `{"Name":"prod"}`, nil)
	var reg api.JobRegisterResponse
	w.send("POST", "/v1/jobs?namespace=prod", jobBody("web", 1), &reg)
	job := w.store.Snapshot().Job("prod", "web")
	id := w.newID()
	w.propose(&store.ApplyPlan{Now: start.UnixNano(), Plan: &api.Plan{EvalID: reg.EvalID, Job: job, Placements: []*api.PlanGroup{{
		TaskGroup: "cache", Resources: &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{"redis": {}}},
		Allocs: []*api.Placement{{ID: id, NodeID: nodeID, NodeName: "node-fb"}},
	}}, Deployment: &api.Deployment{
		ID: otherID, Namespace: "prod", JobID: "web", Status: api.DeploymentRunning, JobCreateIndex: job.CreateIndex, TaskGroups: map[string]*api.DeploymentState{"cache": {}},
	}}})
	if len(w.store.Snapshot().Deployment(otherID).TaskGroups) != 1 {
		t.Fatal("no deployment")
	}
	w.hidden = map[string]bool{"prod": true}
	for _, target := range []string{
		"GET /v1/allocation/", "POST /v1/allocation/%s/stop", "GET /v1/client/allocation/%s/stats", "POST /v1/client/allocation/%s/restart",
		"POST /v1/client/allocation/%s/signal", "GET /v1/client/fs/ls/", "GET /v1/client/fs/logs/%s?task=redis&type=stdout",
		"GET /v1/evaluation/", "GET /v1/deployment/", "POST /v1/deployment/fail/", "POST /v1/deployment/pause/", "POST /v1/deployment/promote/",
		"GET /v1/allocation/%s/services",
	} {
		method, path, _ := strings.Cut(target, " ")
		at := func(id string) string {
			if strings.Contains(path, "%s") {
				return fmt.Sprintf(path, id)
			}
			return path + id
		}
		object := id
		switch {
		case strings.Contains(path, "deployment"):
			object = otherID
		case strings.Contains(path, "evaluation"):
			object = reg.EvalID
		}
		body := ""
		if method == http.MethodPost {
			body = "{}"
		}
		status, text, _ := w.call(method, at(object), body)
		absent, missing, _ := w.call(method, at(noID), body)
		if status != absent || strings.ReplaceAll(text, object, "ID") != strings.ReplaceAll(missing, noID, "ID") || status != 404 {
			t.Errorf("%s: hidden %d %q, missing %d %q", target, status, text, absent, missing)
		}
	}
	for target, want := range map[string]string{
		"/v1/allocations?namespace=*": "200 []", "/v1/evaluations?namespace=*": "200 []", "/v1/deployments?namespace=*": "200 []",
		"/v1/evaluation/" + reg.EvalID + "/allocations": "200 []", "/v1/deployment/allocations/" + otherID: "200 []",
		"/v1/node/" + nodeID + "/allocations": "200 []", "/v1/jobs/statuses?namespace=*": "200 []",
		"/v1/allocations?namespace=prod": "403 ", "/v1/job/web/allocations?namespace=prod": "403 ",
	} {
		w.wants(t, "GET", target, "", want)
	}
	w.wants(t, "POST", "/v1/jobs/statuses", `{"Jobs":[{"ID":"web","Namespace":"prod"}]}`, "200 []")
	for _, body := range []string{`{"Prefix":"","Context":"all","Namespace":"*"}`, `{"Prefix":"web","Context":"jobs","Namespace":"prod"}`, `{"Prefix":"pr","Context":"namespaces"}`} {
		var found api.SearchResponse
		w.send("POST", "/v1/search", body, &found)
		for c, ids := range found.Matches {
			if !slices.Contains([]string{"nodes", "node_pools", "namespaces"}, c) && len(ids) > 0 || slices.Contains(ids, "prod") {
				t.Errorf("search %s shows %s %v", body, c, ids)
			}
		}
	}
	var fuzzy api.FuzzySearchResponse
	for _, text := range []string{"web", "redis", "prod", otherID[:4]} {
		if w.send("POST", "/v1/search/fuzzy", `{"Text":"`+text+`","Context":"all","Namespace":"*"}`, &fuzzy); len(fuzzy.Matches) > 0 {
			t.Errorf("fuzzy search for %s shows %v", text, fuzzy.Matches)
		}
	}
	w.hidden = nil
	if w.send("POST", "/v1/search/fuzzy", `{"Text":"`+otherID[:4]+`","Context":"deployment","Namespace":"*"}`, &fuzzy); len(fuzzy.Matches["deployment"]) != 1 {
		t.Errorf("fuzzy search over all namespaces: %v", fuzzy.Matches)
	}
}

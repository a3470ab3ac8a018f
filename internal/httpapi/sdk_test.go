package httpapi_test

import (
	"net/http/httptest"
	"testing"

	sdk "github.com/hashicorp/nomad/api"
)

// The ecosystem's Go SDK, unmodified, understands every answer.
func TestSDK(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(w.h)
	t.Cleanup(srv.Close)
	c, err := sdk.NewClient(&sdk.Config{Address: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)

	count, cpu, mem := 2, 100, 64
	job := sdk.NewServiceJob("team/web", "web", "global", 50).AddDatacenter("dc1")
	job.AddTaskGroup(&sdk.TaskGroup{Name: ptr("cache"), Count: &count, Tasks: []*sdk.Task{{
		Name: "redis", Driver: "raw_exec", Config: map[string]any{"command": "/bin/sleep"}, Resources: &sdk.Resources{CPU: &cpu, MemoryMB: &mem},
	}}})
	reg, _, err := c.Jobs().Register(job, nil)
	if err != nil || reg.EvalID == "" {
		t.Fatalf("register: %+v %v", reg, err)
	}
	if reg.Warnings != "" {
		t.Errorf("warnings about what the SDK sends: %s", reg.Warnings)
	}
	id := w.place("team/web", reg.EvalID, 1)[0]
	w.report(id, "running")

	check := func(name string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: ok %v, %v", name, ok, err)
		}
	}
	info, meta, err := c.Jobs().Info("team/web", nil)
	check("job", err == nil && *info.ID == "team/web" && *info.TaskGroups[0].Count == 2 && meta.LastIndex > 0 && meta.KnownLeader, err)
	jobs, _, err := c.Jobs().List(nil)
	check("jobs", len(jobs) == 1 && jobs[0].JobSummary.Summary["cache"].Running == 1, err)
	versions, _, _, err := c.Jobs().Versions("team/web", true, nil)
	check("versions", len(versions) == 1, err)
	valid, _, err := c.Jobs().Validate(job, nil)
	check("validate", err == nil && valid.Error == "", err)
	allocs, _, err := c.Jobs().Allocations("team/web", true, nil)
	check("job allocations", len(allocs) == 1, err)
	evals, _, err := c.Jobs().Evaluations("team/web", nil)
	check("job evaluations", len(evals) == 1, err)
	scale, _, err := c.Jobs().Scale("team/web", "cache", ptr(3), "more", false, nil, nil)
	check("scale", err == nil && scale.EvalID != "", err)
	status, _, err := c.Jobs().ScaleStatus("team/web", nil)
	check("scale status", err == nil && len(status.TaskGroups["cache"].Events) == 1, err)
	_, _, err = c.Jobs().Revert("team/web", 0, nil, nil, "", "")
	check("revert", true, err)
	_, _, err = c.Jobs().Stable("team/web", 0, true, nil)
	check("stable", true, err)
	_, _, err = c.Jobs().EvaluateWithOpts("team/web", sdk.EvalOptions{ForceReschedule: true}, nil)
	check("evaluate", true, err)

	list, meta, err := c.Allocations().List(&sdk.QueryOptions{Prefix: id[:8]})
	check("allocations", len(list) == 1 && list[0].TaskStates["redis"].State == "running" && meta.LastIndex > 0, err)
	alloc, _, err := c.Allocations().Info(id, nil)
	//lint:ignore SA1019 older programs read Resources
	check("allocation", err == nil && alloc.TaskStates["redis"].Events[0].DisplayMessage != "" && alloc.Metrics.ScoreMetaData[0].NodeID == nodeID && *alloc.Resources.CPU == 100, err)
	stop, err := c.Allocations().Stop(alloc, nil)
	check("stop", err == nil && stop.EvalID != "", err)

	e, _, err := c.Evaluations().Info(reg.EvalID, nil)
	check("evaluation", err == nil && e.JobID == "team/web", err)
	_, _, err = c.Deployments().List(nil)
	check("deployments", true, err)
	nodes, _, err := c.Nodes().List(nil)
	check("nodes", len(nodes) == 1 && nodes[0].Status == "ready", err)
	node, _, err := c.Nodes().Info(nodeID, nil)
	check("node", err == nil && node.Name == "node-fb", err)
	on, _, err := c.Nodes().Allocations(nodeID, nil)
	check("node's allocations", len(on) == 1, err)
	_, err = c.Nodes().ToggleEligibility(nodeID, false, nil)
	check("eligibility", true, err)
	found, _, err := c.Search().PrefixSearch("team", "jobs", nil)
	check("search", err == nil && len(found.Matches["jobs"]) == 1, err)
	fuzzy, _, err := c.Search().FuzzySearch("red", "all", nil)
	check("fuzzy", err == nil && len(fuzzy.Matches["tasks"]) == 1, err)
	sched, _, err := c.Operator().SchedulerGetConfiguration(nil)
	check("scheduler configuration", err == nil && sched.SchedulerConfig.SchedulerAlgorithm == "binpack", err)
	raft, err := c.Operator().RaftGetConfiguration(nil)
	check("raft configuration", err == nil && len(raft.Servers) == 1, err)
	leader, err := c.Status().Leader()
	check("leader", leader == "127.0.0.1:4647", err)
	regions, err := c.Regions().List()
	check("regions", len(regions) == 1, err)
	_, err = c.Agent().Self()
	check("self", true, err)
	members, err := c.Agent().Members()
	check("members", err == nil && len(members.Members) == 1, err)
	ns, _, err := c.Namespaces().List(nil)
	check("namespaces", len(ns) == 1, err)
	pools, _, err := c.NodePools().List(nil)
	check("node pools", len(pools) == 2, err)
	check("gc", true, c.System().GarbageCollect())
	_, _, err = c.Jobs().DeregisterOpts("team/web", &sdk.DeregisterOptions{Purge: true}, nil)
	check("deregister", true, err)
	_, _, err = c.Jobs().Info("team/web", nil)
	check("not found", err != nil && err.Error() != "", nil)
}

func ptr[T any](v T) *T { return &v }

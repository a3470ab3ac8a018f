package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

// fullAlloc has something everywhere a filter may look.
func fullAlloc() *api.Allocation {
	yes := true
	return &api.Allocation{
		ID: "00000000-1111-2222-3333-444444444444", Name: "web.cache[0]", Namespace: "default", NodeID: "n", JobID: "web", ClientStatus: "running", DesiredStatus: "run",
		CreateIndex: 5, ModifyIndex: 9, CreateTime: 1, TaskGroup: "cache", PreemptedAllocations: []string{"x"},
		Job: &api.Job{ID: "web", Type: "service", Priority: 50, Datacenters: []string{"dc1"}, Meta: map[string]string{"team": "a", "a.b": "c"},
			TaskGroups: []*api.TaskGroup{{Name: "cache", Tasks: []*api.Task{{Name: "redis", Driver: "docker", Config: map[string]any{"image": "redis", "ports": []any{"db"}}}}}}},
		TaskStates: map[string]*api.TaskState{"redis": {State: "running", StartedAt: time.Unix(1, 0).UTC(), Events: []*api.TaskEvent{
			api.NewTaskEvent(api.EventTerminated, time.Unix(1, 0), api.DetailExitCode, "1"),
		}}},
		Metrics: &api.AllocMetric{NodesEvaluated: 3, NodesAvailable: map[string]int{"dc1": 2}, ConstraintFiltered: map[string]int{"missing drivers": 1},
			ScoreMetaData: []*api.NodeScoreMeta{{NodeID: "n", NormScore: 0.5}}},
		DeploymentStatus:   &api.AllocDeploymentStatus{Healthy: &yes},
		AllocatedResources: &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{"redis": {Cpu: api.AllocatedCPU{CpuShares: 100}}}},
		DesiredTransition:  api.DesiredTransition{Migrate: &yes},
		RescheduleTracker:  &api.RescheduleTracker{Events: []*api.RescheduleEvent{{PrevAllocID: "p"}}},
		NetworkStatus:      &api.AllocNetworkStatus{Address: "127.0.0.1"},
	}
}

// FuzzFilter holds that any text is a filter or an error of the caller's that
// is short enough to read, and that a filter decides about any object.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`ClientStatus == "running"`, `Job.Meta.team == a and not (CreateIndex == 5)`, `any TaskStates as n, s { s.State == "running" }`,
		`all Job.TaskGroups as g { any g.Tasks as t { t.Driver matches "^d" } }`, `Metrics.NodesAvailable.dc1 == 2`, `"dc1" in Job.Datacenters`,
		`Job.Meta["a.b"] == c`, `TaskStates.redis.Events.0.Type == "Terminated"`, `Job.TaskGroups.0.Tasks.0.Config.image == redis`,
		"`ClientStatus` == x", `ClientStatus matches "("`, `CreateIndex == 99999999999999999999`, `DeploymentStatus.Healthy is not empty`,
		`((((((((ID == a))))))))`, `Job.TaskGroups.99999999999999999999 == a`, `/Job/Meta/team == a`, `""`, `not not not ID == a`, `"/Job/Type" == service`,
	} {
		f.Add(s)
	}
	full, bare := fullAlloc(), &api.Allocation{}
	f.Fuzz(func(t *testing.T, expr string) {
		match, err := newFilter[*api.Allocation](expr)
		if err != nil {
			if api.ErrorCode(err) != api.CodeInvalid || len(err.Error()) > len(expr)*4+400 {
				t.Fatalf("%d bytes: %v", len(err.Error()), err)
			}
			return
		}
		if match == nil {
			if expr != "" {
				t.Fatal("no filter")
			}
			return
		}
		for _, a := range []*api.Allocation{full, bare} {
			first := match(a)
			if again := match(a); again != first {
				t.Fatal("it decides at random")
			}
		}
		if _, err := newFilter[*api.Allocation]("(" + expr + ")"); err != nil && len(expr) < maxFilterSize-2 && !strings.Contains(err.Error(), "is not a filter expression") {
			t.Fatalf("in parentheses: %v", err)
		}
	})
}

// FuzzNextToken holds that a token is refused by its name or names a place
// that its own form names again.
func FuzzNextToken(f *testing.F) {
	for _, s := range []string{"", ".", "1", "1.", "1.00000000-1111-2222-3333-444444444444", "00000000-1111-2222-3333-444444444444", "5.default.web", "default.a.b", "-1.x", "1e3",
		"18446744073709551616.00000000-1111-2222-3333-444444444444", "+1.00000000-1111-2222-3333-444444444444", "ABCDEFAB-1111-2222-3333-444444444444"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		refused := func(err error) bool {
			if err != nil && (api.ErrorCode(err) != api.CodeInvalid || !strings.Contains(err.Error(), `"next_token"`) || len(err.Error()) > 1024) {
				t.Fatalf("%v", err)
			}
			return err != nil
		}
		if index, id, err := parseCreateToken(token); !refused(err) {
			again, same, err := parseCreateToken(createToken(index, id.String()))
			if err != nil || again != index || same != id {
				t.Fatalf("%q is %d %s, and that is %d %s, %v", token, index, id, again, same, err)
			}
		}
		if start, whole, err := parseChangeToken(token); !refused(err) && whole {
			again, _, err := parseChangeToken(uintText(start.ModifyIndex) + "." + start.Namespace + "." + start.ID)
			if err != nil || newestChange(again, start) != 0 {
				t.Fatalf("%q: %v, %v", token, again, err)
			}
		}
		ids := []string{"00000000-0000-0000-0000-000000000000", "00000000-1111-2222-3333-444444444444", "abcdefab-1111-2222-3333-444444444444", "ffffffff-ffff-ffff-ffff-ffffffffffff"}
		up, err := beforeID(api.ListOptions{NextToken: token})
		down, err2 := beforeID(api.ListOptions{NextToken: token, Reverse: true})
		if refused(err) != refused(err2) {
			t.Fatal("refused in one direction only")
		}
		if up == nil {
			return
		}
		for i, id := range ids {
			if up(id) && down(id) {
				t.Fatalf("%s is before the token in both directions", id)
			}
			if i > 0 && (up(id) && !up(ids[i-1]) || !down(id) && down(ids[i-1])) {
				t.Fatalf("the order of %q", token)
			}
		}
		if id := strings.ToLower(token); slices.Contains(ids, id) && (up(id) || down(id)) {
			t.Fatal("the token's own item is left out")
		}
	})
}

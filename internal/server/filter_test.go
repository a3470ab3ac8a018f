package server

import (
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

func TestFilter(t *testing.T) {
	yes := true
	a := &api.Allocation{
		ID: "x", ClientStatus: "running", CreateIndex: 5, Job: &api.Job{Type: "batch", Meta: map[string]string{"team": "a"}, Datacenters: []string{"dc1"}},
		TaskStates:       map[string]*api.TaskState{"redis": {State: "running", Failed: false}},
		DeploymentStatus: &api.AllocDeploymentStatus{Healthy: &yes},
	}
	bare := &api.Allocation{ClientStatus: "pending"}
	for expr, want := range map[string][2]bool{
		`ClientStatus == "running"`:                            {true, false},
		`ClientStatus != "running"`:                            {false, true},
		`Job.Type == "batch"`:                                  {true, false}, // bare has no job: no match
		`Job.Type != "service"`:                                {true, false},
		`Job.Meta.team == "a"`:                                 {true, false},
		`Job.Meta.other is empty`:                              {true, false},
		`"dc1" in Job.Datacenters`:                             {true, false},
		`DeploymentStatus.Healthy == true`:                     {true, false},
		`CreateIndex == 5 and ClientStatus matches "^run"`:     {true, false},
		`not (CreateIndex == 5)`:                               {false, true},
		`TaskStates.redis.State == "running"`:                  {true, false},
		`any TaskStates as name, s { s.State == "running" }`:   {true, false},
		`DesiredTransition.Migrate is nil or ClientStatus==""`: {true, true},
		`ClientStatus contains "unn"`:                          {true, false},
	} {
		f, err := newFilter[*api.Allocation](expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := [2]bool{f(a), f(bare)}; got != want {
			t.Errorf("%s: %v, want %v", expr, got, want)
		}
	}
	for expr, part := range map[string]string{
		`ClientState == "x"`:                          `"ClientStatus"`,
		`Job.Typ == "x"`:                              `"Type"`,
		`Job == "x"`:                                  `"Job"`,
		`Job.Type.More == "x"`:                        `has no members`,
		`CreateIndex == "soon"`:                       `"soon"`,
		`ClientStatus == `:                            `not a filter expression`,
		`ClientStatus matches "("`:                    `regular expression`,
		`CreateIndex matches "1"`:                     `needs text`,
		`PreemptedAllocations.x == "1"`:               `position`,
		`CreateIndex is empty`:                        `needs text, a list or a map`,
		`ID == ` + strings.Repeat("x", maxFilterSize): `too long`,
		`ClientStatus == "a" or Nope == "b"`:          `"Nope"`,
	} {
		if _, err := newFilter[*api.Allocation](expr); api.ErrorCode(err) != api.CodeInvalid || !strings.Contains(err.Error(), part) {
			t.Errorf("%.60s: got %v, want an error with %s", expr, err, part)
		}
	}
}

// Selectors reach everywhere into an object, and one that leads nowhere names
// the member that is wrong and the nearest there is at that place.
func TestSelectorsReachTheFullObject(t *testing.T) {
	full, bare := fullAlloc(), &api.Allocation{}
	for _, expr := range []string{
		`Job.TaskGroups.0.Name == "cache"`, `Job.TaskGroups.0.Tasks.0.Driver == "docker"`, `Job.TaskGroups.0.Tasks.0.Config.image == "redis"`,
		`any Job.TaskGroups as g { any g.Tasks as t { t.Name == "redis" } }`, `Job.Meta.team == "a"`, `Job.Meta["a.b"] == "c"`, `"team" in Job.Meta`, `Job.Priority == 50`,
		`TaskStates.redis.State == "running"`, `TaskStates.redis.Failed == false`, `TaskStates["redis"].Restarts == 0`, `TaskStates.redis.Events.0.Type == "Terminated"`,
		`TaskStates.redis.Events.0.Details.exit_code == "1"`, `any TaskStates as name, s { s.State == "running" and name == "redis" }`,
		`Metrics.NodesEvaluated == 3`, `Metrics.NodesAvailable.dc1 == 2`, `Metrics.ConstraintFiltered["missing drivers"] == 1`, `Metrics.ScoreMetaData.0.NormScore == 0.5`,
		`DeploymentStatus.Healthy == true`, `DesiredTransition.Migrate == true`, `AllocatedResources.Tasks.redis.Cpu.CpuShares == 100`,
		`RescheduleTracker.Events.0.PrevAllocID == "p"`, `NetworkStatus.Address == "127.0.0.1"`, `"x" in PreemptedAllocations`, `Job.Datacenters contains "dc1"`,
	} {
		match, err := newFilter[*api.Allocation](expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
		} else if !match(full) || match(bare) {
			t.Errorf("%s: %t of the full object, %t of the bare one", expr, match(full), match(bare))
		}
	}
	for expr, parts := range map[string][]string{
		`ClientStat == "x"`:                                    {`"ClientStat"`, `"ClientStatus"`},
		`clientstatus == "x"`:                                  {`"clientstatus"`, `"ClientStatus"`},
		`Job.TaskGroup.0.Name == "x"`:                          {`"Job.TaskGroup.0.Name"`, `"TaskGroup"`, `"TaskGroups"`},
		`Job.TaskGroups.first.Name == "x"`:                     {`"first"`, `position`},
		`Job.TaskGroups.0.Tasks.0.Drivr == "x"`:                {`"Drivr"`, `"Driver"`},
		`TaskStates.redis.Stat == "x"`:                         {`"Stat"`, `"State"`},
		`TaskStates.redis.Events.0.DisplayMesage == "x"`:       {`"DisplayMesage"`},
		`Metrics.NodesEvaluate == 1`:                           {`"NodesEvaluate"`, `"NodesEvaluated"`},
		`Metrics.NodesAvailable.dc1.x == 1`:                    {`"Metrics.NodesAvailable.dc1"`, `has no members`},
		`any Job.TaskGroups as g { Nope == "x" }`:              {`"Nope"`},
		`all Job.TaskGroupz as g { g.Name == "x" }`:            {`"TaskGroupz"`, `"TaskGroups"`},
		`DeploymentStatus.Helthy == true`:                      {`"Helthy"`, `"Healthy"`},
		`AllocatedResources.Tasks.redis.Cpu.CpuShare == 1`:     {`"CpuShare"`, `"CpuShares"`},
		`ClientStatus == "running" or (not Job.Naem == "web")`: {`"Naem"`, `"Name"`},
	} {
		_, err := newFilter[*api.Allocation](expr)
		if api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v does not say %s", expr, err, part)
			}
		}
	}
}

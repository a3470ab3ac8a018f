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

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

const (
	evalID   = "11111111-aaaa-bbbb-cccc-000000000001"
	deployID = "22222222-aaaa-bbbb-cccc-000000000001"
	allocID  = "33333333-aaaa-bbbb-cccc-000000000001"
	nodeID   = "44444444-aaaa-bbbb-cccc-000000000001"
)

// jobFile writes a job file as JSON.
func jobFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "web.json")
	text := `{"Job": {"ID": "web", "Name": "web", "TaskGroups": [{"Name": "web", "Tasks": [{"Name": "server", "Driver": "raw_exec"}]}]}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// registered is an agent that has taken the job "web" and not looked at it.
func registered(t *testing.T) *fake {
	f := newFake(t)
	f.writes["PUT /v1/jobs"] = func(body []byte) any {
		var req api.JobRegisterRequest
		if err := json.Unmarshal(body, &req); err != nil || req.Job.ID != "web" || req.Submission == nil {
			t.Errorf("registered %s: %v", body, err)
		}
		return &api.JobRegisterResponse{EvalID: evalID, Warnings: "a field has no effect"}
	}
	f.answers["/v1/evaluation/"+evalID] = &api.Evaluation{ID: evalID, JobID: "web", Namespace: "default", Status: api.EvalStatusPending, CreateIndex: 5}
	f.answers["/v1/job/web"] = &api.Job{ID: "web", Version: 3, Type: api.JobTypeService, Status: api.JobStatusRunning}
	f.answers["/v1/job/web/deployment"] = nil
	f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{}
	return f
}

func stub(status string, events ...*api.TaskEvent) *api.AllocListStub {
	a := &api.AllocListStub{
		ID: allocID, EvalID: evalID, Namespace: "default", JobID: "web", TaskGroup: "web", JobVersion: 3, NodeID: nodeID, NodeName: "n1",
		DesiredStatus: api.AllocDesiredRun, ClientStatus: status, CreateIndex: 7,
	}
	if len(events) > 0 {
		a.TaskStates = map[string]*api.TaskState{"server": {State: api.TaskStateRunning, StartedAt: time.Unix(1, 0), Events: events}}
	}
	return a
}

func event(kind string, second int64, details ...string) *api.TaskEvent {
	return api.NewTaskEvent(kind, time.Unix(second, 0), details...)
}

func complete(change func(*api.Evaluation)) *api.Evaluation {
	v := &api.Evaluation{ID: evalID, JobID: "web", Namespace: "default", Status: api.EvalStatusComplete, CreateIndex: 5}
	if change != nil {
		change(v)
	}
	return v
}

func deployment(status string, healthy int) *api.Deployment {
	return &api.Deployment{
		ID: deployID, JobID: "web", JobVersion: 3, Status: status, StatusDescription: "as told", CreateIndex: 6,
		TaskGroups: map[string]*api.DeploymentState{"web": {DesiredTotal: 1, PlacedAllocs: 1, HealthyAllocs: healthy}},
	}
}

func TestJobRunFollowsTheDeployment(t *testing.T) {
	f := registered(t)
	out, errs := newBuffer(), newBuffer()
	code := f.start(out, errs, "run", jobFile(t))
	out.waitFor(t, "evaluation 11111111")
	f.set(func() {
		f.answers["/v1/evaluation/"+evalID] = complete(func(v *api.Evaluation) { v.DeploymentID = deployID })
		f.answers["/v1/deployment/"+deployID] = deployment(api.DeploymentRunning, 0)
		f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{stub(api.AllocClientPending), {ID: "older", JobVersion: 2, CreateIndex: 2}}
	})
	out.waitFor(t, "allocation 33333333 (web) placed on node n1")
	f.set(func() {
		f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{stub(api.AllocClientRunning,
			event(api.EventDriver, 2, api.DetailDriverMessage, "Pulling image"), event(api.EventStarted, 3))}
	})
	out.waitFor(t, "allocation 33333333 (web) running")
	out.waitFor(t, "web 0 of 1 healthy")
	f.set(func() { f.answers["/v1/deployment/"+deployID] = deployment(api.DeploymentSuccessful, 1) })
	r := result{<-code, out.String(), errs.String()}
	r.want(t, exitOK, `job "web" registered`, "Pulling image", "web 0 of 1 healthy", "web 1 of 1 healthy", "deployed in")
	r.wantErr(t, "Warning: a field has no effect")
	if strings.Contains(r.out, "older") || strings.Contains(r.out, "\x1b") {
		t.Errorf("too much is shown:\n%s", r.out)
	}
}

func TestJobRunExitsByTheOutcome(t *testing.T) {
	failedTask := event(api.EventTerminated, 2, api.DetailExitCode, "3")
	for _, c := range []struct {
		name   string
		change func(f *fake)
		code   int
		out    []string
		err    string
	}{
		{"no deployment", func(f *fake) {
			f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{stub(api.AllocClientComplete)}
		}, exitOK, []string{"started in"}, ""},
		{"nothing to do", func(*fake) {}, exitOK, nil, ""},
		{"failed deployment", func(f *fake) {
			f.answers["/v1/job/web/deployment"] = deployment(api.DeploymentFailed, 0)
			f.answers["/v1/deployment/"+deployID] = deployment(api.DeploymentFailed, 0)
		}, exitUnplaced, nil, "deployment 22222222 failed: as told"},
		{"waits for promotion", func(f *fake) {
			d := deployment(api.DeploymentRunning, 1)
			d.TaskGroups["web"].DesiredCanaries = 1
			f.answers["/v1/job/web/deployment"], f.answers["/v1/deployment/"+deployID] = d, d
		}, exitOK, []string{"drover deployment promote 22222222"}, ""},
		{"failing task", func(f *fake) {
			a := stub(api.AllocClientFailed, event(api.EventStarted, 1), failedTask)
			f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{a}
			f.logs[allocID+"/server/stderr"] = strings.Repeat("noise\n", 20) + "the \x1b[2Jreason\n"
			f.logs[allocID+"/server/stdout"] = ""
		}, exitUnplaced, []string{"Terminated: Exit Code: 3", "last lines of stderr", "│ the ^[[2Jreason"}, "1 allocation failed"},
		{"driver's error", func(f *fake) {
			a := stub(api.AllocClientFailed, event(api.EventDriverFailure, 1, api.DetailDriverError, "no such image"))
			f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{a}
		}, exitUnplaced, []string{"Driver Failure: no such image"}, "1 allocation failed"},
		{"unplaced", func(f *fake) {
			f.answers["/v1/evaluation/"+evalID] = complete(func(v *api.Evaluation) {
				v.BlockedEval = "99999999-aaaa-bbbb-cccc-000000000001"
				v.FailedTGAllocs = map[string]*api.AllocMetric{"web": {
					NodesEvaluated: 3, NodesAvailable: map[string]int{"dc1": 3}, ConstraintFiltered: map[string]int{"${attr.kernel.name} = plan9": 2},
					NodesExhausted: 1, DimensionExhausted: map[string]int{"memory": 1}, CoalescedFailures: 4,
				}}
			})
		}, exitUnplaced, []string{
			`Group "web": no place for 5 allocations on 3 nodes in datacenter dc1 (3 ready)`,
			`2 nodes do not meet the constraint "${attr.kernel.name} = plan9"`, "1 node has not enough memory left", "evaluation 99999999 waits for room",
		}, ""},
		{"evaluation failed", func(f *fake) {
			f.answers["/v1/evaluation/"+evalID] = complete(func(v *api.Evaluation) { v.Status, v.StatusDescription = api.EvalStatusFailed, "gave up" })
		}, exitUnplaced, nil, "evaluation 11111111 is failed: gave up"},
		{"refused", func(f *fake) {
			f.writes["PUT /v1/jobs"] = func([]byte) any { return api.Errorf(api.CodeInvalid, "group %q: count is negative", "web") }
		}, exitFailed, nil, `group "web": count is negative`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := registered(t)
			f.answers["/v1/evaluation/"+evalID] = complete(nil)
			c.change(f)
			r := f.run("job", "run", jobFile(t))
			r.want(t, c.code, c.out...)
			r.wantErr(t, c.err)
			if strings.Count(r.out, "noise") > tailLines {
				t.Errorf("more than the last lines:\n%s", r.out)
			}
		})
	}
}

func TestJobRunDetached(t *testing.T) {
	r := registered(t).run("run", "-detach", jobFile(t))
	r.want(t, exitOK, "Evaluation "+evalID)
}

func TestJobRunChecksTheIndex(t *testing.T) {
	f := registered(t)
	f.writes["PUT /v1/jobs"] = func(body []byte) any {
		var req api.JobRegisterRequest
		_ = json.Unmarshal(body, &req)
		if !req.EnforceIndex || req.JobModifyIndex != 0 {
			t.Errorf("registered with %+v", req)
		}
		return api.Errorf(api.CodeConflict, "job %q exists already", "web")
	}
	r := f.run("run", "-check-index=0", jobFile(t))
	r.want(t, exitFailed)
	r.wantErr(t, "exists already")
}

func TestJobPlanExitsByWhatItWouldChange(t *testing.T) {
	for _, c := range []struct {
		name string
		resp any
		code int
		out  []string
	}{
		{"nothing", &api.JobPlanResponse{
			JobModifyIndex: 7, Annotations: &api.PlanAnnotations{DesiredTGUpdates: map[string]*api.DesiredUpdates{"web": {Ignore: 1, InPlaceUpdate: 1}}},
		}, exitOK, []string{"All tasks would be placed", "Job Modify Index: 7", "drover job run -check-index 7"}},
		{"changes", &api.JobPlanResponse{
			Annotations: &api.PlanAnnotations{DesiredTGUpdates: map[string]*api.DesiredUpdates{"web": {Place: 2, DestructiveUpdate: 1}}},
			Diff: &api.JobDiff{Type: api.DiffEdited, ID: "web", TaskGroups: []*api.TaskGroupDiff{{
				Type: api.DiffEdited, Name: "web", Fields: []*api.FieldDiff{{Type: api.DiffEdited, Name: "Count", Old: "1", New: "3"}},
				Tasks: []*api.TaskDiff{{Type: api.DiffAdded, Name: "side", Objects: []*api.ObjectDiff{{
					Type: api.DiffAdded, Name: "Config", Fields: []*api.FieldDiff{{Type: api.DiffAdded, Name: "image", New: "redis"}},
				}}}},
			}}},
		}, exitPlanChanges, []string{`± Task Group: "web" (2 create, 1 create/destroy update)`, `  ± Count: "1" => "3"`, `  + Task: "side"`, `    + Config {`, `      + image: "redis"`}},
		{"refused", api.Errorf(api.CodeInvalid, "no"), exitPlanError, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.writes["PUT /v1/job/web/plan"] = func([]byte) any { return c.resp }
			f.run("plan", jobFile(t)).want(t, c.code, c.out...)
		})
	}
}

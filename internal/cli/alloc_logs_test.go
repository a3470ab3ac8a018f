package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

const secondAlloc = "55555555-aaaa-bbbb-cccc-000000000001"

func running(id string, created uint64, state string) *api.AllocListStub {
	a := stub(api.AllocClientRunning)
	a.ID, a.CreateIndex = id, created
	a.TaskStates = map[string]*api.TaskState{"server": {State: state, StartedAt: time.Unix(1, 0)}}
	if state == api.TaskStateDead {
		a.ClientStatus = api.AllocClientComplete
	}
	return a
}

func job(status string) *api.Job { return &api.Job{ID: "web", Namespace: "default", Status: status} }

// The logs of a job go on through the replacement of an allocation and end
// with the job, whole lines under the name of where they come from.
func TestLogsOfAJobFollowItsAllocations(t *testing.T) {
	f := newFake(t)
	f.answers["/v1/jobs"] = []*api.JobListStub{{ID: "web", Namespace: "default"}}
	f.answers["/v1/job/web"] = job(api.JobStatusRunning)
	f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{running(allocID, 7, api.TaskStateRunning)}
	f.logs[allocID+"/server/stdout"] = "one\ntw"
	out, errs := newBuffer(), newBuffer()
	code := f.start(out, errs, "logs", "-job", "web", "-f")
	out.waitFor(t, "33333333 │ one\n")
	f.set(func() { f.logs[allocID+"/server/stdout"] += "o\n" })
	out.waitFor(t, "33333333 │ two\n")
	f.set(func() { // stopped: a last line without an end, and a successor
		f.logs[allocID+"/server/stdout"] += "last"
		f.logs[secondAlloc+"/server/stdout"] = "I am new\n"
		f.logs[secondAlloc+"/server/stderr"] = "and complain\n"
		f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{running(allocID, 7, api.TaskStateDead), running(secondAlloc, 9, api.TaskStateRunning)}
	})
	out.waitFor(t, "33333333 │ last\n")
	out.waitFor(t, "55555555 │ I am new\n")
	out.waitFor(t, "55555555 │ and complain\n")
	f.set(func() {
		f.logs[secondAlloc+"/server/stdout"] += "bye\n"
		f.answers["/v1/job/web"] = job(api.JobStatusDead)
		f.answers["/v1/job/web/allocations"] = []*api.AllocListStub{running(allocID, 7, api.TaskStateDead), running(secondAlloc, 9, api.TaskStateDead)}
	})
	r := result{<-code, out.String(), errs.String()}
	r.want(t, exitOK, "55555555 │ bye\n")
	for _, line := range []string{"one", "two", "last", "I am new", "bye"} {
		if strings.Count(r.out, "│ "+line+"\n") != 1 {
			t.Errorf("%q is not there once:\n%s", line, r.out)
		}
	}
}

func allocation(a *api.AllocListStub) *api.Allocation {
	return &api.Allocation{
		ID: a.ID, Namespace: a.Namespace, JobID: a.JobID, TaskGroup: "web", ClientStatus: a.ClientStatus, TaskStates: a.TaskStates,
		Job: &api.Job{ID: "web", TaskGroups: []*api.TaskGroup{{Name: "web", Tasks: []*api.Task{{Name: "server"}}}}},
	}
}

func oneAlloc(t *testing.T, state string) *fake {
	f := newFake(t)
	a := running(allocID, 7, state)
	f.answers["/v1/allocations"] = []*api.AllocListStub{a}
	f.answers["/v1/allocation/"+allocID] = allocation(a)
	return f
}

// Following one allocation waits for its start and ends with its task.
func TestLogsFollowATaskFromStartToEnd(t *testing.T) {
	f := oneAlloc(t, api.TaskStatePending)
	f.answers["/v1/allocation/"+allocID].(*api.Allocation).TaskStates["server"].StartedAt = time.Time{}
	out, errs := newBuffer(), newBuffer()
	code := f.start(out, errs, "logs", "-f", "3333")
	f.set(func() {
		f.logs[allocID+"/server/stdout"] = "hello\n"
		f.answers["/v1/allocation/"+allocID] = allocation(running(allocID, 7, api.TaskStateRunning))
	})
	out.waitFor(t, "hello\n")
	f.set(func() {
		f.logs[allocID+"/server/stdout"] += "end\n"
		f.logs[allocID+"/server/stderr"] = "oops\n"
		f.answers["/v1/allocation/"+allocID] = allocation(running(allocID, 7, api.TaskStateDead))
	})
	r := result{<-code, out.String(), errs.String()}
	r.want(t, exitOK)
	if r.out != "hello\nend\n" || r.err != "oops\n" {
		t.Errorf("stdout %q, stderr %q", r.out, r.err)
	}
}

func TestLogsPrintedOnce(t *testing.T) {
	f := oneAlloc(t, api.TaskStateDead)
	f.logs[allocID+"/server/stdout"] = "a\nb\nc\n"
	f.logs[allocID+"/server/stderr"] = "bad \x1b[2J\n"
	for line, want := range map[string]string{
		"logs 33":                     "a\nb\nc\n|bad \x1b[2J\n", // no terminal: as it is
		"logs -stdout 33":             "a\nb\nc\n|",
		"logs -stderr 33 server":      "bad \x1b[2J\n|",
		"logs -stdout -tail -n 2 333": "b\nc\n|", // an odd prefix
		"logs -stdout -tail -c=3 33":  "\nc\n|",
		"alloc logs -n=1 -stdout 33 ": "c\n|",
	} {
		r := f.run(strings.Fields(line)...)
		if got := r.out + "|" + r.err; r.code != exitOK || got != want {
			t.Errorf("%s: %d %q, want %q", line, r.code, got, want)
		}
	}
	r := f.run("logs", "33", "nosuch")
	r.want(t, exitFailed)
	r.wantErr(t, `no task "nosuch": it has server`)
}

func TestAmbiguousPrefixesAreListed(t *testing.T) {
	f := oneAlloc(t, api.TaskStateRunning)
	other := running("33333333-ffff-bbbb-cccc-000000000001", 8, api.TaskStateRunning)
	f.answers["/v1/allocations"] = []*api.AllocListStub{running(allocID, 7, api.TaskStateRunning), other}
	r := f.run("alloc", "stop", "3333")
	r.want(t, exitFailed)
	r.wantErr(t, allocID, other.ID, `"3333" fits 2 allocations: type more of it`)
	r = f.run("alloc", "stop", "33333333-e")
	r.want(t, exitFailed)
	r.wantErr(t, "no allocation has an ID that starts with")
}

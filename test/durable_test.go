package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The free disk is given, because the real one changes while a test runs.
const rawExecOn = "client {\n  enabled = true\n  disk_total_mb = 100000\n  disk_free_mb = 50000\n}\nplugin \"raw_exec\" {\n  config {\n    enabled = true\n  }\n}\n"

// ack is a write that the server has confirmed.
type ack struct {
	job   string
	n     int    // what was written, unique within the job
	index uint64 // JobModifyIndex
}

// TestKillsLoseNoWrite kills a server again and again while jobs are written.
// Every write that was acknowledged must be among the versions of its job.
func TestKillsLoseNoWrite(t *testing.T) {
	const (
		writers = 8
		jobs    = 250
		perJob  = 4 // fewer than the versions that are kept
		kills   = 6
	)
	a := newDiskAgent(t, "")
	a.start()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	var done atomic.Int64
	todo := make(chan string)
	acks := make([][]ack, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for job := range todo {
				acks[w] = append(acks[w], writeVersions(t, a, job, perJob, &done)...)
			}
		})
	}
	go func() {
		for i := range jobs {
			todo <- fmt.Sprintf("job-%03d", i)
		}
		close(todo)
	}()
	for k := range kills {
		after := int64((k*jobs*perJob + random.IntN(jobs*perJob)) / kills)
		until(t, "progress of the writers", func() bool { return done.Load() >= after })
		<-time.After(time.Duration(random.IntN(20_000)) * time.Microsecond)
		a.end(syscall.SIGKILL)
		a.start()
	}
	wg.Wait()
	if done.Load() != jobs*perJob {
		t.Fatalf("%d writes were acknowledged", done.Load())
	}
	a.end(syscall.SIGKILL)
	a.start()
	for _, list := range acks {
		checkAcks(t, a, list)
	}
}

// writeVersions writes a job until count writes were acknowledged. A write
// whose fate is unknown counts for nothing and is followed by another one.
func writeVersions(t *testing.T, a *diskAgent, job string, count int, done *atomic.Int64) []ack {
	var acks []ack
	deadline := time.Now().Add(2 * time.Minute)
	for n := 0; len(acks) < count && time.Now().Before(deadline); n++ {
		body := fmt.Sprintf(`{"Job": {"ID": %q, "Name": %q, "Datacenters": ["*"], "Meta": {"n": "%d"}, "TaskGroups": [{"Name": "g", "Count": 0,
			"Tasks": [{"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}]}]}}`, job, job, n)
		status, text, err := a.send("POST", "/v1/jobs", body)
		if err != nil || status >= 500 {
			<-time.After(10 * time.Millisecond) // the agent is away
			continue
		}
		var reply struct{ JobModifyIndex uint64 }
		if err := json.Unmarshal(text, &reply); status != http.StatusOK || err != nil {
			t.Errorf("write %d of %s: %d, %v: %s", n, job, status, err, text)
			break
		}
		acks = append(acks, ack{job, n, reply.JobModifyIndex})
		done.Add(1)
	}
	return acks
}

func checkAcks(t *testing.T, a *diskAgent, acks []ack) {
	t.Helper()
	for _, k := range acks {
		var reply struct {
			Versions []struct {
				Version, JobModifyIndex uint64
				Meta                    map[string]string
			}
		}
		a.readJSON("/v1/job/"+k.job+"/versions", &reply)
		found := false
		for i, v := range reply.Versions {
			if v.JobModifyIndex == k.index {
				found = v.Meta["n"] == strconv.Itoa(k.n)
			}
			if i > 0 && v.Version != reply.Versions[i-1].Version-1 {
				t.Errorf("%s: version %d follows version %d", k.job, reply.Versions[i-1].Version, v.Version)
			}
		}
		if !found {
			t.Errorf("write %d of %s was acknowledged with index %d and is not there: %+v", k.n, k.job, k.index, reply.Versions)
		}
	}
}

const steadyJob = `{"Job": {"ID": "steady", "Name": "steady", "Datacenters": ["*"], "Meta": {"n": "%d"},
	"Update": {"MaxParallel": 2, "MinHealthyTime": 1, "HealthyDeadline": 60000000000, "ProgressDeadline": 120000000000, "HealthCheck": "task_states"},
	"TaskGroups": [{"Name": "g", "Count": 2, "Tasks": [{"Name": "t", "Driver": "raw_exec",
		"Config": {"command": "/bin/sh", "args": ["-c", "exec sleep 1000"]}, "Resources": {"CPU": 20, "MemoryMB": 20}}]}]}}`

// TestRestartChangesNoAnswer compares what the API says before and after a
// polite end and a kill.
func TestRestartChangesNoAnswer(t *testing.T) {
	a := newDiskAgent(t, rawExecOn)
	a.start()
	a.ready()
	for n := range 2 {
		a.mustSend("POST", "/v1/jobs", fmt.Sprintf(steadyJob, n))
		until(t, "finished deployment", func() bool {
			var d []struct {
				JobVersion int
				Status     string
			}
			a.readJSON("/v1/job/steady/deployments", &d)
			return slices.ContainsFunc(d, func(e struct {
				JobVersion int
				Status     string
			}) bool {
				return e.JobVersion == n && e.Status == "successful"
			})
		})
	}
	until(t, "end of the first version", func() bool {
		var list []struct{ ClientStatus, DesiredStatus string }
		a.readJSON("/v1/allocations", &list)
		for _, s := range list {
			if s.DesiredStatus == "stop" && s.ClientStatus != "complete" {
				return false
			}
		}
		return len(list) == 4
	})
	paths := quietPaths(a)
	before := answers(a, paths)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		a.end(sig)
		a.start()
		a.ready()
		after := answers(a, paths)
		for _, p := range paths {
			if diff := cmp.Diff(before[p], after[p]); diff != "" {
				t.Errorf("%s after %v (-before +after):\n%s", p, sig, diff)
			}
		}
	}
}

// quietPaths are the routes whose answers nothing changes while nothing
// happens, those of single things included.
func quietPaths(a *diskAgent) []string {
	paths := []string{
		"/v1/jobs", "/v1/jobs?meta=true", "/v1/job/steady", "/v1/job/steady/versions?diffs=true", "/v1/job/steady/evaluations",
		"/v1/job/steady/allocations?all=true", "/v1/job/steady/summary", "/v1/job/steady/deployments", "/v1/job/steady/deployment",
		"/v1/evaluations", "/v1/allocations", "/v1/allocations?resources=true&task_states=true", "/v1/nodes?resources=true", "/v1/deployments",
	}
	for _, table := range []string{"allocation", "evaluation", "deployment", "node"} {
		var list []struct{ ID string }
		a.readJSON("/v1/"+table+"s", &list)
		for _, e := range list {
			paths = append(paths, "/v1/"+table+"/"+e.ID)
		}
	}
	return paths
}

// answers reads all paths. Of nodes it leaves out what says when they were last
// heard of, as a node that registers again changes that.
func answers(a *diskAgent, paths []string) map[string]string {
	got := map[string]string{}
	for _, p := range paths {
		text := a.read(p)
		if strings.HasPrefix(p, "/v1/node") {
			text = withoutContact(a.t, text)
		}
		got[p] = string(text)
	}
	return got
}

func withoutContact(t *testing.T, text []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				strip(e)
			}
		case map[string]any:
			for _, k := range []string{"ModifyIndex", "StatusUpdatedAt", "Events", "UpdateTime", "LastMissedHeartbeatIndex", "unique.storage.bytesfree"} {
				delete(v, k)
			}
			for _, e := range v {
				strip(e)
			}
		}
	}
	strip(v)
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const tasks = 20

// The task notes every start of itself and then writes numbered lines.
const countingJob = `{"Job": {"ID": "counting", "Name": "counting", "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Count": 20,
	"RestartPolicy": {"Attempts": 5, "Interval": 600000000000, "Delay": 300000000, "Mode": "fail"},
	"EphemeralDisk": {"SizeMB": 20},
	"Tasks": [{"Name": "t", "Driver": "raw_exec", "Resources": {"CPU": 1, "MemoryMB": 10}, "LogConfig": {"MaxFiles": 2, "MaxFileSizeMB": 5},
		"Config": {"command": "/bin/sh", "args": ["-c", "echo $$ >>local/starts; i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"]}}]}]}}`

// allocState is what the test looks at of an allocation.
type allocState struct {
	ID           string
	ClientStatus string
	TaskStates   map[string]struct {
		State    string
		Failed   bool
		Restarts int
		Events   []taskEvent
	}
}

type taskEvent struct {
	Type     string
	Time     int64
	ExitCode int
	Signal   int
	Details  map[string]string
}

func (s allocState) running(restarts int) bool {
	return s.ClientStatus == "running" && s.TaskStates["t"].State == "running" && s.TaskStates["t"].Restarts == restarts
}

// TestKillLeavesTasks kills an agent with tasks and checks that the next one
// has them all, untouched, and tells what happened to the one that ended in
// between. Afterwards a purge must leave nothing.
func TestKillLeavesTasks(t *testing.T) {
	a := newDiskAgent(t, rawExecOn)
	a.start()
	a.ready()
	a.mustSend("POST", "/v1/jobs", countingJob)
	allocs := counting(a, func(s allocState) bool { return s.running(0) })
	pids := map[string]string{}
	for _, s := range allocs {
		until(t, "start of "+s.ID, func() bool {
			pids[s.ID] = strings.TrimSpace(a.file(s.ID, "t/local/starts"))
			return pids[s.ID] != ""
		})
	}

	a.end(syscall.SIGKILL)
	victim := allocs[0].ID
	pid, err := strconv.Atoi(pids[victim])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.start()
	a.ready()
	again := counting(a, func(s allocState) bool {
		if s.ID == victim {
			return s.running(1)
		}
		return s.running(0)
	})
	for i, s := range again {
		if s.ID != allocs[i].ID {
			t.Errorf("allocation %d was %s and is %s", i, allocs[i].ID, s.ID)
		}
		starts := strings.Fields(a.file(s.ID, "t/local/starts"))
		if s.ID == victim {
			// Running means that the process is there; its script writes a little later.
			until(t, "second start of "+s.ID, func() bool {
				starts = strings.Fields(a.file(s.ID, "t/local/starts"))
				return len(starts) > 1
			})
		}
		switch {
		case starts[0] != pids[s.ID]:
			t.Errorf("%s was process %s, its file says %v", s.ID, pids[s.ID], starts)
		case s.ID != victim && len(starts) != 1:
			t.Errorf("%s was started again: %v", s.ID, starts)
		case s.ID == victim && len(starts) != 2:
			t.Errorf("the killed task has the starts %v", starts)
		}
		last, err := strconv.Atoi(starts[len(starts)-1])
		if err != nil || !alive(last) {
			t.Errorf("%s: process %v does not run", s.ID, starts)
		}
	}
	checkVictim(t, again, victim)

	// Time for lines of the new agent, then the logs are looked at as they are.
	for _, s := range again {
		seen := len(a.lines(s.ID))
		until(t, "new line of "+s.ID, func() bool { return len(a.lines(s.ID)) > seen+2 })
		checkLines(t, s.ID, a.lines(s.ID), s.ID == victim)
	}

	a.mustSend("DELETE", "/v1/job/counting?purge=true", "")
	for _, s := range again {
		eventually(t, "a purge left of "+s.ID, func() []string { return remains(a, s.ID) })
	}
}

// counting waits until all allocations of the job satisfy ok and returns them
// in the order of their IDs.
func counting(a *diskAgent, ok func(allocState) bool) []allocState {
	a.t.Helper()
	var list []allocState
	until(a.t, "set of 20 tasks as they should be", func() bool {
		list = nil
		a.readJSON("/v1/job/counting/allocations", &list)
		return len(list) == tasks && !slices.ContainsFunc(list, func(s allocState) bool { return !ok(s) })
	})
	slices.SortFunc(list, func(x, y allocState) int { return strings.Compare(x.ID, y.ID) })
	return list
}

// file returns a file of an allocation, or nothing while there is none.
func (a *diskAgent) file(alloc, path string) string {
	status, text, err := a.send("GET", "/v1/client/fs/cat/"+alloc+"?path="+path, "")
	if err != nil || status != http.StatusOK {
		return ""
	}
	return string(text)
}

func (a *diskAgent) lines(alloc string) []string {
	a.t.Helper()
	return strings.Fields(string(a.read("/v1/client/fs/logs/" + alloc + "?task=t&type=stdout&plain=true")))
}

// checkLines wants 1, 2, 3 … without a gap or a repetition; a task that was
// started twice counts twice.
func checkLines(t *testing.T, alloc string, lines []string, twice bool) {
	t.Helper()
	want, restarts := 1, 0
	for i, line := range lines {
		if line == "1" && want > 1 {
			want, restarts = 1, restarts+1
		}
		if line != strconv.Itoa(want) {
			t.Errorf("line %d of %s is %q instead of %d", i, alloc, line, want)
			return
		}
		want++
	}
	if (restarts == 1) != twice || restarts > 1 {
		t.Errorf("the lines of %s begin anew %d times", alloc, restarts)
	}
}

// checkVictim wants the whole story of the task that was killed while there
// was no agent.
func checkVictim(t *testing.T, allocs []allocState, victim string) {
	t.Helper()
	for _, s := range allocs {
		events := s.TaskStates["t"].Events
		if !slices.IsSortedFunc(events, func(x, y taskEvent) int { return int(x.Time - y.Time) }) {
			t.Errorf("the events of %s are out of order: %+v", s.ID, events)
		}
		var types []string
		for _, e := range events {
			types = append(types, e.Type)
			if e.Type == "Terminated" && (e.ExitCode != 137 || e.Signal != 9) {
				t.Errorf("the end is told as %+v", e)
			}
		}
		want := []string{"Received", "Task Setup", "Started"}
		if s.ID == victim {
			want = append(want, "Terminated", "Restarting", "Task Setup", "Started")
		}
		if diff := cmp.Diff(want, types); diff != "" {
			t.Errorf("events of %s (-want +got):\n%s", s.ID, diff)
		}
	}
}

// remains lists processes, files and control groups of an allocation.
func remains(a *diskAgent, alloc string) []string {
	var left []string
	for _, p := range processes(alloc) {
		if p.pid != a.cmd.Process.Pid {
			left = append(left, fmt.Sprintf("process %d", p.pid))
		}
	}
	for _, root := range []string{a.data, "/sys/fs/cgroup"} {
		_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && strings.Contains(e.Name(), alloc) {
				left = append(left, path)
			}
			return nil
		})
	}
	return left
}

package store_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func periodicJob(id string, overlap bool) *api.Job {
	j := testJob(id)
	j.Type = api.JobTypeBatch
	j.Periodic = &api.PeriodicConfig{Enabled: new(true), Spec: "* * * * *", TimeZone: "UTC", ProhibitOverlap: !overlap}
	j.SubmitTime = now
	return j
}

func templateJob(id string) *api.Job {
	j := testJob(id)
	j.Type = api.JobTypeBatch
	j.Meta = map[string]string{"of": "parent"}
	j.ParameterizedJob = &api.ParameterizedConfig{Payload: api.PayloadOptional, MetaOptional: []string{"of", "k"}}
	return j
}

func launch(parent *api.Job, id string, due int64) *store.LaunchJob {
	e := testEval(parent)
	e.JobID, e.Type = id, parent.Type
	return &store.LaunchJob{Namespace: parent.Namespace, Parent: parent.ID, ID: id, Due: due, Eval: e, Now: now}
}

func mustPropose(t *testing.T, log *storetest.Proposer, c store.Command) store.Result {
	t.Helper()
	res, err := log.Propose(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestLaunchPeriodic(t *testing.T) {
	log := storetest.New()
	parent := periodicJob("cron", false)
	mustPropose(t, log, &store.RegisterJob{Job: parent, Now: now})
	mustPropose(t, log, &store.RegisterJob{Job: testJob("cron-not"), Eval: testEval(testJob("cron-not")), Now: now})

	due := now + int64(time.Minute)
	first := mustPropose(t, log, launch(parent, "cron/periodic-1", due)).Value.(*store.Launched)
	snap := log.Store.Snapshot()
	child := snap.Job("default", "cron/periodic-1")
	if child == nil || child.ParentID != "cron" || child.Periodic != nil || child.Status != api.JobStatusPending || child.Name != child.ID || first.EvalID == "" {
		t.Fatalf("instance %+v, launched %+v", child, first)
	}
	if child.TaskGroups[0] != snap.Job("default", "cron").TaskGroups[0] {
		t.Error("the instance has a copy of the parent's groups")
	}
	if n := snap.Summary("default", "cron").Children; *n != (api.JobChildrenSummary{Pending: 1}) {
		t.Errorf("children = %+v", n)
	}

	// Once for each time, and not while one has not ended.
	if _, err := log.Propose(t.Context(), launch(parent, "cron/periodic-2", due)); api.ErrorCode(err) != api.CodeConflict {
		t.Errorf("launched twice: %v", err)
	}
	due += int64(time.Minute)
	if res := mustPropose(t, log, launch(parent, "cron/periodic-2", due)); res.Value.(*store.Launched).Job != nil || log.Store.Snapshot().Job("default", "cron/periodic-2") != nil {
		t.Error("launched in spite of prohibit_overlap")
	}
	// Out of turn it may.
	mustPropose(t, log, launch(parent, "cron/periodic-3", 0))
	for j, since := range log.Store.Snapshot().PeriodicJobs() {
		if j.ID != "cron" || since != due {
			t.Errorf("%s is done with until %d, want cron until %d", j.ID, since, due)
		}
	}

	// A stopped parent launches nothing, whatever it is asked.
	mustPropose(t, log, &store.DeregisterJob{Namespace: "default", JobID: "cron", Now: now})
	for range log.Store.Snapshot().PeriodicJobs() {
		t.Error("a stopped job is still periodic")
	}
	if _, err := log.Propose(t.Context(), launch(parent, "cron/periodic-4", 0)); api.ErrorCode(err) != api.CodeInvalid || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("launch of a stopped job: %v", err)
	}
}

func TestDispatch(t *testing.T) {
	log := storetest.New()
	parent := templateJob("template")
	mustPropose(t, log, &store.RegisterJob{Job: parent, Now: now})
	cmd := launch(parent, "template/dispatch-1", 0)
	cmd.Dispatch = &store.Dispatch{Payload: []byte("p"), Meta: map[string]string{"k": "v", "of": "instance"}, Priority: 70, Token: "once"}
	one := mustPropose(t, log, cmd).Value.(*store.Launched)
	j := log.Store.Snapshot().Job("default", "template/dispatch-1")
	if !j.Dispatched || j.IsParameterized() || string(j.Payload) != "p" || j.Priority != 70 || !cmp.Equal(j.Meta, map[string]string{"k": "v", "of": "instance"}) {
		t.Errorf("instance = %+v", j)
	}
	if log.Store.Snapshot().Job("default", "template").Meta["of"] != "parent" {
		t.Error("the parent's metadata changed")
	}

	again := launch(parent, "template/dispatch-2", 0)
	again.Dispatch = &store.Dispatch{Token: "once"}
	if two := mustPropose(t, log, again).Value.(*store.Launched); two.Job.ID != one.Job.ID || two.EvalID != one.EvalID {
		t.Errorf("the same token gave %+v and %+v", one, two)
	}
	wrong := launch(parent, "template/dispatch-3", 0)
	wrong.Dispatch = &store.Dispatch{Meta: map[string]string{"x": "y"}}
	if _, err := log.Propose(t.Context(), wrong); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("unknown key: %v", err)
	}
	if _, err := log.Propose(t.Context(), launch(parent, "template/periodic-1", 1)); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("periodic launch of a parameterized job: %v", err)
	}
}

// Whatever happens to parents and instances, a parent's counts are those of
// the instances there are, before a snapshot and after it is restored.
func TestChildrenAreCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := storetest.New()
		try := func(c store.Command) {
			if _, err := log.Propose(t.Context(), c); err != nil && api.ErrorCode(err) == api.CodeInternal {
				t.Fatal(err)
			}
		}
		parents := []*api.Job{periodicJob("a", true), periodicJob("b", false), templateJob("c")}
		for i := range rapid.IntRange(10, 60).Draw(t, "events") {
			p := rapid.SampledFrom(parents).Draw(t, "parent")
			id := fmt.Sprintf("%s/periodic-%d", p.ID, rapid.IntRange(0, 5).Draw(t, "instance"))
			switch rapid.IntRange(0, 6).Draw(t, "event") {
			case 0:
				try(&store.RegisterJob{Job: p, Now: now})
			case 1:
				try(&store.DeregisterJob{Namespace: "default", JobID: p.ID, Purge: rapid.Bool().Draw(t, "purge"), Now: now})
			case 2:
				try(&store.DeregisterJob{Namespace: "default", JobID: id, Purge: rapid.Bool().Draw(t, "purge"), Now: now})
			case 3:
				for e := range log.Store.Snapshot().EvalsByJob("default", id) {
					done := e.Copy()
					done.Status = api.EvalStatusComplete
					try(&store.UpsertEvals{Evals: []*api.Evaluation{done}, Now: now})
				}
			default:
				cmd := launch(p, id, 0)
				if p.ParameterizedJob != nil {
					cmd.Dispatch = &store.Dispatch{}
				} else if rapid.Bool().Draw(t, "due") {
					cmd.Due = now + int64(i)
				}
				try(cmd)
			}
		}
		check := func(snap *store.Snapshot) {
			for _, p := range parents {
				sum := snap.Summary("default", p.ID)
				if sum == nil {
					continue
				}
				var want api.JobChildrenSummary
				for j := range snap.Instances("default", p.ID) {
					switch j.Status {
					case api.JobStatusPending:
						want.Pending++
					case api.JobStatusRunning:
						want.Running++
					case api.JobStatusDead:
						want.Dead++
					}
				}
				if sum.Children == nil || *sum.Children != want {
					t.Fatalf("%s counts %+v, there are %+v", p.ID, sum.Children, want)
				}
			}
		}
		check(log.Store.Snapshot())
		var disk bytes.Buffer
		if err := log.Store.Snapshot().Persist(&disk); err != nil {
			t.Fatal(err)
		}
		restored := store.New()
		if err := restored.Restore(bytes.NewReader(disk.Bytes())); err != nil {
			t.Fatal(err)
		}
		check(restored.Snapshot())
		var was, is []string
		for j, since := range log.Store.Snapshot().PeriodicJobs() {
			was = append(was, fmt.Sprint(j.ID, since))
		}
		for j, since := range restored.Snapshot().PeriodicJobs() {
			is = append(is, fmt.Sprint(j.ID, since))
		}
		if !cmp.Equal(was, is) {
			t.Fatalf("periodic jobs were %q and are %q", was, is)
		}
	})
}

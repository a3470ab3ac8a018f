package sched_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

func TestSystemRunsOnEveryNodeThatSuits(t *testing.T) {
	w := newWorld(t)
	w.nodes(3)
	w.node(func(n *api.Node) { n.Drivers = nil })
	j := job("s", "system", 1)
	p := w.run(w.register(j))
	check(t, "placed", len(placed(p)), 3)
	check(t, "failed", len(p.Eval.FailedTGAllocs), 0)
	check(t, "repeated", len(placed(w.again(j))), 0)
	late := w.node()
	p = w.again(j)
	check(t, "on a new node", placed(p)[0].NodeID, late.ID)
	for a := range w.snap().AllocsByNode(late.ID) {
		transition(w, a, api.DesiredTransition{Migrate: ptr(true)})
	}
	p = w.again(j)
	check(t, "not placed by the evaluation that stops it", len(placed(p)), 0)
	check(t, "why", p.Stops[0].Description, api.AllocNodeTainted)
	check(t, "placed by the next", len(placed(w.again(j))), 1)
	w.status(late, api.NodeDown)
	w.again(j)
	check(t, "lost", len(w.live("s")), 3)
}

func TestSystemUpdateGoesStepByStep(t *testing.T) {
	w := newWorld(t)
	w.nodes(3)
	limit := func(j *api.Job) {
		j.Update = &api.UpdateStrategy{MaxParallel: ptr(2), Stagger: ptr(api.Duration(time.Minute))}
	}
	w.run(w.register(job("s", "system", 1, limit)))
	next := job("s", "system", 1, limit, newCommand)
	p := w.run(w.register(next))
	check(t, "first step", len(placed(p)), 2)
	if e := p.Evals[0]; e.TriggeredBy != api.EvalTriggerRollingUpdate || e.WaitUntil.Sub(w.time) != time.Minute {
		t.Errorf("next step %+v", e)
	}
	check(t, "second step", len(placed(w.again(next))), 1)
	check(t, "everywhere once", len(w.live("s")), 3)
}

func TestSysBatchRunsOnce(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	j := job("s", "sysbatch", 1)
	w.run(w.register(j))
	w.report("complete", nil, w.live("s")...)
	check(t, "done", len(placed(w.again(j))), 0)
	check(t, "a new version runs again", len(placed(w.run(w.register(job("s", "sysbatch", 1, newCommand))))), 2)
}

func TestSystemDisplacesLowerPriorities(t *testing.T) {
	w := newWorld(t)
	w.node()
	big := func(mb, priority int) func(*api.Job) {
		return func(j *api.Job) {
			j.Priority = priority
			j.TaskGroups[0].Tasks[0].Resources.MemoryMB = mb
		}
	}
	w.run(w.register(job("low", "service", 2, big(1000, 20))))
	w.run(w.register(job("lowest", "service", 1, big(3000, 10))))
	w.run(w.register(job("near", "service", 1, big(3000, 75))))
	p := w.run(w.register(job("s", "system", 1, big(2000, 80))))
	check(t, "placed", len(placed(p)), 1)
	check(t, "victims", len(w.live("low")), 2)
	check(t, "victims", len(w.live("lowest")), 0)
	check(t, "too near", len(w.live("near")), 1)
	evicted := w.snap().Alloc(placed(p)[0].Preempts[0])
	check(t, "desired", evicted.DesiredStatus, api.AllocDesiredEvict)
	check(t, "by", evicted.PreemptedByAllocation, placed(p)[0].ID)
	check(t, "its job is looked at again", fmt.Sprint(p.Evals[0].JobID, p.Evals[0].TriggeredBy), "lowestpreemption")
	svc := job("svc", "service", 1, big(4000, 90))
	p = w.run(w.register(svc))
	check(t, "services displace nobody by default", len(placed(p)), 0)
	w.apply(&store.SetSchedulerConfig{Config: &api.SchedulerConfiguration{PreemptionConfig: api.PreemptionConfig{ServiceSchedulerEnabled: true}}})
	p = w.again(svc)
	check(t, "as configured", len(placed(p)), 1)
	if _, ok := placed(p)[0].Scores[0].Scores.Get(api.ScorePreemption); !ok {
		t.Error("the score does not tell of the preemption")
	}
}

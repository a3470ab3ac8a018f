package evals_test

import (
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// What waits for its quota is woken by the quota and not by nodes.
func TestQuotaWakesWhatWaitsForIt(t *testing.T) {
	l := start(t, nil, nil)
	allow := func(n int) {
		q := &api.QuotaSpec{Name: "q", Limits: []*api.QuotaLimit{{RegionLimit: &api.QuotaResources{Allocations: &n}}}}
		q.Canonicalize("global")
		l.apply(&store.UpsertQuota{Quota: q})
	}
	allow(1)
	l.apply(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "default", Quota: "q"}, {Name: "free"}}})
	l.node(10000)
	free := func(id string) {
		j := job(id, 1)
		j.Namespace = "free"
		e := &api.Evaluation{ID: api.NewID(), Namespace: "free", JobID: id, Type: j.Type, Priority: 1, TriggeredBy: api.EvalTriggerJobRegister, Status: api.EvalStatusPending}
		l.apply(&store.RegisterJob{Job: j, Eval: e})
		l.until("another one placed", func(s *store.Snapshot) bool { return s.Eval(e.ID).Status == api.EvalStatusComplete })
	}
	free("first") // the loop runs: what a new leader tries once more is behind it
	l.register(job("a", 3))
	blocked := func() (e *api.Evaluation) {
		for e = range l.log.Store.Snapshot().EvalsOpen() {
			if e.Status == api.EvalStatusBlocked {
				return e
			}
		}
		return nil
	}
	l.until("one placed, two waiting", func(s *store.Snapshot) bool { return len(live(s, "a")) == 1 && blocked() != nil })

	before := blocked()
	l.node(10000)
	free("second")
	if after := blocked(); after.SnapshotIndex != before.SnapshotIndex {
		t.Errorf("a node woke what waits for a quota: %+v", after)
	}

	allow(2)
	l.until("raised", func(s *store.Snapshot) bool { return len(live(s, "a")) == 2 })
	l.apply(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "default"}}})
	l.until("taken away", func(s *store.Snapshot) bool { return len(live(s, "a")) == 3 && blocked() == nil })
}

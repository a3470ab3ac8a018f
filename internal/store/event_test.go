package store_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
	"github.com/drover-org/drover/internal/store"
)

func newRing() *events.Ring {
	return events.New(events.Config{Batches: 10_000, Bytes: 1 << 30, EncodedBytes: 1 << 20})
}

// take returns what happened since the last call: "Topic Type Key" by event,
// with IDs named by names, and the JSON of all.
func take(t *testing.T, s *events.Subscription, names *strings.Replacer) (list []string, text string) {
	t.Helper()
	for {
		b, gap := s.Take()
		if gap != nil {
			list = append(list, "gap")
			continue
		}
		if b == nil {
			return list, text
		}
		for _, e := range b.Events() {
			raw, err := e.JSON()
			if err != nil {
				t.Fatal(err)
			}
			text += string(raw) + "\n"
			list = append(list, names.Replace(fmt.Sprintf("%s %s %s", e.Topic, e.Type, e.Key)))
		}
	}
}

func TestEventsOfCommands(t *testing.T) {
	w := newWorld(t)
	ring := newRing()
	w.Store.PublishTo(ring)
	sub, err := ring.Subscribe(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()

	j := testJob("web")
	e := testEval(j)
	n1, n2 := testNode(), testNode()
	n1.SecretID = "top-secret"
	plan := testPlan(j, e, n1, n2)
	a1, a2 := plan.Placements[0].Allocs[0].ID, plan.Placements[0].Allocs[1].ID
	stop := testEval(j)
	names := strings.NewReplacer(n1.ID, "n1", n2.ID, "n2", e.ID, "e", stop.ID, "stop", a1, "a1", a2, "a2")
	yes := true
	step := func(cmd func() store.Command, want ...string) {
		t.Helper()
		c := cmd()
		w.do(c)
		got, text := take(t, sub, names)
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("%T:\n got %s\nwant %s", c, strings.Join(got, "; "), strings.Join(want, "; "))
		}
		if strings.Contains(text, "top-secret") {
			t.Errorf("%T: a secret is told: %s", c, text)
		}
	}
	cmd := func(c store.Command) func() store.Command { return func() store.Command { return c } }

	step(cmd(&store.RegisterNode{Node: n1, Now: now}), "Node NodeRegistration n1")
	step(cmd(&store.RegisterNode{Node: n2, Now: now}), "Node NodeRegistration n2")
	step(cmd(&store.RegisterJob{Job: j, Eval: e, Now: now}), "Job JobRegistered web", "Evaluation JobRegistered e")
	step(func() store.Command {
		plan.Job = w.Store.Snapshot().Job("default", "web")
		return &store.ApplyPlan{Plan: plan, Now: now}
	}, "Job PlanResult web", "Allocation PlanResult a1", "Allocation PlanResult a2", "Evaluation PlanResult e")
	step(cmd(&store.UpdateAllocs{NodeID: n1.ID, Now: now, Updates: []*api.AllocUpdate{{ID: a1, ClientStatus: api.AllocClientRunning}}}),
		"Allocation AllocationUpdated a1")
	step(cmd(&store.UpdateAllocs{NodeID: n1.ID, Now: now, Updates: []*api.AllocUpdate{{ID: a1, ClientStatus: api.AllocClientRunning}}}))
	step(cmd(&store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{a2: {Migrate: &yes}}, Now: now}),
		"Allocation AllocationUpdateDesiredStatus a2")
	step(cmd(&store.UpdateNodeEligibility{NodeID: n1.ID, Eligibility: api.NodeIneligible, Now: now}), "Node NodeEligibility n1")
	step(cmd(&store.UpdateNodeStatus{NodeID: n2.ID, Status: api.NodeDown, Now: now}), "Node NodeEvent n2")
	step(cmd(&store.SetSchedulerConfig{Config: api.DefaultSchedulerConfiguration()}), "Operator SchedulerConfigUpdated scheduler")
	step(cmd(&store.DeregisterJob{Namespace: "default", JobID: "web", Purge: true, Eval: stop, Now: now}),
		"Job JobDeregistered web", "Evaluation JobDeregistered stop")
	step(cmd(&store.DeleteNode{NodeID: n2.ID, Now: now}), "Node NodeDeregistration n2")

	token := &store.ACLToken{Token: &api.ACLToken{AccessorID: "acc", SecretID: "top-secret", Type: "management"}, Hash: []byte("hash")}
	step(cmd(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "p"}}), "ACLPolicy ACLPolicyUpserted p")
	step(cmd(&store.UpsertACLRole{Role: &api.ACLRole{ID: "r", Name: "r"}}), "ACLRole ACLRoleUpserted r")
	step(cmd(&store.UpsertACLToken{Token: token}), "ACLToken ACLTokenUpserted acc")
	step(cmd(&store.DeleteACLToken{AccessorID: "acc"}), "ACLToken ACLTokenDeleted acc")
	step(cmd(&store.DeleteACLRole{ID: "r"}), "ACLRole ACLRoleDeleted r")
	step(cmd(&store.DeleteACLPolicy{Name: "p"}), "ACLPolicy ACLPolicyDeleted p")

	method := &api.ACLAuthMethod{Name: "sso", Type: api.AuthMethodOIDC, Config: &api.ACLAuthMethodConfig{OIDCClientSecret: "top-secret"}}
	rule := func(id string) *store.UpsertBindingRule {
		return &store.UpsertBindingRule{Rule: &api.ACLBindingRule{ID: id, AuthMethod: "sso"}}
	}
	step(cmd(&store.UpsertAuthMethod{AuthMethod: &store.AuthMethod{Method: method, Sealed: []byte("top-secret")}}), "ACLAuthMethod ACLAuthMethodUpserted sso")
	step(cmd(rule("b1")), "ACLBindingRule ACLBindingRuleUpserted b1")
	step(cmd(rule("b2")), "ACLBindingRule ACLBindingRuleUpserted b2")
	step(cmd(&store.DeleteBindingRule{ID: "b1"}), "ACLBindingRule ACLBindingRuleDeleted b1")
	step(cmd(&store.DeleteAuthMethod{Name: "sso"}), "ACLAuthMethod ACLAuthMethodDeleted sso", "ACLBindingRule ACLBindingRuleDeleted b2")

	spaces := []*api.Namespace{{Name: "one"}, {Name: "two"}}
	step(cmd(&store.UpsertNamespaces{Namespaces: spaces}), "Namespace NamespaceUpserted one", "Namespace NamespaceUpserted two")
	step(cmd(&store.UpsertNamespaces{Namespaces: spaces})) // nothing new
	step(cmd(&store.DeleteNamespaces{Names: []string{"two"}}), "Namespace NamespaceDeleted two")

	pools := []*api.NodePool{{Name: "gpu"}}
	step(cmd(&store.UpsertNodePools{Pools: pools}), "NodePool NodePoolUpserted gpu")
	step(cmd(&store.UpsertNodePools{Pools: pools})) // nothing new
	step(cmd(&store.DeleteNodePools{Names: []string{"gpu"}}), "NodePool NodePoolDeleted gpu")

	// A refused command tells nothing.
	if _, err := w.Propose(t.Context(), &store.DeleteNode{NodeID: n2.ID}); err == nil {
		t.Error("a node was deleted twice")
	}
	if got, _ := take(t, sub, names); got != nil {
		t.Errorf("a refused command told %v", got)
	}

	// A snapshot that is restored is another history.
	var file bytes.Buffer
	if err := w.Store.Snapshot().Persist(&file); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.Restore(&file); err != nil {
		t.Fatal(err)
	}
	step(cmd(&store.UpsertEvals{Evals: []*api.Evaluation{e}, Now: now}), "gap", "Evaluation EvaluationUpdated e")
}

// BenchmarkApplyPlanWithEvents is BenchmarkApplyPlan with a ring that nobody
// reads.
func BenchmarkApplyPlanWithEvents(b *testing.B) {
	benchmarkApplyPlan(b, events.New(events.Config{Batches: 4096, Bytes: events.DefaultBytes, EncodedBytes: events.DefaultEncodedBytes}))
}

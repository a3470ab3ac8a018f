package httpapi_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/identity"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/store"
)

// A node gets identities for what runs on it, and for nothing else.
func TestIdentitiesAreForTheNodeOfTheAllocation(t *testing.T) {
	s := newSecured(t)
	s.register(otherID)
	job := &api.Job{
		ID: "j", Name: "j", Namespace: "default", Type: api.JobTypeService, TaskGroups: []*api.TaskGroup{{Name: "cache", Count: ptr(1), Tasks: []*api.Task{
			{Name: "redis", Identity: &api.WorkloadIdentity{Name: "default", Env: true}, Identities: []*api.WorkloadIdentity{
				{Name: "x", File: true, Audience: []string{"a"}, TTL: api.Duration(time.Hour), ExtraClaims: []string{"node_id", "group"}},
				{Name: "unused"},
			}},
			{Name: "none"},
		}}},
	}
	s.propose(&store.RegisterJob{Job: job, Now: start.UnixNano()})
	id := s.place("j", "", 1)[0]

	list, err := s.server.SignIdentities(t.Context(), nodeID, id, "redis")
	if err != nil || len(list) != 2 || !list[0].Expires.IsZero() || list[1].Name != "x" || !list[1].Expires.Equal(start.Add(time.Hour)) {
		t.Fatalf("%+v, %v", list, err)
	}
	var claims map[string]any
	if err := s.keys.Verify(list[1].Token, &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sub": "global:default:j:cache:redis:x", "nomad_namespace": "default", "nomad_job_id": "j", "nomad_task": "redis", "nomad_allocation_id": id,
		"nomad_node_id": nodeID, "nomad_group": "cache", "aud": "a",
	} {
		if got := fmt.Sprint(claims[name]); got != want && got != "["+want+"]" {
			t.Errorf("%s is %v", name, got)
		}
	}
	w, err := identity.ParseWorkload(s.keys, list[1].Token)
	if err != nil || w.Name != "x" || w.Task != "redis" || w.AllocID != id {
		t.Errorf("%+v, %v", w, err)
	}
	if none, err := s.server.SignIdentities(t.Context(), nodeID, id, "none"); err != nil || len(none) != 0 {
		t.Errorf("a task without identities: %v, %v", none, err)
	}
	for name, ask := range map[string][3]string{
		"another node's":    {otherID, id, "redis"},
		"no allocation":     {nodeID, otherID, "redis"},
		"no task":           {nodeID, id, "u"},
		"a node that isn't": {noID, id, "redis"},
	} {
		if _, err := s.server.SignIdentities(t.Context(), ask[0], ask[1], ask[2]); !api.IsNotFound(err) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// With the allocation the identity ends.
	who := server.Identities{Store: s.store, Verifier: s.keys}
	if got, err := who.Identify(t.Context(), list[0].Token); err != nil || got.Kind != api.CallerWorkload || got.Group != "cache" || got.Name != "j/cache/redis" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := who.Identify(t.Context(), api.NewID()); got != nil || err != nil {
		t.Errorf("a secret that is no identity: %v, %v", got, err)
	}
	rights := auth.New(auth.Config{Store: s.store, Sealer: s.keys, Log: quiet, Now: func() time.Time { return start }, Identities: who})
	ctx, cancel := context.WithCancel(t.Context())
	changed, forgotten := rights.Changed(t.Context(), list[0].Token), rights.Changed(ctx, list[0].Token)
	cancel()
	select {
	case <-changed:
		t.Error("a change without one")
	case <-forgotten:
		t.Error("a change that nobody waits for")
	default:
	}
	s.report(id, api.AllocClientComplete)
	<-changed // what goes on with the identity asks again, and is cut
	if _, err := who.Identify(t.Context(), list[0].Token); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("after its end: %v", err)
	}
	if _, err := s.server.SignIdentities(t.Context(), nodeID, id, "redis"); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("signed after its end: %v", err)
	}
}

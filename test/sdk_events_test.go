package test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The SDK's event stream decodes every payload, and reconnecting at the next
// index goes on where it was.
func TestSDKEvents(t *testing.T) {
	c := devAgent(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all := map[api.Topic][]string{api.TopicAll: {"*"}}
	stream := func(topics map[api.Topic][]string, index uint64) <-chan *api.Events {
		t.Helper()
		ch, err := c.EventStream().Stream(ctx, topics, index, &api.QueryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return ch
	}
	next := func(ch <-chan *api.Events) *api.Events {
		t.Helper()
		e, ok := <-ch
		if !ok || e.Err != nil {
			t.Fatalf("the stream ended: %+v", e)
		}
		return e
	}

	live := stream(all, 0)
	if _, _, err := c.Jobs().Register(sdkJob("watched", "sleep 1000"), nil); err != nil {
		t.Fatal(err)
	}
	var seen []uint64
	kinds := map[string]bool{}
	for running := false; !running; {
		set := next(live)
		seen = append(seen, set.Index)
		for _, e := range set.Events {
			kinds[string(e.Topic)+" "+e.Type] = true
			if e.Index != set.Index {
				t.Errorf("an event of index %d came with index %d", e.Index, set.Index)
			}
			switch e.Topic {
			case api.TopicJob:
				if j, err := e.Job(); err != nil || *j.ID != "watched" || e.Key != "watched" || j.TaskGroups[0].Tasks[0].Driver != "raw_exec" {
					t.Errorf("job: %+v (%v)", j, err)
				}
			case api.TopicEvaluation:
				if ev, err := e.Evaluation(); err != nil || ev.ID != e.Key || e.FilterKeys[0] != ev.JobID {
					t.Errorf("evaluation: %+v (%v)", ev, err)
				}
			case api.TopicNode:
				if n, err := e.Node(); err != nil || n.ID != e.Key || len(n.Drivers) == 0 {
					t.Errorf("node: %+v (%v)", n, err)
				}
			case api.TopicAllocation:
				a, err := e.Allocation()
				if err != nil || a.ID != e.Key || a.JobID != "watched" || a.Job != nil || a.CreateTime == 0 {
					t.Errorf("allocation: %+v (%v)", a, err)
				}
				running = a.ClientStatus == "running" && a.TaskStates["main"].State == "running"
			case api.TopicDeployment:
				if d, err := e.Deployment(); err != nil || d.ID != e.Key || d.JobID != "watched" {
					t.Errorf("deployment: %+v (%v)", d, err)
				}
			}
		}
	}
	for _, want := range []string{"Node NodeRegistration", "Job JobRegistered", "Evaluation JobRegistered", "Allocation PlanResult", "Evaluation PlanResult", "Allocation AllocationUpdated"} {
		if !kinds[want] {
			t.Errorf("there is no %s among %v", want, kinds)
		}
	}

	// From each index on comes the same, in the same order.
	for i := range seen {
		again := stream(all, seen[i])
		for _, want := range seen[i:] {
			if got := next(again).Index; got != want {
				t.Fatalf("from index %d on: got %d, want %d", seen[i], got, want)
			}
		}
	}

	purged := stream(map[api.Topic][]string{api.TopicJob: {"watched"}}, seen[len(seen)-1]+1)
	if _, _, err := c.Jobs().Deregister("watched", true, nil); err != nil {
		t.Fatal(err)
	}
	for {
		e := next(purged).Events[0]
		if e.Type != "JobDeregistered" {
			continue
		}
		if j, deleted, err := e.DeregisteredJob(); err != nil || !deleted || *j.ID != "watched" {
			t.Errorf("purged job: %+v, deleted %v (%v)", j, deleted, err)
		}
		break
	}
}

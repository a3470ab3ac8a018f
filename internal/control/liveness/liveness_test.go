package liveness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

func id(i int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", i) }

func register(t *testing.T, p store.Proposer, i int) {
	t.Helper()
	n := &api.Node{ID: id(i), Name: fmt.Sprint("n", i), Status: api.NodeReady, Datacenter: "dc1", NodeResources: &api.NodeResources{}}
	if _, err := p.Propose(t.Context(), &store.RegisterNode{Node: n, Now: 1}); err != nil {
		t.Fatal(err)
	}
}

// lead runs f while a Liveness runs; inside a synctest bubble.
func lead(t *testing.T, p *storetest.Proposer, proposer store.Proposer, f func(l *Liveness)) *Liveness {
	t.Helper()
	l := New(Config{Store: p.Store, Proposer: proposer, Log: slog.New(slog.DiscardHandler), Now: time.Now, NewID: api.NewID})
	l.jitter = func(d time.Duration) time.Duration { return d / 2 }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	synctest.Wait()
	f(l)
	cancel()
	wg.Wait()
	return l
}

func TestOnlyTheLeaderKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		l := lead(t, p, p, func(*Liveness) {})
		if _, err := l.Beat(id(1)); !errors.Is(err, api.ErrNotLeader) {
			t.Fatalf("got %v", err)
		}
		l.Gone(id(1))
	})
}

func TestSilentNodeGoesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		register(t, p, 1)
		register(t, p, 2)
		entries := len(p.Log())
		lead(t, p, p, func(l *Liveness) {
			for range 10 {
				ttl, err := l.Beat(id(1))
				if err != nil || ttl != 15*time.Second {
					t.Fatal(ttl, err)
				}
				if _, err := l.Beat(id(2)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(ttl)
			}
			if len(p.Log()) != entries {
				t.Fatal("heartbeats are in the log")
			}
			_, _ = l.Beat(id(2)) // node 1 stays silent; 15 s TTL are over, 10 s of grace are left
			time.Sleep(10*time.Second - 1)
			synctest.Wait()
			if s := p.Store.Snapshot().Node(id(1)).Status; s != api.NodeReady {
				t.Fatalf("%s within its grace", s)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if s := p.Store.Snapshot().Node(id(1)).Status; s != api.NodeDown {
				t.Fatalf("still %s", s)
			}
			if s := p.Store.Snapshot().Node(id(2)).Status; s != api.NodeReady {
				t.Fatalf("the other one is %s", s)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if got := len(p.Log()) - entries; got != 2 {
				t.Fatalf("%d commands for two nodes that went down", got)
			}
		})
	})
}

func TestNewLeaderIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		register(t, p, 1)
		lead(t, p, p, func(l *Liveness) {
			time.Sleep(DefaultFailoverTTL - 1)
			synctest.Wait()
			if p.Store.Snapshot().Node(id(1)).Status != api.NodeReady {
				t.Fatal("down too early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if p.Store.Snapshot().Node(id(1)).Status != api.NodeDown {
				t.Fatal("never down")
			}
		})
	})
}

func TestLostConnectionShortensTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		register(t, p, 1)
		lead(t, p, p, func(l *Liveness) {
			l.Gone(id(1)) // its deadline was the failover's
			time.Sleep(DefaultMinTTL + DefaultGrace)
			synctest.Wait()
			if p.Store.Snapshot().Node(id(1)).Status != api.NodeDown {
				t.Fatal("waited on")
			}
		})
	})
}

func TestTTLGrowsWithTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		for i := range 1000 {
			register(t, p, i)
		}
		lead(t, p, p, func(l *Liveness) {
			if ttl, _ := l.Beat(id(1)); ttl != 30*time.Second { // 1000/50 s and half as much
				t.Fatalf("ttl %v", ttl)
			}
		})
	})
}

func TestJobsOfASilentNodeAreEvaluated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		register(t, p, 1)
		job := &api.Job{ID: "j", Namespace: "default", Type: api.JobTypeService, Priority: 70, TaskGroups: []*api.TaskGroup{{Name: "g", Tasks: []*api.Task{{Name: "t"}}}}}
		job.Canonicalize()
		propose := func(c store.Command) {
			t.Helper()
			if _, err := p.Propose(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		propose(&store.RegisterJob{Job: job, Now: 1})
		group := &api.PlanGroup{TaskGroup: "g", Resources: &api.AllocatedResources{}, Metrics: &api.AllocMetric{}}
		for i := range 3 {
			group.Allocs = append(group.Allocs, &api.Placement{ID: id(100 + i), NodeID: id(1), NodeName: "n1", Index: i})
		}
		propose(&store.ApplyPlan{Now: 1, Plan: &api.Plan{EvalID: id(50), Job: p.Store.Snapshot().Job("default", "j"), Placements: []*api.PlanGroup{group}}})
		lead(t, p, p, func(l *Liveness) {
			time.Sleep(DefaultFailoverTTL)
			synctest.Wait()
		})
		var evals []*api.Evaluation
		for e := range p.Store.Snapshot().EvalsByJob("default", "j") {
			evals = append(evals, e)
		}
		if len(evals) != 1 || evals[0].TriggeredBy != api.EvalTriggerNodeUpdate || evals[0].NodeID != id(1) || evals[0].Priority != 70 {
			t.Fatalf("%d evaluations: %+v", len(evals), evals)
		}
	})
}

// failing refuses the first proposals.
type failing struct {
	store.Proposer
	left int
}

func (f *failing) Propose(ctx context.Context, c store.Command) (store.Result, error) {
	if f.left > 0 {
		f.left--
		return store.Result{}, errors.New("disk full")
	}
	return f.Proposer.Propose(ctx, c)
}

func TestFailedProposalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := storetest.New()
		register(t, p, 1)
		lead(t, p, &failing{p, 2}, func(l *Liveness) {
			time.Sleep(DefaultFailoverTTL + 2*tryAgain)
			synctest.Wait()
			if p.Store.Snapshot().Node(id(1)).Status != api.NodeDown {
				t.Fatal("given up after a failed proposal")
			}
		})
	})
}

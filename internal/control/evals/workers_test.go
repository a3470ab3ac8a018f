package evals_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/control/evals"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// counter hands plans on nowhere and tells whose they were.
type counter struct {
	*storetest.Proposer
	jobs chan string
}

func (c counter) Submit(ctx context.Context, w *sched.Work, _ []*api.Evaluation) (bool, error) {
	done := w.Eval.Copy()
	done.Status = api.EvalStatusComplete
	_, err := c.Propose(ctx, &store.UpsertEvals{Evals: []*api.Evaluation{done}})
	c.jobs <- w.Eval.JobID
	return false, err
}

// A type that is not enabled waits, and so does all without workers; a change
// counts at once, without anything else happening.
func TestWorkersAreWhatIsSet(t *testing.T) {
	workers := evals.NewWorkers(time.Now, api.NewID)
	workers.Set(1, []string{api.JobTypeBatch, api.SchedulerCore})
	c := counter{storetest.New(), make(chan string)}
	loop := evals.New(evals.Config{Store: c.Store, Proposer: c, Planner: c, Now: time.Now, NewID: api.NewID, Log: slog.New(slog.DiscardHandler), Workers: workers})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = loop.Run(ctx) })
	add := func(id, kind string) {
		j := job(id, 1)
		j.Type = kind
		e := &api.Evaluation{ID: api.NewID(), Namespace: "default", JobID: id, Type: kind, Priority: 50, Status: api.EvalStatusPending}
		if _, err := c.Propose(ctx, &store.RegisterJob{Job: j, Eval: e}); err != nil {
			t.Fatal(err)
		}
	}
	add("service", api.JobTypeService)
	add("batch", api.JobTypeBatch)
	if got := <-c.jobs; got != "batch" {
		t.Fatalf("%s was processed, whose type is not enabled", got)
	}
	workers.Set(0, api.SchedulerTypes())
	add("more", api.JobTypeBatch)
	select {
	case got := <-c.jobs:
		t.Fatalf("%s was processed without workers", got)
	default:
	}
	workers.Set(2, api.SchedulerTypes())
	got := []string{<-c.jobs, <-c.jobs}
	if slices.Sort(got); !slices.Equal(got, []string{"more", "service"}) {
		t.Errorf("processed were %v", got)
	}
	if list := workers.List(); len(list) != 2 || list[0].ID == list[1].ID || list[0].Status != api.WorkerStarted {
		t.Errorf("the workers are %+v", list)
	}
}

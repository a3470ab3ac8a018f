package evals_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/control/evals"
	"github.com/drover-org/drover/internal/control/plans"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// BenchmarkRegion takes 10,000 allocations from registration to the store,
// with the codec and without a disk.
func BenchmarkRegion(b *testing.B) {
	for _, shape := range []struct{ nodes, jobs, count int }{{1000, 1, 10000}, {1000, 100, 100}, {5000, 100, 100}, {1000, 5000, 2}} {
		b.Run(fmt.Sprintf("nodes=%d/jobs=%dx%d", shape.nodes, shape.jobs, shape.count), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				log := storetest.New()
				for i := range shape.nodes {
					_, _ = log.Propose(context.Background(), &store.RegisterNode{Node: &api.Node{
						ID: api.NewID(), Name: fmt.Sprint(i), Datacenter: "dc1", NodePool: "default", Status: api.NodeReady, ComputedClass: "c",
						NodeResources: &api.NodeResources{Cpu: api.NodeCPU{CpuShares: 4000}, Memory: api.NodeMemory{MemoryMB: 8192}, Disk: api.NodeDisk{DiskMB: 1000000}},
						Drivers:       map[string]*api.DriverInfo{"d": {Detected: true, Healthy: true}},
					}})
				}
				quiet := slog.New(slog.DiscardHandler)
				placer := plans.New(plans.Config{Store: log.Store, Proposer: log, Now: time.Now, NewID: api.NewID, Log: quiet})
				loop := evals.New(evals.Config{Store: log.Store, Proposer: log, Planner: placer, Now: time.Now, NewID: api.NewID, Log: quiet})
				ctx, cancel := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				b.StartTimer()
				wg.Go(func() { _ = placer.Run(ctx) })
				wg.Go(func() { _ = loop.Run(ctx) })
				for i := range shape.jobs {
					j := job(fmt.Sprint("j", i), shape.count)
					j.TaskGroups[0].Tasks[0].Resources.MemoryMB = 32
					e := &api.Evaluation{ID: api.NewID(), Namespace: "default", JobID: j.ID, Type: j.Type, Priority: 50, Status: api.EvalStatusPending}
					if _, err := log.Propose(ctx, &store.RegisterJob{Job: j, Eval: e}); err != nil {
						b.Fatal(err)
					}
				}
				for log.Store.Snapshot().AllocCount() < shape.jobs*shape.count {
					w := log.Store.Watch(store.KeyAllocs())
					if log.Store.Snapshot().AllocCount() < shape.jobs*shape.count {
						<-w.C()
					}
					w.Close()
				}
				b.StopTimer()
				cancel()
				wg.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*shape.jobs*shape.count), "ns/placement")
		})
	}
}

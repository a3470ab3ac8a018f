package sched_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
)

// BenchmarkPlace places 10,000 allocations, reconciling included and applying
// not, as one job and as a hundred.
func BenchmarkPlace(b *testing.B) {
	variants := map[string]func(*api.Job){
		"plain":  func(*api.Job) {},
		"spread": func(j *api.Job) { j.Spreads = []*api.Spread{{Attribute: "${meta.rack}", Weight: ptr(int8(100))}} },
		"affinity": func(j *api.Job) {
			j.Affinities = []*api.Affinity{{LTarget: "${meta.rack}", Operand: "=", RTarget: "r3", Weight: ptr(int8(50))}}
		},
	}
	for _, nodes := range []int{1000, 5000} {
		for _, shape := range []struct{ jobs, count int }{{1, 10000}, {100, 100}} {
			for _, name := range []string{"plain", "spread", "affinity"} {
				b.Run(fmt.Sprintf("nodes=%d/jobs=%dx%d/%s", nodes, shape.jobs, shape.count, name), func(b *testing.B) {
					w := newWorld(b)
					for i := range nodes {
						w.node(rack(fmt.Sprint("r", i%20)))
					}
					var evals []*api.Evaluation
					for i := range shape.jobs {
						evals = append(evals, w.register(job(fmt.Sprint("j", i), "service", shape.count, variants[name], func(j *api.Job) {
							r := j.TaskGroups[0].Tasks[0].Resources
							r.CPU, r.MemoryMB = 20, 32
						})))
					}
					snap := w.snap()
					clock := func() time.Time { return w.time }
					b.ReportAllocs()
					b.ResetTimer()
					for range b.N {
						placer := sched.NewPlacer()
						for _, e := range evals {
							plan := placer.Place(snap, sched.Reconcile(snap, e, w.time, api.NewID), clock, api.NewID)
							if n := len(placed(plan)); n != shape.count {
								b.Fatalf("placed %d: %+v", n, plan.Eval.FailedTGAllocs["web"])
							}
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/placement")
				})
			}
		}
	}
}

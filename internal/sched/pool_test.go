package sched_test

import (
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Each pool is scheduled as it says, and what it does not say as the region.
func TestPoolsScheduleTheirWay(t *testing.T) {
	yes := true
	for pool, want := range map[string]struct {
		nodes     int
		memoryMax int64
	}{
		"default": {1, 0}, "spread": {4, 0}, "over": {1, 512},
	} {
		w := newWorld(t)
		w.apply(&store.UpsertNodePools{Pools: []*api.NodePool{
			{Name: "spread", SchedulerConfiguration: &api.NodePoolSchedulerConfiguration{SchedulerAlgorithm: api.AlgorithmSpread}},
			{Name: "over", SchedulerConfiguration: &api.NodePoolSchedulerConfiguration{MemoryOversubscriptionEnabled: &yes}},
		}})
		for range 4 {
			w.node(func(n *api.Node) { n.NodePool = pool })
		}
		for _, id := range []string{"a", "b", "c", "d"} { // one each: they don't keep away from one another
			w.run(w.register(job(id, "service", 1, func(j *api.Job) {
				j.NodePool = pool
				j.TaskGroups[0].Tasks[0].Resources = &api.Resources{CPU: 100, MemoryMB: 128, MemoryMaxMB: 512}
			})))
		}
		used := map[string]bool{}
		for a := range w.snap().Allocs() {
			used[a.NodeID] = true
			if got := a.AllocatedResources.Tasks["main"].Memory.MemoryMaxMB; got != want.memoryMax {
				t.Errorf("pool %s: memory up to %d", pool, got)
			}
		}
		if len(used) != want.nodes {
			t.Errorf("pool %s: four jobs on %d nodes, want %d", pool, len(used), want.nodes)
		}
	}
}

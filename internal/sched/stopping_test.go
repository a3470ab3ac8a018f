package sched_test

import (
	"fmt"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// A full node takes an update all the same: what replaces an allocation gets
// its place, and nothing else does.
func TestUpdateOfAFullNode(t *testing.T) {
	w := newWorld(t)
	w.node(func(n *api.Node) { n.NodeResources.Memory.MemoryMB = 300 })
	j := job("a", "service", 3, func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources.MemoryMB = 100 })
	w.run(w.register(j))
	w.report("running", ptr(true), w.live("a")...)
	old := w.live("a")
	next := job("a", "service", 3, func(j *api.Job) {
		j.TaskGroups[0].Tasks[0].Resources.MemoryMB = 100
		j.TaskGroups[0].Tasks[0].Config["command"] = "y"
	})
	check(t, "placed", len(placed(w.run(w.register(next)))), 3)
	other := job("b", "service", 1)
	p := w.run(w.register(other))
	check(t, "placed beside", len(placed(p)), 0)
	check(t, "queued", p.Eval.QueuedAllocations["web"], 1)
	freed := w.snap().Freed()
	w.report("complete", nil, old[0])
	check(t, "an end wakes who waits for room", fmt.Sprint(w.snap().Freed()) != fmt.Sprint(freed), true)
	check(t, "placed after the replacement took over", len(placed(w.again(other))), 0)
	w.apply(&store.DeregisterJob{Namespace: "default", JobID: "a"})
	w.again(next)
	check(t, "placed while all stop", len(placed(w.again(other))), 0)
	for a := range w.snap().AllocsByJob("default", "a") {
		if !a.ClientTerminal() {
			w.report("complete", nil, a)
		}
	}
	check(t, "placed after the end", len(placed(w.again(other))), 1)
}

package sched_test

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
	"pgregory.net/rapid"
)

// What runs on a node never takes more than it has, whatever is registered,
// updated, displaced, moved and stopped, and however long it takes to end.
func TestNothingIsOvercommittedWhileAllocationsStop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if wrong := play(t, ""); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

// The histories above find these mistakes.
func TestOvercommittingIsFound(t *testing.T) {
	for _, bug := range []string{bugRoomAtOnce, bugNoWait, bugEarlyEnd, bugHeirFirst} {
		found := 0
		rapid.Check(t, func(t *rapid.T) {
			if play(t, bug) != "" {
				found++
			}
		})
		if found == 0 {
			t.Errorf("no history shows that %s", bug)
		}
	}
}

// Mistakes of scheduler and nodes.
const (
	bugRoomAtOnce = "the placer gives away what a stopping allocation holds"
	bugNoWait     = "nodes don't wait for predecessors"
	bugEarlyEnd   = "nodes report an end before it has come"
	bugHeirFirst  = "what waits for its predecessor ends before it"
)

// faults ends a history at what is wrong with it.
type faults struct{}

type fault string

func (faults) Helper()                   {}
func (faults) Fatal(args ...any)         { panic(fault(fmt.Sprint(args...))) }
func (faults) Fatalf(f string, a ...any) { panic(fault(fmt.Sprintf(f, a...))) }

// crowd is a small cluster that is nearly always full, with its nodes.
type crowd struct {
	*world
	bug  string
	jobs map[string]*api.Job
	runs map[string]*api.Allocation // what takes room on a node, by ID
}

// play plays a history and tells what is wrong with it, if anything.
func play(t *rapid.T, bug string) (wrong string) {
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(fault)
			if !ok {
				panic(p)
			}
			wrong = string(f)
		}
	}()
	c := &crowd{world: newWorld(faults{}), bug: bug, jobs: map[string]*api.Job{}, runs: map[string]*api.Allocation{}}
	if bug == bugRoomAtOnce {
		c.view = func(s *store.Snapshot) sched.State { return forgetful{s} }
	}
	cfg := *c.snap().SchedulerConfig()
	cfg.PreemptionConfig = api.PreemptionConfig{ServiceSchedulerEnabled: true, BatchSchedulerEnabled: true}
	c.apply(&store.SetSchedulerConfig{Config: &cfg})
	for range rapid.IntRange(1, 3).Draw(t, "nodes") {
		c.node(func(n *api.Node) {
			n.NodeResources.Cpu.CpuShares, n.NodeResources.Memory.MemoryMB, n.NodeResources.Disk.DiskMB = 1000, 512, 1000
			n.NodeResources.MinDynamicPort, n.NodeResources.MaxDynamicPort = 20000, 20003
		})
	}
	t.Repeat(map[string]func(*rapid.T){
		"register": c.register, "stop job": c.stopJob, "move": c.move, "end": c.end, "fail": c.fail, "healthy": c.healthy, "": c.check,
	})
	return ""
}

func (c *crowd) register(t *rapid.T) {
	id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "job")
	j := job(id, rapid.SampledFrom([]string{"service", "batch"}).Draw(t, "type"), rapid.IntRange(0, 5).Draw(t, "count"), func(j *api.Job) {
		j.Priority = rapid.SampledFrom([]int{20, 50, 80}).Draw(t, "priority")
		g := j.TaskGroups[0]
		g.Tasks[0].Config["command"] = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "command")
		r := g.Tasks[0].Resources
		r.MemoryMB = rapid.SampledFrom([]int{64, 128, 256, 400}).Draw(t, "memory")
		if rapid.Bool().Draw(t, "reserve") {
			r.CPU, r.Cores = 0, rapid.IntRange(1, 2).Draw(t, "cores")
		} else {
			r.CPU = rapid.SampledFrom([]int{100, 300, 600}).Draw(t, "cpu")
		}
		g.EphemeralDisk = &api.EphemeralDisk{SizeMB: ptr(rapid.SampledFrom([]int{100, 300}).Draw(t, "disk")), Sticky: rapid.Bool().Draw(t, "sticky")}
		switch rapid.IntRange(0, 3).Draw(t, "ports") {
		case 1:
			g.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "p"}}}}
		case 2:
			g.Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "p", Value: 80}}}}
		}
		if j.Type == "service" {
			j.Update = &api.UpdateStrategy{MaxParallel: ptr(rapid.IntRange(0, 3).Draw(t, "max_parallel"))}
		}
	})
	c.jobs[id] = j
	c.run(c.world.register(j))
}

func (c *crowd) evaluateAll() {
	for _, id := range []string{"a", "b", "c"} {
		if j := c.jobs[id]; j != nil {
			c.again(j)
		}
	}
}

func (c *crowd) stopJob(t *rapid.T) {
	id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "job")
	if j := c.jobs[id]; j != nil {
		c.apply(&store.DeregisterJob{Namespace: "default", JobID: id})
		c.again(j)
		delete(c.jobs, id)
	}
}

// pick draws one of the allocations that have not ended and for which ok holds.
func (c *crowd) pick(t *rapid.T, ok func(*api.Allocation) bool) *api.Allocation {
	var all []*api.Allocation
	for a := range c.snap().Allocs() {
		if !a.ClientTerminal() && ok(a) {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return rapid.SampledFrom(all).Draw(t, "alloc")
}

func (c *crowd) move(t *rapid.T) {
	if a := c.pick(t, func(a *api.Allocation) bool { return !a.Terminal() }); a != nil {
		transition(c.world, a, api.DesiredTransition{Migrate: ptr(true)})
		c.evaluateAll()
	}
}

// end has one allocation that was told to stop end.
func (c *crowd) end(t *rapid.T) {
	a := c.pick(t, func(a *api.Allocation) bool {
		return a.ServerTerminal() && (c.runs[a.ID] != nil || c.bug == bugHeirFirst)
	})
	if a == nil {
		return
	}
	c.over("complete", a)
}

func (c *crowd) fail(t *rapid.T) {
	if a := c.pick(t, func(a *api.Allocation) bool { return c.runs[a.ID] != nil }); a != nil {
		c.over("failed", a)
	}
}

func (c *crowd) over(status string, a *api.Allocation) {
	if c.bug != bugEarlyEnd {
		delete(c.runs, a.ID)
	}
	c.report(status, nil, a)
	c.evaluateAll()
}

func (c *crowd) healthy(t *rapid.T) {
	if a := c.pick(t, func(a *api.Allocation) bool { return c.runs[a.ID] != nil && !a.Terminal() }); a != nil {
		c.report("running", ptr(true), a)
		c.evaluateAll()
	}
}

// check lets nodes start what they may start, and looks at what they run.
func (c *crowd) check(*rapid.T) {
	s := c.snap()
	for started := true; started; {
		started = false
		for a := range s.Allocs() {
			if c.runs[a.ID] == nil && !a.ClientTerminal() && (c.bug == bugNoWait || !c.waits(a)) {
				c.runs[a.ID], started = a, true
			}
		}
	}
	for n, counted := range s.NodesUsage() {
		real, capacity := &fit.Usage{}, fit.CapacityOf(n)
		for _, a := range c.runs {
			if a.NodeID == n.ID {
				real = real.With(a.AllocatedResources)
			}
		}
		for what, u := range map[string]*fit.Usage{"runs": real, "counts": counted} {
			if why := capacity.Short(u); why != "" {
				c.t.Fatalf("node %s %s too much %s: %+v", n.Name, what, why, u)
			}
			for _, list := range [][]uint16{u.Ports, u.Cores} {
				if len(slices.Compact(slices.Clone(list))) < len(list) {
					c.t.Fatalf("node %s %s a port or core twice: %v", n.Name, what, list)
				}
			}
		}
	}
}

// waits reports whether an allocation waits on its node for the end of others.
func (c *crowd) waits(a *api.Allocation) bool {
	for id := range waitsFor(a) {
		if old := c.snap().Alloc(id); old != nil && old.NodeID == a.NodeID && !old.ClientTerminal() {
			return true
		}
	}
	return false
}

func waitsFor(a *api.Allocation) iter.Seq[string] {
	return slices.Values(append(slices.Clone(a.PreemptedAllocations), a.PreviousAllocation))
}

// forgetful is a state in which what was told to stop holds nothing.
type forgetful struct{ *store.Snapshot }

func (f forgetful) NodesUsage() iter.Seq2[*api.Node, *fit.Usage] {
	return func(yield func(*api.Node, *fit.Usage) bool) {
		for n := range f.Nodes() {
			u := &fit.Usage{}
			for a := range f.AllocsByNode(n.ID) {
				if !a.Terminal() {
					u = u.With(a.AllocatedResources)
				}
			}
			if !yield(n, u) {
				return
			}
		}
	}
}

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

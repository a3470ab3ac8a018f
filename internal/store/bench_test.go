package store_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
	"github.com/drover-org/drover/internal/store"
)

// BenchmarkUpdateAllocs is a node's report of ten allocations among 10,000.
func BenchmarkUpdateAllocs(b *testing.B) {
	s, allocs := loaded(b, 10_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		var ups []*api.AllocUpdate
		for range 10 {
			a := allocs[i%len(allocs)]
			i += 1000 // the next allocation of the same node
			ups = append(ups, &api.AllocUpdate{ID: a.ID, ClientStatus: api.AllocClientRunning})
		}
		if _, err := s.Apply(s.Snapshot().Index()+1, &store.UpdateAllocs{NodeID: allocs[i%len(allocs)].NodeID, Updates: ups}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApplyPlan places 100 allocations of a new job on 1,000 nodes.
func BenchmarkApplyPlan(b *testing.B) { benchmarkApplyPlan(b, nil) }

func benchmarkApplyPlan(b *testing.B, ring *events.Ring) {
	s, _ := loaded(b, 1_000)
	if ring != nil {
		s.PublishTo(ring)
	}
	var nodes []*api.Node
	for n := range s.Snapshot().Nodes() {
		if nodes = append(nodes, n); len(nodes) == 100 {
			break
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		j := testJob(api.NewID())
		e := testEval(j)
		next := s.Snapshot().Index() + 1
		if _, err := s.Apply(next, &store.RegisterJob{Job: j, Eval: e, Now: now}); err != nil {
			b.Fatal(err)
		}
		p := testPlan(s.Snapshot().Job(j.Namespace, j.ID), e, nodes...)
		if _, err := s.Apply(next+1, &store.ApplyPlan{Plan: p, Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWalk reads every allocation in list order.
func BenchmarkWalk(b *testing.B) {
	s, _ := loaded(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range s.Snapshot().AllocsByCreate(false) {
			n++
		}
		if n != 10_000 {
			b.Fatal(n)
		}
	}
}

// loaded returns a store with n allocations of one job on up to 1,000 nodes.
func loaded(b *testing.B, n int) (*store.Store, []*api.Allocation) {
	w := newWorld(b)
	var nodes []*api.Node
	for range min(n, 1000) {
		node := testNode()
		node.NodeResources.Cpu.CpuShares, node.NodeResources.Memory.MemoryMB = 1<<40, 1<<40
		node.NodeResources.Disk.DiskMB = 1 << 40
		nodes = append(nodes, node)
		w.do(&store.RegisterNode{Node: node, Now: now})
	}
	j := testJob("load")
	e := testEval(j)
	w.do(&store.RegisterJob{Job: j, Eval: e, Now: now})
	var on []*api.Node
	for i := range n {
		on = append(on, nodes[i%len(nodes)])
	}
	p := testPlan(w.Store.Snapshot().Job("default", "load"), e, on...)
	w.do(&store.ApplyPlan{Plan: p, Now: now})
	var allocs []*api.Allocation
	for _, pl := range p.Placements[0].Allocs {
		allocs = append(allocs, w.Store.Snapshot().Alloc(pl.ID))
	}
	return w.Store, allocs
}

// What a running allocation of a large job costs in memory, with its task's
// state and the scores of five nodes. The goal is 1.5 KiB.
func TestBytesPerRunningAllocation(t *testing.T) { bytesPerRunning(t, false, 1536) }

// The same with a dynamic port.
func TestBytesPerRunningAllocationWithPort(t *testing.T) { bytesPerRunning(t, true, 1984) }

func bytesPerRunning(t *testing.T, port bool, bound int64) {
	w := newWorld(t)
	const n = 20_000
	var nodes []*api.Node
	for range 200 {
		node := testNode()
		node.NodeResources.Cpu.CpuShares, node.NodeResources.Memory.MemoryMB, node.NodeResources.Disk.DiskMB = 1<<40, 1<<40, 1<<40
		nodes = append(nodes, node)
		w.do(&store.RegisterNode{Node: node, Now: now})
	}
	j := testJob("load")
	w.do(&store.RegisterJob{Job: j, Eval: testEval(j), Now: now})
	j = w.Store.Snapshot().Job("default", "load")
	index := w.Store.Snapshot().Index()
	apply := func(c store.Command) { // as from the log, and without a copy of it kept
		t.Helper()
		b, err := store.EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = store.DecodeCommand(b); err != nil {
			t.Fatal(err)
		}
		index++
		if _, err := w.Store.Apply(index, c); err != nil {
			t.Fatal(err)
		}
	}
	before := heapInUse()
	for at := 0; at < n; at += 1000 {
		var on []*api.Node
		for i := range 1000 {
			on = append(on, nodes[(at+i)%len(nodes)])
		}
		p := testPlan(j, testEval(j), on...)
		for i, a := range p.Placements[0].Allocs {
			a.Index += at
			if port {
				givePort(a, 20_000+(at+i)/len(nodes))
			}
			for k := range 4 {
				s := *p.Placements[0].Allocs[(i+k+1)%1000].Scores[0]
				a.Scores = append(a.Scores, &s)
			}
		}
		apply(&store.ApplyPlan{Plan: p, Now: now})
	}
	started := time.Unix(0, now).UTC()
	for _, node := range nodes {
		var ups []*api.AllocUpdate
		for a := range w.Store.Snapshot().AllocsByNode(node.ID) {
			ups = append(ups, &api.AllocUpdate{
				ID: a.ID, ClientStatus: api.AllocClientRunning, ClientDescription: api.AllocClientTasksRun,
				TaskStates: map[string]*api.TaskState{"main": {State: api.TaskStateRunning, StartedAt: started, Events: []*api.TaskEvent{
					api.NewTaskEvent(api.EventReceived, started),
					api.NewTaskEvent(api.EventTaskSetup, started, api.DetailMessage, "Building Task Directory"),
					api.NewTaskEvent(api.EventStarted, started),
				}}},
			})
		}
		apply(&store.UpdateAllocs{NodeID: node.ID, Now: now, Updates: ups})
	}
	per := (heapInUse() - before) / n
	t.Logf("%d bytes per running allocation", per)
	if per > bound {
		t.Errorf("a running allocation costs %d bytes, the bound is %d", per, bound)
	}
	runtime.KeepAlive(w)
}

// givePort gives a placement a network of its group with one dynamic port.
func givePort(p *api.Placement, port int) {
	ip := "10.0.0.1"
	p.Networks = []*api.NetworkResource{{Mode: "host", Device: "eth0", IP: ip, DynamicPorts: []api.Port{{Label: "http", Value: port, HostNetwork: "default"}}}}
	p.Ports = []api.PortMapping{{Label: "http", Value: port, HostIP: ip}}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

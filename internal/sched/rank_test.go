package sched_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/google/go-cmp/cmp"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestBinPackScoreIsTheFormula(t *testing.T) {
	w := newWorld(t)
	w.node()
	p := w.run(w.register(job("a", "service", 2)))
	want := func(k float64) float64 {
		return (20 - math.Pow(10, 1-k*100/4000) - math.Pow(10, 1-k*64/8192)) / 18
	}
	first, _ := placed(p)[0].Scores[0].Scores.Get(api.ScoreBinPack)
	near(t, "first", first, want(1))
	near(t, "normal", placed(p)[0].Scores[0].NormScore, want(1))
	second := placed(p)[1].Scores[0]
	near(t, "second, mean with anti-affinity -(1+1)/2", second.NormScore, (want(2)-1)/2)
	if d := cmp.Diff(map[string]float64{api.ScoreBinPack: 0, api.ScoreAntiAff: -1}, second.Scores.Map(), cmp.Comparer(func(a, b float64) bool {
		return a == b || a == 0 || b == 0
	})); d != "" {
		t.Error(d)
	}
}

func TestBinPackAndSpreadAlgorithms(t *testing.T) {
	for algorithm, same := range map[string]bool{api.AlgorithmBinPack: true, api.AlgorithmSpread: false} {
		w := newWorld(t)
		w.nodes(4)
		w.apply(&store.SetSchedulerConfig{Config: &api.SchedulerConfiguration{SchedulerAlgorithm: algorithm}})
		nodes := map[string]bool{}
		for i := range 4 {
			nodes[placed(w.run(w.register(job(fmt.Sprint("j", i), "service", 1))))[0].NodeID] = true
		}
		check(t, algorithm, len(nodes) == 1, same)
		if !same {
			check(t, "spread over", len(nodes), 4)
		}
	}
}

func perRack(w *world, id string) map[string]int {
	m := map[string]int{}
	for _, a := range w.live(id) {
		m[w.snap().Node(a.NodeID).Meta["rack"]]++
	}
	return m
}

func TestSpreadEvenly(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		w.node(rack(fmt.Sprint("r", i%4)))
	}
	w.run(w.register(job("a", "service", 40, func(j *api.Job) { j.Spreads = []*api.Spread{{Attribute: "${meta.rack}", Weight: ptr(int8(100))}} })))
	check(t, "racks", perRack(w, "a"), map[string]int{"r0": 10, "r1": 10, "r2": 10, "r3": 10})
}

func TestSpreadToTargets(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		w.node(rack(fmt.Sprint("r", i%3)))
	}
	w.run(w.register(job("a", "service", 20, func(j *api.Job) {
		j.Spreads = []*api.Spread{{Attribute: "${meta.rack}", Weight: ptr(int8(100)), SpreadTarget: []*api.SpreadTarget{{Value: "r0", Percent: 70}, {Value: "r1", Percent: 30}}}}
	})))
	check(t, "racks", perRack(w, "a"), map[string]int{"r0": 14, "r1": 6})
}

func TestAffinity(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		w.node(rack(fmt.Sprint("r", i%4)))
	}
	like := func(weight int8) func(*api.Job) {
		return func(j *api.Job) {
			j.Affinities = []*api.Affinity{{LTarget: "${meta.rack}", Operand: "=", RTarget: "r2", Weight: ptr(weight)}}
		}
	}
	p := w.run(w.register(job("a", "service", 3, like(100))))
	check(t, "liked", perRack(w, "a"), map[string]int{"r2": 3})
	got, _ := placed(p)[0].Scores[0].Scores.Get(api.ScoreAffinity)
	near(t, "score", got, 1)
	w.run(w.register(job("b", "service", 3, like(-100))))
	check(t, "disliked", perRack(w, "b")["r2"], 0)
}

func TestDistinctProperty(t *testing.T) {
	w := newWorld(t)
	for i := range 9 {
		w.node(rack(fmt.Sprint("r", i%3)))
	}
	p := w.run(w.register(job("a", "service", 8, func(j *api.Job) {
		j.Constraints = []*api.Constraint{{LTarget: "${meta.rack}", Operand: api.OperandDistinctProperty, RTarget: "2"}}
	})))
	check(t, "racks", perRack(w, "a"), map[string]int{"r0": 2, "r1": 2, "r2": 2})
	m := p.Eval.FailedTGAllocs["web"]
	check(t, "why", m.ConstraintFiltered["${meta.rack} distinct_property 2"], 9)
	check(t, "failed", m.CoalescedFailures+1, 2)
}

func TestMetricsExplainAFullCluster(t *testing.T) {
	w := newWorld(t)
	w.nodes(2, func(n *api.Node) { n.NodeClass = "small" })
	w.node(func(n *api.Node) { n.Datacenter = "dc2" })
	p := w.run(w.register(job("a", "service", 5, func(j *api.Job) {
		j.Datacenters = []string{"dc1"}
		j.TaskGroups[0].Tasks[0].Resources.CPU = 2000
	})))
	check(t, "placed", len(placed(p)), 4)
	m := p.Eval.FailedTGAllocs["web"]
	check(t, "exhausted", m.NodesExhausted, 2)
	check(t, "dimension", m.DimensionExhausted, map[string]int{"cpu": 2})
	check(t, "class", m.ClassExhausted, map[string]int{"small": 2})
	check(t, "in pool", m.NodesInPool, 3)
	check(t, "available", m.NodesAvailable, map[string]int{"dc1": 2})
	check(t, "resources", m.ResourcesExhausted["main"].CPU, 2000)
	ok := p.Placements[0].Metrics
	check(t, "evaluated", ok.NodesEvaluated, 2)
	check(t, "scores", len(placed(p)[0].Scores), 2)
}

func TestStaticPortIsAHostsOnce(t *testing.T) {
	w := newWorld(t)
	w.nodes(2)
	web := func(j *api.Job) {
		j.TaskGroups[0].Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "http", Value: 80}}, DynamicPorts: []api.Port{{Label: "rpc", To: -1}}}}
	}
	p := w.run(w.register(job("a", "service", 3, web)))
	check(t, "placed", len(placed(p)), 2)
	check(t, "why", p.Eval.FailedTGAllocs["web"].DimensionExhausted, map[string]int{"network: port collision": 2})
	a := w.live("a")[0]
	check(t, "ports", len(a.AllocatedResources.Shared.Ports), 2)
	rpc := a.AllocatedResources.Shared.Ports[1]
	check(t, "to", rpc.To, rpc.Value)
	// An update takes the port over from what it replaces.
	p = w.run(w.register(job("a", "service", 2, web, newCommand)))
	check(t, "updated", len(placed(p)), 2)
	check(t, "failed", len(p.Eval.FailedTGAllocs), 0)
}

func TestPlansInFlightDoNotShareRoom(t *testing.T) {
	w := newWorld(t)
	w.node()
	half := func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources.MemoryMB = 3000 }
	a, b := w.register(job("a", "service", 2, half)), w.register(job("b", "service", 1, half))
	pa := w.decide(a)
	pb := w.decide(b)
	check(t, "the first", len(placed(pa)), 2)
	check(t, "the second finds no room", len(placed(pb)), 0)
	check(t, "in flight", w.placer.InFlight(), 1)
	w.placer.Committed(a.ID, 0) // it never came into the log
	check(t, "now there is", len(placed(w.decide(b))), 1)
}

func TestStickyDiskStaysOnItsNode(t *testing.T) {
	w := newWorld(t)
	w.nodes(5)
	sticky := func(j *api.Job) { j.TaskGroups[0].EphemeralDisk = &api.EphemeralDisk{Sticky: true} }
	w.run(w.register(job("a", "service", 5, sticky)))
	was := map[string]string{}
	for _, a := range w.live("a") {
		was[a.Name] = a.NodeID
	}
	w.run(w.register(job("a", "service", 5, sticky, newCommand)))
	for _, a := range w.live("a") {
		check(t, a.Name, a.NodeID, was[a.Name])
	}
}

func TestCoresAreReserved(t *testing.T) {
	w := newWorld(t)
	w.node()
	p := w.run(w.register(job("a", "service", 3, func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources = &api.Resources{Cores: 2} })))
	check(t, "placed", len(placed(p)), 2)
	check(t, "cpu", w.live("a")[0].AllocatedResources.Tasks["main"].Cpu.CpuShares, 2000)
	check(t, "cores", fmt.Sprint(w.live("a")[0].AllocatedResources.Tasks["main"].Cpu.ReservedCores, w.live("a")[1].AllocatedResources.Tasks["main"].Cpu.ReservedCores), "[0 1] [2 3]")
}

// A node on which an allocation failed and that has no dynamic port left is
// tried once, and not for ever.
func TestAPenalisedNodeWithoutPorts(t *testing.T) {
	w := newWorld(t)
	w.node(func(n *api.Node) { n.NodeResources.MinDynamicPort, n.NodeResources.MaxDynamicPort = 20000, 20000 })
	port := func(j *api.Job) {
		j.TaskGroups[0].Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "p"}}}}
	}
	a, b := job("a", "service", 1, port), job("b", "service", 1, port)
	w.run(w.register(a))
	w.report("failed", nil, w.live("a")...)
	check(t, "takes the port", len(placed(w.run(w.register(b)))), 1)
	w.pass(time.Hour)
	p := w.again(a)
	check(t, "placed", len(placed(p)), 0)
	check(t, "queued", p.Eval.QueuedAllocations["web"], 1)
}

// Distinct properties bind system jobs as well.
func TestDistinctPropertyOfASystemJob(t *testing.T) {
	w := newWorld(t)
	w.nodes(3, rack("a"))
	w.nodes(2, rack("b"))
	j := job("s", "system", 1, func(j *api.Job) {
		j.TaskGroups[0].Constraints = []*api.Constraint{{LTarget: "${meta.rack}", Operand: api.OperandDistinctProperty, RTarget: "2"}}
	})
	check(t, "placed", len(placed(w.run(w.register(j)))), 4)
	check(t, "placed again", len(placed(w.again(j))), 0)
}

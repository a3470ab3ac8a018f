package sched_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sched"
	"github.com/drover-org/drover/internal/store"
)

// Every node is judged, with the reason that decided and its figures, and the
// node that would be chosen is the first of those that suit.
func TestWhyJudgesEveryNode(t *testing.T) {
	w := newWorld(t)
	free := w.node()
	named := func(name string, edit func(*api.Node)) {
		w.node(edit, func(n *api.Node) { n.Name = name })
	}
	named("small", func(n *api.Node) { n.NodeResources.Memory.MemoryMB = 32 })
	named("slow", func(n *api.Node) { n.NodeResources.Cpu.CpuShares = 50 })
	named("bsd", func(n *api.Node) { n.Attributes["kernel.name"] = "bsd" })
	named("bare", func(n *api.Node) { n.Drivers = nil })
	named("elsewhere", func(n *api.Node) { n.Datacenter = "dc9" })
	named("other-pool", func(n *api.Node) { n.NodePool = "gpu" })
	named("down", func(n *api.Node) { n.Status = api.NodeDown })
	named("resting", func(n *api.Node) { n.SchedulingEligibility = api.NodeIneligible })
	named("held", func(n *api.Node) {
		n.ReservedResources = &api.NodeReservedResources{}
		n.ReservedResources.Networks.ReservedHostPorts = "8080"
	})
	busy := w.node(func(n *api.Node) { n.Name = "busy" })

	edit := func(j *api.Job) {
		j.Datacenters = []string{"dc1"}
		j.Constraints = []*api.Constraint{{LTarget: "${attr.kernel.name}", RTarget: "linux", Operand: "="}}
		j.TaskGroups[0].Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "http", Value: 8080}}}}
	}
	// One allocation of the job takes the port of "busy".
	first := job("web", api.JobTypeService, 1, edit, func(j *api.Job) {
		j.Constraints = append(j.Constraints, &api.Constraint{LTarget: "${node.unique.name}", RTarget: "busy", Operand: "="})
	})
	w.commit(w.decide(w.register(first)))

	j := job("web", api.JobTypeService, 1, edit)
	x := sched.Why(w.snap(), j, j.TaskGroups[0], nil, 0)
	if x.NodesTotal != 11 || x.NodesSuitable != 1 || x.NodesOmitted != 0 || len(x.Nodes) != 11 {
		t.Fatalf("%+v", x)
	}
	if v := x.Nodes[0]; v.NodeID != free.ID || !v.Suitable || v.Score == 0 || v.Kind != "" {
		t.Errorf("the best node: %+v", v)
	}
	want := map[string][2]string{ // by node: kind, part of reason and detail
		"small": {api.ReasonDimension, "memory needs 64 MiB, 32 of 32 MiB are free"}, "slow": {api.ReasonDimension, "cpu needs 100 MHz, 50 of 50 MHz are free"},
		"bsd": {api.ReasonConstraint, "${attr.kernel.name} = linux"}, "bare": {api.ReasonConstraint, "missing drivers"},
		"elsewhere": {api.ReasonDatacenter, `"dc9"`}, "other-pool": {api.ReasonPool, `"gpu"`},
		"down": {api.ReasonStatus, "is down"}, "resting": {api.ReasonStatus, "not eligible"},
		"held": {api.ReasonPort, `port 8080 ("http") is reserved`}, busy.Name: {api.ReasonPort, `port 8080 ("http") is used by web.web[0] of allocation`},
	}
	for _, v := range x.Nodes[1:] {
		if got := v.Reason + " " + v.Detail; v.Kind != want[v.NodeName][0] || !strings.Contains(got, want[v.NodeName][1]) {
			t.Errorf("%s: %s: %s, want %q", v.NodeName, v.Kind, got, want[v.NodeName])
		}
	}
	if len(x.Reasons) != 9 || x.Reasons[0].Nodes != 2 || x.Reasons[0].Kind != api.ReasonPort || len(x.Reasons[0].Examples) != 2 {
		t.Errorf("reasons: %+v", x.Reasons[0])
	}

	few := sched.Why(w.snap(), j, j.TaskGroups[0], nil, 3)
	if len(few.Nodes) != 3 || few.NodesOmitted != 8 || few.NodesSuitable != 1 || !slices.EqualFunc(few.Reasons, x.Reasons, func(a, b *api.NodeReason) bool { return a.Reason == b.Reason && a.Nodes == b.Nodes }) {
		t.Errorf("three nodes: %+v", few)
	}
}

// The node that explaining puts first is the node that placing takes.
func TestWhyAgreesWithPlacing(t *testing.T) {
	w := newWorld(t)
	w.nodes(3, rack("r1"))
	w.nodes(3, rack("r2"))
	for count := 1; count <= 8; count++ {
		j := job("web", api.JobTypeService, count, func(j *api.Job) { j.Spreads = []*api.Spread{{Attribute: "${meta.rack}", Weight: ptr(int8(100))}} })
		before := w.snap()
		plan := w.decide(w.register(j))
		x := sched.Why(before, j, j.TaskGroups[0], nil, 0)
		for _, g := range plan.Placements {
			p := g.Allocs[0]
			i := slices.IndexFunc(x.Nodes, func(v *api.NodeVerdict) bool { return v.NodeID == p.NodeID })
			if d := x.Nodes[0].Score - x.Nodes[i].Score; d > 1e-9 {
				t.Errorf("allocation %d: placed on the node with %f, the best has %f", count, x.Nodes[i].Score, x.Nodes[0].Score)
			}
		}
		w.commit(plan)
	}
}

// A placed allocation is explained as if it were to be placed now: what it
// uses itself does not stand in its way.
func TestWhyLeavesTheAllocationOut(t *testing.T) {
	w := newWorld(t)
	n := w.node(func(n *api.Node) { n.NodeResources.Memory.MemoryMB = 100 })
	j := job("web", api.JobTypeService, 1)
	w.commit(w.decide(w.register(j)))
	var a *api.Allocation
	for a = range w.snap().AllocsByNode(n.ID) {
		break
	}
	x := sched.Why(w.snap(), a.Job, a.Group(), a, 0)
	if v := x.Nodes[0]; !v.Suitable || !v.Chosen || x.AllocID != a.ID || x.NodeName != n.Name {
		t.Errorf("with itself left out: %+v", v)
	}
	if v := sched.Why(w.snap(), a.Job, a.Group(), nil, 0).Nodes[0]; v.Suitable || v.Reason != "memory" {
		t.Errorf("another one beside it: %+v", v)
	}
	sys := job("everywhere", api.JobTypeSystem, 1, func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources.MemoryMB = 10 })
	w.commit(w.decide(w.register(sys)))
	sys = w.snap().Job("default", "everywhere")
	if v := sched.Why(w.snap(), sys, sys.TaskGroups[0], nil, 0).Nodes[0]; v.Suitable || !strings.Contains(v.Reason, "one allocation per node") {
		t.Errorf("a system job: %+v", v)
	}
	w.apply(&store.UpdateNodeStatus{NodeID: n.ID, Status: api.NodeDown, Now: 1})
	if v := sched.Why(w.snap(), a.Job, a.Group(), a, 0).Nodes[0]; v.Suitable || v.Kind != api.ReasonStatus || !v.Chosen {
		t.Errorf("its node is down: %+v", v)
	}
}

package sched

import (
	"fmt"
	"iter"
	"math"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
	"pgregory.net/rapid"
)

// bare is a state of nodes and one job without allocations.
type bare struct {
	State
	nodes []*api.Node
	used  []*fit.Usage
	job   *api.Job
}

func (b *bare) Index() uint64                                { return 1 }
func (b *bare) Job(string, string) *api.Job                  { return b.job }
func (b *bare) Alloc(string) *api.Allocation                 { return nil }
func (b *bare) NodePool(string) *api.NodePool                { return nil }
func (b *bare) QuotaOf(string) (*api.QuotaSpec, api.Charge)  { return nil, api.Charge{} }
func (b *bare) LatestDeployment(_, _ string) *api.Deployment { return nil }
func (b *bare) SchedulerConfig() *api.SchedulerConfiguration {
	return api.DefaultSchedulerConfiguration()
}
func (b *bare) AllocsByJob(_, _ string) iter.Seq[*api.Allocation] {
	return func(func(*api.Allocation) bool) {}
}

func (b *bare) NodesUsage() iter.Seq2[*api.Node, *fit.Usage] {
	return func(yield func(*api.Node, *fit.Usage) bool) {
		for i, n := range b.nodes {
			if !yield(n, b.used[i]) {
				return
			}
		}
	}
}

func drawState(t *rapid.T) *bare {
	b := &bare{}
	for i := range rapid.IntRange(1, 12).Draw(t, "nodes") {
		n := &api.Node{
			ID: fmt.Sprint("node", i), Datacenter: "dc1", NodePool: "default", Status: api.NodeReady, SchedulingEligibility: api.NodeEligible,
			Meta:    map[string]string{"rack": rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "rack")},
			Drivers: map[string]*api.DriverInfo{"d": {Detected: true, Healthy: rapid.IntRange(0, 9).Draw(t, "healthy") > 0}},
			NodeResources: &api.NodeResources{
				Cpu:    api.NodeCPU{CpuShares: rapid.Int64Range(100, 2000).Draw(t, "cpu")},
				Memory: api.NodeMemory{MemoryMB: rapid.Int64Range(100, 2000).Draw(t, "memory")}, Disk: api.NodeDisk{DiskMB: 1000},
			},
		}
		if rapid.IntRange(0, 5).Draw(t, "no rack") == 0 {
			delete(n.Meta, "rack")
		}
		b.nodes, b.used = append(b.nodes, n), append(b.used, &fit.Usage{})
	}
	g := &api.TaskGroup{Name: "g", Count: new(int), EphemeralDisk: &api.EphemeralDisk{}, Tasks: []*api.Task{{
		Name: "t", Driver: "d", Resources: &api.Resources{CPU: rapid.IntRange(10, 300).Draw(t, "ask cpu"), MemoryMB: rapid.IntRange(10, 300).Draw(t, "ask memory")},
	}}}
	*g.Count = rapid.IntRange(1, 40).Draw(t, "count")
	weight := func(label string) *int8 { v := int8(rapid.SampledFrom([]int{-100, 30, 100}).Draw(t, label)); return &v }
	if rapid.Bool().Draw(t, "affinity") {
		g.Affinities = []*api.Affinity{{LTarget: "${meta.rack}", Operand: "=", RTarget: "b", Weight: weight("affinity weight")}}
	}
	if rapid.Bool().Draw(t, "spread") {
		s := &api.Spread{Attribute: "${meta.rack}"}
		if rapid.Bool().Draw(t, "targets") {
			s.SpreadTarget = []*api.SpreadTarget{{Value: "a", Percent: 60}, {Value: "b", Percent: 20}}
		}
		g.Spreads = []*api.Spread{s}
	}
	switch rapid.IntRange(0, 4).Draw(t, "distinct") {
	case 0:
		g.Constraints = []*api.Constraint{{Operand: api.OperandDistinctHosts}}
	case 1:
		g.Constraints = []*api.Constraint{{LTarget: "${meta.rack}", Operand: api.OperandDistinctProperty, RTarget: "3"}}
	}
	b.job = &api.Job{ID: "j", Type: api.JobTypeBatch, Datacenters: []string{"*"}, NodePool: "default", TaskGroups: []*api.TaskGroup{g}}
	return b
}

// Every choice of the heaps is the best of all nodes that a plain scan of the
// whole fleet finds at that moment.
func TestHeapEqualsFullScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawState(t)
		m := &maker{
			fleet: &fleet{}, scratch: &scratch{}, st: b, w: &Work{Eval: &api.Evaluation{ID: rapid.String().Draw(t, "eval")}, Job: b.job, desired: map[string]*api.DesiredUpdates{}},
			newID: func() string { return "" }, config: b.SchedulerConfig(), byAlloc: map[string]*resident{}, stopping: map[string]bool{}, plan: &api.Plan{},
		}
		m.sync(b)
		g := b.job.TaskGroups[0]
		f := m.field(b.job, g)
		f.spreads, f.affinity = newSpreads(b.job, g), newAffinities(b.job, g)
		f.evaluate(nil)
		for k := range *g.Count {
			a := &ask{job: b.job, group: g, index: k}
			for range rapid.IntRange(0, 2).Draw(t, "penalties") {
				a.penalty = append(a.penalty, rapid.SampledFrom(b.nodes).Draw(t, "penalised").ID)
			}
			want := naive(f, a)
			p := m.choose(f, a, true)
			if p == nil {
				if !math.IsInf(want, -1) {
					t.Fatalf("nothing chosen, the scan found %v", want)
				}
				continue
			}
			if got := p.Scores[0].NormScore; got != want {
				t.Fatalf("placement %d: chose %v with %v, the scan found %v", k, p.NodeID, got, want)
			}
			for i := 1; i < len(p.Scores); i++ {
				if p.Scores[i].NormScore > p.Scores[i-1].NormScore {
					t.Fatalf("scores are not in order: %v", p.Scores)
				}
			}
			m.commit(f, a, p, nil)
		}
	})
}

// naive scores every node from first principles and returns the best score.
func naive(f *field, a *ask) float64 {
	best := math.Inf(-1)
	for i, n := range f.nodes {
		if f.check.reject(n) != "" || f.clash(int32(i)) != "" || f.lacks(int32(i), f.need) != "" {
			continue
		}
		sum, terms := f.packing(int32(i)), 1.0
		add := func(v float64) { sum, terms = sum+v, terms+1 }
		if f.mates[i] > 0 {
			add(-float64(f.mates[i]+1) / float64(f.check.group.CountOf()))
		}
		if f.affinity != nil {
			if v := f.affinity.evaluate(n); v != 0 {
				add(v)
			}
		}
		for _, id := range a.penalty {
			if id == n.ID {
				add(-1)
				break
			}
		}
		if f.spreads != nil {
			if v := f.spreads.scores[f.spreads.combo(n, "")]; v != 0 {
				add(v)
			}
		}
		best = max(best, sum/terms)
	}
	return best
}

// A plan is never over a node's capacity, never uses a name or a port twice,
// and places all there is room for; what is not placed has a reason.
func TestPlansKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawState(t)
		g := b.job.TaskGroups[0]
		if rapid.Bool().Draw(t, "ports") {
			g.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "x"}}}}
			for range rapid.IntRange(0, 1).Draw(t, "static") {
				g.Networks[0].ReservedPorts = []api.Port{{Label: "y", Value: 20001}}
			}
			for _, n := range b.nodes {
				n.NodeResources.MaxDynamicPort = 20000 + rapid.IntRange(0, 6).Draw(t, "range")
			}
		}
		ids := 0
		newID := func() string { ids++; return fmt.Sprint("id", ids) }
		now := func() time.Time { return time.Unix(0, 0) }
		eval := &api.Evaluation{ID: "e", JobID: "j", Status: api.EvalStatusPending}
		plan := Plan(b, eval, now, newID)

		names, at := map[int]bool{}, map[string]*fit.Usage{}
		byID := map[string]*api.Node{}
		for _, n := range b.nodes {
			at[n.ID], byID[n.ID] = &fit.Usage{}, n
		}
		c := newChecker(b.job, g)
		for _, group := range plan.Placements {
			for _, p := range group.Allocs {
				if names[p.Index] || p.Index >= *g.Count {
					t.Fatalf("name %d", p.Index)
				}
				names[p.Index] = true
				if why := c.reject(byID[p.NodeID]); why != "" {
					t.Fatalf("placed on a node that is ruled out: %s", why)
				}
				r := fit.Grant(group.Resources, p, byID[p.NodeID])
				if !fit.Fits(byID[p.NodeID], at[p.NodeID], fit.Sum(r)) {
					t.Fatalf("node %s is over its capacity or a port is used twice: %+v", p.NodeID, at[p.NodeID])
				}
				at[p.NodeID] = at[p.NodeID].With(r)
			}
		}
		missing := *g.Count - len(names)
		if missing != plan.Eval.QueuedAllocations["g"] {
			t.Fatalf("missing %d, queued %d", missing, plan.Eval.QueuedAllocations["g"])
		}
		if missing == 0 {
			return
		}
		metric := plan.Eval.FailedTGAllocs["g"]
		if metric == nil || metric.CoalescedFailures != missing-1 {
			t.Fatalf("%d are missing, explained: %+v", missing, metric)
		}
		if metric.NodesFiltered+metric.NodesExhausted != metric.NodesEvaluated {
			t.Fatalf("a node has no reason: %+v", metric)
		}
		for _, n := range b.nodes { // no constraint, no room: only then is one missing
			d := needOf(g, fit.AskOf(g), false)
			caps := fit.CapacityOf(n)
			_, ports := d.ports.Offer(n, &caps, at[n.ID], 1)
			if len(g.Constraints) == 0 && c.reject(n) == "" && ports && caps.Short(at[n.ID].Plus(d.Usage)) == "" {
				t.Fatalf("node %s has room", n.ID)
			}
		}
	})
}

// Equal questions get equal answers.
func TestPlansRepeat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawState(t)
		eval := &api.Evaluation{ID: rapid.String().Draw(t, "id"), JobID: "j", Status: api.EvalStatusPending}
		answer := func() string {
			out := ""
			plan := Plan(b, eval, func() time.Time { return time.Unix(0, 0) }, func() string { return "" })
			for _, g := range plan.Placements {
				for _, p := range g.Allocs {
					out += p.NodeID + " "
				}
			}
			return out
		}
		if a, b := answer(), answer(); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

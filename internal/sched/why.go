package sched

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// maxExamples is how many nodes a grouped reason names.
const maxExamples = 3

// Why tells for every node of a state whether one more allocation of a group
// would fit there, and how well. A placed allocation is explained as if it
// were to be placed now: self, which may be nil, is left out of what its node
// uses. At most limit nodes are listed one by one; 0 means all.
func Why(st State, job *api.Job, group *api.TaskGroup, self *api.Allocation, limit int) *api.Explanation {
	var fl fleet
	fl.sync(st)
	m := &maker{fleet: &fl, scratch: &scratch{}, st: st, config: st.SchedulerConfig()}
	var residents []*resident
	for a := range st.AllocsByJob(job.Namespace, job.ID) {
		i, ok := fl.index[a.NodeID]
		if !ok || a.Terminal() {
			continue
		}
		if self != nil && a.ID == self.ID {
			fl.remove(i, fit.Sum(a.AllocatedResources))
			continue
		}
		residents = append(residents, &resident{node: i, group: a.TaskGroup, alloc: a})
	}
	f := m.field(job, group)
	f.affinity = newAffinities(job, group)
	has := map[string]bool{} // nodes that need no other allocation
	if job.Type == api.JobTypeSystem || job.Type == api.JobTypeSysBatch {
		for _, r := range residents { // one on each node: they don't crowd each other
			has[r.alloc.NodeID] = has[r.alloc.NodeID] || r.group == group.Name
		}
		f.evaluate(nil)
	} else {
		f.spreads = newSpreads(job, group)
		f.evaluate(residents)
	}
	x := &api.Explanation{
		Namespace: job.Namespace, JobID: job.ID, JobVersion: job.Version, TaskGroup: group.Name,
		Index: st.Index(), NodesTotal: len(fl.nodes),
	}
	if self != nil {
		x.AllocID, x.NodeID, x.NodeName = self.ID, self.NodeID, self.NodeName
	}
	if q, used := st.QuotaOf(job.Namespace); q != nil {
		if self != nil && !self.Terminal() {
			used = used.Minus(fit.Charge(self.AllocatedResources))
		}
		x.QuotaExhausted = (&allowance{spec: q}).exceeds(used, f.need.charge())
	}
	verdicts := make([]*api.NodeVerdict, len(fl.nodes))
	for i := range fl.nodes {
		v := f.verdict(int32(i), st)
		if v.Suitable && has[v.NodeID] {
			v.Suitable, v.Score, v.Scores = false, 0, api.ScoreSet{}
			v.Kind, v.Reason = api.ReasonConstraint, "one allocation per node, which is there already"
		}
		v.Chosen = v.NodeID == x.NodeID
		if v.Suitable {
			x.NodesSuitable++
		}
		verdicts[i] = v
	}
	x.Reasons = groupReasons(verdicts)
	sortVerdicts(verdicts)
	if limit > 0 && len(verdicts) > limit {
		x.NodesOmitted = len(verdicts) - limit
		verdicts = verdicts[:limit]
	}
	x.Nodes = verdicts
	return x
}

// verdict judges one node of an evaluated field.
func (f *field) verdict(i int32, st State) *api.NodeVerdict {
	n := f.nodes[i]
	v := &api.NodeVerdict{NodeID: n.ID, NodeName: n.Name, Datacenter: n.Datacenter, NodeClass: n.NodeClass}
	v.Kind, v.Reason = f.ruledOut(n)
	if v.Kind != "" {
		return v
	}
	if why := f.clash(i); why != "" {
		v.Kind, v.Reason = api.ReasonConstraint, why
		return v
	}
	if why := f.lacks(i, f.need); why != "" {
		v.Kind, v.Reason = api.ReasonDimension, why
		v.Detail = f.shortage(i, why)
		if why == fit.DimPorts {
			v.Kind = api.ReasonPort
			v.Detail = f.portInUse(i, st)
		}
		return v
	}
	if _, ok := f.check.ports.Offer(n, &f.caps[i], f.used[i], f.seed); !ok {
		v.Kind, v.Reason = api.ReasonPort, fit.DimPorts
		v.Detail = fmt.Sprintf("no dynamic port is left from %d to %d", f.caps[i].MinPort, f.caps[i].MaxPort)
		return v
	}
	c, _ := f.score(i)
	v.Suitable, v.Score = true, f.normal(&c)
	v.Scores = f.meta([]scored{{candidate: c, score: v.Score}})[0].Scores
	return v
}

// ruledOut returns why a node is no candidate, whatever it has left.
func (f *field) ruledOut(n *api.Node) (kind, why string) {
	switch c := f.check; {
	case !c.inPool(n):
		return api.ReasonPool, fmt.Sprintf("is in node pool %q, the job asks for %q", poolName(n.NodePool), poolName(c.job.NodePool))
	case !c.inDatacenter(n):
		return api.ReasonDatacenter, fmt.Sprintf("is in datacenter %q, which the job does not name", n.Datacenter)
	case n.Status != api.NodeReady:
		return api.ReasonStatus, "is " + n.Status
	case n.DrainStrategy != nil:
		return api.ReasonStatus, "is being drained"
	case n.SchedulingEligibility != api.NodeEligible:
		return api.ReasonStatus, "is not eligible for scheduling"
	default:
		if why := c.reject(n); why != "" {
			return api.ReasonConstraint, why
		}
	}
	return "", ""
}

// shortage tells in figures what a node has too little of.
func (f *field) shortage(i int32, dimension string) string {
	c, u := &f.caps[i], f.used[i]
	tell := func(need, used, capacity int64, unit string) string {
		return fmt.Sprintf("needs %d%s, %d of %d%s are free", need, unit, max(capacity-used, 0), capacity, unit)
	}
	switch dimension {
	case fit.DimCPU:
		return tell(f.need.cpu(c), u.CPU, c.CPU, " MHz")
	case fit.DimMemory:
		return tell(f.need.MemoryMB, u.MemoryMB, c.MemoryMB, " MiB")
	case fit.DimDisk:
		return tell(f.need.DiskMB, u.DiskMB, c.DiskMB, " MiB")
	case fit.DimAllocs:
		return fmt.Sprintf("runs %d allocations, %d are allowed", u.Allocs, c.Allocs)
	case fit.DimCores:
		return tell(int64(f.need.cores), int64(len(u.Cores)), int64(len(c.Cores)), " cores")
	}
	return ""
}

// portInUse names the port that can't be had on a node and who has it.
func (f *field) portInUse(i int32, st State) string {
	port, label, taken := f.check.ports.Taken(&f.caps[i], f.used[i])
	switch {
	case port == 0:
		return ""
	case !taken:
		return fmt.Sprintf("port %d (%q) is reserved by the operator of the node", port, label)
	}
	for a := range st.AllocsByNode(f.nodes[i].ID) {
		if !a.Terminal() && fit.Sum(a.AllocatedResources).HasPort(port) {
			if a.Namespace == f.check.job.Namespace {
				return fmt.Sprintf("port %d (%q) is used by %s of allocation %s", port, label, a.Name, a.ID)
			}
			return fmt.Sprintf("port %d (%q) is used by an allocation of another namespace", port, label)
		}
	}
	return fmt.Sprintf("port %d (%q) is in use, or asked for twice", port, label)
}

// groupReasons counts the reasons of nodes that are ruled out.
func groupReasons(verdicts []*api.NodeVerdict) []*api.NodeReason {
	type key struct{ kind, reason string }
	by := map[key]*api.NodeReason{}
	var out []*api.NodeReason
	for _, v := range verdicts {
		if v.Suitable {
			continue
		}
		r := by[key{v.Kind, v.Reason}]
		if r == nil {
			r = &api.NodeReason{Kind: v.Kind, Reason: v.Reason}
			by[key{v.Kind, v.Reason}] = r
			out = append(out, r)
		}
		if r.Nodes++; len(r.Examples) < maxExamples {
			r.Examples = append(r.Examples, v.NodeName)
		}
	}
	slices.SortStableFunc(out, func(a, b *api.NodeReason) int {
		return cmp.Or(cmp.Compare(b.Nodes, a.Nodes), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// sortVerdicts puts the node that was chosen and those that suit in front, the
// best first, and those that came closest next.
func sortVerdicts(verdicts []*api.NodeVerdict) {
	far := map[string]int{
		"": 0, api.ReasonPort: 1, api.ReasonDimension: 2, api.ReasonConstraint: 3,
		api.ReasonStatus: 4, api.ReasonDatacenter: 5, api.ReasonPool: 6,
	}
	slices.SortStableFunc(verdicts, func(a, b *api.NodeVerdict) int {
		return cmp.Or(
			-compareBool(a.Chosen, b.Chosen), cmp.Compare(far[a.Kind], far[b.Kind]),
			cmp.Compare(b.Score, a.Score), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.NodeName, b.NodeName),
		)
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

package sched

import (
	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// fleet is the nodes of a state in flat arrays, with what they have and what
// is used of it: by the state, by plans in flight, and by the plan that is
// being made.
type fleet struct {
	nodes []*api.Node
	caps  []fit.Capacity
	used  []*fit.Usage
	index map[string]int32 // by node ID

	kind  []int32 // nodes that differ only in unique attributes are of one kind
	kinds map[kindKey]int32
}

// kindKey is what makes the answers about a node: all that is not unique to
// it. A node without a computed class is of its own kind.
type kindKey struct{ class, datacenter, pool, nodeClass, id string }

func keyOf(n *api.Node) kindKey {
	k := kindKey{class: n.ComputedClass, datacenter: n.Datacenter, pool: n.NodePool, nodeClass: n.NodeClass}
	if k.class == "" {
		k.id = n.ID
	}
	return k
}

// kindOf numbers the kinds as they come.
func (f *fleet) kindOf(n *api.Node) int32 {
	key := keyOf(n)
	k, ok := f.kinds[key]
	if !ok {
		k = int32(len(f.kinds))
		f.kinds[key] = k
	}
	return k
}

// sync takes over a state. What did not change since the last one costs two
// comparisons a node.
func (f *fleet) sync(st State) {
	if f.index == nil {
		f.index = map[string]int32{}
	}
	if len(f.kinds) > 2*len(f.nodes)+1000 || f.kinds == nil { // mostly kinds of the past
		f.kinds, f.kind, f.nodes, f.caps, f.used = map[kindKey]int32{}, nil, nil, nil, nil
	}
	n, moved := 0, false
	for node, usage := range st.NodesUsage() {
		switch {
		case n == len(f.nodes):
			f.nodes, f.caps, f.used = append(f.nodes, node), append(f.caps, fit.CapacityOf(node)), append(f.used, usage)
			f.kind = append(f.kind, f.kindOf(node))
			moved = true
		case f.nodes[n] != node:
			moved = moved || f.nodes[n].ID != node.ID
			f.nodes[n], f.caps[n], f.kind[n] = node, fit.CapacityOf(node), f.kindOf(node)
		}
		f.used[n] = usage
		n++
	}
	if n < len(f.nodes) {
		clear(f.nodes[n:])
		clear(f.used[n:])
		f.nodes, f.caps, f.used, f.kind = f.nodes[:n], f.caps[:n], f.used[:n], f.kind[:n]
		moved = true
	}
	if moved {
		clear(f.index)
		for i, node := range f.nodes {
			f.index[node.ID] = int32(i)
		}
	}
}

func (f *fleet) add(i int32, d *fit.Usage)    { f.used[i] = f.used[i].Plus(d) }
func (f *fleet) remove(i int32, d *fit.Usage) { f.used[i] = f.used[i].Minus(d) }

// lacks returns what a node has too little of for an allocation, or "".
func (f *fleet) lacks(i int32, d *need) string {
	c, u := &f.caps[i], f.used[i]
	switch {
	case u.CPU+d.cpu(c) > c.CPU:
		return fit.DimCPU
	case u.MemoryMB+d.MemoryMB > c.MemoryMB:
		return fit.DimMemory
	case u.DiskMB+d.DiskMB > c.DiskMB:
		return fit.DimDisk
	case c.Allocs > 0 && u.Allocs+1 > c.Allocs:
		return fit.DimAllocs
	case d.cores > 0 && c.FreeCores(u, d.cores) == nil:
		return fit.DimCores
	case !d.ports.PortsFree(c, u):
		return fit.DimPorts
	}
	return ""
}

// need is what one allocation of a group takes.
type need struct {
	*fit.Usage // all but cores and ports
	resources  *api.AllocatedResources
	cores      int
	tasks      []*api.Task // that reserve cores
	ports      *fit.PortAsk
}

func needOf(g *api.TaskGroup, ports *fit.PortAsk, oversubscribe bool) *need {
	d := &need{resources: fit.OfGroup(g, oversubscribe), ports: ports}
	d.Usage = fit.Sum(d.resources)
	for _, t := range g.Tasks {
		if t.Resources != nil && t.Resources.Cores > 0 {
			d.cores += t.Resources.Cores
			d.tasks = append(d.tasks, t)
		}
	}
	return d
}

// cpu returns the MHz on a node, where reserved cores have a value.
func (d *need) cpu(c *fit.Capacity) int64 { return d.CPU + int64(d.cores)*c.CoreMHz }

// grant completes a placement with what only its node can give, and returns
// what it takes there. ok is false when the node's ports are used up.
func (d *need) grant(p *api.Placement, n *api.Node, c *fit.Capacity, used *fit.Usage, seed uint64) (taken *fit.Usage, ok bool) {
	if d.ports.Empty() && d.cores == 0 {
		return d.Usage, true
	}
	offer, ok := d.ports.Offer(n, c, used, seed)
	if !ok {
		return nil, false
	}
	p.Networks, p.Ports, p.TaskNetwork = offer.Networks, offer.Ports, offer.TaskNetwork
	if d.cores > 0 {
		cores := c.FreeCores(used, d.cores)
		p.TaskCores = make(map[string][]uint16, len(d.tasks))
		for _, t := range d.tasks {
			k := t.Resources.Cores
			p.TaskCores[t.Name], cores = cores[:k:k], cores[k:]
		}
	}
	return fit.Sum(fit.Grant(d.resources, p, n)), true
}

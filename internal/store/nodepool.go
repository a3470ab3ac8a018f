package store

import (
	"iter"
	"reflect"

	"github.com/drover-org/drover/api"
)

// builtinPools are there from the beginning, and always as they are.
var builtinPools = [...]*api.NodePool{
	{Name: api.AllNodePools, Description: "Node pool with all nodes in the cluster.", CreateIndex: 1, ModifyIndex: 1},
	{Name: api.DefaultNodePool, Description: "Default node pool.", CreateIndex: 1, ModifyIndex: 1},
}

// MaxNodePools bounds the node pools of a region.
const MaxNodePools = 10_000

// NodePool returns a node pool, or nil. An empty name is the default one's.
func (s *Snapshot) NodePool(name string) *api.NodePool { return s.nodePool(name) }

func (t *tables) nodePool(name string) *api.NodePool {
	if name == "" {
		name = api.DefaultNodePool
	}
	p, _ := t.nodePools.Get(&api.NodePool{Name: name})
	return p
}

// NodePools yields the node pools from a name on, inclusive, by name; with
// reverse backwards, and from the last one if name is empty.
func (s *Snapshot) NodePools(name string, reverse bool) iter.Seq[*api.NodePool] {
	return scanNames(s.nodePools, &api.NodePool{Name: name}, name == "", reverse)
}

// checkPool refuses what would begin in a node pool that does not exist.
func (t *tables) checkPool(name string) error {
	if t.nodePool(name) != nil {
		return nil
	}
	return NoNodePool(name)
}

// NoNodePool is the refusal of what is to be in a node pool that does not
// exist.
func NoNodePool(name string) error {
	return invalid("NodePool: there is no node pool %q: create it with \"node pool apply\", start a node that belongs to it, or name another", name)
}

// UpsertNodePools creates node pools or replaces their settings, all of them
// or none. Those that say nothing new keep their index.
type UpsertNodePools struct {
	Pools []*api.NodePool
}

func (c *UpsertNodePools) apply(t *tx) (any, error) {
	for _, given := range c.Pools {
		if err := given.Validate(); err != nil {
			return nil, err
		}
		p, old := given.Copy(), t.nodePool(given.Name)
		p.CreateIndex, p.ModifyIndex = t.index, t.index
		switch {
		case old != nil:
			p.CreateIndex, p.ModifyIndex = old.CreateIndex, old.ModifyIndex
			if reflect.DeepEqual(p, old) {
				continue
			}
			p.ModifyIndex = t.index
		case t.nodePools.Len() >= MaxNodePools:
			return nil, api.Errorf(api.CodeLimited, "there are %d node pools, which is the most: delete one first", MaxNodePools)
		}
		t.putPool(p)
	}
	return nil, nil
}

func (t *tx) putPool(p *api.NodePool) {
	t.nodePools.Set(p)
	t.touchPool(p.Name)
	t.told(api.TopicNodePool, "NodePoolUpserted", p)
}

// joinPool makes the pool of a node that has none yet.
func (t *tx) joinPool(name string) {
	if t.nodePool(name) == nil {
		t.putPool(&api.NodePool{Name: name, CreateIndex: t.index, ModifyIndex: t.index})
	}
}

// DeleteNodePools deletes node pools, all of them or none. One that has nodes,
// or jobs that are not dead, is not deleted.
type DeleteNodePools struct {
	Names []string
}

func (c *DeleteNodePools) apply(t *tx) (any, error) {
	for _, name := range c.Names {
		p := t.nodePool(name)
		switch {
		case p == nil || name == "":
			return nil, notFound("node pool", name)
		case api.IsBuiltInNodePool(name):
			return nil, invalid("node pool %q is built in and can't be deleted", name)
		}
		if err := t.checkUnused(p); err != nil {
			return nil, err
		}
		t.nodePools.Delete(p)
		t.touchPool(name)
		t.deleted(api.TopicNodePool, "NodePoolDeleted", p)
	}
	return nil, nil
}

// checkUnused refuses to go on while a pool has nodes, or jobs that are not
// dead.
func (t *tx) checkUnused(p *api.NodePool) error {
	var nodes, jobs named
	t.nodes.Scan(func(i nodeItem) bool {
		if p.Holds(i.node.NodePool) {
			nodes.add(i.node.Name)
		}
		return true
	})
	t.jobs.Scan(func(i jobItem) bool {
		if j := i.row.job(); p.Name == j.NodePool && j.Status != api.JobStatusDead {
			jobs.add(j.Namespace + "/" + j.ID)
		}
		return true
	})
	switch {
	case nodes.n > 0:
		return api.Errorf(api.CodeConflict, "node pool %q has nodes: %s: remove them from it first", p.Name, nodes.String())
	case jobs.n > 0:
		return api.Errorf(api.CodeConflict, "node pool %q has non-terminal jobs: %s: stop them first", p.Name, jobs.String())
	}
	return nil
}

func (t *tx) touchPool(name string) {
	t.bump(TableNodePools)
	t.touch(KeyNodePools(), KeyNodePool(name))
}

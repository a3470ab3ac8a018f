package store

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// nodeItem is a node and what its allocations use.
type nodeItem struct {
	id    api.ID
	node  *api.Node
	usage *fit.Usage

	assigned     []assigned // in the order of their indexes
	assignedFrom uint64     // none after this index is missing there
}

var noUsage = new(fit.Usage)

func (t *tables) nodeItem(id api.ID) (nodeItem, bool) { return t.nodes.Get(nodeItem{id: id}) }

// Node returns a node, or nil.
func (s *Snapshot) Node(id string) *api.Node {
	item, _ := s.nodeItem(idOf(id))
	return item.node
}

// Nodes yields every node by ID.
func (s *Snapshot) Nodes() iter.Seq[*api.Node] { return s.NodesFrom(nil, false) }

// NodesFrom yields the nodes whose ID starts with prefix, by ID.
func (s *Snapshot) NodesFrom(prefix []byte, reverse bool) iter.Seq[*api.Node] {
	return func(yield func(*api.Node) bool) {
		scanPrefix(s.nodes, prefix, reverse,
			func(id api.ID) nodeItem { return nodeItem{id: id} },
			func(i nodeItem) api.ID { return i.id },
			func(i nodeItem) bool { return yield(i.node) })
	}
}

// NodeCount returns how many nodes there are.
func (s *Snapshot) NodeCount() int { return s.nodes.Len() }

// Usage returns what the allocations that have not ended use on a node; never
// nil.
func (s *Snapshot) Usage(nodeID string) *fit.Usage {
	if item, ok := s.nodeItem(idOf(nodeID)); ok {
		return item.usage
	}
	return noUsage
}

// NodesUsage yields every node with its usage, by ID.
func (s *Snapshot) NodesUsage() iter.Seq2[*api.Node, *fit.Usage] {
	return func(yield func(*api.Node, *fit.Usage) bool) {
		s.nodes.Scan(func(i nodeItem) bool { return yield(i.node, i.usage) })
	}
}

// RegisterNode adds a node or replaces what it says of itself. Eligibility,
// drain and events of a known node are kept. A pool that does not exist yet is
// made for it.
type RegisterNode struct {
	Node  *api.Node
	Evals []*api.Evaluation
	Now   int64
}

func (c *RegisterNode) apply(t *tx) (any, error) {
	id, ok := api.ParseID(c.Node.ID)
	if !ok {
		return nil, invalid("node ID %q is not a UUID", c.Node.ID)
	}
	n := c.Node.Copy()
	t.joinPool(n.NodePool)
	item, exists := t.nodeItem(id)
	if exists {
		old := item.node
		n.CreateIndex = old.CreateIndex
		n.DrainStrategy, n.Drain, n.LastDrain = old.DrainStrategy, old.Drain, old.LastDrain
		n.SchedulingEligibility = old.SchedulingEligibility
		n.Events = old.Events
		if old.Status != n.Status {
			n.StatusUpdatedAt = c.Now / int64(time.Second)
			if n.Status == api.NodeReady {
				addNodeEvent(n, "Node re-registered", "Cluster", c.Now, t.index)
			}
		} else {
			n.StatusUpdatedAt = old.StatusUpdatedAt
		}
	} else {
		n.CreateIndex = t.index
		n.StatusUpdatedAt = c.Now / int64(time.Second)
		if n.SchedulingEligibility == "" {
			n.SchedulingEligibility = api.NodeEligible
		}
		addNodeEvent(n, "Node registered", "Cluster", c.Now, t.index)
		item.usage = t.usageOf(id)
	}
	t.putNode(id, n, item.usage)
	t.readdress(item.node, n)
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

// putNode stores n, which the caller owns, as changed by this command.
func (t *tx) putNode(id api.ID, n *api.Node, u *fit.Usage) {
	n.ModifyIndex = t.index
	old, exists := t.nodeItem(id)
	item := old
	item.id, item.node, item.usage = id, n, u
	if !exists {
		item.assignedFrom = t.index
	}
	t.nodes.Set(item)
	if !exists || reachable(old.node) != reachable(n) || old.node.Datacenter != n.Datacenter {
		t.showServicesOfNode(id)
	}
	t.bump(TableNodes)
	t.touch(KeyNodes(), KeyNode(n.ID))
	t.changed(api.TopicNode, n)
	if n.Ready() {
		t.free(n.ComputedClass)
	}
}

// readdress marks the allocations that are read with their node's address as
// changed when it is another one; either node may be nil.
func (t *tx) readdress(old, n *api.Node) {
	was, is := old.HostNetwork(), n.HostNetwork()
	if was == is {
		return
	}
	id := old
	if id == nil {
		id = n
	}
	for _, a := range slices.Collect((&Snapshot{tables: t.tables}).AllocsByNode(id.ID)) {
		if a.NetworkStatus == nil {
			t.putAlloc(a.Copy(), a.ModifyTime)
		}
	}
}

// free notes that a node of a class gained room.
func (t *tx) free(class string) {
	if t.freed[class] == t.index {
		return
	}
	t.freed = maps.Clone(t.freed)
	if t.freed == nil {
		t.freed = map[string]uint64{}
	}
	t.freed[class] = t.index
	t.touch(KeyFreed())
}

func addNodeEvent(n *api.Node, message, subsystem string, now int64, index uint64) {
	events := append(slices.Clone(n.Events), &api.NodeEvent{
		Message: message, Subsystem: subsystem, Timestamp: time.Unix(0, now).UTC(), CreateIndex: index,
	})
	n.Events = events[max(0, len(events)-api.MaxNodeEvents):]
}

// editNode returns a copy of a node that the caller may change and must put
// back with putNode.
func (t *tx) editNode(nodeID string) (api.ID, *api.Node, *fit.Usage, error) {
	id := idOf(nodeID)
	item, ok := t.nodeItem(id)
	if !ok {
		return id, nil, nil, notFound("node", nodeID)
	}
	return id, item.node.Copy(), item.usage, nil
}

// UpdateNodeStatus changes a node's status; Event, if set, says why.
type UpdateNodeStatus struct {
	NodeID      string
	Status      string
	Description string
	Event       string
	Evals       []*api.Evaluation
	Now         int64
}

func (c *UpdateNodeStatus) apply(t *tx) (any, error) {
	id, n, u, err := t.editNode(c.NodeID)
	if err != nil {
		return nil, err
	}
	n.Status, n.StatusDescription = c.Status, c.Description
	n.StatusUpdatedAt = c.Now / int64(time.Second)
	if c.Event != "" {
		addNodeEvent(n, c.Event, "Cluster", c.Now, t.index)
	}
	t.putNode(id, n, u)
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

// UpdateNodeEligibility says whether new allocations may be placed on a node.
type UpdateNodeEligibility struct {
	NodeID      string
	Eligibility string
	Evals       []*api.Evaluation
	Now         int64
}

func (c *UpdateNodeEligibility) apply(t *tx) (any, error) {
	id, n, u, err := t.editNode(c.NodeID)
	if err != nil {
		return nil, err
	}
	if n.DrainStrategy != nil && c.Eligibility == api.NodeEligible {
		return nil, api.Errorf(api.CodeInvalid, "can not set node's scheduling eligibility to eligible while it is draining")
	}
	if n.SchedulingEligibility != c.Eligibility {
		n.SchedulingEligibility = c.Eligibility
		event := "Node marked as eligible for scheduling"
		if c.Eligibility == api.NodeIneligible {
			event = "Node marked as ineligible for scheduling"
		}
		addNodeEvent(n, event, "Cluster", c.Now, t.index)
	}
	t.putNode(id, n, u)
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

// DeleteNode forgets a node. Its allocations stay until they are collected.
type DeleteNode struct {
	NodeID string
	Evals  []*api.Evaluation
	Now    int64
}

func (c *DeleteNode) apply(t *tx) (any, error) {
	if _, ok := t.nodeItem(idOf(c.NodeID)); !ok {
		return nil, notFound("node", c.NodeID)
	}
	t.deleteNode(c.NodeID)
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

func (t *tx) deleteNode(nodeID string) {
	if item, ok := t.nodes.Delete(nodeItem{id: idOf(nodeID)}); ok {
		t.readdress(item.node, nil)
		t.deleted(api.TopicNode, "NodeDeregistration", item.node)
		t.showServicesOfNode(item.id)
	}
	t.bump(TableNodes)
	t.touch(KeyNodes(), KeyNode(nodeID))
}

// SetSchedulerConfig replaces the scheduler configuration, with CAS only while
// its ModifyIndex is Config.ModifyIndex. The value is whether it was replaced.
type SetSchedulerConfig struct {
	Config *api.SchedulerConfiguration
	CAS    bool
}

func (c *SetSchedulerConfig) apply(t *tx) (any, error) {
	if c.CAS && t.scheduler.ModifyIndex != c.Config.ModifyIndex {
		return false, nil
	}
	cfg := *c.Config
	cfg.ModifyIndex = t.index
	if cfg.CreateIndex = t.scheduler.CreateIndex; cfg.CreateIndex == 0 {
		cfg.CreateIndex = t.index
	}
	t.scheduler = &cfg
	t.bump(TableScheduler)
	t.touch(KeySchedulerConfig())
	t.changed(api.TopicOperator, &cfg)
	return true, nil
}

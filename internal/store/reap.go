package store

import "github.com/drover-org/drover/api"

// Reap deletes what the collector found to be over. A job that runs again, or
// an allocation that does, is passed over.
type Reap struct {
	Evals       []string
	Allocs      []string
	Deployments []string
	Nodes       []string
	Jobs        []api.NamespacedID
}

// MaxReap is how many IDs one Reap may hold.
const MaxReap = 7281

func (c *Reap) apply(t *tx) (any, error) {
	if n := len(c.Evals) + len(c.Allocs) + len(c.Deployments) + len(c.Nodes) + len(c.Jobs); n > MaxReap {
		return nil, invalid("a deletion of %d objects is over the bound of %d: split it", n, MaxReap)
	}
	for _, id := range c.Allocs {
		if item, ok := t.allocItem(idOf(id)); ok && (item.a.Terminal()) {
			t.deleteAlloc(item.key.id)
		}
	}
	for _, id := range c.Evals {
		if item, ok := t.evalItem(idOf(id)); ok && item.e.Terminal() {
			t.deleteEval(item.key.id)
		}
	}
	for _, id := range c.Deployments {
		if item, ok := t.deployItem(id); ok && !item.d.Active() {
			t.deleteDeployment(id)
		}
	}
	for _, id := range c.Nodes {
		if item, ok := t.nodeItem(idOf(id)); ok && item.node.Status == api.NodeDown {
			t.deleteNode(id)
		}
	}
	for _, j := range c.Jobs {
		if row := t.jobRow(j.Namespace, j.ID); row != nil && row.live == 0 && row.open == 0 && row.job().Status == api.JobStatusDead {
			t.deleteJob(j.Namespace, j.ID)
			t.touchJob(j.Namespace, j.ID)
			t.touchSummary(j.Namespace, j.ID)
		}
	}
	return nil, nil
}

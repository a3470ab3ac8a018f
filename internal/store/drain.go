package store

import (
	"maps"
	"time"

	"github.com/drover-org/drover/api"
)

// UpdateNodeDrain starts or changes a node's drain, or with no Strategy ends
// it: as complete, or because somebody wants it to. A node that is being
// drained takes no new allocations, and stays so afterwards unless MarkEligible.
type UpdateNodeDrain struct {
	NodeID       string
	Strategy     *api.DrainStrategy
	Complete     bool // only while there is a drain
	MarkEligible bool
	Meta         map[string]string // what the operator notes; nil keeps what a drain has
	AccessorID   string            // of his token
	Evals        []*api.Evaluation
	Now          int64
}

func (c *UpdateNodeDrain) apply(t *tx) (any, error) {
	id, n, u, err := t.editNode(c.NodeID)
	if err != nil {
		return nil, err
	}
	if c.Complete && n.DrainStrategy == nil {
		return nil, nil // it was ended meanwhile
	}
	now := time.Unix(0, c.Now).UTC()
	was := n.DrainStrategy != nil
	if c.Strategy != nil || was {
		n.LastDrain = c.noted(n, now)
		addNodeEvent(n, c.event(was), "Drain", c.Now, t.index)
	}
	n.DrainStrategy, n.Drain = nil, c.Strategy != nil
	switch {
	case c.Strategy != nil:
		s := *c.Strategy
		if was {
			s.StartedAt = n.LastDrain.StartedAt
		}
		n.DrainStrategy, n.SchedulingEligibility = &s, api.NodeIneligible
	case c.MarkEligible:
		n.SchedulingEligibility = api.NodeEligible
	}
	t.putNode(id, n, u)
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

// noted returns what a node is to tell of its last drain.
func (c *UpdateNodeDrain) noted(n *api.Node, now time.Time) *api.DrainMetadata {
	m := &api.DrainMetadata{StartedAt: now, Status: api.DrainDraining}
	if n.DrainStrategy != nil && n.LastDrain != nil {
		*m = *n.LastDrain
	}
	m.UpdatedAt = now
	if c.Meta != nil {
		m.Meta = maps.Clone(c.Meta)
	}
	if !c.Complete {
		m.AccessorID = c.AccessorID
	}
	switch {
	case c.Strategy != nil:
	case c.Complete:
		m.Status = api.DrainComplete
	default:
		m.Status = api.DrainCanceled
	}
	return m
}

func (c *UpdateNodeDrain) event(was bool) string {
	switch {
	case c.Complete:
		return "Node drain complete"
	case c.Strategy == nil:
		return "Node drain canceled"
	case was:
		return "Node drain strategy changed"
	}
	return "Node drain strategy set"
}

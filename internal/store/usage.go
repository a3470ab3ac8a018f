package store

import (
	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// An allocation holds what it was given until its node has reported its end:
// one that is told to stop may need its kill timeout. What replaces it on the
// same node waits there for that end, and so do allocations that displace
// others; they count with what they take beyond what the former still hold.

// holds reports whether an allocation occupies its node's resources.
func holds(a *api.Allocation) bool { return a != nil && !a.ClientTerminal() }

// heirOf returns the ID of the allocation that waits for a's end when it is on
// a's node, "" for none.
func heirOf(a *api.Allocation) string {
	if a == nil || !a.ServerTerminal() {
		return ""
	}
	if a.PreemptedByAllocation != "" {
		return a.PreemptedByAllocation
	}
	return a.NextAllocation
}

// heldFor adds up what those still hold for whose end a waits.
func (t *tables) heldFor(a *api.Allocation) *fit.Usage {
	held := noUsage
	take := func(id string) {
		if item, ok := t.allocItem(idOf(id)); ok && holds(item.a) && item.a.NodeID == a.NodeID && heirOf(item.a) == a.ID {
			held = held.With(item.a.AllocatedResources)
		}
	}
	if a.PreviousAllocation != "" {
		take(a.PreviousAllocation)
	}
	for _, id := range a.PreemptedAllocations {
		take(id)
	}
	return held
}

// share is what an allocation adds to its node's usage, nil for nothing.
func (t *tables) share(a *api.Allocation) *fit.Usage {
	if !holds(a) {
		return nil
	}
	d := fit.Sum(a.AllocatedResources)
	if held := t.heldFor(a); held.Allocs > 0 {
		return d.Beyond(held)
	}
	return d
}

// countUsage moves a node's usage from an allocation's old state to its new,
// nil for none, around change, which puts the new state in place.
func (t *tx) countUsage(key *allocKey, old, a *api.Allocation, change func()) {
	was, is := holds(old), holds(a)
	item, ok := t.nodeItem(key.node)
	if !ok || !was && !is || was && is && old.AllocatedResources == a.AllocatedResources && heirOf(old) == heirOf(a) {
		change()
		return
	}
	heirs := t.heirs(key.node, heirOf(old), heirOf(a))
	item.usage = t.shares(item.usage, (*fit.Usage).Minus, old, heirs)
	change()
	item.usage = t.shares(item.usage, (*fit.Usage).Plus, a, heirs)
	if was && !is {
		t.free(item.node.ComputedClass)
	}
	t.nodes.Set(item)
}

// heirs returns the allocations of two IDs, perhaps the same, that are on a
// node.
func (t *tx) heirs(node api.ID, a, b string) (list []*api.Allocation) {
	if a == b {
		b = ""
	}
	for _, id := range []string{a, b} {
		if id == "" {
			continue
		}
		if item, ok := t.allocItem(idOf(id)); ok && item.key.node == node {
			list = append(list, item.a)
		}
	}
	return list
}

// shares adds the shares of allocations to a usage, or takes them away.
func (t *tx) shares(u *fit.Usage, do func(u, share *fit.Usage) *fit.Usage, a *api.Allocation, more []*api.Allocation) *fit.Usage {
	if s := t.share(a); s != nil {
		u = do(u, s)
	}
	for _, m := range more {
		if s := t.share(m); s != nil {
			u = do(u, s)
		}
	}
	return u
}

// usageOf adds up the allocations on a node that registered after them.
func (t *tx) usageOf(id api.ID) *fit.Usage {
	u := noUsage
	t.allocsNode.Ascend(&allocKey{node: id}, func(k *allocKey) bool {
		if k.node != id {
			return false
		}
		if s := t.share(t.allocAt(k)); s != nil {
			u = u.Plus(s)
		}
		return true
	})
	return u
}

package bench

import (
	"context"
	"time"
)

// churnTick is how often a part of a second's churn is reported, so that
// changes come one after another as they do in a cluster, not in one burst.
const churnTick = 5 * time.Millisecond

// churn reports restarts at the rate of the configuration, node after node.
func (f *fleet) churn(ctx context.Context) {
	tick := time.NewTicker(churnTick)
	defer tick.Stop()
	at, due := 0, 0.0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		due = min(due+float64(f.cfg.Churn)*churnTick.Seconds(), float64(f.cfg.Churn))
		for tried := 0; due >= 1 && tried < len(f.nodes); tried++ {
			if f.nodes[at].restart() {
				due--
			}
			at = (at + 1) % len(f.nodes)
		}
	}
}

// restart reports that the tasks of one running allocation, any, were started
// again. False: the node has none.
func (n *node) restart() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, h := range n.allocs {
		if !h.running {
			continue
		}
		h.restarts++
		n.allocs[id] = h
		n.report(restarted(id, h, n.fleet.cfg.Now()))
		return true
	}
	return false
}

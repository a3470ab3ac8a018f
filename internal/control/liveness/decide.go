package liveness

import (
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// events tells what happened to a node that became silent.
var events = map[string]string{
	api.NodeDown:         "Node heartbeat missed",
	api.NodeDisconnected: "Node heartbeat missed: disconnected until the lost_after of its allocations is over",
}

// verdict says what a silent node is: disconnected as long as an allocation on
// it may stay out of touch, which is until again, and down otherwise.
func verdict(snap *store.Snapshot, n *api.Node, now time.Time) (status string, again time.Time) {
	if until := patience(snap, n, now); until.After(now) {
		return api.NodeDisconnected, until
	}
	return api.NodeDown, time.Time{}
}

// patience returns when the last of a silent node's allocations counts as lost;
// zero when none is waited for.
func patience(snap *store.Snapshot, n *api.Node, now time.Time) (until time.Time) {
	silent := now
	if n.Status == api.NodeDisconnected {
		silent = time.Unix(n.StatusUpdatedAt, 0)
	}
	for a := range snap.AllocsByNode(n.ID) {
		after := lostAfter(snap.Job(a.Namespace, a.JobID), a)
		if after <= 0 {
			continue
		}
		since := silent
		if last := len(a.AllocStates) - 1; a.ClientStatus == api.AllocClientUnknown && last >= 0 {
			since = a.AllocStates[last].Time
		}
		if at := since.Add(after); at.After(until) {
			until = at
		}
	}
	return until
}

// lostAfter returns how long an allocation may be out of touch, 0 for not at
// all.
func lostAfter(job *api.Job, a *api.Allocation) time.Duration {
	if job.Stopped() || a.Terminal() || a.ClientStatus == api.AllocClientPending {
		return 0
	}
	g := job.Group(a.TaskGroup)
	if g == nil || g.Disconnect == nil || g.Disconnect.LostAfter == nil {
		return 0
	}
	return g.Disconnect.LostAfter.D()
}

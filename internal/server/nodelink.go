package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/link"
	"github.com/drover-org/drover/internal/store"
)

// RegisterNode takes what a node says of itself and returns when its first
// heartbeat is due. The first registration, for which the node may have to be
// introduced, binds the node's ID to its secret; another secret is refused from
// then on. The state holds a hash of it alone. A node that says nothing new
// costs no log entry.
func (s *Server) RegisterNode(ctx context.Context, node *api.Node, introduction string) (time.Duration, error) {
	if err := checkNode(node); err != nil {
		return 0, err
	}
	// What the node was told by another server must be known here as well, or
	// what it reports would be passed over.
	if err := s.cfg.Cluster.CheckRead(ctx, false); err != nil {
		return 0, err
	}
	snap := s.store.Snapshot()
	old := snap.Node(node.ID)
	n := node.Copy()
	n.NodePool = cmp.Or(n.NodePool, api.DefaultNodePool)
	n.SecretID = hashSecret(n.ID, n.SecretID)
	if old == nil {
		if err := s.admit(n, introduction); err != nil {
			return 0, err
		}
	} else if !sameSecret(old.SecretID, n.SecretID, node.SecretID) {
		return 0, api.Errorf(api.CodeForbidden, "node %s is registered with another secret: remove it with \"node purge\" or restore its client ID and secret", node.ID)
	}
	n.Status, n.StatusDescription = api.NodeReady, ""
	n.Events, n.DrainStrategy, n.Drain, n.LastDrain = nil, nil, false, nil // the servers' own
	if n.SchedulingEligibility != api.NodeIneligible {
		n.SchedulingEligibility = api.NodeEligible
	}
	n.ComputedClass = computedClass(n)
	if old == nil || !sameNode(old, n) {
		cmd := &store.RegisterNode{Node: n, Now: s.now().UnixNano()}
		if old == nil || old.Status != api.NodeReady || old.NodePool != n.NodePool || old.Datacenter != n.Datacenter {
			cmd.Evals = s.nodeEvals(snap, n)
		}
		if _, err := s.propose(ctx, cmd); err != nil {
			return 0, err
		}
	}
	return s.cfg.Liveness.Beat(n.ID)
}

// hashed begins what the state holds of a node's secret.
const hashed = "sha256:"

// hashSecret returns what the state holds of a secret, which is random and of
// 122 bits: nobody finds it by trying, with or without a key. So a node can
// come back after any rotation of keys.
func hashSecret(nodeID, secret string) string {
	sum := sha256.Sum256([]byte("node secret\x00" + nodeID + "\x00" + secret))
	return hashed + hex.EncodeToString(sum[:])
}

// sameSecret compares what the state holds with the hash of a secret. Earlier
// versions held the secret itself.
func sameSecret(held, hash, secret string) bool {
	if !strings.HasPrefix(held, hashed) {
		hash = secret
	}
	return subtle.ConstantTimeCompare([]byte(held), []byte(hash)) == 1
}

func checkNode(n *api.Node) error {
	if n == nil {
		return api.Errorf(api.CodeInvalid, "the registration names no node")
	}
	if err := checkID("node", n.ID); err != nil {
		return err
	}
	switch {
	case n.SecretID == "":
		return api.Errorf(api.CodeInvalid, "node %s: SecretID is required", n.ID)
	case n.Name == "":
		return api.Errorf(api.CodeInvalid, "node %s: Name is required", n.ID)
	case n.Datacenter == "":
		return api.Errorf(api.CodeInvalid, "node %s: Datacenter is required", n.ID)
	case n.NodePool != "" && !api.IsNodePoolName(n.NodePool):
		return fmt.Errorf("node %s: %w", n.ID, api.CheckNodePoolName(n.NodePool))
	case n.NodePool == api.AllNodePools:
		return api.Errorf(api.CodeInvalid, "node %s: NodePool %q holds every node and can't be joined", n.ID, n.NodePool)
	case n.NodeResources == nil:
		return api.Errorf(api.CodeInvalid, "node %s: NodeResources is required", n.ID)
	}
	return nil
}

// sameNode reports whether n says the same as old, apart from what only
// servers set and from when its drivers were looked at.
func sameNode(old, n *api.Node) bool {
	a, b := old.Copy(), n.Copy()
	for _, x := range []*api.Node{a, b} {
		x.DrainStrategy, x.Drain, x.LastDrain, x.SchedulingEligibility, x.Events = nil, false, nil, "", nil
		x.StatusUpdatedAt, x.CreateIndex, x.ModifyIndex = 0, 0, 0
		drivers := make(map[string]*api.DriverInfo, len(x.Drivers))
		for name, d := range x.Drivers {
			if d != nil {
				c := *d
				c.UpdateTime = time.Time{}
				d = &c
			}
			drivers[name] = d
		}
		x.Drivers = drivers
	}
	return reflect.DeepEqual(a, b)
}

// computedClass names what matters for placement in general, so that equal
// nodes are looked at once: everything but what is unique to a node.
func computedClass(n *api.Node) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q\n", n.Datacenter, n.NodeClass, n.NodePool)
	for _, m := range []map[string]string{n.Attributes, n.Meta} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !strings.HasPrefix(k, "unique.") {
				fmt.Fprintf(h, "%q=%q\n", k, m[k])
			}
		}
		fmt.Fprintln(h)
	}
	for _, name := range slices.Sorted(maps.Keys(n.Drivers)) {
		if d := n.Drivers[name]; d != nil {
			fmt.Fprintf(h, "%q %v %v\n", name, d.Detected, d.Healthy)
		}
	}
	if n.NodeResources != nil {
		for _, d := range n.NodeResources.Devices {
			fmt.Fprintf(h, "%q %q %q\n", d.Vendor, d.Type, d.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.HostVolumes)) {
		fmt.Fprintf(h, "%q\n", name)
	}
	return "v1:" + hex.EncodeToString(h.Sum(nil)[:8])
}

// Heartbeat notes that a node lives and returns when the next heartbeat is
// due. It never waits for the log: a node that is not registered, or that was
// given up meanwhile, is refused and comes back by registering.
func (s *Server) Heartbeat(_ context.Context, nodeID string) (time.Duration, error) {
	n := s.store.Snapshot().Node(nodeID)
	switch {
	case n == nil:
		return 0, missing("node")
	case n.Status != api.NodeReady:
		return 0, api.Errorf(api.CodeConflict, "node %s was given up and is %s: it must register again", nodeID, n.Status)
	}
	return s.cfg.Liveness.Beat(nodeID)
}

// NodeGone notes that a node's control stream ended.
func (s *Server) NodeGone(nodeID string) { s.cfg.Liveness.Gone(nodeID) }

// clientStatuses are the statuses a node may report.
var clientStatuses = []string{api.AllocClientPending, api.AllocClientRunning, api.AllocClientComplete, api.AllocClientFailed, api.AllocClientUnknown}

// UpdateAllocs takes a node's reports and returns when they are in the log.
// Reports of allocations that are gone or not the node's are passed over. An
// allocation that has failed, or that came back after its node was out of
// reach, has its job evaluated in the same step, once per job.
func (s *Server) UpdateAllocs(ctx context.Context, nodeID string, updates []*api.AllocUpdate) error {
	snap := s.store.Snapshot()
	cmd := &store.UpdateAllocs{NodeID: nodeID, Now: s.now().UnixNano()}
	evals := map[api.NamespacedID]bool{}
	for _, u := range updates {
		a := snap.Alloc(u.ID)
		if a == nil || a.NodeID != nodeID {
			continue
		}
		if !slices.Contains(clientStatuses, u.ClientStatus) {
			return api.Errorf(api.CodeInvalid, "allocation %s: ClientStatus %q is none of %s", u.ID, u.ClientStatus, strings.Join(clientStatuses, ", "))
		}
		if err := u.CheckServices(); err != nil {
			return err
		}
		if snap.Knows(u) {
			continue // a node that starts again reports all it has
		}
		cmd.Updates = append(cmd.Updates, u)
		key := api.NamespacedID{Namespace: a.Namespace, ID: a.JobID}
		if trigger := followUp(snap, a, u); trigger != "" && !evals[key] {
			evals[key] = true
			cmd.Evals = append(cmd.Evals, s.allocEval(snap, a, trigger))
		}
	}
	if len(cmd.Updates) == 0 {
		return nil
	}
	_, err := s.propose(ctx, cmd)
	return err
}

// followUp returns what triggers an evaluation after a report, or "".
func followUp(snap *store.Snapshot, a *api.Allocation, u *api.AllocUpdate) string {
	job := snap.Job(a.Namespace, a.JobID)
	if job.Stopped() {
		return ""
	}
	switch {
	case a.ClientStatus == api.AllocClientUnknown && u.ClientStatus != api.AllocClientUnknown:
		return api.EvalTriggerReconnect
	case u.ClientStatus != api.AllocClientFailed || a.ClientStatus == api.AllocClientFailed:
		return ""
	case a.ServerTerminal() || a.FollowupEvalID != "" || a.NextAllocation != "":
		return ""
	}
	if g := job.Group(a.TaskGroup); g == nil || !g.ReschedulePolicy.Enabled() {
		return ""
	}
	return api.EvalTriggerAllocFailure
}

// WatchNode sends a node its allocations: all of them first, then what servers
// change, until ctx or send ends it. What the node itself reports does not
// come back. send gets values of its own whose nested parts are shared and
// must not be changed.
func (s *Server) WatchNode(ctx context.Context, nodeID string, send func(link.Assignment) error) error {
	var index, history uint64 // of what the node has
	for first := true; ; first = false {
		w := s.store.Watch(store.KeyAssigned(nodeID))
		snap := s.store.Snapshot()
		ids, ok := snap.AssignedSince(nodeID, index)
		var as link.Assignment
		if first || !ok || snap.History() != history {
			as = assignAll(snap, nodeID)
		} else {
			as = assignChanged(snap, ids, index)
		}
		index, history = snap.Index(), snap.History()
		if as.Full || len(as.Allocs)+len(as.Gone) > 0 {
			if err := send(as); err != nil {
				w.Close()
				return err
			}
		}
		select {
		case <-w.C():
		case <-ctx.Done():
			w.Close()
			return ctx.Err()
		}
	}
}

// assignAll returns everything a node is to have. What is purged is gone for
// the node, though servers remember it for a while.
func assignAll(snap *store.Snapshot, nodeID string) link.Assignment {
	as := link.Assignment{Index: snap.Index(), Full: true}
	for a := range snap.AllocsByNode(nodeID) {
		if !purged(snap, a) {
			as.Allocs = append(as.Allocs, toNode(a))
		}
	}
	return as
}

// assignChanged returns what servers changed after an index.
func assignChanged(snap *store.Snapshot, ids []api.ID, index uint64) link.Assignment {
	as := link.Assignment{Index: snap.Index()}
	for _, id := range ids {
		switch a := snap.AllocByID(id); {
		case a == nil || purged(snap, a):
			as.Gone = append(as.Gone, id.String())
		case a.AllocModifyIndex > index:
			as.Allocs = append(as.Allocs, toNode(a))
		}
	}
	return as
}

// toNode is an allocation without what a node knows better or not at all.
func toNode(a *api.Allocation) *api.Allocation {
	c := a.Copy()
	c.Metrics, c.TaskStates = nil, nil
	return c
}

// purged reports whether an allocation has ended and its job was removed: of
// such a one nothing is to be left on its node.
func purged(snap *store.Snapshot, a *api.Allocation) bool {
	if !a.ServerTerminal() || !a.ClientTerminal() {
		return false
	}
	job := snap.Job(a.Namespace, a.JobID)
	return job == nil || a.Job != nil && job.CreateIndex != a.Job.CreateIndex
}

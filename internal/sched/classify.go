package sched

import (
	"time"

	"github.com/drover-org/drover/api"
)

// fate is what happened to an allocation, as far as its job is concerned.
type fate uint8

const (
	gone         fate = iota // over: neither counts nor is replaced
	keep                     // runs, or is done, or waits for its node
	migrate                  // asked to move
	lost                     // its node is down
	disconnected             // its node is out of touch: becomes unknown now
	unknown                  // its node has been out of touch
	replaceNow               // failed and due
	replaceLater             // failed and due later
)

// subject is an allocation with its fate.
type subject struct {
	a       *api.Allocation
	index   int // in its name
	fate    fate
	verdict verdict // of replaceNow and replaceLater
	until   time.Time
	held    bool // disconnected or unknown, and not to be replaced yet
	current bool // runs the job's current version
}

// live reports whether the allocation runs or may run.
func (s *subject) live() bool { return !s.a.Terminal() }

// classify finds an allocation's fate.
func (r *reconciler) classify(a *api.Allocation) *subject {
	s := &subject{a: a, index: a.Index(), current: sameVersion(a.Job, r.w.Job)}
	g := r.groupOf(a)
	switch {
	case a.ServerTerminal():
		s.fate = r.ofStopped(s, g)
	case a.ClientTerminal():
		s.fate = r.ofEnded(s, g)
	default:
		s.fate = r.ofLive(s, g)
	}
	return s
}

// groupOf returns an allocation's group of the job's current version, or nil.
func (r *reconciler) groupOf(a *api.Allocation) *api.TaskGroup { return r.w.Job.Group(a.TaskGroup) }

func sameVersion(a, b *api.Job) bool {
	return a != nil && b != nil && a.Version == b.Version && a.CreateIndex == b.CreateIndex
}

// ofStopped is about allocations that servers want gone. One of a batch job
// that was stopped to be rescheduled waits for its policy.
func (r *reconciler) ofStopped(s *subject, g *api.TaskGroup) fate {
	a := s.a
	if !a.ClientTerminal() && r.nodeDown(a) {
		r.w.stops = append(r.w.stops, &api.PlanStop{ID: a.ID, Description: a.DesiredDescription, ClientStatus: api.AllocClientLost})
	}
	if r.batch && s.current && g != nil && a.NextAllocation == "" && a.DesiredStatus == api.AllocDesiredStop &&
		a.DesiredTransition.ShouldMigrate() && a.DesiredTransition.ShouldReschedule() {
		return r.byPolicy(s, g)
	}
	return gone
}

// ofEnded is about allocations that ended on their node.
func (r *reconciler) ofEnded(s *subject, g *api.TaskGroup) fate {
	a := s.a
	switch {
	case r.batch && !s.current, a.NextAllocation != "", a.ClientStatus == api.AllocClientLost, g == nil:
		return gone
	case a.ClientStatus == api.AllocClientComplete && r.batch && !a.DesiredTransition.ShouldMigrate():
		return keep // done
	case a.ClientStatus == api.AllocClientComplete:
		return gone
	case !s.current:
		return gone // the new version takes its place
	}
	if r.active() && a.DeploymentID == r.deployment.ID && !a.DesiredTransition.ShouldReschedule() && !a.DesiredTransition.ShouldForceReschedule() {
		return keep // the deployment decides
	}
	return r.byPolicy(s, g)
}

// byPolicy asks the reschedule policy.
func (r *reconciler) byPolicy(s *subject, g *api.TaskGroup) fate {
	s.verdict = reschedule(g.ReschedulePolicy, s.a, r.now, s.a.DesiredTransition.ShouldForceReschedule())
	switch {
	case !s.verdict.replace:
		return keep
	case s.a.FollowupEvalID == r.w.Eval.ID, !s.verdict.at.After(r.now.Add(soon)):
		return replaceNow
	}
	return replaceLater
}

// ofLive is about allocations that run or may run.
func (r *reconciler) ofLive(s *subject, g *api.TaskGroup) fate {
	a := s.a
	node := r.node(a.NodeID)
	switch {
	case node == nil:
		return lost
	case node.Status != api.NodeDown && node.Status != api.NodeDisconnected:
		switch {
		case a.ClientStatus == api.AllocClientUnknown:
			s.held = a.NextAllocation == "" // its node is back and will say what became of it
			return unknown
		case a.DesiredTransition.ShouldMigrate() && node.Status == api.NodeReady:
			return migrate
		}
		return keep
	}
	wait := r.patience(s, g, node)
	switch due := a.FollowupEvalID != "" && a.FollowupEvalID == r.w.Eval.ID; {
	case wait == 0 || a.ClientStatus == api.AllocClientPending:
		return lost
	case a.ClientStatus != api.AllocClientUnknown:
		s.until = r.now.Add(wait)
		return disconnected
	case due || !unknownSince(a).Add(wait).After(r.now):
		return lost
	}
	return unknown
}

// patience returns how long an allocation's node may stay silent before the
// allocation counts as lost. One that its node stops by itself after a time is
// not replaced before that time is over.
func (r *reconciler) patience(s *subject, g *api.TaskGroup, node *api.Node) time.Duration {
	if g == nil || g.Disconnect == nil {
		return 0
	}
	if d := durationOf(g.Disconnect.StopOnClientAfter); d > 0 {
		s.held = true
		return d
	}
	if node.Status == api.NodeDown {
		return 0
	}
	return durationOf(g.Disconnect.LostAfter)
}

// unknownSince returns when an allocation's node fell silent, zero when it
// never did.
func unknownSince(a *api.Allocation) time.Time {
	var at time.Time
	for _, s := range a.AllocStates {
		if s.Value == api.AllocClientUnknown {
			at = s.Time
		}
	}
	return at
}

// replacesLost reports whether a group wants a replacement of what its node
// took out of touch.
func replacesLost(g *api.TaskGroup) bool {
	return g == nil || g.Disconnect == nil || g.Disconnect.Replace == nil || *g.Disconnect.Replace
}

func (r *reconciler) nodeDown(a *api.Allocation) bool {
	n := r.node(a.NodeID)
	return n == nil || n.Status == api.NodeDown
}

// node looks a node up once.
func (r *reconciler) node(id string) *api.Node {
	n, ok := r.nodes[id]
	if !ok {
		n = r.st.Node(id)
		r.nodes[id] = n
	}
	return n
}

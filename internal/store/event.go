package store

import (
	"reflect"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
)

// PublishTo makes every command that is applied from now on known to a ring.
// It must be called before the first.
func (s *Store) PublishTo(r *events.Ring) {
	s.events = r
	r.Reset(s.Snapshot().Index())
}

// eventTypes are the types of the events of each command. A command that is
// not named gives its events its own name.
var eventTypes = map[reflect.Type]string{
	reflect.TypeFor[RegisterJob]():           "JobRegistered",
	reflect.TypeFor[LaunchJob]():             "JobRegistered",
	reflect.TypeFor[DeregisterJob]():         "JobDeregistered",
	reflect.TypeFor[ScaleJob]():              "JobRegistered",
	reflect.TypeFor[MarkJobStable]():         "JobStabilityUpdated",
	reflect.TypeFor[UpsertEvals]():           "EvaluationUpdated",
	reflect.TypeFor[ApplyPlan]():             "PlanResult",
	reflect.TypeFor[UpdateAllocs]():          "AllocationUpdated",
	reflect.TypeFor[TransitionAllocs]():      "AllocationUpdateDesiredStatus",
	reflect.TypeFor[RegisterNode]():          "NodeRegistration",
	reflect.TypeFor[UpdateNodeStatus]():      "NodeEvent",
	reflect.TypeFor[UpdateNodeEligibility](): "NodeEligibility",
	reflect.TypeFor[UpdateNodeDrain]():       "NodeDrain",
	reflect.TypeFor[DeleteNode]():            "NodeDeregistration",
	reflect.TypeFor[UpdateDeployment]():      "DeploymentStatusUpdate",
	reflect.TypeFor[SetDeploymentHealth]():   "DeploymentAllocHealth",
	reflect.TypeFor[PromoteDeployment]():     "DeploymentPromotion",
	reflect.TypeFor[SetSchedulerConfig]():    "SchedulerConfigUpdated",
	reflect.TypeFor[BootstrapACL]():          "ACLTokenUpserted",
	reflect.TypeFor[UpsertACLToken]():        "ACLTokenUpserted",
	reflect.TypeFor[UpsertACLPolicy]():       "ACLPolicyUpserted",
	reflect.TypeFor[UpsertACLRole]():         "ACLRoleUpserted",
	reflect.TypeFor[UpsertAuthMethod]():      "ACLAuthMethodUpserted",
	reflect.TypeFor[UpsertBindingRule]():     "ACLBindingRuleUpserted",
	reflect.TypeFor[UpsertNamespaces]():      "NamespaceUpserted",
}

func eventType(c Command) string {
	t := reflect.TypeOf(c).Elem()
	if name, ok := eventTypes[t]; ok {
		return name
	}
	return t.Name()
}

// changed notes for the event stream that this command put a row of a topic.
// The row must not change any more.
func (t *tx) changed(topic api.Topic, row any) {
	if t.changes != nil {
		t.told(topic, t.changes.kind, row)
	}
}

// told is changed for an event with a type that is not the command's.
func (t *tx) told(topic api.Topic, kind string, row any) {
	if t.changes != nil {
		t.changes.list = append(t.changes.list, events.Change{Topic: topic, Type: kind, Row: row})
	}
}

// deleted notes that this command deleted a row of a topic.
func (t *tx) deleted(topic api.Topic, kind string, row any) {
	if t.changes != nil {
		t.changes.list = append(t.changes.list, events.Change{Topic: topic, Type: kind, Row: row, Deleted: true})
	}
}

// changes are what one command tells the event stream.
type changes struct {
	kind string // of the command's events
	list []events.Change
	jobs []jobName // touched; whether they changed shows at the end
}

// newChanges returns room for what entries change, nil when nobody wants to
// know.
func (s *Store) newChanges(entries []Entry) []changes {
	if s.events == nil {
		return nil
	}
	return make([]changes, len(entries))
}

// changedJobs notes the jobs that this command changed. It must be called
// while the tables still hold the rows from before.
func (t *tx) changedJobs() {
	if t.changes == nil || len(t.changes.jobs) == 0 {
		return
	}
	jobs := t.changes.jobs
	slices.SortFunc(jobs, func(a, b jobName) int { return cmpName(a.ns, a.id, b.ns, b.id) })
	rest := t.changes.list
	t.changes.list = make([]events.Change, 0, len(rest)+len(jobs))
	for _, name := range slices.Compact(jobs) {
		was, is := t.tables.jobRow(name.ns, name.id), t.jobRow(name.ns, name.id)
		switch {
		case is != nil && (was == nil || was.job() != is.job()):
			t.changed(api.TopicJob, is.job())
		case is == nil && was != nil:
			t.deleted(api.TopicJob, "JobDeregistered", was.job())
		}
	}
	t.changes.list = append(t.changes.list, rest...)
}

package api

import "encoding/json"

// Topic is a kind of object whose changes the event stream tells.
type Topic string

// The topics. Those of nouns that do not exist here have no events.
const (
	TopicAll            Topic = "*"
	TopicJob            Topic = "Job"
	TopicEvaluation     Topic = "Evaluation"
	TopicAllocation     Topic = "Allocation"
	TopicDeployment     Topic = "Deployment"
	TopicNode           Topic = "Node"
	TopicNodePool       Topic = "NodePool"
	TopicACLPolicy      Topic = "ACLPolicy"
	TopicACLToken       Topic = "ACLToken"
	TopicACLRole        Topic = "ACLRole"
	TopicACLAuthMethod  Topic = "ACLAuthMethod"
	TopicACLBindingRule Topic = "ACLBindingRule"
	TopicNamespace      Topic = "Namespace"
	TopicService        Topic = "Service"
	TopicHostVolume     Topic = "HostVolume"
	TopicCSIVolume      Topic = "CSIVolume"
	TopicCSIPlugin      Topic = "CSIPlugin"
	TopicOperator       Topic = "Operator"
	TopicVariable       Topic = "Variable"
)

// Topics returns every topic, TopicAll first.
func Topics() []Topic {
	return []Topic{
		TopicAll, TopicJob, TopicEvaluation, TopicAllocation, TopicDeployment, TopicNode, TopicNodePool, TopicACLPolicy, TopicACLToken,
		TopicACLRole, TopicACLAuthMethod, TopicACLBindingRule, TopicNamespace, TopicService, TopicHostVolume, TopicCSIVolume, TopicCSIPlugin,
		TopicOperator, TopicVariable,
	}
}

// Event is one object as one change left it.
type Event struct {
	Topic      Topic
	Type       string // of the change, like JobRegistered; one change of several objects gives all of them its type
	Key        string // the object's ID or name
	Namespace  string // empty for objects that belong to none
	FilterKeys []string
	Index      uint64
	Payload    json.RawMessage // the object in a member named after its noun
}

// Events are the events of one index. Without events and without Gap they are
// a heartbeat.
type Events struct {
	Index  uint64
	Events []Event
	Gap    *EventGap `json:",omitempty"`
}

// EventGap says that events are missing: those of the indexes From to To, both
// included. Who keeps a copy of the state must read it again; what follows is
// whole from To+1 on.
type EventGap struct {
	From   uint64
	To     uint64
	Reason string
}

// RawEvents are Events whose events are JSON already, which readers share.
type RawEvents struct {
	Index  uint64
	Events []json.RawMessage
	Gap    *EventGap
}

// EventKeyAll is the key that stands for every object of a topic.
const EventKeyAll = "*"

// EventOptions say what an event stream shows.
type EventOptions struct {
	Region    string
	Namespace string             // AllNamespaces for every one the caller may read
	Topics    map[Topic][]string // keys by topic; EventKeyAll for any
	Index     uint64             // where to begin, included; 0: the oldest that is kept
	Now       bool               // begin with what happens next, whatever Index says
	Token     string             // the caller's secret
}

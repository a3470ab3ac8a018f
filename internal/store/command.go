package store

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Command is a change of the state. The set is sealed: every command is a
// struct of this package, and its exported fields are what the log holds.
// Applying is pure and all or nothing.
type Command interface {
	apply(*tx) (any, error)
}

// commands names every command for the log. Names never change and are never
// used again; fields are only added.
var commands = []struct {
	name string
	make func() Command
}{
	{"RegisterJob", func() Command { return new(RegisterJob) }},
	{"DeregisterJob", func() Command { return new(DeregisterJob) }},
	{"ScaleJob", func() Command { return new(ScaleJob) }},
	{"MarkJobStable", func() Command { return new(MarkJobStable) }},
	{"UpsertEvals", func() Command { return new(UpsertEvals) }},
	{"ApplyPlan", func() Command { return new(ApplyPlan) }},
	{"UpdateAllocs", func() Command { return new(UpdateAllocs) }},
	{"TransitionAllocs", func() Command { return new(TransitionAllocs) }},
	{"RegisterNode", func() Command { return new(RegisterNode) }},
	{"UpdateNodeStatus", func() Command { return new(UpdateNodeStatus) }},
	{"UpdateNodeEligibility", func() Command { return new(UpdateNodeEligibility) }},
	{"UpdateNodeDrain", func() Command { return new(UpdateNodeDrain) }},
	{"DeleteNode", func() Command { return new(DeleteNode) }},
	{"UpdateDeployment", func() Command { return new(UpdateDeployment) }},
	{"SetDeploymentHealth", func() Command { return new(SetDeploymentHealth) }},
	{"PromoteDeployment", func() Command { return new(PromoteDeployment) }},
	{"SetSchedulerConfig", func() Command { return new(SetSchedulerConfig) }},
	{"Reap", func() Command { return new(Reap) }},
	{"DeleteEvals", func() Command { return new(DeleteEvals) }},
	{"BootstrapACL", func() Command { return new(BootstrapACL) }},
	{"UpsertACLPolicy", func() Command { return new(UpsertACLPolicy) }},
	{"DeleteACLPolicy", func() Command { return new(DeleteACLPolicy) }},
	{"UpsertACLToken", func() Command { return new(UpsertACLToken) }},
	{"DeleteACLToken", func() Command { return new(DeleteACLToken) }},
	{"UpsertACLRole", func() Command { return new(UpsertACLRole) }},
	{"DeleteACLRole", func() Command { return new(DeleteACLRole) }},
	{"AddOneTimeToken", func() Command { return new(AddOneTimeToken) }},
	{"TakeOneTimeToken", func() Command { return new(TakeOneTimeToken) }},
	{"ReapACL", func() Command { return new(ReapACL) }},
	{"UpsertAuthMethod", func() Command { return new(UpsertAuthMethod) }},
	{"DeleteAuthMethod", func() Command { return new(DeleteAuthMethod) }},
	{"UpsertBindingRule", func() Command { return new(UpsertBindingRule) }},
	{"DeleteBindingRule", func() Command { return new(DeleteBindingRule) }},
	{"UpsertNamespaces", func() Command { return new(UpsertNamespaces) }},
	{"DeleteNamespaces", func() Command { return new(DeleteNamespaces) }},
	{"PutRootKey", func() Command { return new(PutRootKey) }},
	{"ActivateRootKey", func() Command { return new(ActivateRootKey) }},
	{"ResealACLTokens", func() Command { return new(ResealACLTokens) }},
	{"RetireRootKey", func() Command { return new(RetireRootKey) }},
	{"DeleteService", func() Command { return new(DeleteService) }},
	{"LaunchJob", func() Command { return new(LaunchJob) }},
	{"WrapRootKey", func() Command { return new(WrapRootKey) }},
	{"UpsertNodePools", func() Command { return new(UpsertNodePools) }},
	{"DeleteNodePools", func() Command { return new(DeleteNodePools) }},
	{"UpsertQuota", func() Command { return new(UpsertQuota) }},
	{"DeleteQuota", func() Command { return new(DeleteQuota) }},
	{"DeleteRootKey", func() Command { return new(DeleteRootKey) }},
	{"TagJobVersion", func() Command { return new(TagJobVersion) }},
	{"UntagJobVersion", func() Command { return new(UntagJobVersion) }},
	{"Restored", func() Command { return new(Restored) }},
}

// compact is a command with a codec of its own: the ones there are many of.
type compact interface {
	encode(*enc)
	decode(*dec)
}

// Formats of a command's body.
const (
	formatJSON    = 1
	formatCompact = 2
)

// EncodeCommand returns the form of a command that the log holds.
func EncodeCommand(c Command) ([]byte, error) {
	name := reflect.TypeOf(c).Elem().Name()
	e := &enc{}
	if cc, ok := c.(compact); ok {
		e.uint(formatCompact)
		e.str(name)
		cc.encode(e)
		return e.b, e.err
	}
	e.uint(formatJSON)
	e.str(name)
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode command %s: %w", name, err)
	}
	return append(e.b, body...), nil
}

// DecodeCommand reads what EncodeCommand wrote, by this version or an earlier
// one. An unknown command is an error: a server that can't apply it must not
// go on.
func DecodeCommand(b []byte) (Command, error) {
	d := &dec{b: b}
	format, name := d.uint(), d.str()
	if d.err != nil {
		return nil, fmt.Errorf("decode command: %w", d.err)
	}
	for _, known := range commands {
		if known.name != name {
			continue
		}
		c := known.make()
		switch cc, ok := c.(compact); {
		case format == formatJSON:
			if err := json.Unmarshal(d.b, c); err != nil {
				return nil, fmt.Errorf("decode command %s: %w", name, err)
			}
		case format == formatCompact && ok:
			if cc.decode(d); d.err != nil {
				return nil, fmt.Errorf("decode command %s: %w", name, d.err)
			}
		default:
			return nil, fmt.Errorf("decode command %s: unknown format %d", name, format)
		}
		return c, nil
	}
	return nil, fmt.Errorf("decode command: this version does not know %q: it was written by a later one", name)
}

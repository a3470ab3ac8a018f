package acl

import (
	"strings"

	"github.com/drover-org/drover/api"
)

// Kind says what a rule is about.
type Kind uint8

// The kinds of rules. Those up to KindVariables name objects.
const (
	KindNamespace Kind = iota
	KindNodePool
	KindHostVolume
	KindVariables // of a namespace, by their path
	KindNode
	KindAgent
	KindOperator
	KindQuota
	KindPlugin
	KindSentinel
	numKinds
)

// kind describes the blocks of one kind.
type kind struct {
	block  string
	coarse map[string]string // coarse policies and what each is short for
	fine   string            // capabilities besides those
}

// kinds are the blocks of a policy.
var kinds = [numKinds]kind{
	KindNamespace: {
		block: "namespace",
		coarse: map[string]string{
			"deny":  "deny",
			"read":  namespaceRead,
			"write": namespaceRead + " " + namespaceWrite,
			"scale": "list-scaling-policies read-scaling-policy read-job-scaling scale-job read-job submit-recommendation",
		},
		fine: `alloc-node-exec sentinel-override csi-register-plugin host-volume-register host-volume-write host-volume-delete
			register-job revert-job deregister-job purge-job evaluate-job plan-job tag-job-version stable-job fail-deployment
			pause-deployment promote-deployment unblock-deployment cancel-deployment set-alloc-health-deployment gc-allocation
			pause-allocation force-periodic-job delete-service-registration alloc-port-forward alloc-copy`,
	},
	KindNodePool: {
		block:  "node_pool",
		coarse: map[string]string{"deny": "deny", "read": "read", "write": "read write delete"},
	},
	KindHostVolume: {
		block:  "host_volume",
		coarse: map[string]string{"deny": "deny", "read": "mount-readonly", "write": "mount-readonly mount-readwrite"},
	},
	KindVariables: {block: "variables", fine: "deny list read write destroy"},
	KindNode:      {block: "node", coarse: map[string]string{"deny": "deny", "read": "read", "write": "read write"}},
	KindAgent:     {block: "agent", coarse: map[string]string{"deny": "deny", "read": "read", "write": "read write"}},
	KindOperator: {
		block:  "operator",
		coarse: map[string]string{"deny": "deny", "read": "read", "write": "read write"},
		fine:   "snapshot-save license-read keyring-rotate keyring-read keyring-delete",
	},
	KindQuota:    {block: "quota", coarse: map[string]string{"deny": "deny", "read": "read", "write": "read write"}},
	KindPlugin:   {block: "plugin", coarse: map[string]string{"deny": "deny", "list": "list", "read": "list read"}},
	KindSentinel: {block: "sentinel", coarse: map[string]string{"deny": "deny", "read": "read", "write": "read write"}},
}

// What the coarse policies of a namespace are short for.
const (
	namespaceRead = `list-jobs parse-job read-job csi-list-volume csi-read-volume read-job-scaling list-scaling-policies
		read-scaling-policy host-volume-read`
	namespaceWrite = `scale-job submit-job dispatch-job read-logs read-fs alloc-exec alloc-lifecycle csi-mount-volume
		csi-write-volume submit-recommendation host-volume-create`
)

// set is a set of the capabilities of one kind, by their number in it.
type set uint64

// names holds for each kind the number of each capability, as policies write
// it; deny is always 0.
var names = func() (out [numKinds]map[string]uint) {
	for k := range kinds {
		out[k] = map[string]uint{"deny": 0}
		add := func(list string) {
			for name := range strings.FieldsSeq(list) {
				if _, known := out[k][name]; !known {
					out[k][name] = uint(len(out[k]))
				}
			}
		}
		for _, policy := range []string{"list", "read", "write", "scale"} {
			add(kinds[k].coarse[policy])
		}
		add(kinds[k].fine)
	}
	return out
}()

const deny set = 1

// setOf makes a set of a list of known names.
func setOf(k Kind, list string) (s set) {
	for name := range strings.FieldsSeq(list) {
		s |= 1 << names[k][name]
	}
	return s
}

// right is a capability as rules are asked for it.
type right struct {
	kind Kind
	self set // the capability alone
	any  set // it and all broader ones
}

// rights holds every capability that a policy can give.
var rights = func() map[api.Capability]right {
	out := map[api.Capability]right{}
	for k := range kinds {
		for name, n := range names[k] {
			if n != 0 {
				out[capability(Kind(k), name)] = right{kind: Kind(k), self: 1 << n}
			}
		}
	}
	for c, r := range out {
		r.any = r.self
		for _, b := range c.Broader() {
			r.any |= out[b].self
		}
		out[c] = r
	}
	out[api.CapSeeNamespace] = right{kind: KindNamespace, any: ^deny}
	return out
}()

// capability is the API's name of a capability that a rule of kind k writes as
// name.
func capability(k Kind, name string) api.Capability {
	if k == KindNamespace {
		return api.Capability(name)
	}
	return api.Capability(kinds[k].block + ":" + name)
}

// Known reports whether c is a capability at all.
func Known(c api.Capability) bool {
	_, ok := rights[c]
	return ok || c == api.CapManagement
}

// KindOf returns what kind of rule gives a capability.
func KindOf(c api.Capability) (Kind, bool) {
	r, ok := rights[c]
	return r.kind, ok
}

// Named reports whether rules of the kind are about objects with a name.
func (k Kind) Named() bool { return k <= KindVariables }

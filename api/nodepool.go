package api

import (
	"cmp"
	"encoding/json"
	"regexp"
	"time"
)

// NodePool is a named set of nodes: those that say they belong to it. Jobs run
// on the nodes of one pool.
type NodePool struct {
	Name                   string
	Description            string
	Meta                   map[string]string
	NodeIdentityTTL        TextDuration // of the identities of its nodes; 0: the servers' own
	SchedulerConfiguration *NodePoolSchedulerConfiguration
	CreateIndex            uint64
	ModifyIndex            uint64
}

// NodePoolSchedulerConfiguration is what a pool sets otherwise than the
// region. What is empty is as the region sets it.
type NodePoolSchedulerConfiguration struct {
	SchedulerAlgorithm            string
	MemoryOversubscriptionEnabled *bool
}

// TextDuration is a Duration that is written as text, and as "" when it is 0.
type TextDuration Duration

// D returns d as a time.Duration.
func (d TextDuration) D() time.Duration { return time.Duration(d) }

// MarshalJSON writes text.
func (d TextDuration) MarshalJSON() ([]byte, error) {
	if d == 0 {
		return []byte(`""`), nil
	}
	return json.Marshal(d.D().String())
}

// UnmarshalJSON accepts what a Duration accepts, and "".
func (d *TextDuration) UnmarshalJSON(b []byte) error {
	if string(b) == `""` {
		*d = 0
		return nil
	}
	return (*Duration)(d).UnmarshalJSON(b)
}

// Bounds of a node pool.
const (
	MaxNodePoolDescription = 256
	maxNodePoolMeta        = 64 << 10 // all names and values
	// A shorter life would have nodes renew their identities all the time, a
	// longer one outlive what anybody remembers of the machine.
	minNodeIdentityTTL = time.Minute
	maxNodeIdentityTTL = 365 * 24 * time.Hour
)

var nodePoolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// IsNodePoolName reports whether a node pool can have that name.
func IsNodePoolName(s string) bool { return nodePoolName.MatchString(s) }

// CheckNodePoolName says what is wrong with the name of a node pool.
func CheckNodePoolName(name string) error {
	if IsNodePoolName(name) {
		return nil
	}
	return Errorf(CodeInvalid, "invalid node pool name %q. It has 1 to 128 letters, digits, hyphens and underscores", clip(name))
}

// IsBuiltInNodePool reports whether a pool is there from the beginning, and
// always as it is.
func IsBuiltInNodePool(name string) bool { return name == AllNodePools || name == DefaultNodePool }

// Copy returns a deep copy.
func (p *NodePool) Copy() *NodePool {
	if p == nil {
		return nil
	}
	return deepCopy(p)
}

// Validate returns everything that is wrong with a node pool that somebody
// wants to create or change.
func (p *NodePool) Validate() error {
	if err := CheckNodePoolName(p.Name); err != nil {
		return err
	}
	if IsBuiltInNodePool(p.Name) {
		return Errorf(CodeInvalid, "node pool %q is built in and can't be changed: make another one, or set the scheduler configuration of the region", p.Name)
	}
	r := &report{}
	at := spot{r, ""}
	if len(p.Description) > MaxNodePoolDescription {
		at.bad("Description", "it has %d bytes, at most %d are kept", len(p.Description), MaxNodePoolDescription)
	}
	at.notes("Meta", p.Meta, maxNodePoolMeta)
	if ttl := p.NodeIdentityTTL.D(); ttl != 0 && (ttl < minNodeIdentityTTL || ttl > maxNodeIdentityTTL) {
		at.bad("NodeIdentityTTL", "%s is not from %s to %s; 0 leaves it to the servers", ttl, minNodeIdentityTTL, maxNodeIdentityTTL)
	}
	if c := p.SchedulerConfiguration; c != nil {
		switch c.SchedulerAlgorithm {
		case "", AlgorithmBinPack, AlgorithmSpread:
		default:
			at.in("SchedulerConfiguration").bad("SchedulerAlgorithm", "%q must be %q, %q, or empty for the region's", clip(c.SchedulerAlgorithm), AlgorithmBinPack, AlgorithmSpread)
		}
	}
	return r.err("node pool")
}

// In returns the scheduler configuration of a pool, which may be nil, in a
// region that has the configuration c.
func (p *NodePool) In(c *SchedulerConfiguration) *SchedulerConfiguration {
	if p == nil || p.SchedulerConfiguration == nil {
		return c
	}
	out := *c
	out.SchedulerAlgorithm = cmp.Or(p.SchedulerConfiguration.SchedulerAlgorithm, c.SchedulerAlgorithm)
	if m := p.SchedulerConfiguration.MemoryOversubscriptionEnabled; m != nil {
		out.MemoryOversubscriptionEnabled = *m
	}
	return &out
}

// Holds reports whether a node that says it belongs to a pool is one of p's.
func (p *NodePool) Holds(pool string) bool {
	return p.Name == AllNodePools || p.Name == cmp.Or(pool, DefaultNodePool)
}

package api

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// DefaultIdentity names the identity that every task has.
const DefaultIdentity = "default"

// What happens to a task when its identity was renewed.
const (
	ChangeModeNoop    = "noop"
	ChangeModeSignal  = "signal"
	ChangeModeRestart = "restart"
)

// MinIdentityTTL keeps renewals from becoming a load.
const MinIdentityTTL = 10 * time.Second

// SignedIdentity is an identity of a task as its node gets it. It never
// appears in an answer of the API.
type SignedIdentity struct {
	Name    string
	Token   string
	Expires time.Time // zero: with the allocation
}

// extraClaims are the facts that an identity can carry besides the standard
// ones, each as the claim nomad_<name>.
var extraClaims = map[string]func(*Allocation, *Node) string{
	"alloc_name":    func(a *Allocation, _ *Node) string { return a.Name },
	"deployment_id": func(a *Allocation, _ *Node) string { return a.DeploymentID },
	"group":         func(a *Allocation, _ *Node) string { return a.TaskGroup },
	"job_name":      func(a *Allocation, _ *Node) string { return a.Job.Name },
	"node_class":    func(_ *Allocation, n *Node) string { return n.NodeClass },
	"node_dc":       func(_ *Allocation, n *Node) string { return n.Datacenter },
	"node_id":       func(_ *Allocation, n *Node) string { return n.ID },
	"node_name":     func(_ *Allocation, n *Node) string { return n.Name },
	"node_pool":     func(_ *Allocation, n *Node) string { return n.NodePool },
}

// ExtraClaim returns the value of one of an identity's ExtraClaims for an
// allocation on its node.
func ExtraClaim(name string, a *Allocation, n *Node) string {
	if f := extraClaims[name]; f != nil {
		return f(a, n)
	}
	return ""
}

// AllIdentities returns the task's identities, the default one first; the
// latter also when the job does not mention it.
func (t *Task) AllIdentities() []*WorkloadIdentity {
	first := t.Identity
	if first == nil {
		first = &WorkloadIdentity{Name: DefaultIdentity, ChangeMode: ChangeModeNoop}
	}
	return append([]*WorkloadIdentity{first}, t.Identities...)
}

// GivenIdentities returns those identities that the task itself is to get.
func (t *Task) GivenIdentities() []*WorkloadIdentity {
	return slices.DeleteFunc(t.AllIdentities(), func(id *WorkloadIdentity) bool { return !id.Env && !id.File })
}

// isDefault reports whether it is the identity that every task has.
func (id *WorkloadIdentity) isDefault() bool { return id.Name == "" || id.Name == DefaultIdentity }

// EnvName is the variable that holds the token, when Env is set.
func (id *WorkloadIdentity) EnvName() string {
	if id.isDefault() {
		return "NOMAD_TOKEN"
	}
	return "NOMAD_TOKEN_" + id.Name
}

// FilePath is where the token lies in the task's directory, when File is set.
func (id *WorkloadIdentity) FilePath() string {
	switch {
	case id.Filepath != "":
		return path.Clean(id.Filepath)
	case id.isDefault():
		return "secrets/nomad_token"
	}
	return "secrets/nomad_" + id.Name + ".jwt"
}

const maxAudiences = 32

func (t *Task) validateIdentities(at spot) {
	at.elements("Identities", len(t.Identities))
	names, files := map[string]bool{}, map[string]bool{}
	if id := t.Identity; id != nil {
		in := at.in("Identity")
		if !id.isDefault() {
			in.bad("Name", "%q must be %q: other identities belong to Identities", clip(id.Name), DefaultIdentity)
		}
		names[DefaultIdentity] = true
		id.validate(in, files)
	}
	for i, id := range t.Identities {
		in := at.in("identity[%d]", i)
		if id == nil {
			in.bad("Name", "is missing: the block is null, remove it")
			continue
		}
		name := id.Name
		if name == "" {
			name = DefaultIdentity
		}
		switch {
		case names[name]:
			in.bad("Name", "%q is given twice: an identity's name is its variable and its file", clip(name))
		case !validIdentityName(name):
			in.bad("Name", "%q must be 1 to 128 letters, digits, '-' and '_'", clip(name))
		}
		names[name] = true
		id.validate(in, files)
	}
}

func validIdentityName(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func (id *WorkloadIdentity) validate(at spot, files map[string]bool) {
	at.oneOf("ChangeMode", id.ChangeMode, ChangeModeNoop, ChangeModeSignal, ChangeModeRestart)
	switch {
	case id.ChangeMode == ChangeModeSignal && id.ChangeSignal == "":
		at.bad("ChangeSignal", "is missing: ChangeMode is %q", ChangeModeSignal)
	case id.ChangeMode != ChangeModeSignal && id.ChangeSignal != "":
		at.bad("ChangeSignal", "%q is given, but ChangeMode is not %q", clip(id.ChangeSignal), ChangeModeSignal)
	}
	at.signal("ChangeSignal", id.ChangeSignal)
	if ttl := time.Duration(id.TTL); ttl != 0 && ttl < MinIdentityTTL {
		at.bad("TTL", "%v is too short: at least %v, or 0 for as long as the allocation", ttl, MinIdentityTTL)
	}
	if len(id.Audience) > maxAudiences {
		at.bad("Audience", "has %d entries: %d at most", len(id.Audience), maxAudiences)
	}
	for _, a := range id.Audience {
		if a == "" || len(a) > maxNameLen {
			at.bad("Audience", "%q must have 1 to %d characters", clip(a), maxNameLen)
		}
	}
	for _, c := range id.ExtraClaims {
		if extraClaims[c] == nil {
			at.bad("ExtraClaims", "%q is unknown: use %s", clip(c), strings.Join(slices.Sorted(maps.Keys(extraClaims)), ", "))
		}
	}
	switch p := id.FilePath(); {
	case id.Filepath != "" && !id.File:
		at.bad("Filepath", "%q is given, but File is not set", clip(id.Filepath))
	case id.Filepath != "" && (path.IsAbs(id.Filepath) || p == "." || p == ".." || strings.HasPrefix(p, "../") || strings.ContainsAny(id.Filepath, "\x00\\")):
		at.bad("Filepath", "%q must be a path below the task's directory", clip(id.Filepath))
	case id.File && files[p]:
		at.bad("Filepath", "%q is another identity's file", clip(p))
	case id.File:
		files[p] = true
	}
}

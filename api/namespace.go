package api

import (
	"regexp"
	"slices"
	"strings"
)

// Namespace separates jobs, their allocations and the rights on them.
type Namespace struct {
	Name                  string
	Description           string
	Quota                 string // bounds what runs in it; empty: no quota
	Capabilities          *NamespaceCapabilities
	NodePoolConfiguration *NamespaceNodePools
	VaultConfiguration    *NamespaceClusters // refused: there is no Vault
	ConsulConfiguration   *NamespaceClusters // refused: there is no Consul
	Meta                  map[string]string
	RequiredExtraClaims   map[string]string // refused: identities have no extra claims
	OptionalExtraClaims   map[string]string // refused: identities have no extra claims
	CreateIndex           uint64
	ModifyIndex           uint64
}

// NamespaceCapabilities limits what jobs of a namespace may use. It is looked
// at when a job is registered: what runs already stays. An empty list of what
// is enabled enables everything; what is disabled is disabled in any case.
type NamespaceCapabilities struct {
	EnabledTaskDrivers   []string
	DisabledTaskDrivers  []string
	EnabledNetworkModes  []string
	DisabledNetworkModes []string
}

// NamespaceNodePools says which node pools jobs of a namespace may name, and
// which is meant by a job that names none. Allowed and Denied hold names or
// patterns with *; one of the two may be set. The default pool is allowed
// always.
type NamespaceNodePools struct {
	Default string
	Allowed []string
	Denied  []string
}

// NamespaceClusters is what other servers of this API allow of the clusters
// of another system.
type NamespaceClusters struct {
	Default string
	Allowed []string
	Denied  []string
}

func (c *NamespaceClusters) empty() bool {
	return c == nil || c.Default == "" && len(c.Allowed)+len(c.Denied) == 0
}

// Bounds of a namespace.
const (
	MaxNamespaceDescription = 256
	maxNamespaceMeta        = 64 << 10 // all names and values
	maxNamespaceList        = 1000     // names of one list
)

// IsNamespaceName reports whether a namespace can have that name.
func IsNamespaceName(s string) bool { return namespaceName.MatchString(s) }

var namespaceName = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)

// ValidNamespace reports whether name may be a namespace's.
func ValidNamespace(name string) bool { return namespaceName.MatchString(name) }

// Copy returns a deep copy.
func (n *Namespace) Copy() *Namespace {
	if n == nil {
		return nil
	}
	return deepCopy(n)
}

// Validate returns everything that is wrong with a namespace.
func (n *Namespace) Validate() error {
	if !ValidNamespace(n.Name) {
		return Errorf(CodeInvalid, "invalid name %q. A namespace's name has 1 to 128 letters, digits and hyphens", clip(n.Name))
	}
	r := &report{}
	at := spot{r, ""}
	if len(n.Description) > MaxNamespaceDescription {
		at.bad("Description", "it has %d bytes, at most %d are kept", len(n.Description), MaxNamespaceDescription)
	}
	if n.Quota != "" && !IsQuotaName(n.Quota) {
		at.bad("Quota", "%q is no quota's name, which has letters, digits and hyphens", clip(n.Quota))
	}
	if !n.VaultConfiguration.empty() {
		at.bad("VaultConfiguration", "there is no connection to Vault: leave it out")
	}
	if !n.ConsulConfiguration.empty() {
		at.bad("ConsulConfiguration", "there is no connection to Consul: leave it out")
	}
	if len(n.RequiredExtraClaims)+len(n.OptionalExtraClaims) > 0 {
		at.bad("RequiredExtraClaims, OptionalExtraClaims", "identities have no claims of namespaces: leave them out")
	}
	at.notes("Meta", n.Meta, maxNamespaceMeta)
	if c := n.Capabilities; c != nil {
		at := at.in("Capabilities")
		at.names("EnabledTaskDrivers", c.EnabledTaskDrivers)
		at.names("DisabledTaskDrivers", c.DisabledTaskDrivers)
		at.names("EnabledNetworkModes", c.EnabledNetworkModes)
		at.names("DisabledNetworkModes", c.DisabledNetworkModes)
	}
	if p := n.NodePoolConfiguration; p != nil {
		at := at.in("NodePoolConfiguration")
		at.names("Allowed", p.Allowed)
		at.names("Denied", p.Denied)
		if len(p.Allowed) > 0 && len(p.Denied) > 0 {
			at.bad("Denied", "either Allowed or Denied may be set")
		}
		if p.Default == AllNodePools {
			at.bad("Default", "%q holds every node and takes no jobs: name another pool", p.Default)
		} else if p.Default != "" {
			at.label("Default", p.Default)
		}
		if p.Default != "" && matchesAny(p.Denied, p.Default) {
			at.bad("Default", "%q is denied by Denied", p.Default)
		}
	}
	return r.err("namespace")
}

// names checks a list of names.
func (s spot) names(field string, list []string) {
	if len(list) > maxNamespaceList {
		s.bad(field, "it has %d names, at most %d are possible", len(list), maxNamespaceList)
		return
	}
	for _, name := range list {
		if name == "" {
			s.bad(field, "a name is empty")
		}
	}
}

// notes checks names with text for people.
func (s spot) notes(field string, meta map[string]string, most int) {
	size := 0
	for k, v := range meta {
		size += len(k) + len(v)
		if k == "" {
			s.bad(field, "a name is empty")
		}
	}
	if size > most {
		s.bad(field, "it has %d bytes, at most %d are kept", size, most)
	}
}

// DefaultPool is the pool of jobs that name none.
func (n *Namespace) DefaultPool() string {
	if n.NodePoolConfiguration == nil || n.NodePoolConfiguration.Default == "" {
		return DefaultNodePool
	}
	return n.NodePoolConfiguration.Default
}

// Admit returns what of a canonical job the namespace does not allow, or nil.
// A group without a network block names no mode and is admitted.
func (n *Namespace) Admit(j *Job) error {
	r := &report{}
	at := spot{r, ""}
	if p := n.NodePoolConfiguration; p != nil && j.NodePool != n.DefaultPool() &&
		(len(p.Allowed) > 0 && !matchesAny(p.Allowed, j.NodePool) || matchesAny(p.Denied, j.NodePool)) {
		at.bad("NodePool", "namespace %q does not allow %q%s", n.Name, j.NodePool, allowedText(append([]string{n.DefaultPool()}, p.Allowed...), nil))
	}
	c := n.Capabilities
	if c == nil {
		return r.err("job")
	}
	for _, g := range j.TaskGroups {
		at := at.in("group %q", g.Name)
		n.admitNetworks(at, g.Networks)
		for _, t := range g.Tasks {
			at := at.in("task %q", t.Name)
			if refuses(c.EnabledTaskDrivers, c.DisabledTaskDrivers, t.Driver) {
				at.bad("Driver", "namespace %q does not allow %q%s", n.Name, t.Driver, allowedText(c.EnabledTaskDrivers, c.DisabledTaskDrivers))
			}
			if t.Resources != nil {
				n.admitNetworks(at.in("Resources"), t.Resources.Networks)
			}
		}
	}
	return r.err("job")
}

func (n *Namespace) admitNetworks(at spot, networks []*NetworkResource) {
	c := n.Capabilities
	for i, w := range networks {
		mode := w.Mode
		if mode == "" {
			mode = "host"
		}
		if refuses(c.EnabledNetworkModes, c.DisabledNetworkModes, mode) {
			at.in("Networks[%d]", i).bad("Mode", "namespace %q does not allow %q%s", n.Name, mode, allowedText(c.EnabledNetworkModes, c.DisabledNetworkModes))
		}
	}
}

// refuses reports whether two lists leave a name out.
func refuses(enabled, disabled []string, name string) bool {
	return len(enabled) > 0 && !slices.Contains(enabled, name) || slices.Contains(disabled, name)
}

// allowedText says what may be used instead.
func allowedText(enabled, disabled []string) string {
	left := slices.DeleteFunc(slices.Clone(enabled), func(s string) bool { return slices.Contains(disabled, s) })
	if len(left) == 0 {
		return ""
	}
	return ": it allows " + strings.Join(left, ", ")
}

// matchesAny reports whether a name is one of patterns, in which * stands for
// any text.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return Glob(p, name) })
}

// Glob matches a name with a pattern in which * stands for any text.
func Glob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	first, rest := parts[0], parts[1:]
	if len(rest) == 0 {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for _, part := range rest[:len(rest)-1] { // the leftmost place leaves most to the others
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, rest[len(rest)-1])
}

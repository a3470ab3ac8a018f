package task

import (
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
)

// envSource is all that a task's environment is made of.
type envSource struct {
	alloc  *api.Allocation
	task   *api.Task
	node   *api.Node
	region string
	dir    *allocdir.Dir
	host   map[string]string // of the machine, for drivers that don't isolate
	tokens map[string]string // signed identities, by variable
	remaps bool              // ports inside the task's network differ from the host's
}

// scope resolves ${…} references of a task.
type scope struct {
	env  map[string]string // the task's environment
	node map[string]string // node.*, attr.*, meta.*
}

// newScope builds the environment of a task. Weaker entries come first: the
// host's, then the standard ones, then the task's own.
func newScope(s envSource) *scope {
	std := map[string]string{}
	s.standard(std)
	s.resources(std)
	s.ports(std)
	s.upstreams(std)
	s.meta(std)

	sc := &scope{env: std, node: nodeVars(s.node, s.region)}
	env := maps.Clone(s.host)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, std)
	for k, v := range s.task.Env {
		env[envName(sc.expand(k))] = sc.expand(v)
	}
	maps.Copy(env, s.tokens) // after everything was expanded: they end up nowhere else
	sc.env = env
	return sc
}

func (s *envSource) standard(env map[string]string) {
	a, job := s.alloc, s.alloc.Job
	for k, v := range map[string]string{
		"ALLOC_DIR":      s.dir.Shared(),
		"TASK_DIR":       s.dir.Local(s.task.Name),
		"SECRETS_DIR":    s.dir.Secrets(s.task.Name),
		"ALLOC_ID":       a.ID,
		"SHORT_ALLOC_ID": a.ID[:min(8, len(a.ID))],
		"ALLOC_NAME":     a.Name,
		"ALLOC_INDEX":    strconv.Itoa(max(0, a.Index())),
		"TASK_NAME":      s.task.Name,
		"GROUP_NAME":     a.TaskGroup,
		"JOB_ID":         job.ID,
		"JOB_NAME":       job.Name,
		"DC":             s.node.Datacenter,
		"REGION":         s.region,
		"NAMESPACE":      a.Namespace,
	} {
		env["NOMAD_"+k] = v
	}
	if job.ParentID != "" {
		env["NOMAD_JOB_PARENT_ID"] = job.ParentID
	}
	if s.node.CgroupParent != "" {
		env["NOMAD_PARENT_CGROUP"] = s.node.CgroupParent
	}
}

func (s *envSource) resources(env map[string]string) {
	r := taskResources(s.alloc, s.task)
	env["NOMAD_CPU_LIMIT"] = strconv.FormatInt(r.Cpu.CpuShares, 10)
	env["NOMAD_MEMORY_LIMIT"] = strconv.FormatInt(r.Memory.MemoryMB, 10)
	if r.Memory.MemoryMaxMB > 0 {
		env["NOMAD_MEMORY_MAX_LIMIT"] = strconv.FormatInt(r.Memory.MemoryMaxMB, 10)
	}
	if len(r.Cpu.ReservedCores) > 0 {
		env["NOMAD_CPU_CORES"] = coreList(r.Cpu.ReservedCores)
	}
}

// coreList writes cores as "0-3,8".
func coreList(cores []uint16) string {
	var b strings.Builder
	for i := 0; i < len(cores); {
		j := i
		for j+1 < len(cores) && cores[j+1] == cores[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", cores[i])
		if j > i {
			fmt.Fprintf(&b, "-%d", cores[j])
		}
		i = j + 1
	}
	return b.String()
}

// ports names each port three times: as the task sees it, as the host has it,
// and as it is inside the allocation's network.
func (s *envSource) ports(env map[string]string) {
	group := s.alloc.Group()
	inner := s.remaps
	if group != nil && len(group.Networks) > 0 {
		mode := group.Networks[0].Mode
		inner = inner || mode == "bridge" || strings.HasPrefix(mode, "cni/")
	}
	if r := s.alloc.AllocatedResources; r != nil {
		for _, p := range r.Shared.Ports {
			s.port(env, p.Label, p, inner)
		}
		for name, tr := range r.Tasks {
			for _, p := range networkPorts(tr) {
				if to := s.portMap(name, p.Label); to > 0 {
					p.To = to
				}
				if name == s.task.Name {
					s.port(env, p.Label, p, s.remaps)
				}
				s.port(env, name+"_"+p.Label, p, s.remaps)
			}
		}
	}
}

func (s *envSource) port(env map[string]string, label string, p api.PortMapping, inner bool) {
	label = envName(label)
	set := func(prefix, ip string, port int) {
		n := strconv.Itoa(port)
		env["NOMAD_"+prefix+"PORT_"+label] = n
		if ip != "" {
			env["NOMAD_"+prefix+"IP_"+label] = ip
			env["NOMAD_"+prefix+"ADDR_"+label] = net.JoinHostPort(ip, n)
		}
	}
	set("HOST_", p.HostIP, p.Value)
	seen := p.Value
	if inner && p.To > 0 {
		seen = p.To
	}
	set("", p.HostIP, seen)
	if st := s.alloc.NetworkStatus; st != nil && st.Address != "" {
		set("ALLOC_", st.Address, seen)
	} else {
		set("ALLOC_", p.HostIP, seen)
	}
	// The address that others dial is the host's, whatever the port inside is.
	if p.HostIP != "" {
		env["NOMAD_ADDR_"+label] = net.JoinHostPort(p.HostIP, strconv.Itoa(p.Value))
	}
}

// portMap returns the port inside the task's network that a driver's port_map
// gives to a label of the task's own network, or 0. HCL makes it a list of
// blocks, JSON may have one.
func (s *envSource) portMap(task, label string) int {
	spec := s.task
	if group := s.alloc.Group(); group != nil && task != spec.Name {
		for _, t := range group.Tasks {
			if t.Name == task {
				spec = t
			}
		}
	}
	blocks, ok := spec.Config["port_map"].([]any)
	if !ok {
		blocks = []any{spec.Config["port_map"]}
	}
	for _, b := range blocks {
		m, _ := b.(map[string]any)
		if v, ok := m[label]; ok {
			n, err := strconv.Atoi(fmt.Sprint(v))
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// upstreams tells where a mesh proxy listens for the task.
func (s *envSource) upstreams(env map[string]string) {
	group := s.alloc.Group()
	if group == nil {
		return
	}
	for _, svc := range group.Services {
		if svc.Connect == nil || svc.Connect.SidecarService == nil || svc.Connect.SidecarService.Proxy == nil {
			continue
		}
		for _, u := range svc.Connect.SidecarService.Proxy.Upstreams {
			ip, port, name := u.LocalBindAddress, strconv.Itoa(u.LocalBindPort), envName(u.DestinationName)
			if ip == "" {
				ip = "127.0.0.1"
			}
			env["NOMAD_UPSTREAM_IP_"+name] = ip
			env["NOMAD_UPSTREAM_PORT_"+name] = port
			env["NOMAD_UPSTREAM_ADDR_"+name] = net.JoinHostPort(ip, port)
		}
	}
}

// meta adds the job's, group's and task's metadata, each key as it is and in
// upper case.
func (s *envSource) meta(env map[string]string) {
	layers := []map[string]string{s.alloc.Job.Meta}
	if g := s.alloc.Group(); g != nil {
		layers = append(layers, g.Meta)
	}
	for _, layer := range append(layers, s.task.Meta) {
		for k, v := range layer {
			k = envName(k)
			env["NOMAD_META_"+k] = v
			env["NOMAD_META_"+strings.ToUpper(k)] = v
		}
	}
}

func taskResources(a *api.Allocation, t *api.Task) *api.AllocatedTaskResources {
	if r := a.AllocatedResources; r != nil && r.Tasks[t.Name] != nil {
		return r.Tasks[t.Name]
	}
	r := &api.AllocatedTaskResources{}
	if t.Resources != nil {
		r.Cpu.CpuShares, r.Memory = int64(t.Resources.CPU), api.AllocatedMemory{MemoryMB: int64(t.Resources.MemoryMB), MemoryMaxMB: int64(t.Resources.MemoryMaxMB)}
	}
	return r
}

// networkPorts returns the ports of a task's own networks.
func networkPorts(r *api.AllocatedTaskResources) []api.PortMapping {
	var ports []api.PortMapping
	for _, n := range r.Networks {
		for _, p := range append(n.ReservedPorts[:len(n.ReservedPorts):len(n.ReservedPorts)], n.DynamicPorts...) {
			ports = append(ports, api.PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: n.IP})
		}
	}
	return ports
}

func nodeVars(n *api.Node, region string) map[string]string {
	vars := map[string]string{
		"node.unique.id": n.ID, "node.unique.name": n.Name, "node.datacenter": n.Datacenter, "node.region": region,
		"node.class": n.NodeClass, "node.pool": n.NodePool,
	}
	for k, v := range n.Attributes {
		vars["attr."+k] = v
	}
	for k, v := range n.Meta {
		vars["meta."+k] = v
	}
	return vars
}

// envName replaces what must not be in the name of an environment variable.
func envName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

package agent

import (
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/check"
	"github.com/drover-org/drover/internal/agent/task"
)

// offer is a service of an allocation with its references resolved. Others are
// sent to it while its task, or the main tasks of its group, serve.
type offer struct {
	task    string // empty: it is the group's
	service *api.AllocService
	checks  []*check.Spec
	scripts map[string]string // by ID of a check that runs a script, the task it runs in
}

// offers are the services of an allocation, made once for each version of the
// allocation and its networks.
type offers struct {
	of       *api.Allocation
	networks map[string]*api.AllocNetworkStatus // by task
	list     []offer
	failed   string // what the log was told already
}

// serve brings the checks of the allocation in line with what it serves now,
// which it returns.
func (l *loop) serve(want *api.Allocation, views []view) (list []*api.AllocService) {
	l.r.mu.Lock()
	ending := want.ServerTerminal() || l.r.gone || l.overdue != ""
	l.r.mu.Unlock()
	if !hasServices(want.Group()) {
		return nil
	}
	for i := range views { // some are about to be killed since this turn began
		views[i].serving = views[i].serving && l.r.task(views[i].name).Serving()
	}
	var checks []*check.Spec
	up := servingTasks(views)
	for _, o := range l.offered(want, views) {
		if ending || !up[o.task] {
			continue
		}
		list = append(list, o.service)
		for _, c := range o.checks {
			if in := o.scripts[c.ID]; in == "" || up[in] {
				checks = append(checks, c)
			}
		}
	}
	l.r.checks.Sync(l.ctx, checks)
	return list
}

func hasServices(g *api.TaskGroup) bool {
	return len(g.Services) > 0 || slices.ContainsFunc(g.Tasks, func(t *api.Task) bool { return len(t.Services) > 0 })
}

// servingTasks tells which tasks serve and, under the empty name, whether the
// group does: each main task that has not ended well must.
func servingTasks(views []view) map[string]bool {
	up := make(map[string]bool, len(views)+1)
	some, all := false, true
	for i := range views {
		v := &views[i]
		up[v.name] = v.serving
		if v.role() == roleMain {
			some = some || v.serving
			all = all && (v.serving || v.state.Successful())
		}
	}
	up[""] = some && all
	return up
}

// offered returns the services of the allocation, resolved.
func (l *loop) offered(want *api.Allocation, views []view) []offer {
	networks := make(map[string]*api.AllocNetworkStatus, len(views))
	for i := range views {
		n := l.r.task(views[i].name).Network()
		if n == nil {
			n = l.offers.networks[views[i].name] // of before the last restart
		}
		if n == nil {
			n = want.NetworkStatus // of before the agent's restart
		}
		networks[views[i].name] = n
	}
	if l.offers.of == want && maps.Equal(l.offers.networks, networks) {
		return l.offers.list
	}
	res := resolver{alloc: want, node: l.r.a.node.Load(), networks: networks, exec: l.r.script}
	list := res.services("", want.Group().Services, task.GroupExpander(want, res.node, l.r.a.cfg.Region, l.r.dir))
	for _, spec := range want.Group().Tasks {
		if len(spec.Services) > 0 {
			list = append(list, res.services(spec.Name, spec.Services, l.r.task(spec.Name).Expander())...)
		}
	}
	if res.failed != "" && res.failed != l.offers.failed {
		l.r.log.Warn("a service can't be registered", "reason", res.failed)
	}
	l.offers = offers{of: want, networks: networks, list: list, failed: res.failed}
	var specs []*check.Spec
	for _, o := range list {
		specs = append(specs, o.checks...)
	}
	l.r.mu.Lock()
	l.r.specs = specs
	l.r.mu.Unlock()
	return list
}

// resolver finds the addresses of services and checks.
type resolver struct {
	alloc    *api.Allocation
	node     *api.Node
	networks map[string]*api.AllocNetworkStatus // by task, values may be nil
	exec     func(task string) check.Exec
	failed   string // why a service has no address, if one has none
}

// services resolves the services of a task, or with an empty name of the group.
func (r *resolver) services(owner string, specs []*api.Service, expand func(string) string) []offer {
	var list []offer
	for _, s := range specs {
		in := owner
		if in == "" {
			in = s.TaskName
		}
		label, name := expand(s.PortLabel), expand(s.Name)
		address, port, ok := r.address(in, s.AddressMode, label)
		if s.Address != "" {
			address, ok = expand(s.Address), true
		}
		if !ok {
			r.failed = "service " + name + ": AddressMode " + s.AddressMode + " needs a task whose driver gives it an address"
			continue
		}
		idOwner := owner
		if owner == "" {
			idOwner = "group-" + r.alloc.TaskGroup
		}
		o := offer{task: owner, scripts: map[string]string{}, service: &api.AllocService{
			ID: api.RegistrationID(r.alloc.ID, idOwner, name, label), Name: name,
			Tags: expandAll(s.Tags, expand), CanaryTags: expandAll(s.CanaryTags, expand), Address: address, Port: port,
		}}
		for i := range s.Checks {
			r.check(&o, s, i, in, expand)
		}
		list = append(list, o)
	}
	return list
}

func expandAll(list []string, expand func(string) string) []string {
	var out []string
	for _, s := range list {
		out = append(out, expand(s))
	}
	return out
}

// address resolves a port of a task, or of any if the name is empty, to what
// others dial. Without a port it is the address alone.
func (r *resolver) address(in, mode, label string) (address string, port int, ok bool) {
	p := r.port(in, label)
	switch mode {
	case "driver":
		n := r.network(in)
		if n == nil || n.Address == "" {
			return "", 0, false
		}
		return n.Address, p.inside(), true
	case "alloc":
		if n := r.network(in); n != nil && n.Address != "" {
			return n.Address, p.inside(), true
		}
	case "alloc_ipv6":
		if n := r.network(in); n != nil && n.AddressIPv6 != "" {
			return n.AddressIPv6, p.inside(), true
		}
		return "", 0, false
	}
	if p.HostIP == "" {
		return r.nodeAddress(), p.Value, true
	}
	return p.HostIP, p.Value, true
}

// granted is a port of the allocation, or a number from the job.
type granted api.PortMapping

// inside is the port's number in the network of its task.
func (p granted) inside() int {
	if p.To > 0 {
		return p.To
	}
	return p.Value
}

func (r *resolver) port(in, label string) granted {
	if n, err := strconv.Atoi(label); err == nil {
		return granted{Value: n}
	}
	res := r.alloc.AllocatedResources
	if res == nil || label == "" {
		return granted{}
	}
	for _, p := range res.Shared.Ports {
		if p.Label == label {
			return granted(p)
		}
	}
	if t := res.Tasks[in]; t != nil {
		only := &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{in: t}}
		res = only
	}
	for _, p := range res.AllPorts() {
		if p.Label == label {
			return granted(p)
		}
	}
	return granted{}
}

// network returns the network that a driver gave to a task, or to the first
// task that has one.
func (r *resolver) network(in string) *api.AllocNetworkStatus {
	if in != "" {
		return r.networks[in]
	}
	for _, name := range slices.Sorted(maps.Keys(r.networks)) {
		if n := r.networks[name]; n != nil {
			return n
		}
	}
	return nil
}

func (r *resolver) nodeAddress() string {
	if res := r.node.NodeResources; res != nil && len(res.Networks) > 0 && res.Networks[0].IP != "" {
		return res.Networks[0].IP
	}
	host, _, err := net.SplitHostPort(r.node.HTTPAddr)
	if err != nil {
		return "127.0.0.1"
	}
	return host
}

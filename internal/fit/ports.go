package fit

import (
	"fmt"
	"slices"

	"github.com/drover-org/drover/api"
)

// PortAsk is what a group asks of its node's networks. The zero value asks for
// nothing.
type PortAsk struct {
	group  *api.NetworkResource
	tasks  []taskNetwork
	static []uint16 // host ports asked for by number, without those that may collide
}

type taskNetwork struct {
	task string
	ask  *api.NetworkResource
}

// AskOf reads a group's network blocks and those of its tasks.
func AskOf(g *api.TaskGroup) *PortAsk {
	a := &PortAsk{}
	if len(g.Networks) > 0 {
		a.group = g.Networks[0]
		a.addStatic(a.group)
	}
	for _, t := range g.Tasks {
		if t.Resources != nil && len(t.Resources.Networks) > 0 {
			a.tasks = append(a.tasks, taskNetwork{t.Name, t.Resources.Networks[0]})
			a.addStatic(t.Resources.Networks[0])
		}
	}
	return a
}

func (a *PortAsk) addStatic(n *api.NetworkResource) {
	for _, p := range n.ReservedPorts {
		if !p.IgnoreCollision && p.Value > 0 {
			a.static = append(a.static, uint16(p.Value))
		}
	}
}

// Empty reports whether nothing is asked for.
func (a *PortAsk) Empty() bool { return a.group == nil && len(a.tasks) == 0 }

// Missing returns why a node can never serve the ask, or "".
func (a *PortAsk) Missing(n *api.Node) string {
	for _, ask := range a.all() {
		if !hasMode(n, ask.Mode) {
			return "missing network"
		}
		for _, ports := range [][]api.Port{ask.ReservedPorts, ask.DynamicPorts} {
			for _, p := range ports {
				if name := p.HostNetwork; name != "" && name != "default" && addressOf(n, name) == nil {
					return fmt.Sprintf("missing host network %q for port %q", name, p.Label)
				}
			}
		}
	}
	return ""
}

func (a *PortAsk) all() []*api.NetworkResource {
	out := make([]*api.NetworkResource, 0, 1+len(a.tasks))
	if a.group != nil {
		out = append(out, a.group)
	}
	for _, t := range a.tasks {
		out = append(out, t.ask)
	}
	return out
}

// hasMode reports whether a node has networks of a mode. Every node has the
// host's own, and can run a group without any.
func hasMode(n *api.Node, mode string) bool {
	if mode == "" || mode == "host" || mode == "none" {
		return true
	}
	if n.NodeResources == nil {
		return false
	}
	for _, net := range n.NodeResources.Networks {
		if net.Mode == mode {
			return true
		}
	}
	for _, net := range n.NodeResources.NodeNetworks {
		if net.Mode == mode {
			return true
		}
	}
	return false
}

// addressOf returns a node's address in a host network, IPv4 before IPv6.
func addressOf(n *api.Node, network string) *api.NodeNetworkAddress {
	if n.NodeResources == nil {
		return nil
	}
	var found *api.NodeNetworkAddress
	for _, net := range n.NodeResources.NodeNetworks {
		for i := range net.Addresses {
			a := &net.Addresses[i]
			if a.Alias != network {
				continue
			}
			if a.Family != "ipv6" {
				return a
			}
			if found == nil {
				found = a
			}
		}
	}
	return found
}

// mainAddress returns the device and address of a node's main network.
func mainAddress(n *api.Node) (device, ip string) {
	if r := n.NodeResources; r != nil {
		for _, net := range r.Networks {
			if net.IP != "" {
				return net.Device, net.IP
			}
		}
		if a := addressOf(n, "default"); a != nil {
			for _, net := range r.NodeNetworks {
				if slices.Contains(net.Addresses, *a) {
					return net.Device, a.Address
				}
			}
		}
	}
	return "", n.Attributes["unique.network.ip-address"]
}

// PortsFree reports whether every port that is asked for by number is free.
func (a *PortAsk) PortsFree(c *Capacity, used *Usage) bool {
	for i, p := range a.static {
		if used.HasPort(p) || c.HoldsBack(p) || slices.Contains(a.static[:i], p) {
			return false
		}
	}
	return true
}

// Taken returns the first port asked for by number that can't be had, with its
// label, and whether it is in use or the operator holds it back. It returns 0
// when all are free.
func (a *PortAsk) Taken(c *Capacity, used *Usage) (port uint16, label string, inUse bool) {
	seen := map[int]bool{}
	for _, ask := range a.all() {
		for _, p := range ask.ReservedPorts {
			if p.IgnoreCollision || p.Value <= 0 {
				continue
			}
			n := uint16(p.Value)
			if c.HoldsBack(n) || used.HasPort(n) || seen[p.Value] {
				return n, p.Label, !c.HoldsBack(n)
			}
			seen[p.Value] = true
		}
	}
	return 0, "", false
}

// PortOffer is what a node gives for a PortAsk.
type PortOffer struct {
	Networks    []*api.NetworkResource
	Ports       []api.PortMapping
	TaskNetwork map[string][]*api.NetworkResource
}

// Offer chooses ports on a node. Dynamic ones come from the node's range, both
// ends included, starting at a place that seed decides: equal arguments give
// equal offers, and different seeds spread ports, so that one that was just
// released is not used again at once. ok is false when ports collide or the
// range is used up.
func (a *PortAsk) Offer(n *api.Node, c *Capacity, used *Usage, seed uint64) (o *PortOffer, ok bool) {
	o = &PortOffer{}
	if a.Empty() {
		return o, true
	}
	if !a.PortsFree(c, used) {
		return nil, false
	}
	b := bidder{node: n, cap: c, used: used, seed: seed, taken: slices.Clone(a.static)}
	b.device, b.ip = mainAddress(n)
	if a.group != nil {
		net, mappings, ok := b.grant(a.group)
		if !ok {
			return nil, false
		}
		o.Networks, o.Ports = []*api.NetworkResource{net}, mappings
	}
	for _, t := range a.tasks {
		net, _, ok := b.grant(t.ask)
		if !ok {
			return nil, false
		}
		net.Mode = "" // a task's own network is always the host's
		if o.TaskNetwork == nil {
			o.TaskNetwork = make(map[string][]*api.NetworkResource, len(a.tasks))
		}
		o.TaskNetwork[t.task] = []*api.NetworkResource{net}
	}
	return o, true
}

// bidder makes one offer.
type bidder struct {
	node       *api.Node
	cap        *Capacity
	used       *Usage
	seed       uint64
	taken      []uint16 // in this offer
	device, ip string
}

func (b *bidder) grant(ask *api.NetworkResource) (*api.NetworkResource, []api.PortMapping, bool) {
	net := *ask
	net.Device, net.IP = b.device, b.ip
	net.ReservedPorts, net.DynamicPorts = slices.Clone(ask.ReservedPorts), slices.Clone(ask.DynamicPorts)
	var mappings []api.PortMapping
	for i := range net.ReservedPorts {
		mappings = append(mappings, b.mapping(&net.ReservedPorts[i]))
	}
	for i := range net.DynamicPorts {
		port, ok := b.dynamic()
		if !ok {
			return nil, nil, false
		}
		net.DynamicPorts[i].Value = int(port)
		mappings = append(mappings, b.mapping(&net.DynamicPorts[i]))
	}
	return &net, mappings, true
}

// mapping completes a port, whose host port is known, and returns its mapping.
func (b *bidder) mapping(p *api.Port) api.PortMapping {
	if p.To == -1 {
		p.To = p.Value
	}
	ip := b.ip
	if p.HostNetwork != "" && p.HostNetwork != "default" {
		if a := addressOf(b.node, p.HostNetwork); a != nil {
			ip = a.Address
		}
	}
	return api.PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: ip, IgnoreCollision: p.IgnoreCollision}
}

// dynamic takes the first free port at or after a random place in the range.
func (b *bidder) dynamic() (uint16, bool) {
	span := b.cap.MaxPort - b.cap.MinPort + 1
	if span <= 0 {
		return 0, false
	}
	b.seed = Mix(b.seed)
	start := int(b.seed % uint64(span))
	for i := range span {
		p := uint16(b.cap.MinPort + (start+i)%span)
		if !b.used.HasPort(p) && !b.cap.HoldsBack(p) && !slices.Contains(b.taken, p) {
			b.taken = append(b.taken, p)
			return p, true
		}
	}
	return 0, false
}

// Mix returns a number that depends on every bit of x: the step of a small
// random generator that needs no state but its seed (splitmix64).
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

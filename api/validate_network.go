package api

import (
	"fmt"
	"reflect"
	"regexp"
)

// portLabel is what a port may be called: it becomes part of the names of
// environment variables.
var portLabel = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// staticPort is a port of a node that a group takes.
type staticPort struct {
	hostNetwork string
	port        int
}

// validateNetworks checks the networks of a group and, of the older form,
// those of its tasks: they share one node and so one set of ports.
func validateNetworks(at spot, g *TaskGroup) {
	if len(g.Networks) > 1 {
		at.bad("Networks", "has %d networks: a group has at most one, with any number of ports", len(g.Networks))
	}
	static := make(map[staticPort]bool)
	for i, n := range g.Networks {
		if n == nil {
			at.bad(fmt.Sprintf("Networks[%d]", i), "is null: remove it")
			continue
		}
		n.validate(at.in("network"), static, make(map[string]bool))
		n.validateDNS(at.in("network"), g.Tasks)
	}
	for _, t := range g.Tasks {
		if t == nil || t.Resources == nil {
			continue
		}
		labels := make(map[string]bool)
		for i, n := range t.Resources.Networks {
			in := at.in("task %q", clip(t.Name)).in("Resources")
			if n == nil {
				in.bad(fmt.Sprintf("Networks[%d]", i), "is null: remove it")
				continue
			}
			n.validate(in.in("network"), static, labels)
			if n.DNS != nil {
				in.in("network").bad("DNS", "is not read here: give it in the network block of the group")
			}
		}
	}
}

// validate checks one network; static holds the ports of the node that the
// group takes already, labels those in use where the network is visible.
func (n *NetworkResource) validate(at spot, static map[staticPort]bool, labels map[string]bool) {
	at.elements("ReservedPorts", len(n.ReservedPorts))
	at.elements("DynamicPorts", len(n.DynamicPorts))
	if n.MBits != nil {
		at.within("MBits", *n.MBits, 0, maxMB)
	}
	for _, p := range n.ReservedPorts {
		in := at.in("port %q", clip(p.Label))
		p.validate(in, labels)
		if p.Value < 1 || p.Value > 65535 {
			in.bad("Value", "%d is not a port: use 1 to 65535", p.Value)
			continue
		}
		if p.IgnoreCollision {
			continue
		}
		key := staticPort{p.HostNetwork, p.Value}
		if static[key] {
			in.bad("Value", "%d is taken by another static port of the group: change one", p.Value)
		}
		static[key] = true
	}
	for _, p := range n.DynamicPorts {
		p.validate(at.in("port %q", clip(p.Label)), labels)
	}
}

// validateDNS refuses resolvers for tasks that share those of their node.
func (n *NetworkResource) validateDNS(at spot, tasks []*Task) {
	if n.DNS == nil || unset(reflect.ValueOf(n.DNS)) {
		return
	}
	at.elements("DNS", len(n.DNS.Servers)+len(n.DNS.Searches)+len(n.DNS.Options))
	for _, t := range tasks {
		if t != nil && t.Driver != "docker" {
			at.bad("DNS", "task %q runs under %s and uses the resolvers of its node: remove DNS or use docker", clip(t.Name), clip(t.Driver))
		}
	}
}

func (p *Port) validate(at spot, labels map[string]bool) {
	switch {
	case p.Label == "":
		at.bad("Label", "is missing: name the port")
	case len(p.Label) > maxNameLen || !portLabel.MatchString(p.Label):
		at.bad("Label", "%q is not a port name: use at most %d letters, digits, \"-\" and \"_\"", clip(p.Label), maxNameLen)
	case labels[p.Label]:
		at.bad("Label", "%q is used twice: rename one", clip(p.Label))
	}
	labels[p.Label] = true
	at.within("To", p.To, -1, 65535)
}

package api

import (
	"fmt"
	"strconv"
	"time"
)

func validateServices(at spot, services []*Service, g *TaskGroup) {
	at.elements("Services", len(services))
	for i, s := range services {
		if s == nil {
			at.bad(fmt.Sprintf("Services[%d]", i), "is null: remove it")
			continue
		}
		s.validate(at.in("service %q", clip(s.Name)), g)
	}
}

func (s *Service) validate(at spot, g *TaskGroup) {
	at.label("Name", s.Name)
	at.oneOf("Provider", s.Provider, ServiceProviderConsul, ServiceProviderNative)
	at.oneOf("AddressMode", s.AddressMode, "auto", "alloc", "driver", "host", "alloc_ipv6")
	at.oneOf("OnUpdate", s.OnUpdate, "require_healthy", "ignore_warnings", "ignore")
	at.servicePort("PortLabel", s.PortLabel, s.AddressMode, g)
	at.elements("Tags", len(s.Tags))
	at.elements("CanaryTags", len(s.CanaryTags))
	at.meta("Meta", s.Meta)
	at.elements("Checks", len(s.Checks))
	for i, c := range s.Checks {
		if c == nil {
			at.bad(fmt.Sprintf("Checks[%d]", i), "is null: remove it")
			continue
		}
		c.validate(at.in("check %q", clip(c.Name)), s, g)
	}
}

// servicePort checks that a label names a port of the group; numbers, and
// labels of a driver's own port map, are left to the node.
func (s spot) servicePort(field, label, mode string, g *TaskGroup) {
	if label == "" || isDynamic(label) || mode == "driver" || mode == "alloc" {
		return
	}
	if n, err := strconv.Atoi(label); err == nil {
		s.within(field, n, 0, 65535)
		return
	}
	if !g.hasPort(label) {
		s.bad(field, "%q is not a port of the group: add it to the network block or correct the label", clip(label))
	}
}

// hasPort reports whether the group, or a task of it, asks for a port of that label.
func (g *TaskGroup) hasPort(label string) bool {
	has := func(networks []*NetworkResource) bool {
		for _, n := range networks {
			if n == nil {
				continue
			}
			for _, ports := range [][]Port{n.ReservedPorts, n.DynamicPorts} {
				for _, p := range ports {
					if p.Label == label {
						return true
					}
				}
			}
		}
		return false
	}
	if has(g.Networks) {
		return true
	}
	for _, t := range g.Tasks {
		if t != nil && t.Resources != nil && has(t.Resources.Networks) {
			return true
		}
	}
	return false
}

func (c *ServiceCheck) validate(at spot, s *Service, g *TaskGroup) {
	at.oneOf("Type", c.Type, "http", "tcp", "script", "grpc")
	at.duration("Interval", &c.Interval, Duration(time.Second))
	at.duration("Timeout", &c.Timeout, Duration(time.Second))
	at.oneOf("InitialStatus", c.InitialStatus, "passing", "warning", "critical", "pending")
	at.oneOf("OnUpdate", c.OnUpdate, "require_healthy", "ignore_warnings", "ignore")
	at.servicePort("PortLabel", c.PortLabel, c.AddressMode, g)
	switch c.Type {
	case "":
		at.bad("Type", "is missing: use http, tcp, script or grpc")
	case "http":
		if c.Path == "" {
			at.bad("Path", "is missing: an http check needs the path to ask for, such as /health")
		}
	case "script":
		if c.Command == "" {
			at.bad("Command", "is missing: a script check needs the command to run")
		}
	}
	if c.Type != "script" && c.Type != "" && c.PortLabel == "" && s.PortLabel == "" {
		at.bad("PortLabel", "is missing: neither the check nor its service has a port")
	}
	if r := c.CheckRestart; r != nil {
		in := at.in("CheckRestart")
		in.within("Limit", r.Limit, 0, 1<<20)
		in.duration("Grace", r.Grace, 0)
	}
}

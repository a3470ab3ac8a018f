package api

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// validateServices checks the services of a group, or of a task t of it.
func validateServices(at spot, services []*Service, g *TaskGroup, t *Task) {
	at.elements("Services", len(services))
	for i, s := range services {
		if s == nil {
			at.bad(fmt.Sprintf("Services[%d]", i), "is null: remove it")
			continue
		}
		s.validate(at.in("service %q", clip(s.Name)), g, t)
	}
}

func (s *Service) validate(at spot, g *TaskGroup, t *Task) {
	at.label("Name", s.Name)
	at.oneOf("Provider", s.Provider, ServiceProviderConsul, ServiceProviderNative)
	if s.Provider == ServiceProviderConsul {
		at.warn("Provider", "%q: there is no Consul; the service is registered in the built-in catalogue, as with %q", s.Provider, ServiceProviderNative)
	}
	at.oneOf("AddressMode", s.AddressMode, "auto", "alloc", "driver", "host", "alloc_ipv6")
	at.oneOf("OnUpdate", s.OnUpdate, "require_healthy", "ignore_warnings", "ignore")
	at.servicePort("PortLabel", s.PortLabel, s.AddressMode, g)
	switch {
	case t != nil && s.TaskName != "" && s.TaskName != t.Name:
		at.bad("TaskName", "%q is another task: leave it out in the services of a task", clip(s.TaskName))
	case t == nil && s.TaskName != "" && g.Task(s.TaskName) == nil:
		at.bad("TaskName", "%q is not a task of the group", clip(s.TaskName))
	}
	at.driverAddress("AddressMode", s.AddressMode, s.addressed(g, t))
	at.elements("Tags", len(s.Tags))
	at.elements("CanaryTags", len(s.CanaryTags))
	at.meta("Meta", s.Meta)
	s.CheckRestart.validate(at)
	at.elements("Checks", len(s.Checks))
	for i, c := range s.Checks {
		if c == nil {
			at.bad(fmt.Sprintf("Checks[%d]", i), "is null: remove it")
			continue
		}
		c.validate(at.in("check %q", clip(c.Name)), s, g, t)
	}
}

// addressed returns the tasks one of which gives a service its address.
func (s *Service) addressed(g *TaskGroup, t *Task) []*Task {
	switch named := g.Task(s.TaskName); {
	case t != nil:
		return []*Task{t}
	case named != nil:
		return []*Task{named}
	}
	return g.Tasks
}

// driverAddress refuses an address of a driver's network where no driver gives
// one.
func (s spot) driverAddress(field, mode string, tasks []*Task) {
	if mode != "driver" && mode != "alloc_ipv6" {
		return
	}
	for _, t := range tasks {
		if t != nil && t.Driver != "raw_exec" {
			return
		}
	}
	s.bad(field, "%q needs a task with an address of its own, which the driver raw_exec does not give: use host", mode)
}

// checkServiceIDs refuses services of one group that could not be told apart:
// those of the same name and port.
func (g *TaskGroup) checkServiceIDs(at spot) {
	seen := map[[2]string]bool{}
	check := func(at spot, services []*Service) {
		for _, s := range services {
			if s == nil {
				continue
			}
			key := [2]string{s.Name, s.PortLabel}
			if seen[key] {
				at.in("service %q", clip(s.Name)).bad("Name", "another service of the group has the same name and port %q: give one of them another", clip(s.PortLabel))
			}
			seen[key] = true
		}
	}
	check(at, g.Services)
	for _, t := range g.Tasks {
		if t != nil {
			check(at.in("task %q", clip(t.Name)), t.Services)
		}
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

// maxCheckCount bounds how often in a row a check may have to succeed or fail.
const maxCheckCount = 1 << 20

func (c *ServiceCheck) validate(at spot, s *Service, g *TaskGroup, t *Task) {
	at.oneOf("Type", c.Type, CheckHTTP, CheckTCP, CheckGRPC, CheckScript)
	at.duration("Interval", &c.Interval, Duration(time.Second))
	at.duration("Timeout", &c.Timeout, Duration(time.Second))
	at.oneOf("InitialStatus", c.InitialStatus, "passing", "warning", "critical", "pending")
	at.oneOf("OnUpdate", c.OnUpdate, "require_healthy", "ignore_warnings", "ignore")
	at.oneOf("AddressMode", c.AddressMode, "auto", "alloc", "driver", "host", "alloc_ipv6")
	at.within("SuccessBeforePassing", c.SuccessBeforePassing, 0, maxCheckCount)
	at.within("FailuresBeforeCritical", c.FailuresBeforeCritical, 0, maxCheckCount)
	at.within("FailuresBeforeWarning", c.FailuresBeforeWarning, 0, maxCheckCount)
	at.servicePort("PortLabel", c.PortLabel, c.AddressMode, g)
	if c.AddressMode != "" {
		at.driverAddress("AddressMode", c.AddressMode, s.addressed(g, t))
	}
	switch c.Type {
	case "":
		at.bad("Type", "is missing: use http, tcp, script or grpc")
	case CheckHTTP:
		c.validateHTTP(at)
	case CheckScript:
		c.validateScript(at, s, g, t)
	}
	if c.Type != CheckScript && c.Type != "" && c.PortLabel == "" && s.PortLabel == "" {
		at.bad("PortLabel", "is missing: neither the check nor its service has a port")
	}
	if c.Type != CheckScript && c.TaskName != "" {
		at.warn("TaskName", "has no effect in a %s check: it names the task in which a script runs", c.Type)
	}
	c.CheckRestart.validate(at)
}

func (c *ServiceCheck) validateHTTP(at spot) {
	at.oneOf("Protocol", c.Protocol, "http", "https")
	switch u, err := url.Parse(c.Path); {
	case c.Path == "":
		at.bad("Path", "is missing: an http check needs the path to ask for, such as /health")
	case isDynamic(c.Path):
	case err != nil || u.Host != "" || u.Scheme != "":
		at.bad("Path", "%q is not the path of a URL: use one like /health?full=1", clip(c.Path))
	}
	if m := c.Method; m != "" && !isDynamic(m) && strings.Trim(strings.ToUpper(m), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		at.bad("Method", "%q is not a method: use one like GET or HEAD", clip(m))
	}
	for name := range c.Header {
		if name == "" || strings.ContainsAny(name, " \t\r\n:") {
			at.bad("Header", "%q is not the name of a header", clip(name))
		}
	}
}

func (c *ServiceCheck) validateScript(at spot, s *Service, g *TaskGroup, t *Task) {
	if c.Command == "" {
		at.bad("Command", "is missing: a script check needs the command to run")
	}
	at.elements("Args", len(c.Args))
	in := c.ScriptTask(s, t)
	switch {
	case t != nil && c.TaskName != "" && c.TaskName != t.Name:
		at.bad("TaskName", "%q is another task: a check of a task's service runs in that task", clip(c.TaskName))
	case in == "":
		at.bad("TaskName", "is missing: a script check of a group's service runs in a task of the group: name it")
	case g.Task(in) == nil:
		at.bad("TaskName", "%q is not a task of the group", clip(in))
	}
}

// ScriptTask returns the task in which a script check runs; t is the task whose
// service s is, nil for a service of the group.
func (c *ServiceCheck) ScriptTask(s *Service, t *Task) string {
	switch {
	case t != nil:
		return t.Name
	case c.TaskName != "":
		return c.TaskName
	}
	return s.TaskName
}

func (r *CheckRestart) validate(at spot) {
	if r != nil {
		in := at.in("CheckRestart")
		in.within("Limit", r.Limit, 0, maxCheckCount)
		in.duration("Grace", r.Grace, 0)
	}
}

package sched

import (
	"cmp"
	"path"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// Reasons for which a node is ruled out, as metrics show them. A constraint is
// shown as it is written.
const (
	missingDrivers = "missing drivers"
	missingDevices = "missing devices"
	missingVolumes = "missing compatible host volumes"
)

// checker rules nodes out for one group of one job version.
type checker struct {
	job     *api.Job
	group   *api.TaskGroup
	shared  []*predicate // the same for all nodes of a class
	unique  []*predicate // different from node to node
	drivers []string
	devices bool // asked for; no node offers any
	volumes []*api.VolumeRequest
	ports   *fit.PortAsk

	distinctHosts jobOrGroup
	properties    []distinct

	classes map[string]string // reason by computed class, "" for suitable ones
	globs   map[string]bool   // datacenters
}

// jobOrGroup says among which allocations something must be unique.
type jobOrGroup uint8

const (
	amongNone jobOrGroup = iota
	amongGroup
	amongJob
)

// distinct bounds how many allocations share a value of a property.
type distinct struct {
	text   string
	target target
	limit  int
	among  jobOrGroup
}

func newChecker(job *api.Job, group *api.TaskGroup) *checker {
	c := &checker{job: job, group: group, classes: map[string]string{}, globs: map[string]bool{}, ports: fit.AskOf(group)}
	c.add(job.Constraints, amongJob)
	c.add(group.Constraints, amongGroup)
	for _, t := range group.Tasks {
		c.add(t.Constraints, amongGroup)
		c.drivers = append(c.drivers, t.Driver)
		if t.Resources != nil {
			c.devices = c.devices || len(t.Resources.Devices) > 0
		}
	}
	for _, v := range group.Volumes {
		c.volumes = append(c.volumes, v)
	}
	return c
}

func (c *checker) add(list []*api.Constraint, among jobOrGroup) {
	for _, k := range list {
		switch k.Operand {
		case api.OperandDistinctHosts:
			if off, err := strconv.ParseBool(k.RTarget); err == nil && !off {
				continue
			}
			c.distinctHosts = max(c.distinctHosts, among)
		case api.OperandDistinctProperty:
			d := distinct{text: k.String(), target: compileTarget(k.LTarget), limit: 1, among: among}
			if n, err := strconv.Atoi(k.RTarget); err == nil {
				d.limit = n
			}
			c.properties = append(c.properties, d)
		default:
			p := compile(k.LTarget, k.Operand, k.RTarget)
			if p.text = k.String(); p.escapes() {
				c.unique = append(c.unique, p)
			} else {
				c.shared = append(c.shared, p)
			}
		}
	}
}

// escapes reports whether nodes of one class may get different answers.
func (c *checker) escapes() bool { return len(c.unique) > 0 }

// plain reports whether all nodes of a class get the same answer.
func (c *checker) plain() bool { return len(c.unique) == 0 && c.ports.Empty() && len(c.volumes) == 0 }

// inScope reports whether the job looks at a node at all.
func (c *checker) inScope(n *api.Node) bool {
	return c.inPool(n) && c.inDatacenter(n)
}

func (c *checker) inPool(n *api.Node) bool {
	return c.job.NodePool == api.AllNodePools || poolName(n.NodePool) == poolName(c.job.NodePool)
}

func poolName(s string) string { return cmp.Or(s, api.DefaultNodePool) }

func (c *checker) inDatacenter(n *api.Node) bool {
	in, known := c.globs[n.Datacenter]
	if known {
		return in
	}
	for _, glob := range c.job.Datacenters {
		if ok, err := path.Match(glob, n.Datacenter); ok && err == nil || glob == "*" {
			in = true
			break
		}
	}
	c.globs[n.Datacenter] = in
	return in
}

// reject returns why a node can't run the group, or "".
func (c *checker) reject(n *api.Node) string {
	why := c.class(n)
	for i := 0; why == "" && i < len(c.unique); i++ {
		if !c.unique[i].match(n, c.job.Region) {
			why = c.unique[i].text
		}
	}
	if why == "" && !c.ports.Empty() {
		why = c.ports.Missing(n)
	}
	if why == "" && len(c.volumes) > 0 {
		why = c.volume(n)
	}
	return why
}

// class answers for all nodes of a node's class, once.
func (c *checker) class(n *api.Node) string {
	if n.ComputedClass == "" {
		return c.evaluate(n)
	}
	why, known := c.classes[n.ComputedClass]
	if !known {
		why = c.evaluate(n)
		c.classes[n.ComputedClass] = why
	}
	return why
}

func (c *checker) evaluate(n *api.Node) string {
	for _, p := range c.shared {
		if !p.match(n, c.job.Region) {
			return p.text
		}
	}
	for _, d := range c.drivers {
		if info := n.Drivers[d]; info == nil || !info.Detected || !info.Healthy {
			return missingDrivers
		}
	}
	if c.devices {
		return missingDevices
	}
	return ""
}

// volume answers for host volumes.
func (c *checker) volume(n *api.Node) string {
	for _, v := range c.volumes {
		if v.Type != "" && v.Type != "host" {
			return "missing " + v.Type + " volume " + v.Source
		}
		if have := n.HostVolumes[v.Source]; have == nil || have.ReadOnly && !v.ReadOnly {
			return missingVolumes
		}
	}
	return ""
}

package store

import "github.com/drover-org/drover/api"

// Forms of what only some placements have.
const (
	restNone  = iota
	restJSON  // a placementRest
	restPorts // networks of the group and their ports: most that have anything have these
)

// form returns the smallest form that holds r.
func (r *placementRest) form() uint64 {
	switch {
	case !r.any():
		return restNone
	case len(r.TaskNetwork)+len(r.TaskCores)+len(r.Devices)+len(r.Preempts) > 0 || r.Tracker != nil:
		return restJSON
	}
	for _, n := range r.Networks {
		if n.DNS != nil || n.CNI != nil {
			return restJSON
		}
	}
	return restPorts
}

func encodePorts(e *enc, networks []*api.NetworkResource, mappings []api.PortMapping) {
	e.list(len(networks), networks == nil)
	for _, n := range networks {
		e.record(func(e *enc) {
			e.str(n.Mode)
			e.str(n.Device)
			e.str(n.CIDR)
			e.str(n.IP)
			e.str(n.Hostname)
			e.bool(n.MBits != nil)
			if n.MBits != nil {
				e.int(int64(*n.MBits))
			}
			for _, ports := range [][]api.Port{n.ReservedPorts, n.DynamicPorts} {
				e.list(len(ports), ports == nil)
				for _, p := range ports {
					e.str(p.Label)
					e.int(int64(p.Value))
					e.int(int64(p.To))
					e.str(p.HostNetwork)
					e.bool(p.IgnoreCollision)
				}
			}
		})
	}
	e.list(len(mappings), mappings == nil)
	for _, m := range mappings {
		e.str(m.Label)
		e.int(int64(m.Value))
		e.int(int64(m.To))
		e.str(m.HostIP)
		e.bool(m.IgnoreCollision)
	}
}

// onePort is what a placement with one dynamic port needs, in one piece of
// memory: most that have ports have one.
type onePort struct {
	network  api.NetworkResource
	networks [1]*api.NetworkResource
	ports    [1]api.Port
	mappings [1]api.PortMapping
}

func decodePorts(d *dec) (networks []*api.NetworkResource, mappings []api.PortMapping) {
	var one *onePort
	if n, null := d.list(); n == 1 {
		one = &onePort{}
		one.networks[0] = &one.network
		networks = one.networks[:]
	} else if !null {
		networks = make([]*api.NetworkResource, n)
		for i := range networks {
			networks[i] = &api.NetworkResource{}
		}
	}
	for _, n := range networks {
		d.record(func(d *dec) {
			n.Mode, n.Device, n.CIDR, n.IP, n.Hostname = intern(d.str()), intern(d.str()), intern(d.str()), intern(d.str()), intern(d.str())
			if d.bool() {
				n.MBits = new(int(d.int()))
			}
			n.ReservedPorts = decodePortList(d, nil)
			n.DynamicPorts = decodePortList(d, one)
		})
	}
	switch n, null := d.list(); {
	case one != nil && n == 1:
		mappings = one.mappings[:]
	case !null:
		mappings = make([]api.PortMapping, n)
	}
	for i := range mappings {
		m := &mappings[i]
		m.Label, m.Value, m.To, m.HostIP, m.IgnoreCollision = intern(d.str()), int(d.int()), int(d.int()), intern(d.str()), d.bool()
	}
	return networks, mappings
}

func decodePortList(d *dec, one *onePort) (ports []api.Port) {
	switch n, null := d.list(); {
	case one != nil && n == 1:
		ports = one.ports[:]
	case !null:
		ports = make([]api.Port, n)
	}
	for i := range ports {
		p := &ports[i]
		p.Label, p.Value, p.To, p.HostNetwork, p.IgnoreCollision = intern(d.str()), int(d.int()), int(d.int()), intern(d.str()), d.bool()
	}
	return ports
}

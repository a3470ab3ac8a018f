package store

import "github.com/drover-org/drover/api"

// The compact forms of what there is most of in the log: reports of nodes and
// placements.

func (c *UpdateAllocs) encode(e *enc) {
	e.int(c.Now)
	e.id(c.NodeID)
	e.json(c.Evals)
	e.uint(uint64(len(c.Updates)))
	for _, u := range c.Updates {
		e.record(func(e *enc) {
			e.id(u.ID)
			e.str(u.ClientStatus)
			e.str(u.ClientDescription)
			encodeStates(e, u.TaskStates)
			encodeTri(e, u.DeploymentHealthy)
			e.time(u.HealthTimestamp)
			e.bool(u.NetworkStatus != nil)
			if u.NetworkStatus != nil {
				e.json(u.NetworkStatus)
			}
			e.bool(len(u.Services) > 0)
			if len(u.Services) > 0 {
				e.json(u.Services)
			}
		})
	}
}

func (c *UpdateAllocs) decode(d *dec) {
	c.Now, c.NodeID = d.int(), d.id()
	d.json(&c.Evals)
	c.Updates = make([]*api.AllocUpdate, d.count())
	for i := range c.Updates {
		u := &api.AllocUpdate{}
		c.Updates[i] = u
		d.record(func(d *dec) {
			u.ID = d.id()
			u.ClientStatus, u.ClientDescription = intern(d.str()), intern(d.str())
			u.TaskStates = decodeStates(d)
			u.DeploymentHealthy = decodeTri(d)
			u.HealthTimestamp = d.time()
			if d.bool() {
				u.NetworkStatus = &api.AllocNetworkStatus{}
				d.json(u.NetworkStatus)
			}
			if d.bool() {
				d.json(&u.Services)
			}
		})
	}
}

// encodeTri writes a *bool: 0 nil, 1 false, 2 true.
func encodeTri(e *enc, b *bool) {
	switch {
	case b == nil:
		e.uint(0)
	case *b:
		e.uint(2)
	default:
		e.uint(1)
	}
}

func decodeTri(d *dec) *bool {
	switch d.uint() {
	case 1:
		return new(false)
	case 2:
		return new(true)
	}
	return nil
}

func encodeStates(e *enc, states map[string]*api.TaskState) {
	if states == nil {
		e.uint(0)
		return
	}
	e.uint(uint64(len(states)) + 1)
	for name, s := range states {
		e.str(name)
		e.record(func(e *enc) {
			e.str(s.State)
			e.bool(s.Failed)
			e.uint(s.Restarts)
			e.time(s.LastRestart)
			e.time(s.StartedAt)
			e.time(s.FinishedAt)
			e.str(s.Paused)
			e.bool(s.Events == nil)
			e.uint(uint64(len(s.Events)))
			for _, ev := range s.Events {
				e.record(func(e *enc) {
					e.str(ev.Type)
					e.int(ev.Time)
					e.str(ev.Message)
					e.strMap(ev.Details)
				})
			}
		})
	}
}

// stateAndEvents has room for the events of a task that was started and goes
// on.
type stateAndEvents struct {
	state  api.TaskState
	list   [3]*api.TaskEvent
	events [3]api.TaskEvent
}

func decodeStates(d *dec) map[string]*api.TaskState {
	n := d.uint()
	if n == 0 {
		return nil
	}
	states := make(map[string]*api.TaskState, min(n-1, 64))
	for i := uint64(0); i < n-1 && d.err == nil; i++ {
		whole := &stateAndEvents{} // in one piece of memory
		s := &whole.state
		states[intern(d.str())] = s
		d.record(func(d *dec) {
			s.State = intern(d.str())
			s.Failed, s.Restarts = d.bool(), d.uint()
			s.LastRestart, s.StartedAt, s.FinishedAt = d.time(), d.time(), d.time()
			s.Paused = d.str()
			null := d.bool()
			if n := d.count(); !null && n <= len(whole.events) {
				s.Events = whole.list[:n:n]
			} else if !null {
				s.Events = make([]*api.TaskEvent, n)
			}
			for i := range s.Events {
				ev := &api.TaskEvent{}
				if i < len(whole.events) {
					ev = &whole.events[i]
				}
				s.Events[i] = ev
				d.record(func(d *dec) {
					ev.Type, ev.Time, ev.Message, ev.Details = intern(d.str()), d.int(), intern(d.str()), details.decode(d)
				})
			}
		})
	}
	return states
}

func (c *ApplyPlan) encode(e *enc) {
	p := c.Plan
	e.int(c.Now)
	e.record(func(e *enc) {
		e.id(p.EvalID)
		e.bool(p.Job != nil)
		if p.Job != nil { // a reference: the version is in the store
			e.str(p.Job.Namespace)
			e.str(p.Job.ID)
			e.uint(p.Job.Version)
			e.uint(p.Job.CreateIndex)
		}
		e.json(p.Stops)
		e.json(p.Followups)
		e.uint(uint64(len(p.InPlace)))
		for _, id := range p.InPlace {
			e.id(id)
		}
		e.json(p.Deployment)
		e.json(p.DeploymentUpdates)
		e.json(p.Eval)
		e.json(p.Evals)
		nodes := newNodeTable(p.Placements)
		nodes.encode(e)
		e.uint(uint64(len(p.Placements)))
		for _, g := range p.Placements {
			e.record(func(e *enc) { encodeGroup(e, g, nodes) })
		}
	})
}

func (c *ApplyPlan) decode(d *dec) {
	p := &api.Plan{}
	c.Now, c.Plan = d.int(), p
	d.record(func(d *dec) {
		p.EvalID = d.id()
		if d.bool() {
			p.Job = &api.Job{Namespace: d.str(), ID: d.str(), Version: d.uint(), CreateIndex: d.uint()}
		}
		d.json(&p.Stops)
		d.json(&p.Followups)
		if n := d.count(); n > 0 {
			p.InPlace = make([]string, n)
			for i := range p.InPlace {
				p.InPlace[i] = d.id()
			}
		}
		d.json(&p.Deployment)
		d.json(&p.DeploymentUpdates)
		d.json(&p.Eval)
		d.json(&p.Evals)
		nodes := decodeNodeTable(d)
		p.Placements = make([]*api.PlanGroup, d.count())
		for i := range p.Placements {
			g := &api.PlanGroup{}
			p.Placements[i] = g
			d.record(func(d *dec) { decodeGroup(d, g, nodes) })
		}
	})
}

// nodeTable numbers the nodes of a plan, so that placements and scores refer
// to them by a small number.
type nodeTable struct {
	ids, names []string
	number     map[string]uint64
}

func newNodeTable(groups []*api.PlanGroup) *nodeTable {
	t := &nodeTable{number: map[string]uint64{}}
	for _, g := range groups {
		for _, p := range g.Allocs {
			t.add(p.NodeID, p.NodeName)
			for _, s := range p.Scores {
				t.add(s.NodeID, "")
			}
		}
	}
	return t
}

func (t *nodeTable) add(id, name string) {
	n, ok := t.number[id]
	if !ok {
		n = uint64(len(t.ids))
		t.number[id] = n
		t.ids, t.names = append(t.ids, id), append(t.names, name)
	}
	if name != "" {
		t.names[n] = name
	}
}

func (t *nodeTable) encode(e *enc) {
	e.uint(uint64(len(t.ids)))
	for i, id := range t.ids {
		e.id(id)
		e.str(t.names[i])
	}
}

func decodeNodeTable(d *dec) *nodeTable {
	t := &nodeTable{}
	for range d.count() {
		t.ids, t.names = append(t.ids, intern(d.id())), append(t.names, intern(d.str()))
	}
	return t
}

func (t *nodeTable) at(d *dec) (id, name string) {
	n := d.uint()
	if n >= uint64(len(t.ids)) {
		d.fail()
		return "", ""
	}
	return t.ids[n], t.names[n]
}

func encodeGroup(e *enc, g *api.PlanGroup, nodes *nodeTable) {
	e.str(g.TaskGroup)
	e.id(g.DeploymentID)
	e.json(g.Resources)
	e.json(g.Metrics)
	e.uint(uint64(len(g.Allocs)))
	for _, p := range g.Allocs {
		e.record(func(e *enc) {
			e.id(p.ID)
			e.uint(uint64(p.Index))
			e.uint(nodes.number[p.NodeID])
			e.id(p.Previous)
			e.bool(p.Canary)
			e.uint(uint64(len(p.Scores)))
			for _, s := range p.Scores {
				encodeScore(e, s, nodes)
			}
			rest := placementRest{p.Networks, p.Ports, p.TaskNetwork, p.TaskCores, p.Devices, p.Tracker, p.Preempts}
			form := rest.form()
			e.uint(form)
			switch form {
			case restJSON:
				e.json(&rest)
			case restPorts:
				encodePorts(e, rest.Networks, rest.Ports)
			}
		})
	}
}

func decodeGroup(d *dec, g *api.PlanGroup, nodes *nodeTable) {
	g.TaskGroup, g.DeploymentID = d.str(), d.id()
	d.json(&g.Resources)
	d.json(&g.Metrics)
	g.Allocs = make([]*api.Placement, d.count())
	var scores scoreCache
	for i := range g.Allocs {
		p := &api.Placement{}
		g.Allocs[i] = p
		d.record(func(d *dec) {
			p.ID, p.Index = d.id(), int(d.uint())
			p.NodeID, p.NodeName = nodes.at(d)
			p.Previous, p.Canary = d.id(), d.bool()
			p.Scores = make([]*api.NodeScoreMeta, d.count())
			for i := range p.Scores {
				p.Scores[i] = scores.decode(d, func(d *dec) string { id, _ := nodes.at(d); return id })
			}
			switch d.uint() {
			case restNone:
			case restJSON:
				var r placementRest
				d.json(&r)
				p.Networks, p.Ports, p.TaskNetwork, p.TaskCores = r.Networks, r.Ports, r.TaskNetwork, r.TaskCores
				p.Devices, p.Tracker, p.Preempts = r.Devices, r.Tracker, r.Preempts
			case restPorts:
				p.Networks, p.Ports = decodePorts(d)
			default:
				d.fail()
			}
		})
	}
}

// placementRest is what few placements have.
type placementRest struct {
	Networks    []*api.NetworkResource            `json:",omitempty"`
	Ports       []api.PortMapping                 `json:",omitempty"`
	TaskNetwork map[string][]*api.NetworkResource `json:",omitempty"`
	TaskCores   map[string][]uint16               `json:",omitempty"`
	Devices     map[string][]*api.AllocatedDevice `json:",omitempty"`
	Tracker     *api.RescheduleTracker            `json:",omitempty"`
	Preempts    []string                          `json:",omitempty"`
}

func (r *placementRest) any() bool {
	return len(r.Networks)+len(r.Ports)+len(r.TaskNetwork)+len(r.TaskCores)+len(r.Devices)+len(r.Preempts) > 0 || r.Tracker != nil
}

func encodeScore(e *enc, s *api.NodeScoreMeta, nodes *nodeTable) {
	e.uint(nodes.number[s.NodeID])
	e.uint(uint64(s.Scores.Has))
	for _, v := range s.Scores.Values {
		e.float(v)
	}
	e.float(s.NormScore)
}

package voters

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover-org/drover/api"
)

// Member is a server as it tells of itself.
type Member struct {
	ID, Name, Address string // the rpc address
	Alive             bool
	Expect            int    // servers that form the region, as configured there
	Hello             *Hello // what it answered itself; nil: it was not reached
}

// Hello is what a server answers over its rpc port.
type Hello struct {
	ID     string
	Name   string
	Region string
	Key    []byte // public part of its server key
	Formed bool   // it belongs to a log
}

// change is one change of the log's servers: exactly one member is set.
type change struct {
	add    *Member
	remove string // ID
}

// decide returns the next change of the servers of a log, nil when they are as
// they should be, and what an operator should know. departed says who left.
func decide(self string, servers []*api.RaftServer, members []Member, departed func(id string) bool) (todo *change, warnings []string) {
	for _, s := range servers {
		if s.ID != self && departed(s.ID) && !slices.ContainsFunc(members, func(m Member) bool { return m.ID == s.ID && m.Alive }) {
			return &change{remove: s.ID}, nil
		}
	}
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for i := range sorted {
		m := &sorted[i]
		if m.ID == self || !m.Alive || m.Hello == nil {
			continue
		}
		known := slices.IndexFunc(servers, func(s *api.RaftServer) bool { return s.ID == m.ID })
		switch {
		case m.Hello.ID != m.ID:
			warnings = append(warnings, fmt.Sprintf("the server at %s is not %s as gossip says but %s", m.Address, m.ID, m.Hello.ID))
		case known >= 0 && servers[known].Address == m.Address && servers[known].Voter:
		case known < 0 && m.Hello.Formed:
			warnings = append(warnings, fmt.Sprintf("server %s at %s keeps a log of its own and can't join this one: stop it, and remove its data_dir if nothing in it is needed", m.Name, m.Address))
		default:
			// A server that lost its disk comes back at its address as another.
			if old := slices.IndexFunc(servers, func(s *api.RaftServer) bool { return s.Address == m.Address && s.ID != m.ID }); old >= 0 {
				return &change{remove: servers[old].ID}, warnings
			}
			return &change{add: m}, warnings
		}
	}
	return nil, warnings
}

// form returns the servers to form a log with, by ID, or why not yet.
func form(self string, expect int, members []Member) (servers []Member, why string) {
	for _, m := range members {
		switch {
		case !m.Alive:
			continue
		case m.Hello == nil:
			return nil, fmt.Sprintf("server %s at %s does not answer", m.Name, m.Address)
		case m.Hello.Formed:
			return nil, fmt.Sprintf("server %s belongs to a log, whose leader will add this one", m.Name)
		case m.Expect != expect:
			return nil, fmt.Sprintf("server %s expects %d servers, this one %d: make them equal", m.Name, m.Expect, expect)
		}
		servers = append(servers, m)
	}
	if len(servers) != expect {
		return nil, fmt.Sprintf("%d of %d servers are there", len(servers), expect)
	}
	slices.SortFunc(servers, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	if servers[0].ID != self {
		return nil, fmt.Sprintf("server %s forms it", servers[0].Name)
	}
	return servers, ""
}

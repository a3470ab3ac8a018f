package server

import (
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

func TestRegionHealth(t *testing.T) {
	server := func(id string, leads, votes bool) *api.RaftServer {
		return &api.RaftServer{ID: id, Node: id, Address: id + ":4647", Leader: leads, Voter: votes}
	}
	member := func(id, status string) *api.AgentMember {
		return &api.AgentMember{Name: id + ".global", Status: status, Tags: map[string]string{"id": id, "build": "1.0"}}
	}
	alive := []*api.AgentMember{member("a", "alive"), member("b", "alive"), member("c", "alive")}
	three := []*api.RaftServer{server("a", true, true), server("b", false, true), server("c", false, true)}
	for name, c := range map[string]struct {
		servers   []*api.RaftServer
		members   []*api.AgentMember
		own       ownHealth
		led       bool
		healthy   bool
		tolerance int
		leader    string
	}{
		"one":              {three[:1], alive[:1], ownHealth{id: "a"}, true, true, 0, "a"},
		"three":            {three, alive, ownHealth{id: "a"}, true, true, 1, "a"},
		"no leader":        {three, alive, ownHealth{id: "a"}, false, false, 0, ""},
		"one failed":       {three, []*api.AgentMember{alive[0], alive[1], member("c", "failed")}, ownHealth{id: "a"}, true, false, 0, "a"},
		"one is not known": {three, alive[:2], ownHealth{id: "a"}, true, false, 0, "a"},
		"out of touch":     {three, alive, ownHealth{id: "b", contact: time.Second}, true, false, 0, "a"},
		"in touch":         {three, alive, ownHealth{id: "b", contact: 50 * time.Millisecond}, true, true, 1, "a"},
		"nothing votes":    {[]*api.RaftServer{server("a", false, false)}, alive, ownHealth{id: "a"}, true, true, 0, ""},
		"nobody":           {nil, alive, ownHealth{}, false, false, 0, ""},
	} {
		got := regionHealth(c.servers, c.members, c.own, c.led)
		if got.Healthy != c.healthy || got.FailureTolerance != c.tolerance || got.Leader != c.leader || len(got.Servers) != len(c.servers) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	at := api.LogPosition{Term: 3, Index: 77, Since: time.Unix(1000, 0)}
	got := regionHealth(three, alive, ownHealth{id: "a", at: at}, true)
	if a, b := got.Servers[0], got.Servers[1]; a.Name != "a.global" || a.Version != "1.0" || a.LastIndex != 77 || !a.StableSince.Equal(at.Since) || b.LastIndex != 0 {
		t.Errorf("%+v", got.Servers)
	}
}

package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Whatever a placement has comes out of the log as it went in.
func TestPlacementsInTheLog(t *testing.T) {
	port := func(p *api.Placement) *api.Placement { givePort(p, 20_001); return p }
	two := port(&api.Placement{})
	two.Networks = append(two.Networks, &api.NetworkResource{Mode: "bridge", CIDR: "10.0.0.0/8", Hostname: "h", MBits: new(10), ReservedPorts: []api.Port{{Label: "a", Value: 80, To: -1, IgnoreCollision: true}, {Label: "b", Value: 81}}})
	two.Networks[0].DynamicPorts = append(two.Networks[0].DynamicPorts, api.Port{Label: "x", Value: 9})
	two.Ports = append(two.Ports, api.PortMapping{Label: "a", Value: 80, To: 8080, IgnoreCollision: true})
	dns := port(&api.Placement{})
	dns.Networks[0].DNS = &api.DNSConfig{Servers: []string{"1.1.1.1"}}
	preempts := port(&api.Placement{Preempts: []string{api.NewID()}})
	none := port(&api.Placement{})
	none.Networks[0].DynamicPorts = []api.Port{}
	portless := port(&api.Placement{})
	portless.Ports = nil
	placements := []*api.Placement{{}, port(&api.Placement{}), two, dns, preempts, none, portless}
	for i, p := range placements {
		p.ID, p.Index, p.NodeID, p.NodeName, p.Scores = api.NewID(), i, api.NewID(), "n", []*api.NodeScoreMeta{}
	}
	b, err := store.EncodeCommand(&store.ApplyPlan{Plan: &api.Plan{Placements: []*api.PlanGroup{{TaskGroup: "g", Allocs: placements}}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := store.DecodeCommand(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(placements, c.(*store.ApplyPlan).Plan.Placements[0].Allocs); diff != "" {
		t.Error(diff)
	}
}

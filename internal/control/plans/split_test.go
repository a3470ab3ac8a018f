package plans

import (
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"pgregory.net/rapid"
)

// Parts keep the order, lose nothing, hold one job version each, fit an entry,
// and only the last one has the outcome.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		current, old := &api.Job{ID: "j", Version: 2}, &api.Job{ID: "j", Version: 1}
		p := &api.Plan{EvalID: api.NewID(), Job: current, Eval: &api.Evaluation{ID: api.NewID()}, Deployment: &api.Deployment{ID: api.NewID()}}
		for range rapid.IntRange(0, 3000).Draw(t, "stops") {
			p.Stops = append(p.Stops, &api.PlanStop{ID: api.NewID(), DesiredStatus: "stop", Description: api.AllocNotNeeded})
		}
		for range rapid.IntRange(0, 20000).Draw(t, "in place") {
			p.InPlace = append(p.InPlace, "id")
		}
		var want, got []*api.Placement
		for range rapid.IntRange(0, 4).Draw(t, "groups") {
			g := &api.PlanGroup{TaskGroup: "web"}
			if rapid.Bool().Draw(t, "old version") {
				g.Job = old
			}
			ports := rapid.IntRange(0, 3).Draw(t, "ports")
			for range rapid.IntRange(1, 3000).Draw(t, "placements") {
				pl := &api.Placement{ID: api.NewID(), NodeID: api.NewID()}
				for i := range 5 {
					s := &api.NodeScoreMeta{NodeID: api.NewID(), NormScore: 0.5}
					if s.Scores.Set(api.ScoreBinPack, 0.5); i > 2 {
						s.Scores.Set(api.ScoreAntiAff, -0.5)
					}
					pl.Scores = append(pl.Scores, s)
				}
				for range ports {
					pl.Ports = append(pl.Ports, api.PortMapping{Label: "http", Value: 20000, HostIP: "192.168.100.100"})
					pl.Networks = []*api.NetworkResource{{Mode: "host", IP: "192.168.100.100"}}
				}
				g.Allocs, want = append(g.Allocs, pl), append(want, pl)
			}
			p.Placements = append(p.Placements, g)
		}
		parts := split(p)
		stops, inPlace := 0, 0
		for i, part := range parts {
			stops, inPlace = stops+len(part.Stops), inPlace+len(part.InPlace)
			if last := i == len(parts)-1; (part.Eval != nil) != last || (part.Deployment != nil) != (i == 0) {
				t.Fatalf("part %d of %d: eval %v, deployment %v", i, len(parts), part.Eval, part.Deployment)
			}
			if len(part.Stops) > 0 && len(got) > 0 {
				t.Fatal("a stop after a placement")
			}
			for _, g := range part.Placements {
				if g.Job != nil {
					t.Fatal("a group with a version of its own")
				}
				got = append(got, g.Allocs...)
			}
			if b, err := store.EncodeCommand(&store.ApplyPlan{Plan: part}); err != nil || len(b) > 256<<10 {
				t.Fatalf("part %d: %d bytes, %v", i, len(b), err)
			}
		}
		if stops != len(p.Stops) || inPlace != len(p.InPlace) || len(got) != len(want) {
			t.Fatal("something is missing")
		}
		n := 0
		for _, part := range parts {
			for _, g := range part.Placements {
				for _, pl := range g.Allocs {
					if pl != want[n] {
						t.Fatal("the order changed")
					}
					n++
				}
			}
		}
	})
}

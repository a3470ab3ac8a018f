package sched_test

import (
	"math"
	"testing"

	"github.com/drover-org/drover/api"
)

// Spread blocks that checks would have refused, and some that they allow,
// break neither the decision nor its scores.
func TestHostileSpreads(t *testing.T) {
	weight := func(w int8) *int8 { return &w }
	target := func(value string, percent uint8) *api.SpreadTarget {
		return &api.SpreadTarget{Value: value, Percent: percent}
	}
	for name, spreads := range map[string][]*api.Spread{
		"nothing in it":       {{}},
		"no attribute":        {{Attribute: "", Weight: weight(100)}},
		"unknown attribute":   {{Attribute: "${meta.absent}", Weight: weight(50)}},
		"not closed":          {{Attribute: "${node.datacenter", Weight: weight(50)}},
		"no weight":           {{Attribute: "${node.datacenter}", Weight: weight(0)}},
		"negative weight":     {{Attribute: "${node.datacenter}", Weight: weight(-128)}},
		"no weight at all":    {{Attribute: "${node.datacenter}"}},
		"no percents":         {{Attribute: "${node.datacenter}", Weight: weight(50), SpreadTarget: []*api.SpreadTarget{target("dc1", 0), target("dc2", 0)}}},
		"too many percents":   {{Attribute: "${node.datacenter}", Weight: weight(50), SpreadTarget: []*api.SpreadTarget{target("dc1", 255), target("dc2", 255)}}},
		"the same twice":      {{Attribute: "${node.datacenter}", Weight: weight(50), SpreadTarget: []*api.SpreadTarget{target("dc1", 50), target("dc1", 50)}}},
		"a target of nothing": {{Attribute: "${node.datacenter}", Weight: weight(50), SpreadTarget: []*api.SpreadTarget{target("", 100)}}},
		"all there is":        {{Attribute: "${node.unique.id}", Weight: weight(100)}, {Attribute: "${node.unique.id}", Weight: weight(-100)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.nodes(3)
			for _, count := range []int{5, 1, 7} { // new, fewer, more
				j := job("a", "service", count)
				j.Spreads, j.TaskGroups[0].Spreads = spreads, spreads
				for _, p := range placed(w.run(w.register(j))) {
					for _, s := range p.Scores {
						if math.IsNaN(s.NormScore) || math.IsInf(s.NormScore, 0) {
							t.Errorf("score %v", s.NormScore)
						}
					}
				}
				if n := len(w.live("a")); n != count {
					t.Errorf("%d of %d are placed", n, count)
				}
			}
		})
	}
}

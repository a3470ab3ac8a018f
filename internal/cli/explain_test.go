package cli

import (
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

func TestExplainSaysWhatIsMissingWhere(t *testing.T) {
	for name, c := range map[string]struct {
		metric api.AllocMetric
		want   string
	}{
		"no node in the pool": {api.AllocMetric{NodePool: "gpu"}, `Group "g": no place for 1 allocation: node pool "gpu" has no node that is ready`},
		"no node in the datacenter": {
			api.AllocMetric{NodesInPool: 2, NodePool: "default", NodesAvailable: map[string]int{"dc1": 0}, CoalescedFailures: 2},
			`Group "g": no place for 3 allocations: no node is ready in datacenter dc1 (0 ready)`,
		},
		"everything": {
			api.AllocMetric{
				NodesEvaluated: 9, NodesInPool: 9, NodesAvailable: map[string]int{"b": 4, "a": 5}, NodesFiltered: 4, NodesExhausted: 5,
				ConstraintFiltered: map[string]int{"${meta.rack} = r1": 1, "missing drivers": 3}, ClassFiltered: map[string]int{"big": 4},
				DimensionExhausted: map[string]int{"cpu": 1, "memory": 2, "network: port collision": 1, "allocs": 1},
			},
			`Group "g": no place for 1 allocation on 9 nodes in datacenter a (5 ready), b (4 ready)
  3 nodes lack the drivers that the group needs
  1 node does not meet the constraint "${meta.rack} = r1"
  2 nodes have not enough memory left
  1 node has as many allocations as allowed
  1 node has not enough cpu left
  1 node has a port that the group needs already in use (port collision)`,
		},
	} {
		if got := strings.Join(explain("g", &c.metric), "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

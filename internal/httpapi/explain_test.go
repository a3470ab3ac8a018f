package httpapi_test

import (
	"testing"

	"github.com/drover-org/drover/api"
)

// Explanations tell about nodes only to those who may read nodes, and about a
// hidden object what they tell about a missing one.
func TestExplainPlacement(t *testing.T) {
	w := newWorld(t)
	reg := w.run("team/web", 1)
	id := w.place("team/web", reg.EvalID, 1)[0]

	var x api.Explanation
	w.get("/v1/allocation/"+id+"/explain", &x)
	if x.AllocID != id || x.NodesTotal == 0 || len(x.Nodes) == 0 || x.Recorded == nil || !x.Nodes[0].Chosen {
		t.Errorf("%+v", x)
	}
	var j api.JobExplanation
	w.get("/v1/job/team%2Fweb/explain?group=cache&all=true", &j)
	if len(j.Groups) != 1 || j.Groups[0].TaskGroup != "cache" {
		t.Errorf("%+v", j)
	}

	w.deny = map[api.Capability]bool{api.CapNodeRead: true}
	x = api.Explanation{}
	w.get("/v1/allocation/"+id+"/explain?all=true", &x)
	if !x.NodesHidden || x.Nodes != nil || x.NodesOmitted != x.NodesTotal || x.NodesTotal == 0 {
		t.Errorf("without the right to read nodes: %+v", x)
	}
	w.deny = nil
	for target, want := range map[string]int{
		"/v1/allocation/" + noID + "/explain": 404, "/v1/allocation/nope/explain": 400, "/v1/job/none/explain": 404,
		"/v1/job/team%2Fweb/explain?group=none": 400, "/v1/allocation/" + id + "/explain?all=maybe": 400,
	} {
		if status, body, _ := w.call("GET", target, ""); status != want {
			t.Errorf("%s: %d %s, want %d", target, status, body, want)
		}
	}
}

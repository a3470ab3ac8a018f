package store_test

import (
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

func (w *world) pools(from string, reverse bool) string {
	var out []string
	for p := range w.Store.Snapshot().NodePools(from, reverse) {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

func TestNodePoolsLiveAndDie(t *testing.T) {
	w := newWorld(t)
	refused := func(cmd store.Command, code api.Code, parts ...string) {
		t.Helper()
		_, err := w.Propose(t.Context(), cmd)
		if api.ErrorCode(err) != code {
			t.Errorf("%T: %v, want %s", cmd, err, code)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%T: %v does not say %q", cmd, err, p)
			}
		}
	}
	del := func(name string) *store.DeleteNodePools { return &store.DeleteNodePools{Names: []string{name}} }

	w.do(&store.UpsertNodePools{Pools: []*api.NodePool{{Name: "gpu"}, {Name: "arm"}}})
	if got := w.pools("", false) + "|" + w.pools("b", false) + "|" + w.pools("", true); got != "all arm default gpu|default gpu|gpu default arm all" {
		t.Error(got)
	}
	before := w.Store.Snapshot().NodePool("gpu")
	w.do(&store.UpsertNodePools{Pools: []*api.NodePool{{Name: "gpu", CreateIndex: 3}}})
	if got := w.Store.Snapshot().NodePool("gpu"); got != before {
		t.Errorf("what says nothing new changed %+v to %+v", before, got)
	}
	if w.Store.Snapshot().NodePool("").Name != api.DefaultNodePool {
		t.Error("no name is not the default pool's")
	}
	refused(&store.UpsertNodePools{Pools: []*api.NodePool{{Name: "x"}, {Name: "default"}}}, api.CodeInvalid, "built in")
	refused(del("all"), api.CodeInvalid, "built in")
	refused(del("x"), api.CodeNotFound)
	refused(del(""), api.CodeNotFound)

	// A node makes its pool, and the pool outlives it.
	n := testNode()
	n.NodePool = "edge"
	w.do(&store.RegisterNode{Node: n, Now: now})
	if p := w.Store.Snapshot().NodePool("edge"); p == nil || p.CreateIndex != w.Store.Snapshot().Index() {
		t.Fatalf("the node's pool is %+v", p)
	}
	refused(del("edge"), api.CodeConflict, `"edge" has nodes`, n.Name)

	// A job needs its pool, and keeps it until it is dead.
	job := testJob("web")
	job.NodePool = "nosuch"
	refused(&store.RegisterJob{Job: job, Now: now}, api.CodeInvalid, `no node pool "nosuch"`)
	job.NodePool = "gpu"
	w.do(&store.RegisterJob{Job: job, Eval: testEval(job), Now: now})
	refused(del("gpu"), api.CodeConflict, "non-terminal jobs", "default/web")
	w.do(&store.DeregisterJob{Namespace: "default", JobID: "web", Purge: true, Now: now})
	w.do(&store.DeleteNode{NodeID: n.ID, Now: now})
	w.do(del("gpu"))
	if got := w.pools("", false); got != "all arm default edge" {
		t.Error(got)
	}
}

package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// follower reads one thing again and again, always from the index it got last.
type follower struct {
	target string
	token  string
	mu     sync.Mutex
	index  uint64
	status int
	body   string
	reads  int
	fault  string
}

// follow reads until ctx ends, or something is wrong.
func (w *world) follow(ctx context.Context, target, token string) *follower {
	f := &follower{target: target, token: token}
	go func() {
		for ctx.Err() == nil && f.read(ctx, w.h) {
		}
	}()
	return f
}

func (f *follower) read(ctx context.Context, h http.Handler) (ok bool) {
	f.mu.Lock()
	after := f.index
	f.mu.Unlock()
	rec := request(ctx, h, withIndex(f.target, after), f.token)
	index, err := strconv.ParseUint(rec.Header().Get("X-Nomad-Index"), 10, 64)
	if ctx.Err() != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || rec.Code != 200 && rec.Code != 404 {
		f.fault = fmt.Sprintf("after %d: %d %.200s", after, rec.Code, rec.Body)
	} else if index <= after {
		f.fault = fmt.Sprintf("the index went from %d to %d", after, index)
	}
	f.index, f.status, f.body = index, rec.Code, rec.Body.String()
	f.reads++
	return f.fault == ""
}

// state returns what the follower has seen last; it must be waiting.
func (f *follower) state() (reads int, index uint64) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads, f.index
}

func request(ctx context.Context, h http.Handler, target, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", strings.ReplaceAll(target, " ", "+"), nil).WithContext(ctx)
	r.Host = "localhost"
	r.Header.Set("X-Nomad-Token", token)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func withIndex(target string, index uint64) string {
	if index == 0 {
		return target
	}
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	return target + sep + "index=" + strconv.FormatUint(index, 10)
}

// churn makes random changes of everything that can be read. It is one
// writer; several work on the same world.
type churn struct {
	w    *world
	rng  *rand.Rand
	name string
	ids  int
	// What it may change; nil: nothing of that kind.
	namespaces, jobs, nodes []string
	allocs, evals, deploys  []string
}

// id returns an ID of this writer's own; the first are known beforehand.
func (c *churn) id() string {
	c.ids++
	return churnID(c.name, c.ids)
}

func churnID(writer string, n int) string {
	return fmt.Sprintf("%02x%06x-cccc-4000-8000-%012x", writer[0], n, n)
}

func pick(r *rand.Rand, from []string) string {
	if len(from) == 0 {
		return noID
	}
	return from[r.IntN(len(from))]
}

// apply proposes a command; a refusal is as good as an approval.
func (c *churn) apply(cmd store.Command) { _, _ = c.w.log.Propose(context.Background(), cmd) }

func (c *churn) step() {
	now := start.UnixNano()
	ns, job, node := pick(c.rng, c.namespaces), pick(c.rng, c.jobs), pick(c.rng, c.nodes)
	eval := func(id string) *api.Evaluation {
		return &api.Evaluation{ID: id, Namespace: ns, JobID: job, Type: "service", Priority: 50, TriggeredBy: api.EvalTriggerJobRegister,
			Status: []string{api.EvalStatusPending, api.EvalStatusComplete, api.EvalStatusBlocked}[c.rng.IntN(3)]}
	}
	status := func() string {
		return []string{api.AllocClientPending, api.AllocClientRunning, api.AllocClientComplete, api.AllocClientFailed}[c.rng.IntN(4)]
	}
	switch c.rng.IntN(17) {
	case 0, 1:
		j := churnJob(ns, job, c.rng.IntN(5))
		id := c.id()
		c.evals = append(c.evals, id)
		c.apply(&store.RegisterJob{Job: j, Eval: eval(id), Now: now})
	case 2:
		c.apply(&store.DeregisterJob{Namespace: ns, JobID: job, Purge: c.rng.IntN(2) == 0, Now: now})
	case 3:
		n := c.rng.IntN(3)
		event := api.ScalingEvent{Message: "m" + strconv.Itoa(c.ids)}
		cmd := &store.ScaleJob{Namespace: ns, JobID: job, Group: "cache", Event: event, Now: now}
		if n > 0 {
			cmd.Count = &n
		}
		c.apply(cmd)
	case 4:
		c.apply(&store.MarkJobStable{Namespace: ns, JobID: job, Version: uint64(c.rng.IntN(3)), Stable: c.rng.IntN(2) == 0})
	case 5, 6, 7:
		j := c.w.store.Snapshot().Job(ns, job)
		if j == nil {
			return
		}
		plan := &api.Plan{EvalID: pick(c.rng, c.evals), Job: j, Placements: []*api.PlanGroup{{
			TaskGroup: "cache", Resources: &api.AllocatedResources{}, Metrics: &api.AllocMetric{NodesEvaluated: 1},
		}}}
		if c.rng.IntN(3) == 0 {
			plan.Deployment = &api.Deployment{ID: c.id(), Namespace: ns, JobID: job, JobCreateIndex: j.CreateIndex, JobVersion: j.Version,
				Status: api.DeploymentRunning, TaskGroups: map[string]*api.DeploymentState{"cache": {DesiredTotal: 1}}}
			c.deploys = append(c.deploys, plan.Deployment.ID)
		}
		for range c.rng.IntN(3) {
			id := c.id()
			c.allocs = append(c.allocs, id)
			plan.Placements[0].Allocs = append(plan.Placements[0].Allocs, &api.Placement{ID: id, NodeID: node, NodeName: "n"})
		}
		c.apply(&store.ApplyPlan{Plan: plan, Now: now})
	case 8, 9, 10:
		cmd := &store.UpdateAllocs{NodeID: node, Now: now}
		for range 1 + c.rng.IntN(3) {
			cmd.Updates = append(cmd.Updates, &api.AllocUpdate{ID: pick(c.rng, c.allocs), ClientStatus: status(), ClientDescription: "d" + strconv.Itoa(c.rng.IntN(9))})
		}
		c.apply(cmd)
	case 11:
		c.apply(&store.Reap{Allocs: []string{pick(c.rng, c.allocs)}, Evals: []string{pick(c.rng, c.evals)}, Deployments: []string{pick(c.rng, c.deploys)},
			Jobs: []api.NamespacedID{{Namespace: ns, ID: job}}})
	case 12:
		id := pick(c.rng, c.evals)
		if id == noID || c.rng.IntN(2) == 0 {
			id = c.id()
			c.evals = append(c.evals, id)
		}
		e := eval(id)
		if old := c.w.store.Snapshot().Eval(id); old != nil {
			e.Namespace, e.JobID = old.Namespace, old.JobID // which never change
		}
		c.apply(&store.UpsertEvals{Evals: []*api.Evaluation{e}, Now: now})
	case 13:
		d := pick(c.rng, c.deploys)
		s := []string{api.DeploymentRunning, api.DeploymentPaused, api.DeploymentFailed, api.DeploymentSuccessful}[c.rng.IntN(4)]
		version := uint64(0)
		c.apply(&store.UpdateDeployment{Update: api.DeploymentUpdate{DeploymentID: d, Status: s}, StableVersion: &version, Now: now})
	case 14:
		yes := true
		c.apply(&store.TransitionAllocs{Transitions: map[string]api.DesiredTransition{pick(c.rng, c.allocs): {Migrate: &yes}}, Now: now})
	case 15:
		if node == noID {
			return
		}
		switch c.rng.IntN(4) {
		case 0:
			n := testNode(node)
			n.Name = "n" + strconv.Itoa(c.rng.IntN(9))
			n.NodeResources.Networks = []*api.NetworkResource{{Device: "eth0", IP: "10.0.0." + strconv.Itoa(c.rng.IntN(9))}}
			n.NodePool = []string{"default", "batch"}[c.rng.IntN(2)]
			n.Status = api.NodeReady
			c.apply(&store.RegisterNode{Node: n, Now: now})
		case 1:
			c.apply(&store.UpdateNodeStatus{NodeID: node, Status: []string{api.NodeReady, api.NodeDown}[c.rng.IntN(2)], Now: now})
		case 2:
			c.apply(&store.UpdateNodeEligibility{NodeID: node, Eligibility: []string{api.NodeEligible, api.NodeIneligible}[c.rng.IntN(2)], Now: now})
		case 3:
			c.apply(&store.DeleteNode{NodeID: node, Now: now})
			c.apply(&store.DeleteNodePools{Names: []string{"batch"}})
		}
	case 16:
		name := "ns" + strconv.Itoa(c.rng.IntN(3))
		c.quota()
		if c.rng.IntN(2) == 0 {
			c.apply(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: name, Description: strconv.Itoa(c.rng.IntN(9))}}})
		} else {
			c.apply(&store.DeleteNamespaces{Names: []string{name}})
		}
	}
}

// quota changes what namespaces may use.
func (c *churn) quota() {
	name := "q" + strconv.Itoa(c.rng.IntN(3))
	switch c.rng.IntN(4) {
	case 0:
		c.apply(&store.DeleteQuota{Name: name})
	case 1:
		c.apply(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "other", Quota: name}}})
	default:
		q := &api.QuotaSpec{Name: name, Description: strconv.Itoa(c.rng.IntN(4)), Limits: []*api.QuotaLimit{{}}}
		q.Canonicalize("global")
		c.apply(&store.UpsertQuota{Quota: q})
	}
}

func churnJob(ns, id string, count int) *api.Job {
	return &api.Job{ID: id, Name: id, Namespace: ns, Type: "service", Priority: 50, Datacenters: []string{"dc1"}, NodePool: "default",
		TaskGroups: []*api.TaskGroup{{Name: "cache", Count: &count, Scaling: &api.ScalingPolicy{Max: ptr(int64(9)), Enabled: ptr(true)},
			Tasks: []*api.Task{{Name: "redis", Driver: "raw_exec"}}}}}
}

// everyRead is what can be waited for, of a world that a and b write to.
func everyRead() []string {
	out := []string{
		"/v1/allocations", "/v1/allocations?namespace=*", "/v1/allocations?namespace=other", "/v1/allocations?prefix=61", "/v1/allocations?per_page=2",
		`/v1/allocations?filter=ClientStatus == "running"`, "/v1/allocations?reverse=true&task_states=false", "/v1/allocations?resources=true",
		"/v1/evaluations", "/v1/evaluations?namespace=*", "/v1/evaluations?prefix=61", "/v1/evaluations?status=blocked&job=web", "/v1/evaluations/count",
		"/v1/jobs", "/v1/jobs?namespace=*", "/v1/jobs?namespace=other&prefix=w", "/v1/jobs/statuses", "/v1/jobs/statuses?namespace=*",
		"/v1/nodes", "/v1/nodes?prefix=fb", "/v1/node/pools", "/v1/node/pool/batch", "/v1/node/pool/batch/nodes", "/v1/node/pool/batch/jobs", "/v1/quotas", "/v1/quota-usages", "/v1/quota/q1", "/v1/quota/usage/q1", "/v1/node/pool/all/jobs?namespace=*",
		"/v1/deployments", "/v1/deployments?namespace=*", "/v1/namespaces", "/v1/namespace/ns1", "/v1/scaling/policies", "/v1/scaling/policies?namespace=*",
	}
	for _, job := range []string{"web", "db"} {
		out = append(out, "/v1/job/"+job)
		for _, verb := range strings.Fields("summary versions allocations evaluations deployments deployment scale allocations?all=true deployments?all=true") {
			out = append(out, "/v1/job/"+job+"/"+verb)
		}
	}
	for _, node := range []string{nodeID, otherID} {
		out = append(out, "/v1/node/"+node, "/v1/node/"+node+"/allocations")
	}
	for n := range 12 {
		for _, writer := range []string{"a", "b"} {
			id := churnID(writer, n+1) // the writers decide what it becomes
			out = append(out, "/v1/allocation/"+id, "/v1/evaluation/"+id, "/v1/deployment/"+id, "/v1/evaluation/"+id+"/allocations", "/v1/deployment/allocations/"+id)
		}
	}
	return out
}

// Whoever follows the index ends at the state of the store, whatever is
// written meanwhile, and his index only rises.
func TestFollowersLoseNothing(t *testing.T) {
	const seeds, steps = 8, 120
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.propose(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "other"}}})
			w.register(otherID)
			w.propose(&store.UpsertQuota{Quota: &api.QuotaSpec{Name: "q0"}})
			reg := w.run("web", 1) // a table that was never written to has the index 0, with which nobody waits
			w.place("web", reg.EvalID, 1)
			w.propose(&store.ApplyPlan{Plan: &api.Plan{EvalID: reg.EvalID, Deployment: &api.Deployment{ID: churnID("q", 1), Namespace: "default", JobID: "web"}}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var followers []*follower
			for _, target := range everyRead() {
				followers = append(followers, w.follow(ctx, target, ""))
			}
			var writers sync.WaitGroup
			for i, name := range []string{"a", "b"} {
				c := &churn{w: w, rng: rand.New(rand.NewPCG(seed, uint64(i))), name: name,
					namespaces: []string{"default", "other"}, jobs: []string{"web", "db"}, nodes: []string{nodeID, otherID}}
				writers.Go(func() {
					for range steps {
						c.step()
						if c.rng.IntN(3) == 0 { // bursts, and pauses in which the readers come after
							time.Sleep(time.Duration(c.rng.IntN(3)))
						}
					}
				})
			}
			writers.Wait()
			reads := 0
			for _, f := range followers {
				n, _ := f.state()
				reads += n
				now := request(ctx, w.h, f.target, "")
				if f.fault != "" {
					t.Errorf("seed %d: %s: %s", seed, f.target, f.fault)
				} else if f.status != now.Code || f.body != now.Body.String() {
					t.Errorf("seed %d: %s waits at index %d with\n%d %.400s\nand the state is at %s\n%d %.400s", seed, f.target, f.index, f.status, f.body, now.Header().Get("X-Nomad-Index"), now.Code, now.Body)
				}
			}
			if reads < 4*len(followers) {
				t.Errorf("seed %d: %d reads of %d followers: nothing happened", seed, reads, len(followers))
			}
		})
	}
}

// The same holds of what access control has.
func TestFollowersOfACLsLoseNothing(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			s := newSecuredAt(t, time.Now)
			defer s.stop()
			s.bootstrap()
			c := &churn{w: s.world, rng: rand.New(rand.NewPCG(seed, 3)), name: "a"}
			ctx, cancel := context.WithCancel(t.Context())
			var followers []*follower
			targets := strings.Fields("/v1/acl/policies /v1/acl/roles /v1/acl/tokens /v1/acl/auth-methods /v1/acl/binding-rules /v1/acl/policy/p1 /v1/acl/role/name/r1 /v1/acl/auth-method/m2")
			for n := range 6 {
				id := fmt.Sprintf("%02xaaaaaa-0000-4000-8000-0000000000%02x", n*13, n)
				targets = append(targets, "/v1/acl/role/"+id, "/v1/acl/binding-rule/"+id)
			}
			for range 40 { // a table that was never written to has the index 0 or 1
				c.aclStep()
			}
			for _, target := range targets {
				followers = append(followers, s.follow(ctx, target, s.root))
			}
			for range 150 {
				c.aclStep()
				if c.rng.IntN(3) == 0 {
					time.Sleep(time.Nanosecond)
				}
			}
			for _, f := range followers {
				f.state()
				now := request(ctx, s.h, f.target, s.root)
				if f.fault != "" {
					t.Errorf("seed %d: %s: %s", seed, f.target, f.fault)
				} else if f.status != now.Code || f.body != now.Body.String() {
					t.Errorf("seed %d: %s waits at index %d with\n%d %.400s\nand the state is at %s\n%d %.400s", seed, f.target, f.index, f.status, f.body, now.Header().Get("X-Nomad-Index"), now.Code, now.Body)
				}
			}
			cancel()
		})
	}
}

// What has nothing to do with a reader wakes him neither to an answer nor
// inside the server.
func TestUnrelatedChangesWakeNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.propose(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "other"}}})
		w.register(otherID)
		reg := w.run("quiet", 2)
		ids := w.place("quiet", reg.EvalID, 2)
		w.report(ids[0], "running")
		deployment := &api.Deployment{ID: churnID("q", 1), Namespace: "default", JobID: "quiet", JobCreateIndex: reg.JobModifyIndex, Status: api.DeploymentRunning}
		w.propose(&store.ApplyPlan{Plan: &api.Plan{EvalID: reg.EvalID, Deployment: deployment}, Now: 1})

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var followers []*follower
		for _, target := range []string{
			"/v1/allocations", "/v1/allocations?prefix=00", `/v1/allocations?filter=ClientStatus == "running"`, "/v1/allocation/" + ids[0], "/v1/allocation/" + ids[1],
			"/v1/allocation/" + churnID("x", 1), "/v1/evaluations", "/v1/evaluation/" + reg.EvalID, "/v1/evaluation/" + reg.EvalID + "/allocations",
			"/v1/jobs", "/v1/jobs/statuses", "/v1/job/quiet", "/v1/job/quiet/summary", "/v1/job/quiet/versions", "/v1/job/quiet/allocations", "/v1/job/quiet/evaluations",
			"/v1/job/quiet/deployments", "/v1/job/quiet/deployment", "/v1/job/quiet/scale", "/v1/job/none", "/v1/deployments", "/v1/deployment/" + deployment.ID,
			"/v1/deployment/allocations/" + deployment.ID, "/v1/node/" + nodeID, "/v1/node/" + nodeID + "/allocations", "/v1/namespace/default",
		} {
			followers = append(followers, w.follow(ctx, target, ""))
		}
		before := make([]int, len(followers))
		for i, f := range followers {
			before[i], _ = f.state()
		}
		woken := w.store.Woken()
		c := &churn{w: w, rng: rand.New(rand.NewPCG(1, 2)), name: "a", namespaces: []string{"other"}, jobs: []string{"web", "db"}, nodes: []string{otherID}}
		index := w.store.Snapshot().Index()
		for range 500 {
			c.step()
		}
		if n := w.store.Snapshot().Index() - index; n < 300 {
			t.Fatalf("only %d changes", n)
		}
		for i, f := range followers {
			if n, _ := f.state(); n != before[i] {
				t.Errorf("%s was answered %d times", f.target, n-before[i])
			}
		}
		if n := w.store.Woken() - woken; n != 0 {
			t.Errorf("%d waiters were woken", n)
		}
	})
}

// A wait lasts what was asked for and up to a sixteenth more; what is not
// asked for or too much is five minutes.
func TestWaitsLast(t *testing.T) {
	for _, row := range []struct {
		wait string
		want time.Duration
	}{
		{"", 5 * time.Minute}, {"0s", 5 * time.Minute}, {"-3s", 5 * time.Minute}, {"5m", 5 * time.Minute}, {"2h", 5 * time.Minute},
		{"1s", time.Second}, {"1m30s", 90 * time.Second}, {"1ms", time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.run("web", 1)
			var shortest, longest time.Duration
			for i := range 40 {
				at := time.Now()
				rec := request(t.Context(), w.h, "/v1/jobs?wait="+row.wait+"&index="+strconv.FormatUint(w.store.Snapshot().Index(), 10), "")
				took := time.Since(at)
				if rec.Code != 200 || !bytes.Contains(rec.Body.Bytes(), []byte(`"web"`)) {
					t.Fatalf("wait %q: %d %s", row.wait, rec.Code, rec.Body)
				}
				if longest = max(longest, took); i == 0 || took < shortest {
					shortest = took
				}
			}
			if shortest < row.want || longest > row.want+row.want/16 {
				t.Errorf("wait %q: from %v to %v", row.wait, shortest, longest)
			}
			if longest-shortest < row.want/32 {
				t.Errorf("wait %q: all of 40 waits ended within %v of each other", row.wait, longest-shortest)
			}
		})
	}
}

// An index that the state has not reached belongs to another history, such as
// the one before a restore: its reader is told the index to go on from at
// once, and so is one who waits while the state is replaced.
func TestIndexBeyondTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reg := w.run("web", 1)
		id := w.place("web", reg.EvalID, 1)[0]
		var saved bytes.Buffer
		if err := w.store.Snapshot().Persist(&saved); err != nil {
			t.Fatal(err)
		}
		targets := []string{"/v1/allocations", "/v1/allocation/" + id, "/v1/jobs", "/v1/job/web", "/v1/nodes", "/v1/evaluations", "/v1/node/" + nodeID + "/allocations"}
		for _, target := range targets {
			at := time.Now()
			rec := request(t.Context(), w.h, withIndex(target, w.store.Snapshot().Index()+1), "")
			index, _ := strconv.ParseUint(rec.Header().Get("X-Nomad-Index"), 10, 64)
			if took := time.Since(at); took != 0 || rec.Code != 200 || index == 0 || index > w.store.Snapshot().Index() {
				t.Errorf("%s from beyond the state: %d at %d after %v", target, rec.Code, index, took)
			}
			// One that the state has is waited for, also where the result's own is lower.
			if done, _, _ := w.blocked(t.Context(), target+"?wait=1s", w.store.Snapshot().Index())(); done {
				t.Errorf("%s did not wait at the index of the state", target)
			}
		}
		for range 3 {
			w.report(id, "running")
			w.report(id, "pending")
		}
		index := w.store.Snapshot().Index()
		type waiter func() (bool, uint64, int)
		var waiting []waiter
		for _, target := range targets {
			waiting = append(waiting, w.blocked(t.Context(), target, index))
		}
		if err := w.store.Restore(&saved); err != nil {
			t.Fatal(err)
		}
		for i, q := range waiting {
			if done, at, code := q(); !done || code != 200 || at >= index || at == 0 {
				t.Errorf("%s over a restore: answered %t, %d at %d", targets[i], done, code, at)
			}
		}
	})
}

// A replaced state answers no question from what was kept of the one before,
// even at an index that both had.
func TestKeptAnswersEndWithTheirHistory(t *testing.T) {
	w := newWorld(t)
	reg := w.run("web", 1)
	id := w.place("web", reg.EvalID, 1)[0]
	var saved bytes.Buffer
	if err := w.store.Snapshot().Persist(&saved); err != nil {
		t.Fatal(err)
	}
	targets := []string{"/v1/allocation/" + id, "/v1/allocations"}
	w.report(id, "running")
	for _, target := range targets {
		if _, body, _ := w.call("GET", target, ""); !strings.Contains(body, `"ClientStatus":"running"`) {
			t.Fatalf("%s: %s", target, body)
		}
	}
	lastOf := w.store.Snapshot().Index()
	if err := w.store.Restore(&saved); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Apply(lastOf, &store.UpdateAllocs{NodeID: nodeID, Now: 2, Updates: []*api.AllocUpdate{{ID: id, ClientStatus: "failed"}}}); err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if _, body, _ := w.call("GET", target, ""); !strings.Contains(body, `"ClientStatus":"failed"`) {
			t.Errorf("%s shows another history: %s", target, body)
		}
	}
}

// A node's address is part of how its allocations are read: an answer that
// was kept does not outlive it.
func TestAddressOfANodeIsFresh(t *testing.T) {
	w := newWorld(t)
	id := w.place("web", w.run("web", 1).EvalID, 1)[0]
	for _, ip := range []string{"10.0.0.1", "10.0.0.2"} {
		n := testNode(nodeID)
		n.NodeResources.Networks = []*api.NetworkResource{{Device: "eth0", IP: ip}}
		if _, err := w.server.RegisterNode(t.Context(), n, ""); err != nil {
			t.Fatal(err)
		}
		if _, body, _ := w.call("GET", "/v1/allocation/"+id, ""); !strings.Contains(body, `"Address":"`+ip+`"`) {
			t.Errorf("with %s: %s", ip, body)
		}
	}
}

// What can't be read of the options of a wait is refused, and consistent reads
// and stale ones exclude each other.
func TestWaitOptionsAreChecked(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{"/v1/allocations", "/v1/allocation/" + noID, "/v1/jobs", "/v1/nodes", "/v1/evaluations", "/v1/deployments", "/v1/namespaces"} {
		for query, want := range map[string]string{
			"index=x": `"index"`, "index=-1": `"index"`, "index=1.5": `"index"`, "index=99999999999999999999": `"index"`,
			"wait=10": `"wait"`, "wait=x": `"wait"`, "wait=5 m": `"wait"`, "index=1&wait=s": `"wait"`,
			"stale=maybe": `"stale"`, "consistent=maybe": `"consistent"`, "stale&consistent": `"consistent"`, "stale=true&consistent=true": `"consistent"`,
		} {
			status, body, _ := w.call("GET", strings.ReplaceAll(target+"?"+query, " ", "%20"), "")
			if status != 400 || !strings.Contains(body, want) {
				t.Errorf("%s?%s: %d %s", target, query, status, body)
			}
		}
		for _, query := range []string{"stale", "stale=", "stale=1", "stale=false", "consistent", "consistent=true", "stale=true&consistent=false", "stale=false&consistent"} {
			if status, body, _ := w.call("GET", target+"?"+query, ""); status != 200 && !slices.Contains([]string{"alloc not found"}, body) {
				t.Errorf("%s?%s: %d %s", target, query, status, body)
			}
		}
	}
}

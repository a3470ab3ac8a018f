package bench

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server gives every node one allocation, takes it away when it runs, and is
// done when all have stopped.
type server struct {
	count int
	done  chan struct{}

	mu      sync.Mutex
	nodes   map[string]*api.Node
	updates map[string][]*api.AllocUpdate // by node
	stop    map[string]chan struct{}      // closed when the node's allocation runs
	stopped int

	endless bool          // allocations stay
	runs    chan struct{} // of each node, that its allocation runs

	ending     bool
	goneBefore int // streams that ended before ending
}

func newServer(count int) *server {
	return &server{
		count: count, done: make(chan struct{}), runs: make(chan struct{}, count),
		nodes: map[string]*api.Node{}, updates: map[string][]*api.AllocUpdate{}, stop: map[string]chan struct{}{},
	}
}

func (s *server) RegisterNode(_ context.Context, n *api.Node, _ string) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[n.ID] = n
	s.stop[n.ID] = make(chan struct{})
	return time.Minute, nil
}

func (s *server) Heartbeat(context.Context, string) (time.Duration, error) { return time.Minute, nil }

func (s *server) UpdateAllocs(_ context.Context, nodeID string, us []*api.AllocUpdate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range us {
		s.updates[nodeID] = append(s.updates[nodeID], u)
		switch u.ClientStatus {
		case api.AllocClientRunning:
			s.runs <- struct{}{}
			if !s.endless {
				close(s.stop[nodeID])
			}
		case api.AllocClientComplete:
			if s.stopped++; s.stopped == s.count {
				close(s.done)
			}
		}
	}
	return nil
}

func (s *server) WatchNode(ctx context.Context, nodeID string, send func(link.Assignment) error) error {
	a := &api.Allocation{
		ID: idOf("alloc " + nodeID), Namespace: "default", TaskGroup: "g", DesiredStatus: api.AllocDesiredRun, DeploymentID: "d",
		Job: &api.Job{ID: "j", Namespace: "default", TaskGroups: []*api.TaskGroup{{Name: "g", Tasks: []*api.Task{{Name: "t1"}, {Name: "t2"}}}}},
	}
	if err := send(link.Assignment{Full: true, Allocs: []*api.Allocation{a}}); err != nil {
		return err
	}
	s.mu.Lock()
	stop := s.stop[nodeID]
	s.mu.Unlock()
	select {
	case <-stop:
	case <-ctx.Done():
		return nil
	}
	b := a.Copy()
	b.DesiredStatus = api.AllocDesiredStop
	for range 2 { // the second asks for nothing new
		if err := send(link.Assignment{Allocs: []*api.Allocation{b}}); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func (s *server) SignNode(context.Context, string, string, bool) (string, error) { return "", nil }

func (s *server) SignIdentities(context.Context, string, string, string) ([]*api.SignedIdentity, error) {
	return nil, api.Errorf(api.CodeUnsupported, "simulated tasks have no identities")
}

func (s *server) NodeGone(string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		s.goneBefore++
	}
}

func TestNodesDoWhatTheyAreTold(t *testing.T) {
	const count = 40
	s := newServer(count)
	last := simulate(t, s, Config{Count: count}, func() { <-s.done })

	if last.Nodes != count || last.Running != 0 || last.Reported != 2*count {
		t.Errorf("%+v", last)
	}
	racks := map[string]int{}
	for id, n := range s.nodes {
		racks[n.Meta["rack"]]++
		if n.SecretID == "" || n.NodeResources.Memory.MemoryMB != memoryMB || !n.Drivers["docker"].Healthy {
			t.Errorf("%+v", n)
		}
		us := s.updates[id]
		if len(us) != 2 || !*us[0].DeploymentHealthy || len(us[0].TaskStates) != 2 || us[1].TaskStates["t1"].State != api.TaskStateDead {
			t.Fatalf("node %s reported %d times", id, len(us))
		}
		var events []string
		for _, e := range us[0].TaskStates["t2"].Events {
			events = append(events, e.Type)
		}
		if len(events) != 3 || events[0] != api.EventReceived || events[1] != api.EventTaskSetup || events[2] != api.EventStarted {
			t.Fatal(events)
		}
	}
	if len(s.nodes) != count || len(racks) != Racks {
		t.Errorf("%d nodes in %d racks", len(s.nodes), len(racks))
	}
}

func TestConfigIsChecked(t *testing.T) {
	x := []string{"x"}
	for _, c := range []Config{
		{Count: 0, Servers: x}, {Count: MaxNodes + 1, Servers: x}, {Count: 1}, {Count: 1, Servers: x, Churn: -1},
		{Count: 1, Servers: x, Slow: -1}, {Count: 1, Servers: x, Slow: 2, SlowBy: 1}, {Count: 1, Servers: x, Slow: 1}, {Count: 1, Servers: x, Slow: 1, SlowBy: MaxDelay + 1},
		{Count: 1, Servers: x, Dead: -1}, {Count: 1, Servers: x, Dead: 2, DeadAfter: 1}, {Count: 1, Servers: x, Dead: 1}, {Count: 1, Servers: x, Dead: 1, DeadAfter: MaxDelay + 1},
	} {
		if err := Nodes(t.Context(), c); api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestChurnRestartsWhatRuns(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	f := newFleet(Config{Count: 1, Now: time.Now, Log: log, Servers: []string{"x"}})
	n := f.nodes[0]
	if n.restart() {
		t.Error("a node without allocations restarts one")
	}
	g := &api.TaskGroup{Name: "g", Tasks: []*api.Task{{Name: "t"}}}
	n.allocs["stopped"] = held{}
	n.allocs["running"] = held{running: true, group: g}
	for range 3 {
		if !n.restart() {
			t.Fatal("nothing restarts")
		}
	}
	u := restarted("running", n.allocs["running"], time.Now())
	if s := u.TaskStates["t"]; f.reported.Load() != 3 || n.allocs["stopped"].restarts != 0 || s == nil || s.Restarts != 3 || u.ClientStatus != api.AllocClientRunning {
		t.Errorf("%d reports, %+v", f.reported.Load(), u)
	}
}

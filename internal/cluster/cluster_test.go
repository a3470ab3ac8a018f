package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// unanswered: raft leaves some of what is asked of it while it shuts down
// without an answer, and the goroutine that waits ends with the process.
var unanswered = goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*deferError).Error")

func TestMain(m *testing.M) {
	// The log's own goroutine for rotation ends a moment after Close.
	// Raft leaves a connection to the other side, which is here as well.
	goleak.VerifyTestMain(m, unanswered, goleak.IgnoreAnyFunction("github.com/hashicorp/raft.(*NetworkTransport).handleConn"))
}

// running is a cluster of one and the goroutine that runs it.
type running struct {
	*Cluster
	store *store.Store
	stop  func() error
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	cfg.Store, cfg.Alone, cfg.Address, cfg.Name = store.New(), true, "127.0.0.1:4647", "s1"
	cfg.Log = slog.New(slog.DiscardHandler)
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	var result error
	r := &running{Cluster: c, store: cfg.Store, stop: func() error {
		once.Do(func() {
			cancel()
			result = <-done
		})
		return result
	}}
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// lead waits until the server leads.
func (r *running) lead(t *testing.T) {
	t.Helper()
	for {
		leading, changed := r.leadership()
		if leading != nil {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("no leader")
		}
	}
}

func node(i int) *store.RegisterNode {
	return &store.RegisterNode{Now: 1, Node: &api.Node{
		ID: fmt.Sprintf("00000000-0000-0000-0000-%012d", i), Name: fmt.Sprint("n", i), Status: api.NodeReady, Datacenter: "dc1",
	}}
}

func state(t *testing.T, s *store.Store) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Snapshot().Persist(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReopenGivesTheSameState(t *testing.T) {
	dir := t.TempDir()
	c := start(t, Config{Dir: dir})
	c.lead(t)
	for i := range 20 {
		res, err := c.Propose(t.Context(), node(i))
		if err != nil {
			t.Fatal(err)
		}
		if c.store.Snapshot().Index() < res.Index {
			t.Fatal("proposed and not applied")
		}
		if i == 10 {
			if err := c.TakeSnapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	id, want := c.ID(), state(t, c.store)

	// As kill -9 leaves it: a copy of the files while the server runs.
	crashed := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, crashed} {
		again := start(t, Config{Dir: dir})
		again.lead(t)
		if diff := cmp.Diff(want, state(t, again.store)); diff != "" {
			t.Fatal(diff)
		}
		if again.ID() != id {
			t.Fatal("another ID")
		}
		if err := again.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// countingLogs counts appends, each of which is one fsync.
type countingLogs struct {
	raft.LogStore
	appends atomic.Int64
}

func (l *countingLogs) StoreLogs(logs []*raft.Log) error {
	l.appends.Add(1)
	return l.LogStore.StoreLogs(logs)
}

func (l *countingLogs) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

func TestProposalsShareAppends(t *testing.T) {
	logs := &countingLogs{}
	c := start(t, Config{Dir: t.TempDir(), wrapLogs: func(s raft.LogStore) raft.LogStore { logs.LogStore = s; return logs }})
	c.lead(t)
	logs.appends.Store(0)
	const proposals = 200
	var wg sync.WaitGroup
	for i := range proposals {
		wg.Go(func() {
			if _, err := c.Propose(t.Context(), node(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d proposals in %d appends", proposals, logs.appends.Load())
	if n := logs.appends.Load(); n > proposals/4 {
		t.Errorf("%d concurrent proposals took %d appends", proposals, n)
	}
}

func TestLeadershipIsAContext(t *testing.T) {
	c := start(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	entered, left := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- c.Lead(ctx, func(ctx context.Context) error {
			close(entered)
			<-ctx.Done()
			close(left)
			return ctx.Err()
		})
	}()
	<-entered
	if !c.Leads() || c.CheckRead(ctx, false) != nil || c.Barrier(ctx) != nil || c.Leader() != "127.0.0.1:4647" {
		t.Fatal("the leader doesn't know that it leads")
	}
	if s := c.Servers(); len(s) != 1 || !s[0].Leader || !s[0].Voter || s[0].Node != "s1" {
		t.Fatalf("%+v", s[0])
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	<-left
	if c.Leads() || api.ErrorCode(c.CheckRead(ctx, false)) != api.CodeNotLeader || c.CheckRead(ctx, true) != nil {
		t.Fatal("still leads after the end")
	}
	if _, err := c.Propose(t.Context(), node(1)); api.ErrorCode(err) != api.CodeNotLeader {
		t.Fatalf("a proposal after the end: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCallersWaitForTheFirstLeader(t *testing.T) {
	c := start(t, Config{Dir: t.TempDir()})
	if _, err := c.Propose(t.Context(), node(1)); err != nil {
		t.Fatalf("a proposal right after the start: %v", err)
	}
	c = start(t, Config{Dir: t.TempDir()})
	if err := c.CheckRead(t.Context(), false); err != nil {
		t.Fatalf("a read right after the start: %v", err)
	}
	if c.Leader() == "" {
		t.Fatal("reads are answered and nobody leads")
	}
}

func TestRefusalReachesTheProposer(t *testing.T) {
	c := start(t, Config{})
	c.lead(t)
	if _, err := c.Propose(t.Context(), &store.DeleteNode{NodeID: api.NewID()}); api.ErrorCode(err) != api.CodeNotFound {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Propose(ctx, node(1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestUnknownCommandStopsTheServer(t *testing.T) {
	dir := t.TempDir()
	c := start(t, Config{Dir: dir})
	c.lead(t)
	if _, err := c.Propose(t.Context(), node(1)); err != nil {
		t.Fatal(err)
	}
	before := state(t, c.store)
	future := c.raft.Apply([]byte{1, 9, 'F', 'r', 'o', 'm', 'L', 'a', 't', 'e', 'r', '{', '}'}, time.Second)
	if err := future.Error(); err != nil {
		t.Fatal(err)
	}
	if a := future.Response().(applied); a.err == nil {
		t.Fatal("an unknown command was applied")
	}
	if _, err := c.Propose(context.Background(), node(2)); err == nil {
		t.Fatal("the server goes on after an entry it did not apply")
	}
	if _, err := c.fsm.Snapshot(); err == nil {
		t.Fatal("a snapshot would forget the entry")
	}
	if err := c.stop(); err == nil {
		t.Fatal("Run ended without a reason")
	}
	if got := state(t, c.store); got != before {
		t.Fatal("the state moved past the entry")
	}
}

func TestLogInMemoryIsCut(t *testing.T) {
	c := start(t, Config{})
	for i := range 3 * memoryTrailing {
		if _, err := c.Propose(t.Context(), node(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.TakeSnapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, err := c.storage.logs.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	last, err := c.storage.logs.LastIndex()
	if err != nil || last-first > memoryTrailing {
		t.Fatalf("the log holds %d to %d (%v)", first, last, err)
	}
}

func TestSnapshotIsCancelledOnError(t *testing.T) {
	s := &badSink{}
	if err := (snapshot{store.New().Snapshot()}).Persist(s); err == nil || !s.cancelled {
		t.Fatal(err, s.cancelled)
	}
}

type badSink struct{ cancelled bool }

func (*badSink) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
func (*badSink) Close() error              { return nil }
func (*badSink) ID() string                { return "x" }
func (s *badSink) Cancel() error           { s.cancelled = true; return nil }

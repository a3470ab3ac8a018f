package cluster

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// tcp carries raft over plain connections.
type tcp struct{ net.Listener }

func (tcp) DialRaft(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// trio is servers in one process that ask each other directly.
type trio struct {
	mu   sync.Mutex
	byAt map[string]*running // guarded by mu
}

func (tr *trio) at(addr string) (*running, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if r := tr.byAt[addr]; r != nil {
		return r, nil
	}
	return nil, api.ErrNotLeader
}

func (tr *trio) Propose(ctx context.Context, addr string, cmd []byte) (uint64, error) {
	r, err := tr.at(addr)
	if err != nil {
		return 0, err
	}
	return r.ProposeEncoded(ctx, cmd)
}

func (tr *trio) ReadIndex(ctx context.Context, addr string) (uint64, error) {
	r, err := tr.at(addr)
	if err != nil {
		return 0, err
	}
	return r.ReadIndex(ctx)
}

func (tr *trio) Leave(ctx context.Context, addr, id string) error {
	r, err := tr.at(addr)
	if err != nil {
		return err
	}
	return r.RemoveServer(ctx, id)
}

// newTrio makes servers of which the first begins the log with all.
func newTrio(t *testing.T, n int) (*trio, []*running) {
	t.Helper()
	tr := &trio{byAt: map[string]*running{}}
	var all []*running
	servers := map[string]string{}
	for range n {
		r := tr.add(t)
		all = append(all, r)
		servers[r.ID()] = r.cfg.Address
	}
	if err := all[0].Form(t.Context(), servers); err != nil {
		t.Fatal(err)
	}
	return tr, all
}

func (tr *trio) add(t *testing.T) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Store: store.New(), Log: slog.New(slog.DiscardHandler), Network: tcp{l}, Address: l.Addr().String(), Name: "s", Peers: tr}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	r := &running{Cluster: c, store: cfg.Store, stop: sync.OnceValue(func() error {
		tr.mu.Lock()
		delete(tr.byAt, cfg.Address)
		tr.mu.Unlock()
		cancel()
		return <-done
	})}
	tr.mu.Lock()
	tr.byAt[cfg.Address] = r
	tr.mu.Unlock()
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// leads waits for a leader and returns it and the others.
func leads(t *testing.T, all []*running) (leader *running, others []*running) {
	t.Helper()
	for {
		for i, r := range all {
			if r.Leads() {
				return r, append(append([]*running(nil), all[:i]...), all[i+1:]...)
			}
		}
		_, changed := all[0].leadership()
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("no leader")
		default:
			if _, err := all[0].leader(t.Context()); err != nil {
				t.Log(err)
			}
		}
	}
}

func TestEveryServerTakesWritesAndSeesThem(t *testing.T) {
	_, all := newTrio(t, 3)
	_, _ = leads(t, all)
	for i := range 30 {
		res, err := all[i%3].Propose(t.Context(), node(i))
		if err != nil {
			t.Fatal(err)
		}
		if all[i%3].store.Snapshot().Index() < res.Index {
			t.Fatal("acknowledged and not applied where it was asked")
		}
		next := all[(i+1)%3]
		if err := next.CheckRead(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if next.store.Snapshot().Index() < res.Index {
			t.Fatalf("a consistent read at %d after a write at %d", next.store.Snapshot().Index(), res.Index)
		}
	}
	if _, err := all[1].Propose(t.Context(), &store.DeleteNode{NodeID: api.NewID()}); api.ErrorCode(err) != api.CodeNotFound {
		t.Fatalf("a refusal crosses as %v", err)
	}
}

func TestLeadershipMovesAndServersLeave(t *testing.T) {
	_, all := newTrio(t, 3)
	first, others := leads(t, all)
	if _, err := first.Propose(t.Context(), node(1)); err != nil {
		t.Fatal(err)
	}
	if err := first.Transfer(t.Context(), others[0].ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Propose(t.Context(), node(2)); err != nil {
		t.Fatal("after the transfer:", err)
	}
	// The leader leaves; the others go on without counting it.
	leader, others := leads(t, all)
	if err := leader.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := leader.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(others[0].Servers()); n != 2 {
		if err := others[0].CheckRead(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := others[0].Propose(t.Context(), node(3)); err != nil {
		t.Fatal(err)
	}
	last, rest := leads(t, others)
	if n := len(last.Servers()); n != 2 {
		t.Fatalf("%d servers", n)
	}
	if err := last.RemoveServer(t.Context(), rest[0].ID()); err != nil {
		t.Fatal(err)
	}
	if err := last.RemoveServer(t.Context(), last.ID()); api.ErrorCode(err) != api.CodeInvalid {
		t.Fatalf("the last one went: %v", err)
	}
	if _, err := last.Propose(t.Context(), node(4)); err != nil {
		t.Fatal(err)
	}
}

// Who comes while a question is asked gets the answer to the next one.
func TestRoundsAreNeverOlderThanTheirCallers(t *testing.T) {
	r := rounds[int]{life: t.Context()}
	began, answer := make(chan int), make(chan struct{})
	n := 0
	ask := func(context.Context) (int, error) {
		n++
		began <- n
		<-answer
		return n, nil
	}
	got := make(chan int, 3)
	join := func() {
		v, err := r.join(t.Context(), ask)
		if err != nil {
			t.Error(err)
		}
		got <- v
	}
	go join()
	<-began
	for range 2 {
		go join()
	}
	for { // until both wait for the next round
		r.mu.Lock()
		waits := r.next != nil
		r.mu.Unlock()
		if waits {
			break
		}
	}
	answer <- struct{}{}
	if v := <-got; v != 1 {
		t.Fatalf("the first got answer %d", v)
	}
	<-began
	answer <- struct{}{}
	for range 2 {
		select {
		case v := <-got:
			if v < 2 {
				t.Fatalf("one who came later got answer %d", v)
			}
		case <-began: // it came after the second round began
			answer <- struct{}{}
			if v := <-got; v < 2 {
				t.Fatalf("one who came later got answer %d", v)
			}
		}
	}
}

package bench

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/link"
)

// clock moves only when somebody waits for it, and then to what he waits for.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	ch := make(chan time.Time, 1)
	ch <- c.now
	return ch
}

func TestSlowNodesReportLateAndOnlyTheNewest(t *testing.T) {
	c := &clock{now: time.Unix(1000, 0)}
	f := newFleet(Config{Count: 2, Slow: 1, SlowBy: 10 * time.Second, Now: c.Now, After: c.After, Log: slog.New(slog.DiscardHandler), Servers: []string{"x"}})
	slow, quick := f.nodes[0], f.nodes[1]
	quick.report(&api.AllocUpdate{ID: "q"})
	first, second := &api.AllocUpdate{ID: "a"}, &api.AllocUpdate{ID: "a"}
	slow.report(first)
	c.After(4 * time.Second)
	slow.report(&api.AllocUpdate{ID: "b"})
	slow.report(second)
	if wait, some := f.late.send(); wait != 6*time.Second || !some || len(f.late.queue) != 2 || f.late.pending["a"] != second {
		t.Fatalf("waits %s (%t) with %d reports", wait, some, len(f.late.queue))
	}
	c.After(6 * time.Second)
	if wait, some := f.late.send(); wait != 4*time.Second || !some || len(f.late.pending) != 1 {
		t.Fatalf("waits %s (%t) with %d reports", wait, some, len(f.late.pending))
	}
	c.After(4 * time.Second)
	if _, some := f.late.send(); some || len(f.late.pending) != 0 || f.reported.Load() != 4 {
		t.Fatalf("%d reports wait of %d", len(f.late.pending), f.reported.Load())
	}
}

// Everything still happens with nodes that are slow.
func TestSlowNodesDoWhatTheyAreTold(t *testing.T) {
	c := &clock{now: time.Unix(1000, 0)}
	s := newServer(10)
	st := simulate(t, s, Config{Count: 10, Slow: 10, SlowBy: time.Minute, Now: c.Now, After: c.After}, func() { <-s.done })
	if st.Running != 0 || st.Reported != 20 || !c.Now().After(time.Unix(1059, 0)) {
		t.Errorf("%+v at %s", st, c.Now())
	}
}

// A node that dies stops without its connection being closed.
func TestDeadNodesHang(t *testing.T) {
	s := newServer(3)
	s.endless = true
	die := make(chan time.Time)
	after := func(time.Duration) <-chan time.Time { return die }
	var seen sync.Once
	dead := make(chan struct{})
	cfg := Config{Count: 3, Dead: 2, DeadAfter: time.Minute, After: after, Every: time.Millisecond}
	cfg.Progress = func(st Status) {
		if st.Dead == 2 {
			seen.Do(func() { close(dead) })
		}
	}
	st := simulate(t, s, cfg, func() {
		for range 3 {
			<-s.runs
		}
		die <- time.Time{}
		<-dead
	})
	if st.Dead != 2 || st.Running != 1 {
		t.Errorf("%+v", st)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.goneBefore != 0 {
		t.Errorf("%d streams ended before the run", s.goneBefore)
	}
}

func TestDeadConnection(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	dead := make(chan struct{})
	c := &mortalConn{Conn: ours, dead: dead, closed: make(chan struct{})}
	go func() { _, _ = theirs.Write([]byte("in")) }()
	b := make([]byte, 2)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "in" {
		t.Fatalf("%q, %v", b, err)
	}
	close(dead)
	if n, err := c.Write([]byte("lost")); n != 4 || err != nil { // would block on a pipe without a reader
		t.Fatal(n, err)
	}
	read := make(chan error)
	go func() { _, err := c.Read(b); read <- err }()
	if _, err := theirs.Write([]byte("xx")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-read:
		t.Fatalf("a dead node read: %v", err)
	default:
	}
	_ = c.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// simulate runs nodes against s while during runs, and returns the last status.
func simulate(t *testing.T, s *server, cfg Config, during func()) (last Status) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	ls := link.NewServer(link.ServerConfig{Backend: s, Log: log})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	mux := link.NewMux(link.MuxConfig{Listener: ln, Log: log, Control: ls.ServeControl, DialBack: ls.ServeDialBack})
	var wg sync.WaitGroup
	wg.Go(func() { _ = mux.Run(ctx) })
	told := cfg.Progress
	cfg.Servers, cfg.Log = []string{ln.Addr().String()}, log
	cfg.Progress = func(st Status) {
		if last = st; told != nil {
			told(st)
		}
	}
	wg.Go(func() {
		if err := Nodes(ctx, cfg); err != nil {
			t.Error(err)
		}
	})
	during()
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	cancel()
	wg.Wait()
	return last
}

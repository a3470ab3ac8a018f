package link

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/drover-org/drover/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const nodeID = "11111111-2222-3333-4444-555555555555"

// backend is a server that keeps everything in memory.
type backend struct {
	mu         sync.Mutex
	registered []*api.Node
	beats      int
	updates    []*api.AllocUpdate // as they came
	gone       int
	refuse     error // of RegisterNode
	ttl        time.Duration

	signed int // identities of nodes

	commit      func(n int) error // before a batch counts; nil: at once
	batches     int
	assignments chan Assignment
}

func newBackend() *backend {
	return &backend{ttl: 10 * time.Second, assignments: make(chan Assignment, 64)}
}

// SignIdentities signs "<node>/<alloc>/<task>"; the allocation "slow" waits for
// the end of the stream.
func (b *backend) SignIdentities(ctx context.Context, nodeID, allocID, task string) ([]*api.SignedIdentity, error) {
	switch allocID {
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "foreign":
		return nil, api.Errorf(api.CodeNotFound, "allocation not found")
	}
	return []*api.SignedIdentity{
		{Name: "default", Token: nodeID + "/" + allocID + "/" + task},
		{Name: "short", Token: "t", Expires: time.Unix(1000, 0)},
	}, nil
}

// SignNode gives a node its identity, and a new one when it asks for that.
func (b *backend) SignNode(_ context.Context, nodeID, shown string, renew bool) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if shown != "" && !renew {
		return "", nil
	}
	b.signed++
	claims := fmt.Sprintf(`{"iat":%d,"exp":%d,"jti":"%s %d"}`, time.Now().Unix(), time.Now().Unix()+3600, nodeID, b.signed)
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x", nil
}

func (b *backend) RegisterNode(_ context.Context, n *api.Node, introduction string) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return 0, b.refuse
	}
	b.registered = append(b.registered, n)
	return b.ttl, nil
}

func (b *backend) Heartbeat(context.Context, string) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beats++
	return b.ttl, nil
}

func (b *backend) UpdateAllocs(ctx context.Context, _ string, us []*api.AllocUpdate) error {
	b.mu.Lock()
	b.batches++
	n, commit := b.batches, b.commit
	b.mu.Unlock()
	if commit != nil {
		if err := commit(n); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.updates = append(b.updates, us...)
	return nil
}

func (b *backend) WatchNode(ctx context.Context, _ string, send func(Assignment) error) error {
	for {
		select {
		case a := <-b.assignments:
			if err := send(a); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *backend) NodeGone(string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone++
}

func (b *backend) counts() (registered, beats, gone int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.registered), b.beats, b.gone
}

// world is one server and its nodes over in-memory connections.
type world struct {
	t       *testing.T
	ctx     context.Context
	backend *backend
	server  *Server
	mux     *Mux
	queue   *queue
	log     *slog.Logger

	mu    sync.Mutex
	conns []net.Conn // the nodes' ends
}

func newWorld(t *testing.T) *world {
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{t: t, ctx: ctx, backend: newBackend(), queue: newQueue(&net.TCPAddr{}), log: slog.New(slog.DiscardHandler)}
	w.server = NewServer(ServerConfig{Backend: w.backend, Log: w.log})
	w.mux = NewMux(MuxConfig{Listener: w.queue, Log: w.log, Control: w.server.ServeControl, DialBack: w.server.ServeDialBack})
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.mux.Run(ctx) })
	t.Cleanup(func() {
		w.server.CloseIdle()
		cancel()
		wg.Wait()
	})
	return w
}

func (w *world) dial(ctx context.Context, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case w.queue.conns <- far:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, near)
	return near, nil
}

// cut ends every connection there is, as a network does.
func (w *world) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// node runs a node until the test ends.
func (w *world) node(cfg NodeConfig) *Node {
	cfg.Servers, cfg.Log, cfg.Dial = []string{"server:4647"}, w.log, w.dial
	if cfg.Node == nil {
		cfg.Node = func() *api.Node { return &api.Node{ID: nodeID, SecretID: "secret", Name: "n1"} }
	}
	if cfg.OnAssign == nil {
		cfg.OnAssign = func(Assignment) {}
	}
	n := NewNode(cfg)
	ctx, cancel := context.WithCancel(w.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.Run(ctx) })
	w.t.Cleanup(func() { cancel(); wg.Wait() })
	return n
}

func job(id string, version uint64) *api.Job {
	return &api.Job{ID: id, Namespace: "default", Version: version, TaskGroups: []*api.TaskGroup{{Name: "g", Tasks: []*api.Task{{Name: "t"}}}}}
}

func TestRegistersBeatsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(NodeConfig{})
		synctest.Wait()
		if !n.Connected() || !w.server.Connected(nodeID) {
			t.Fatal("not connected")
		}
		if got := w.backend.registered[0]; got.SecretID != "secret" || got.Name != "n1" {
			t.Fatalf("registered %+v", got)
		}
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		if _, beats, _ := w.backend.counts(); beats < 6 {
			t.Fatalf("%d beats in six times the TTL", beats)
		}
		w.cut()
		synctest.Wait()
		if n.Connected() || w.server.Connected(nodeID) {
			t.Fatal("still connected after the cut")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		registered, _, gone := w.backend.counts()
		if !n.Connected() || registered != 2 || gone != 1 {
			t.Fatalf("connected %v, registered %d, gone %d", n.Connected(), registered, gone)
		}
		n.NodeChanged()
		synctest.Wait()
		if registered, _, _ := w.backend.counts(); registered != 3 {
			t.Fatalf("registered %d times after a change", registered)
		}
	})
}

// An identity is renewed when half of its time has passed, and when somebody
// wants that; nobody is asked in between.
func TestIdentityIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(NodeConfig{})
		is := func(signed int) {
			t.Helper()
			synctest.Wait()
			claims, err := n.IdentityClaims(t.Context())
			if want := fmt.Sprint(nodeID, " ", signed); err != nil || claims["jti"] != want {
				t.Fatalf("the identity is %v %v, want %s", claims, err, want)
			}
		}
		is(1)
		time.Sleep(29 * time.Minute)
		is(1)
		n.RenewIdentity()
		is(2)
		w.cut()
		time.Sleep(time.Minute)
		is(2) // what it has is shown to the next server
	})
}

func TestRefusedNodeTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.backend.refuse = api.ErrNotLeader
		n := w.node(NodeConfig{})
		time.Sleep(2 * time.Second)
		if n.Connected() {
			t.Fatal("connected though refused")
		}
		w.backend.mu.Lock()
		w.backend.refuse = nil
		w.backend.mu.Unlock()
		time.Sleep(maxPause * 2)
		synctest.Wait()
		if !n.Connected() {
			t.Fatal("never came back")
		}
	})
}

func TestSilentServerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		near, far := net.Pipe()
		defer far.Close()
		first := true
		n := NewNode(NodeConfig{
			Servers: []string{"s"}, Log: w.log, OnAssign: func(Assignment) {},
			Node: func() *api.Node { return &api.Node{ID: nodeID} },
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				if first {
					first = false
					return near, nil
				}
				return w.dial(ctx, addr)
			},
		})
		// The first server says welcome and never another word.
		go func() {
			r := frameReader{conn: far}
			_, _ = io.ReadFull(far, make([]byte, 1))
			_ = r.read(time.Time{}, maxHello, func(kind, []byte) error { return nil })
			_ = writeFrame(far, kindWelcome, &welcomeMsg{TTL: int64(10 * time.Second)})
			_, _ = io.Copy(io.Discard, far)
		}()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = n.Run(ctx) })
		time.Sleep(time.Minute)
		synctest.Wait()
		if !w.server.Connected(nodeID) {
			t.Fatal("the node stayed with a server that doesn't answer")
		}
		cancel()
		wg.Wait()
	})
}

func TestNewestReportWinsAndIsResent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		release := make(chan struct{})
		w.backend.commit = func(n int) error {
			switch n {
			case 1:
				<-release
				return errors.New("lost on the way") // the stream is cut meanwhile
			case 2:
				return api.ErrNotLeader
			}
			return nil
		}
		n := w.node(NodeConfig{})
		synctest.Wait()
		report := func(id, status string) {
			n.Report(&api.AllocUpdate{ID: id, ClientStatus: status})
			synctest.Wait()
		}
		report("a", "pending") // batch 1 hangs
		report("b", "pending")
		report("b", "running")
		report("a", "running")
		w.cut()
		close(release)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.backend.mu.Lock()
		defer w.backend.mu.Unlock()
		got := map[string][]string{}
		for _, u := range w.backend.updates {
			got[u.ID] = append(got[u.ID], u.ClientStatus)
		}
		if diff := cmp.Diff(map[string][]string{"a": {"running"}, "b": {"running"}}, got); diff != "" {
			t.Fatal(diff)
		}
		if w.backend.batches != 3 {
			t.Fatalf("%d batches; two failed, so three were to come", w.backend.batches)
		}
	})
}

func TestOneBatchInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		release := make(chan struct{})
		w.backend.commit = func(n int) error {
			if n == 1 {
				<-release
			}
			return nil
		}
		n := w.node(NodeConfig{})
		synctest.Wait()
		for i := range 1000 {
			n.Report(&api.AllocUpdate{ID: fmt.Sprint("alloc", i%100), ClientStatus: fmt.Sprint(i)})
			if i == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		w.backend.mu.Lock()
		defer w.backend.mu.Unlock()
		if w.backend.batches != 2 || len(w.backend.updates) != 101 {
			t.Fatalf("%d batches with %d updates; all that changed meanwhile is one batch of 100", w.backend.batches, len(w.backend.updates))
		}
	})
}

func TestRefusedReportsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.backend.commit = func(n int) error {
			if n == 1 {
				return api.Errorf(api.CodeInvalid, "no")
			}
			return nil
		}
		n := w.node(NodeConfig{})
		n.Report(&api.AllocUpdate{ID: "a"})
		synctest.Wait()
		n.Report(&api.AllocUpdate{ID: "b"})
		synctest.Wait()
		if len(w.backend.updates) != 1 || w.backend.updates[0].ID != "b" {
			t.Fatalf("%+v", w.backend.updates)
		}
	})
}

func TestAssignmentsInOrderAndWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var got []Assignment
		w.node(NodeConfig{OnAssign: func(a Assignment) { got = append(got, a) }})
		res := &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{"t": {Cpu: api.AllocatedCPU{CpuShares: 100}}}}
		var want []Assignment
		full := Assignment{Index: 7, Full: true}
		for i := range 3000 { // more than a frame, more jobs than slots
			j := job(fmt.Sprint("job", i%50), uint64(i%3))
			full.Allocs = append(full.Allocs, &api.Allocation{
				ID: fmt.Sprint("alloc", i), Namespace: "default", NodeID: nodeID, JobID: j.ID, Job: j, Name: "x", TaskGroup: "g",
				AllocatedResources: res, DesiredStatus: "run", ClientStatus: "pending",
				DesiredTransition: api.DesiredTransition{Migrate: new(true), Reschedule: new(false)},
				DeploymentStatus:  &api.AllocDeploymentStatus{Canary: i%2 == 0},
				CreateIndex:       5, ModifyIndex: 6, AllocModifyIndex: 7, CreateTime: 8, ModifyTime: 9,
			})
		}
		want = append(want, full)
		for i := range 20 {
			want = append(want, Assignment{Index: uint64(10 + i), Gone: []string{fmt.Sprint("alloc", i)}})
		}
		want = append(want, Assignment{Index: 99, Gone: make([]string, 5000)})
		for _, a := range want {
			w.backend.assignments <- a
		}
		synctest.Wait()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestJobIsSentOnce(t *testing.T) {
	enc := &assignEncoder{jobs: &jobCache{}, skipped: func(err error) { t.Error(err) }}
	sent := 0
	assign := func(j *api.Job) {
		t.Helper()
		err := enc.encode(Assignment{Allocs: []*api.Allocation{{ID: "a", Job: j}}}, func(m *assignMsg) error {
			if len(m.Allocs[0].Job) > 0 {
				sent++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		assign(job("a", 1))
		assign(job("b", 1))
	}
	if sent != 2 {
		t.Fatalf("two jobs were sent %d times", sent)
	}
	assign(job("a", 2))
	for i := range jobSlots - 1 {
		assign(job(fmt.Sprint("other", i), 1))
	}
	sent = 0
	assign(job("a", 2))
	if sent != 0 {
		t.Fatal("a job in a slot was sent again")
	}
	assign(job("a", 1)) // fell out
	if sent != 1 {
		t.Fatal("a job without slot was not sent")
	}
}

func TestAllocationTooLargeIsSkipped(t *testing.T) {
	big := job("big", 1)
	big.Meta = map[string]string{"x": strings.Repeat("x", maxFromServer)}
	skipped := 0
	enc := &assignEncoder{jobs: &jobCache{}, skipped: func(error) { skipped++ }}
	var ids []string
	err := enc.encode(Assignment{Allocs: []*api.Allocation{{ID: "big", Job: big}, {ID: "small", Job: job("s", 1)}}}, func(m *assignMsg) error {
		for _, a := range m.Allocs {
			ids = append(ids, a.ID)
		}
		return nil
	})
	if err != nil || skipped != 1 || len(ids) != 1 || ids[0] != "small" {
		t.Fatal(err, skipped, ids)
	}
}

func TestUpdateSurvivesTheWire(t *testing.T) {
	now := time.Unix(1700000000, 5).UTC()
	want := &api.AllocUpdate{
		ID: "a", ClientStatus: "running", ClientDescription: "d", DeploymentHealthy: new(true), HealthTimestamp: now,
		NetworkStatus: &api.AllocNetworkStatus{Address: "10.0.0.1"},
		TaskStates: map[string]*api.TaskState{"t": {
			State: "dead", Failed: true, Restarts: 3, LastRestart: now, StartedAt: now, FinishedAt: now, Paused: "p",
			Events: []*api.TaskEvent{api.NewTaskEvent(api.EventStarted, now, "k", "v")},
		}},
	}
	var m updateMsg
	if err := packUpdate(&m, want); err != nil {
		t.Fatal(err)
	}
	b, err := (&reportMsg{Seq: 1, Updates: []updateMsg{m}}).MarshalMsg(nil)
	if err != nil {
		t.Fatal(err)
	}
	var r reportMsg
	if err := decode(b, &r); err != nil {
		t.Fatal(err)
	}
	got, err := unpackUpdate(&r.Updates[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestNewStreamReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		speak := func() net.Conn {
			conn, _ := w.dial(w.ctx, "")
			frame, _ := appendFrame([]byte{ProtoControl}, kindHello, &helloMsg{Version: protocolVersion, Node: []byte(`{"ID":"` + nodeID + `"}`)})
			go func() { _, _ = conn.Write(frame) }()
			r := frameReader{conn: conn}
			if err := r.read(time.Time{}, maxHello, func(kind, []byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
			return conn
		}
		old := speak()
		fresh := speak()
		defer fresh.Close()
		if _, err := old.Read(make([]byte, 1)); err == nil {
			t.Fatal("the old stream goes on")
		}
		synctest.Wait()
		if _, _, gone := w.backend.counts(); gone != 0 || !w.server.Connected(nodeID) {
			t.Fatal("the old stream's end made the node gone")
		}
	})
}

func TestSlowReaderLosesItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		conn, _ := w.dial(w.ctx, "")
		frame, _ := appendFrame([]byte{ProtoControl}, kindHello, &helloMsg{Version: protocolVersion, Node: []byte(`{"ID":"` + nodeID + `"}`)})
		go func() { _, _ = conn.Write(frame) }()
		r := frameReader{conn: conn}
		if err := r.read(time.Time{}, maxHello, func(kind, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
		w.backend.assignments <- Assignment{Full: true} // and nobody reads it
		time.Sleep(ioTimeout - 1)
		synctest.Wait()
		if !w.server.Connected(nodeID) {
			t.Fatal("not waited for")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if w.server.Connected(nodeID) {
			t.Fatal("a node that doesn't read holds a writer for ever")
		}
		_ = conn.Close()
	})
}

func TestHostilePeers(t *testing.T) {
	hello := func(v uint16, node string) []byte {
		b, _ := appendFrame([]byte{ProtoControl}, kindHello, &helloMsg{Version: v, Node: []byte(node)})
		return b
	}
	good := hello(protocolVersion, `{"ID":"`+nodeID+`"}`)
	for name, data := range map[string][]byte{
		"silence":        nil,
		"unknown proto":  {0x16, 3, 1},
		"control only":   {ProtoControl},
		"garbage":        append([]byte{ProtoControl}, []byte("\x00\x00\x00\x04\x01garbage garbage")...),
		"oversized":      {ProtoControl, 0xff, 0xff, 0xff, 0xff, byte(kindHello)},
		"half a frame":   {ProtoControl, 0, 0, 1, 0, byte(kindHello), 1},
		"wrong version":  hello(99, `{"ID":"`+nodeID+`"}`),
		"no node":        hello(protocolVersion, `{}`),
		"not JSON":       hello(protocolVersion, `x`),
		"unknown frame":  append(append([]byte{}, good...), 0, 0, 0, 0, 200),
		"other node":     append(append([]byte{}, good...), hello(protocolVersion, `{"ID":"21111111-2222-3333-4444-555555555555"}`)[1:]...),
		"bad report":     append(append([]byte{}, good...), 0, 0, 0, 3, byte(kindReport), 0x93, 0xff, 0xff),
		"list bomb":      append(append([]byte{}, good...), 0, 0, 0, 8, byte(kindReport), 0x81, 0xa1, 'u', 0xdd, 0xff, 0xff, 0xff, 0xff),
		"bad dial-back":  append([]byte{ProtoDialBack}, 0, 0, 0, 1, byte(kindDialBack), 0xff),
		"unknown token":  append([]byte{ProtoDialBack}, must(appendFrame(nil, kindDialBack, &dialBackMsg{Node: nodeID}))...),
		"no token":       {ProtoDialBack},
		"large dialback": append([]byte{ProtoDialBack}, 0, 0, 2, 0, byte(kindDialBack)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				conn, err := w.dial(w.ctx, "")
				if err != nil {
					t.Fatal(err)
				}
				go func() { _, _ = conn.Write(data) }()
				start := time.Now()
				_ = conn.SetReadDeadline(start.Add(5 * time.Minute))
				if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.ErrClosedPipe) {
					t.Fatalf("not ended within bounds: %v", err)
				}
				if d := time.Since(start); d > time.Minute+10*time.Second+time.Second {
					t.Fatalf("ended after %v", d)
				}
				synctest.Wait()
				if w.server.Connected(nodeID) {
					t.Fatal("still connected")
				}
				_ = conn.Close()
			})
		})
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestPendingConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(&net.TCPAddr{})
		m := NewMux(MuxConfig{Listener: q, Log: slog.New(slog.DiscardHandler), MaxPending: 2})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = m.Run(ctx) })
		var ends []net.Conn
		for range 3 {
			near, far := net.Pipe()
			ends = append(ends, near)
			q.conns <- far
		}
		start := time.Now()
		if _, err := ends[2].Read(make([]byte, 1)); err == nil || time.Since(start) != 0 {
			t.Fatal("the third was let in")
		}
		if _, err := ends[0].Read(make([]byte, 1)); err == nil || time.Since(start) != DefaultHandshakeTimeout {
			t.Fatalf("silence was ended after %v", time.Since(start))
		}
		cancel()
		wg.Wait()
	})
}

func TestDialBack(t *testing.T) {
	w := newWorld(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/hello", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprintf(rw, "hello %s", r.URL.Query().Get("who")) })
	mux.HandleFunc("/v1/echo", func(rw http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(rw, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, b) != nil {
				return
			}
		}
	})
	w.node(NodeConfig{Handler: mux})
	waitFor(t, func() bool { return w.server.Connected(nodeID) })

	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: "node"}) },
		Transport: w.server.Transport(nodeID),
	})
	defer proxy.Close()
	for range 3 {
		res, err := http.Get(proxy.URL + "/v1/hello?who=me")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if string(b) != "hello me" {
			t.Fatalf("%s", b)
		}
	}
	w.mu.Lock()
	if n := len(w.conns); n != 2 {
		t.Errorf("%d connections; the second and third request were to reuse the first one's", n-1)
	}
	w.mu.Unlock()
	c, _, err := websocket.Dial(t.Context(), proxy.URL+"/v1/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		msg := fmt.Sprint("message ", i)
		if err := c.Write(t.Context(), websocket.MessageText, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := c.Read(t.Context()); err != nil || string(b) != msg {
			t.Fatalf("%s %v", b, err)
		}
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	http.DefaultClient.CloseIdleConnections()
}

func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.server.Dial(t.Context(), nodeID); api.ErrorCode(err) != api.CodeUnavailable {
			t.Fatalf("not connected: %v", err)
		}
		w.node(NodeConfig{}) // without a handler it refuses
		synctest.Wait()
		start := time.Now()
		if _, err := w.server.Dial(t.Context(), nodeID); api.ErrorCode(err) != api.CodeUnavailable || time.Since(start) != 0 {
			t.Fatalf("refusal took %v: %v", time.Since(start), err)
		}
		// A node that doesn't answer.
		const mute = "31111111-2222-3333-4444-555555555555"
		conn, _ := w.dial(w.ctx, "")
		go func() {
			frame, _ := appendFrame([]byte{ProtoControl}, kindHello, &helloMsg{Version: protocolVersion, Node: []byte(`{"ID":"` + mute + `"}`)})
			_, _ = conn.Write(frame)
			_, _ = io.Copy(io.Discard, conn)
		}()
		synctest.Wait()
		start = time.Now()
		if _, err := w.server.Dial(t.Context(), mute); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != dialTimeout {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		w.server.mu.Lock()
		if len(w.server.dials) != 0 || w.server.sessions[mute].dialing != 0 {
			t.Error("the wait was not forgotten")
		}
		w.server.mu.Unlock()
		_ = conn.Close()
	})
}

func TestHTTPThroughTheRPCPort(t *testing.T) {
	w := newWorld(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, r.URL.Path) })}
	go func() { _ = srv.Serve(w.mux.HTTP()) }()
	defer srv.Close()
	n := w.node(NodeConfig{})
	client := &http.Client{Transport: n.Transport()}
	res, err := client.Get("http://anything/v1/jobs")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); string(b) != "/v1/jobs" {
		t.Fatalf("%s", b)
	}
}

// waitFor polls a condition of real goroutines; the test's own timeout bounds it.
func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	for !cond() {
		if t.Context().Err() != nil {
			t.Fatal("the test ended first")
		}
		runtime.Gosched()
	}
}

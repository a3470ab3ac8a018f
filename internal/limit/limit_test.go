package limit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func quiet() *Refusals { return NewRefusals(slog.New(slog.DiscardHandler), time.Now) }

// A caller never gets more than its burst and what time has given it since,
// and one who stays below is never refused, whatever the others do.
func TestRateIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		r := NewRate(10, burst) // one each 100 ms
		var at, first time.Duration
		first = -1
		taken := 0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			at += time.Duration(rapid.IntRange(0, 300).Draw(t, "pause")) * time.Millisecond
			k := Key(rapid.IntRange(1, 3).Draw(t, "caller")<<1 | 1)
			wait := r.Take(k, at)
			if k != 3 {
				continue
			}
			if first < 0 {
				first = at
			}
			if wait == 0 {
				taken++
			} else if again := r.Take(k, at+wait); again != 0 {
				t.Fatalf("told to wait %v, then %v more", wait, again)
			} else {
				at += wait
				taken++
			}
			if most := burst + int((at-first)/(100*time.Millisecond)); taken > most {
				t.Fatalf("%d requests in %v with a burst of %d", taken, at-first, burst)
			}
		}
	})
}

// The table is bounded: a flood of callers costs those who were quiet nothing
// they would notice, and the one who floods is still refused.
func TestRateTableIsBounded(t *testing.T) {
	r := NewRate(1, 5)
	flooder := AddressKeyOf("192.0.2.1:1")
	for range 5 {
		if r.Take(flooder, 0) != 0 {
			t.Fatal("refused within the burst")
		}
	}
	for i := range 4 * rateSets * rateWays {
		if r.Take(TokenKey(fmt.Sprint(i)), 0) != 0 {
			t.Fatal("a newcomer was refused")
		}
		if i%1000 == 0 && r.Take(flooder, 0) == 0 {
			t.Fatalf("the one who floods was forgotten after %d others", i)
		}
	}
	if r.Take(AddressKeyOf("192.0.2.2:1"), 0) != 0 {
		t.Error("another caller was refused")
	}
}

func AddressKeyOf(remote string) Key {
	k, _ := AddressKey(remote)
	return k
}

func TestWhoIsCounted(t *testing.T) {
	same := [][2]string{{"192.0.2.1:1", "192.0.2.1:2"}, {"192.0.2.1:1", "[::ffff:192.0.2.1]:9"}, {"[2001:db8::1]:1", "[2001:db8::ffff:1]:1"}}
	other := [][2]string{{"192.0.2.1:1", "192.0.2.2:1"}, {"[2001:db8::1]:1", "[2001:db8:0:1::1]:1"}}
	for _, p := range same {
		if AddressKeyOf(p[0]) != AddressKeyOf(p[1]) {
			t.Errorf("%s and %s are two callers", p[0], p[1])
		}
	}
	for _, p := range other {
		if AddressKeyOf(p[0]) == AddressKeyOf(p[1]) {
			t.Errorf("%s and %s are one caller", p[0], p[1])
		}
	}
	for _, a := range []string{"127.0.0.1:1", "[::1]:1", "127.9.9.9:1"} {
		if k, own := AddressKey(a); k != 0 || !own {
			t.Errorf("%s is %d, %v", a, k, own)
		}
	}
	if k, own := AddressKey("@"); k == 0 || own {
		t.Error("what has no address is not counted")
	}
}

func TestKindOfARequest(t *testing.T) {
	upgrade := http.Header{"Upgrade": {"WebSocket"}}
	for _, c := range []struct {
		url    string
		header http.Header
		want   Kind
	}{
		{"/v1/jobs", nil, Plain},
		{"/v1/jobs?prefix=index=5", nil, Plain},
		{"/v1/jobs?index=0", nil, Plain},
		{"/v1/jobs?index=", nil, Plain},
		{"/v1/jobs?stale&index=5", nil, Watch},
		{"/v1/jobs?index=5&wait=1s", nil, Watch},
		{"/v1/jobs?%69ndex=5", nil, Watch},
		{"/v1/jobs?a=%zz&index=5", nil, Plain},
		{"/v1/jobs", upgrade, Exec},
		{"/v1/jobs", http.Header{"Upgrade": {"h2c"}}, Plain},
		{"/v1/client/allocation/x/exec?command=1", upgrade, Exec},
		{"/v1/client/fs/logs/x?follow=true", nil, Files},
		{"/v1/client/allocation/x/copy?path=a", nil, Files},
		{"/v1/client/allocation/x/stats", nil, Plain},
		{"/v1/event/stream?topic=*", nil, Watch},
	} {
		r := httptest.NewRequest("GET", c.url, nil)
		for k, v := range c.header {
			r.Header[k] = v
		}
		if got := KindOf(r); got != c.want {
			t.Errorf("%s %v: %d, want %d", c.url, c.header, got, c.want)
		}
	}
}

// service is a limited handler whose requests wait until they are let go.
type service struct {
	*Limiter
	handler http.Handler
	refused *Refusals
	release chan struct{}
	entered chan struct{}
}

func newService(cfg Config) *service {
	s := &service{refused: quiet(), release: make(chan struct{}), entered: make(chan struct{}, 1000)}
	cfg.Refusals = s.refused
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return time.Unix(0, 0) } // stands still
	}
	s.Limiter = New(cfg)
	s.handler = s.Limiter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if KindOf(r) != Plain {
			s.entered <- struct{}{}
			<-s.release
		}
		_, _ = io.WriteString(w, "answer")
	}))
	return s
}

func (s *service) ask(url, remote, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", url, nil)
	r.RemoteAddr = remote
	if token != "" {
		r.Header.Set("X-Nomad-Token", token)
	}
	if strings.Contains(url, "/exec") {
		r.Header.Set("Upgrade", "websocket")
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// known are the tokens of a test: secret-a and secret-b.
func known(_ context.Context, token string) string {
	id, _ := strings.CutPrefix(token, "secret-")
	if id == token {
		return ""
	}
	return id
}

func TestFloodOfRequestsLeavesOthersAnswered(t *testing.T) {
	s := newService(Config{Rate: 100, Burst: 50, Caller: known})
	answered := map[string]int{}
	for i := range 1000 {
		for _, who := range []struct{ name, remote, token string }{
			{"token", "192.0.2.1:1", "secret-a"},
			{"address", "192.0.2.2:1", ""},
			{"inventor", "192.0.2.3:1", fmt.Sprint("guess-", i)}, // a new token each time
		} {
			w := s.ask("/v1/jobs", who.remote, who.token)
			switch {
			case w.Code == 200:
				answered[who.name]++
			case w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "limits.http_request_rate"):
				t.Fatal(w.Code, w.Header(), w.Body)
			}
		}
	}
	for who, n := range answered {
		if n != 50 {
			t.Errorf("%s was answered %d times", who, n)
		}
	}
	// Others are, from the same addresses with another token, too.
	for range 50 {
		if a, b := s.ask("/v1/jobs", "192.0.2.9:1", ""), s.ask("/v1/jobs", "192.0.2.1:1", "secret-b"); a.Code != 200 || b.Code != 200 {
			t.Fatal("somebody else was refused")
		}
	}
	if n := s.refused.Count(RequestRate); n != 3*950 {
		t.Errorf("%d refusals are counted", n)
	}
}

func TestFloodOfSessionsLeavesOthersServed(t *testing.T) {
	for name, c := range map[string]struct {
		url    string
		kind   Kind
		reason Reason
		key    string
	}{
		"exec":             {"/v1/client/allocation/x/exec", Exec, ExecSessions, "limits.http_max_exec_per_client"},
		"logs":             {"/v1/client/fs/logs/x?follow=true", Files, FileStreams, "limits.http_max_streams_per_client"},
		"blocking query":   {"/v1/jobs?index=5", Watch, Watches, "limits.http_max_watches_per_client"},
		"stream of events": {"/v1/event/stream", Watch, Watches, "limits.http_max_watches_per_client"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(Config{Exec: 3, Files: 3, Watches: 3, Caller: known})
			var wg sync.WaitGroup
			var served atomic.Int32
			open := func(remote, token string) {
				wg.Go(func() {
					if s.ask(c.url, remote, token).Code == 200 {
						served.Add(1)
					}
				})
				<-s.entered
			}
			for range 3 {
				open("192.0.2.1:1", "secret-a")
			}
			for range 100 { // each is refused at once
				w := s.ask(c.url, "192.0.2.2:1", "secret-a")
				if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), c.key) {
					t.Fatal(w.Code, w.Body)
				}
			}
			open("192.0.2.1:1", "secret-b")
			open("192.0.2.1:1", "")
			if w := s.ask("/v1/jobs", "192.0.2.1:1", "secret-a"); w.Code != 200 {
				t.Error("requests that hold nothing are refused", w.Code)
			}
			if n := s.Open(c.kind); n != 5 {
				t.Errorf("%d sessions are open", n)
			}
			close(s.release)
			wg.Wait()
			if served.Load() != 5 || s.Open(c.kind) != 0 || s.refused.Count(c.reason) != 100 {
				t.Error(served.Load(), s.Open(c.kind), s.refused.Count(c.reason))
			}
			if w := s.ask(c.url, "192.0.2.1:1", "secret-a"); w.Code != 200 {
				t.Error("the places were not given back", w.Code)
			}
		})
	}
}

func TestThisMachineIsNotCounted(t *testing.T) {
	s := newService(Config{Rate: 1, Burst: 1, Caller: known})
	for range 100 {
		if w := s.ask("/v1/jobs", "127.0.0.1:1", ""); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	s.ask("/v1/jobs", "127.0.0.1:1", "secret-a")
	if w := s.ask("/v1/jobs", "127.0.0.1:1", "secret-a"); w.Code != 429 {
		t.Error("a token is counted wherever it is used", w.Code)
	}
}

func TestTheLogIsNotFlooded(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(100, 0)
	r := NewRefusals(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	for range 1000 {
		r.Note(HTTPConns, "192.0.2.1:1")
		r.Note(RPCConns, "192.0.2.1:1")
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines", n)
	}
	now = now.Add(tellEvery)
	r.Note(HTTPConns, "192.0.2.1:1")
	if n := strings.Count(out.String(), "since_last_told=1000"); n != 1 || r.Count(HTTPConns) != 1001 {
		t.Errorf("%s", out.String())
	}
}

// listen returns a limited listener whose connections come from the addresses
// that are sent to it.
type fakeListener struct {
	conns chan net.Conn
}

func (l *fakeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *fakeListener) Close() error   { close(l.conns); return nil }
func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// from is one end of a pipe that comes from an address.
type from struct {
	net.Conn
	remote string
}

func (c from) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", c.remote)
	if err != nil {
		panic(err)
	}
	return a
}

func TestFloodOfConnectionsLeavesOthersConnected(t *testing.T) {
	base := &fakeListener{make(chan net.Conn)}
	var refused atomic.Int32
	l := Conns(base, ConnsConfig{PerClient: 2, Refused: func(string) { refused.Add(1) }})
	taken := make(chan net.Conn, 1000)
	go func() {
		defer close(taken)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			taken <- c
		}
	}()
	connect := func(remote string) {
		here, there := net.Pipe()
		t.Cleanup(func() { _ = here.Close() })
		base.conns <- from{there, remote}
	}
	for range 500 {
		connect("192.0.2.1:1")
		connect("127.0.0.1:1") // this machine: not counted
	}
	connect("192.0.2.2:1")
	_ = l.Close()
	got := map[string]int{}
	var last net.Conn
	for c := range taken {
		got[c.RemoteAddr().String()]++
		last = c
	}
	if got["192.0.2.1:1"] != 2 || got["192.0.2.2:1"] != 1 || got["127.0.0.1:1"] != 500 || refused.Load() != 498 {
		t.Errorf("%v, %d refused", got, refused.Load())
	}
	open := l.(*conns).open
	before := open.Open()
	Of(last).Free()
	_ = last.Close() // gives one place back, not two
	if n := open.Open(); n != before-1 {
		t.Errorf("%d are open, before %d", n, before)
	}
}

// BenchmarkRate is what a request costs: to know the caller, the time, and
// whether it may.
func BenchmarkRate(b *testing.B) {
	r := NewRate(1e9, 1e6)
	start := time.Now()
	key, _ := AddressKey("192.0.2.1:12345")
	for name, f := range map[string]func(){
		"key":  func() { AddressKey("192.0.2.1:12345") },
		"now":  func() { time.Since(start) },
		"take": func() { r.Take(key, 0) },
		"all": func() {
			k, _ := AddressKey("192.0.2.1:12345")
			r.Take(k, time.Since(start))
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func BenchmarkHandler(b *testing.B) {
	l := New(Config{Rate: 1e9, Burst: 1e6, Now: time.Now, Refusals: quiet(), Stall: time.Second, Caller: known})
	h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, url := range map[string]string{"plain": "/v1/allocation/x?namespace=default", "watch": "/v1/jobs?index=5&wait=1m"} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", url, nil)
			r.RemoteAddr = "192.0.2.1:12345"
			r.Header.Set("X-Nomad-Token", "secret-a")
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Unix(1_700_000_000, 0)

// Answers p, w and c come one a second; the levels after each are P, W, C and
// "-" for pending, with "!" where the task is restarted.
func TestState(t *testing.T) {
	for _, c := range []struct {
		name, initial, answers, want string
		rule                         Rule
	}{
		{"at once", "", "pcpwp", "PCPWP", Rule{}},
		{"initial", "passing", "c", "C", Rule{}},
		{"successes", "", "ppcpp", "-PCCP", Rule{SuccessBeforePassing: 2}},
		{"failures", "", "pccpcccp", "PPPPPPCP", Rule{FailuresBeforeCritical: 3}},
		{"warning first", "", "pcccc", "PPWWC", Rule{FailuresBeforeWarning: 2, FailuresBeforeCritical: 4}},
		{"warnings", "", "pwwp", "PPWP", Rule{FailuresBeforeWarning: 2}},
		{"restart", "", "pcpcccc", "PCPCCC!C!", Rule{RestartAfter: 3}},
		{"restart after grace", "", "ccccc", "CCCC!C!", Rule{RestartAfter: 2, Grace: 3 * time.Second}},
		{"restart by warnings", "", "ww", "WW!", Rule{RestartAfter: 2}},
		{"warnings ignored", "", "wwcwcc", "WWCWCC!", Rule{RestartAfter: 2, IgnoreWarnings: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, got := Initial(c.initial, begin), ""
			for i, a := range c.answers {
				levels := map[rune]Level{'p': Passing, 'w': Warning, 'c': Critical}
				now := begin.Add(time.Duration(i+1) * time.Second)
				before := s
				var restart bool
				s, restart = s.Next(c.rule, Answer{Level: levels[a]}, begin, now)
				got += string("-PWC"[s.Level])
				if restart {
					got += "!"
				}
				if (s.Level != before.Level) != s.Since.Equal(now) {
					t.Errorf("answer %d: since %s", i, s.Since)
				}
			}
			if got != c.want {
				t.Errorf("%s gives %s, want %s", c.answers, got, c.want)
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	var got *http.Request
	var body string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/bad":
			http.Error(w, strings.Repeat("é", maxOutput), http.StatusInternalServerError)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	defer srv.Close()
	ask := func(path string, skip bool) Answer {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if path == "/slow" {
			ctx, cancel = context.WithTimeout(context.Background(), time.Millisecond)
		}
		defer cancel()
		return HTTP(HTTPRequest{Method: "post", URL: srv.URL + path, Header: map[string][]string{"host": {"shop.example"}, "X-A": {"1", "2"}}, Body: "hello", TLS: TLS{SkipVerify: skip}})(ctx)
	}
	for path, want := range map[string]Level{"/ok?x=1": Passing, "/moved": Passing, "/away": Critical, "/busy": Warning, "/bad": Critical, "/slow": Critical} {
		if a := ask(path, true); a.Level != want || a.Output == "" {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if a := ask("/ok", false); a.Level != Critical || !strings.Contains(a.Output, "certificate") {
		t.Errorf("a certificate that nobody vouches for: %+v", a)
	}
	ask("/ok", true)
	if got.Method != "POST" || got.Host != "shop.example" || !slices.Equal(got.Header["X-A"], []string{"1", "2"}) || body != "hello" {
		t.Errorf("the request was %s %s %v %q", got.Method, got.Host, got.Header, body)
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if a := TCP(l.Addr().String())(context.Background()); a.Level != Passing {
		t.Errorf("open: %+v", a)
	}
	_ = l.Close()
	if a := TCP(l.Addr().String())(context.Background()); a.Level != Critical || !strings.Contains(a.Output, "refused") {
		t.Errorf("closed: %+v", a)
	}
}

// A server that speaks the health checking protocol answers by service name.
func TestGRPC(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		service := ""
		if len(b) > 7 {
			service = string(b[7:])
		}
		status := map[string]byte{"": 1, "shop": 1, "down": 2}[service]
		if r.URL.Path != "/grpc.health.v1.Health/Check" || r.ProtoMajor != 2 || status == 0 {
			w.Header().Set("Grpc-Status", "5")
			return
		}
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 1 << 3, status})
		w.Header().Set("Grpc-Status", "0")
	})
	for _, secure := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(handler)
		srv.Config.Protocols = new(http.Protocols)
		if secure {
			srv.EnableHTTP2 = true
			srv.Config.Protocols.SetHTTP2(true)
			srv.StartTLS()
		} else {
			srv.Config.Protocols.SetUnencryptedHTTP2(true)
			srv.Start()
		}
		for service, want := range map[string]Level{"": Passing, "shop": Passing, "down": Critical, "none": Critical} {
			if a := GRPC(srv.Listener.Addr().String(), service, secure, TLS{SkipVerify: true})(context.Background()); a.Level != want {
				t.Errorf("TLS %v, service %q: %+v", secure, service, a)
			}
		}
		srv.Close()
	}
}

func TestScript(t *testing.T) {
	for _, c := range []struct {
		code int
		err  error
		want Level
	}{{0, nil, Passing}, {1, nil, Warning}, {2, nil, Critical}, {0, errors.New("no"), Critical}} {
		a := Script([]string{"x"}, func(_ context.Context, _ []string, out io.Writer) (int, error) {
			_, _ = fmt.Fprint(out, strings.Repeat("y", 3*maxOutput))
			return c.code, c.err
		})(context.Background())
		if a.Level != c.want || c.err == nil && len(a.Output) < maxOutput {
			t.Errorf("%+v: %+v", c, a)
		}
	}
}

// A set runs what it is to run, tells of changes and demands restarts.
func TestSet(t *testing.T) {
	ticks := make(chan time.Time)
	changed, restarts := make(chan struct{}, 10), make(chan string, 10)
	slots := make(chan struct{}, 1)
	s := NewSet(Config{
		Now: func() time.Time { return begin }, After: func(time.Duration) <-chan time.Time { return ticks }, Rand: func() float64 { return 0.5 },
		Slots: slots, Changed: func() { changed <- struct{}{} },
		Restart: func(_ context.Context, c *Spec, reason string) { restarts <- c.Name + ": " + reason },
	})
	var mu sync.Mutex
	level := Passing
	set := func(l Level) { mu.Lock(); level = l; mu.Unlock() }
	spec := &Spec{ID: "1", Name: "web", Service: "shop", Group: "g", Interval: time.Minute, Timeout: time.Second, Rule: Rule{RestartAfter: 2}, OnUpdate: api.OnUpdateIgnore,
		Probe: func(context.Context) Answer {
			mu.Lock()
			defer mu.Unlock()
			return Answer{Level: level, Output: "because"}
		}}
	ctx := context.Background()
	s.Sync(ctx, []*Spec{spec})
	if r := s.Results([]*Spec{spec})["1"]; r.Status != api.CheckPending || r.Mode != api.CheckReadiness {
		t.Fatalf("before an answer: %+v", r)
	}
	ticks <- begin
	<-changed
	if r := s.Results([]*Spec{spec})["1"]; r.Status != api.CheckSuccess || r.Output != "because" || r.Timestamp != begin.Unix() {
		t.Fatalf("after an answer: %+v", r)
	}
	s.Sync(ctx, []*Spec{spec}) // the same: it goes on
	set(Critical)
	ticks <- begin
	<-changed
	ticks <- begin
	if got := <-restarts; got != `web: check_restart: check "web" failed 2 times in a row: because` {
		t.Errorf("reason: %s", got)
	}
	s.Sync(ctx, nil)
	if r := s.Results([]*Spec{spec})["1"]; r.Status != api.CheckPending {
		t.Errorf("after its end: %+v", r)
	}
	s.Close()
}

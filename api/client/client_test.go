package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/drover-org/drover/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	c, err := New(Config{Address: srv.URL, Token: "secret", Namespace: "apps", Region: "eu"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseIdle()
		srv.Close()
	})
	return c
}

func TestFromEnv(t *testing.T) {
	env := map[string]string{
		"NOMAD_ADDR": "https://a:1", "NOMAD_TOKEN": "t", "NOMAD_NAMESPACE": "n", "NOMAD_REGION": "r", "NOMAD_HTTP_AUTH": "u:p",
		"NOMAD_CACERT": "ca", "NOMAD_CAPATH": "cp", "NOMAD_CLIENT_CERT": "cc", "NOMAD_CLIENT_KEY": "ck",
		"NOMAD_TLS_SERVER_NAME": "sn", "NOMAD_SKIP_VERIFY": "true",
	}
	got := FromEnv(func(k string) string { return env[k] })
	want := Config{
		Address: "https://a:1", Token: "t", Namespace: "n", Region: "r", HTTPAuth: "u:p",
		TLS: TLSConfig{CACert: "ca", CAPath: "cp", ClientCert: "cc", ClientKey: "ck", ServerName: "sn", SkipVerify: true},
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"": DefaultAddress, "http://h:1/": "http://h:1", "https://h/prefix/": "https://h/prefix",
		"127.0.0.1:4646": "http://127.0.0.1:4646", "unix:///run/drover.sock": "unix:///run/drover.sock",
	} {
		at, err := parseAddress(in)
		if err != nil || at.String() != want {
			t.Errorf("%q: %v, %v", in, at, err)
		}
	}
	for _, in := range []string{"ftp://h", "unix://", "http://", "http://[::1"} {
		if _, err := New(Config{Address: in}); api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestReadSendsOptionsAndReturnsMeta(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for k, want := range map[string]string{
			"namespace": "*", "region": "eu", "prefix": "ab", "filter": "x == 1", "per_page": "7", "next_token": "n", "reverse": "true",
			"stale": "true", "index": "9", "wait": "5s", "task_states": "true", "resources": "true",
		} {
			if got := q.Get(k); got != want {
				t.Errorf("%s is %q, want %q", k, got, want)
			}
		}
		if got := r.Header.Get("X-Nomad-Token"); got != "mine" {
			t.Errorf("token is %q", got)
		}
		w.Header().Set("X-Nomad-Index", "12")
		w.Header().Set("X-Nomad-LastContact", "3")
		w.Header().Set("X-Nomad-KnownLeader", "true")
		w.Header().Set("X-Nomad-NextToken", "more")
		_, _ = io.WriteString(w, `[{"ID":"one"}]`)
	})
	list, meta, err := c.Allocs().List(t.Context(), AllocListOptions{Resources: true}, api.ListOptions{
		Namespace: "*", Prefix: "ab", Filter: "x == 1", PerPage: 7, NextToken: "n", Reverse: true, Stale: true, Index: 9,
		Wait: 5 * time.Second, Token: "mine",
	})
	if err != nil || len(list) != 1 || list[0].ID != "one" {
		t.Fatalf("%v, %v", list, err)
	}
	if want := (api.Meta{Index: 12, LastContact: 3 * time.Millisecond, KnownLeader: true, NextToken: "more"}); meta != want {
		t.Errorf("meta is %+v", meta)
	}
}

func TestJobIDsWithSlashes(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != "/v1/job/team%2Fapp%20x/summary" || r.URL.Query().Get("namespace") != "apps" {
			t.Errorf("asked for %s?%s", r.URL.EscapedPath(), r.URL.RawQuery)
		}
		_, _ = io.WriteString(w, `{"JobID":"team/app x"}`)
	})
	if s, _, err := c.Jobs().Summary(t.Context(), "team/app x", api.ListOptions{}); err != nil || s.JobID != "team/app x" {
		t.Errorf("%v, %v", s, err)
	}
}

func TestRefusalsCarryCodes(t *testing.T) {
	for status, want := range map[int]api.Code{
		400: api.CodeInvalid, 403: api.CodeForbidden, 404: api.CodeNotFound, 405: api.CodeMethod, 409: api.CodeConflict,
		413: api.CodeTooLarge, 429: api.CodeLimited, 500: api.CodeInternal, 501: api.CodeUnsupported, 503: api.CodeUnavailable,
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "the reason", status) })
		_, err := c.Jobs().Register(t.Context(), &api.JobRegisterRequest{Job: &api.Job{ID: "a"}})
		if api.ErrorCode(err) != want || err.Error() != "the reason" {
			t.Errorf("%d: %v (%s)", status, err, api.ErrorCode(err))
		}
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	if _, err := c.Status().Leader(t.Context()); err == nil || !strings.Contains(err.Error(), "/v1/status/leader: 404") {
		t.Errorf("an empty refusal reads %v", err)
	}
}

func TestUnreachableAndCancelled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := New(Config{Address: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status().Peers(t.Context()); api.ErrorCode(err) != api.CodeUnavailable {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status().Peers(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"1.2.3.4:4647"`) })}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	c, err := New(Config{Address: "unix://" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdle()
	if leader, err := c.Status().Leader(t.Context()); err != nil || leader != "1.2.3.4:4647" {
		t.Errorf("%q, %v", leader, err)
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `["a"]`) }))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(cfg TLSConfig) error {
		c, err := New(Config{Address: srv.URL, TLS: cfg})
		if err != nil {
			return err
		}
		defer c.CloseIdle()
		_, err = c.Status().Regions(t.Context())
		return err
	}
	if err := try(TLSConfig{CACert: ca}); err != nil {
		t.Errorf("with its authority: %v", err)
	}
	if err := try(TLSConfig{CAPath: filepath.Dir(ca), ServerName: "example.com"}); err != nil {
		t.Errorf("with a folder and a name: %v", err)
	}
	if err := try(TLSConfig{}); api.ErrorCode(err) != api.CodeUnavailable {
		t.Errorf("without its authority: %v", err)
	}
	if err := try(TLSConfig{CACert: ca, ServerName: "other.org"}); api.ErrorCode(err) != api.CodeUnavailable {
		t.Errorf("with a wrong name: %v", err)
	}
	if err := try(TLSConfig{SkipVerify: true}); err != nil {
		t.Errorf("without looking: %v", err)
	}
	if err := try(TLSConfig{ClientCert: ca}); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("half a client certificate: %v", err)
	}
}

func TestFollowSeesOnlyNews(t *testing.T) {
	indexes := []uint64{5, 5, 6, 2, 3} // 2: the servers were restored from a backup
	asked := []uint64{}
	read := func(_ context.Context, o api.ListOptions) (string, api.Meta, error) {
		asked = append(asked, o.Index)
		i := indexes[len(asked)-1]
		return fmt.Sprint(i), api.Meta{Index: i}, nil
	}
	var seen []string
	err := Follow(t.Context(), api.ListOptions{}, read, func(v string, _ api.Meta) bool {
		seen = append(seen, v)
		return v != "3"
	})
	if err != nil || fmt.Sprint(seen) != "[5 6 2 3]" || fmt.Sprint(asked) != "[0 5 5 6 1]" {
		t.Errorf("seen %v, asked with %v, %v", seen, asked, err)
	}
}

// A restart of the agent is waited for, with pauses that grow; one that does
// not come back is an error, and so is one that was never there.
func TestFollowWaitsForAnAgentThatIsAway(t *testing.T) {
	unavailable := api.Errorf(api.CodeUnavailable, "no leader")
	answers := []any{5, unavailable, unavailable, unavailable, 5, unavailable, 6}
	asked := []uint64{}
	read := func(_ context.Context, o api.ListOptions) (int, api.Meta, error) {
		asked = append(asked, o.Index)
		switch a := answers[len(asked)-1].(type) {
		case int:
			return a, api.Meta{Index: uint64(a)}, nil
		default:
			return 0, api.Meta{}, a.(error)
		}
	}
	var pauses []time.Duration
	pause := func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}
	var seen []int
	err := follow(t.Context(), api.ListOptions{}, read, func(v int, _ api.Meta) bool {
		seen = append(seen, v)
		return v != 6
	}, pause)
	if err != nil || fmt.Sprint(seen) != "[5 6]" || fmt.Sprint(asked) != "[0 5 5 5 5 5 5]" || fmt.Sprint(pauses) != "[100ms 200ms 400ms 100ms]" {
		t.Errorf("seen %v, asked with %v, pauses %v, %v", seen, asked, pauses, err)
	}

	asked, pauses, answers = nil, nil, []any{5}
	for range 1000 {
		answers = append(answers, unavailable)
	}
	err = follow(t.Context(), api.ListOptions{}, read, func(int, api.Meta) bool { return true }, pause)
	var total time.Duration
	for _, p := range pauses {
		total += p
	}
	if api.ErrorCode(err) != api.CodeUnavailable || total < maxAway || total > maxAway+maxPause {
		t.Errorf("%v after %v", err, total)
	}

	asked, pauses, answers = nil, nil, []any{unavailable}
	if err := follow(t.Context(), api.ListOptions{}, read, func(int, api.Meta) bool { return true }, pause); api.ErrorCode(err) != api.CodeUnavailable || len(pauses) > 0 {
		t.Errorf("%v after %v", err, pauses)
	}
}

func TestLogsKnowTheirOffset(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query(); got.Get("type") != "stderr" || got.Get("task") != "web" || got.Get("offset") != "4" || got.Get("follow") != "true" {
			t.Errorf("asked with %v", got)
		}
		enc := json.NewEncoder(w)
		_ = enc.Encode(api.StreamFrame{})
		_ = enc.Encode(api.StreamFrame{Offset: 4, Data: []byte("hello "), File: "f"})
		_ = enc.Encode(api.StreamFrame{FileEvent: api.FileTruncated})
		_ = enc.Encode(api.StreamFrame{Offset: 10, Data: []byte("world"), File: "f"})
	})
	s, err := c.FS().Logs(t.Context(), "id", "web", Stderr, StreamOptions{Follow: true, Offset: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	part := make([]byte, 8)
	if n, err := io.ReadFull(s, part); err != nil || string(part[:n]) != "hello wo" || s.Offset() != 12 {
		t.Errorf("%q at %d, %v", part, s.Offset(), err)
	}
	rest, err := io.ReadAll(s)
	if err != nil || string(rest) != "rld" || s.Offset() != 15 {
		t.Errorf("%q at %d, %v", rest, s.Offset(), err)
	}
}

func TestABrokenStreamIsNoEnd(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"Offset":0,"Data":"aGk="}{"Off`)
	})
	s, err := c.FS().Stream(t.Context(), "id", "/f", StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if text, err := io.ReadAll(s); string(text) != "hi" || api.ErrorCode(err) != api.CodeUnavailable {
		t.Errorf("%q, %v", text, err)
	}
}

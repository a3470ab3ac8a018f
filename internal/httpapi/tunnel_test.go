package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/web"
	"github.com/drover-org/drover/internal/ws"
)

// echoNode is a node whose sessions say what they were given and then echo
// every message. It counts the sessions that have ended.
type echoNode struct {
	t     *testing.T
	ended chan error
	plain http.HandlerFunc // of requests that are no websockets
}

func (n *echoNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"X-Nomad-Token", "Authorization", "Origin"} {
		if r.Header.Get(name) != "" {
			n.t.Errorf("the node got the header %s", name)
		}
	}
	if r.URL.Query().Has("ws_handshake") {
		n.t.Error("the node was asked for a handshake")
	}
	if n.plain != nil && !ws.IsUpgrade(r) {
		n.plain(w, r)
		return
	}
	conn, err := ws.Accept(w, r)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	defer func() { _ = conn.Hangup() }()
	send := func(b []byte) { _ = conn.Send(ws.Text, append(make([]byte, ws.Room), b...)) }
	stop := context.AfterFunc(r.Context(), func() {
		var coded *api.Error
		if errors.As(context.Cause(r.Context()), &coded) {
			conn.SendClose(ws.PolicyViolation, coded.Message)
		}
	})
	defer stop()
	send([]byte(r.Header.Get("X-Drover-Verdict")))
	for {
		m, err := conn.Read(1 << 20)
		if err != nil {
			n.ended <- err
			return
		}
		send(m.Data)
		m.Release()
	}
}

// tunnelled is a world with one allocation on a node that is here or behind a
// connection, served over real ones.
func tunnelled(t *testing.T, here bool, change ...func(*httpapi.Config)) (w *world, n *echoNode, target string) {
	n = &echoNode{t: t, ended: make(chan error, 64)}
	rt := remote(t, n.ServeHTTP)
	w = newWorld(t, append(change, connected(func(string) http.RoundTripper { return rt }))...)
	reg := w.run("web", 1)
	alloc := w.place("web", reg.EvalID, 1)[0]
	if here {
		w.node.h = n
	} else {
		w.node.id = otherID
	}
	srv := httptest.NewServer(w.h)
	t.Cleanup(srv.Close)
	return w, n, srv.URL + "/v1/client/allocation/" + alloc + "/exec?task=redis&command=" + url.QueryEscape(`["echo","s3cret-argument"]`)
}

func open(t *testing.T, target string, header http.Header, frames ...string) (*websocket.Conn, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, target, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	for _, f := range frames {
		if err := c.Write(ctx, websocket.MessageText, []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	return c, ctx
}

func places(t *testing.T, f func(t *testing.T, here bool)) {
	for name, here := range map[string]bool{"node here": true, "node elsewhere": false} {
		t.Run(name, func(t *testing.T) { f(t, here) })
	}
}

// The caller is identified by a header or by the first frame; the node gets a
// verdict in its place, and not one of the caller's making.
func TestTunnelHandshake(t *testing.T) {
	places(t, func(t *testing.T, here bool) {
		_, _, target := tunnelled(t, here)
		forged := `{"Allowed":["everything"]}`
		want := `{"Caller":{"Kind":"client","Name":"owner of t1"},"Namespace":"default","Allowed":["alloc-exec","alloc-node-exec"]}`
		for name, c := range map[string]struct {
			query  string
			header http.Header
			frames []string
		}{
			"header":        {"", http.Header{"X-Nomad-Token": {"t1"}, "X-Drover-Verdict": {forged}}, nil},
			"bearer":        {"&ws_handshake=false", http.Header{"Authorization": {"Bearer t1"}}, nil},
			"frame":         {"&ws_handshake=true", nil, []string{`{"version":1,"auth_token":"t1"}`}},
			"frame, header": {"&ws_handshake=1", http.Header{"X-Nomad-Token": {"t1"}}, []string{`{"version":1,"auth_token":"t1"}`}},
		} {
			conn, ctx := open(t, target+c.query, c.header, append(c.frames, "binary \x00 safe")...)
			for _, want := range []string{want, "binary \x00 safe"} {
				if _, got, err := conn.Read(ctx); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v", name, got, err)
				}
			}
			_ = conn.Close(websocket.StatusNormalClosure, "")
		}
	})
}

// Whatever is wrong before the node is asked is said by a close frame.
func TestTunnelRefusals(t *testing.T) {
	places(t, func(t *testing.T, here bool) {
		w, _, target := tunnelled(t, here)
		w.may = func(token string, c api.Capability) error {
			switch {
			case token == "none", token == "half" && c == api.CapAllocNodeExec:
				return api.Errorf(api.CodeForbidden, "Permission denied: %s", c)
			}
			return nil
		}
		id := strings.Split(target, "/")[6]
		for name, c := range map[string]struct {
			target string
			header http.Header
			frame  string
			code   websocket.StatusCode
			reason string
		}{
			"no right":      {target, http.Header{"X-Nomad-Token": {"none"}}, "", 1008, "Permission denied: alloc-exec"},
			"no node right": {target, http.Header{"X-Nomad-Token": {"half"}}, "", 1008, "Permission denied: alloc-node-exec"},
			"in frame":      {target + "&ws_handshake=true", nil, `{"version":1,"auth_token":"none"}`, 1008, "Permission denied"},
			"flag":          {target + "&ws_handshake=maybe", nil, "", 1008, "ws_handshake value is not a boolean"},
			"version":       {target + "&ws_handshake=true", nil, `{"version":2}`, 1008, "unexpected handshake value: 2"},
			"no version":    {target + "&ws_handshake=true", nil, `{}`, 1008, "unexpected handshake value: 0"},
			"mismatch":      {target + "&ws_handshake=true", http.Header{"X-Nomad-Token": {"a"}}, `{"version":1,"auth_token":"b"}`, 1008, "handshake auth token mismatched auth header token"},
			"no JSON":       {target + "&ws_handshake=true", nil, `garbage`, 1007, "the first frame must be"},
			"too long":      {target + "&ws_handshake=true", nil, strings.Repeat("x", 65<<10), 1009, "too large"},
			"unknown alloc": {strings.Replace(target, id, noID, 1), nil, "", 1008, "Unknown allocation"},
			"no UUID":       {strings.Replace(target, id, "x", 1), nil, "", 1008, "is not a UUID"},
			"no task":       {strings.Replace(target, "task=redis", "", 1), nil, "", 1008, "must provide task name"},
			"unknown task":  {strings.Replace(target, "task=redis", "task=x", 1), nil, "", 1008, `unknown task name "x"`},
		} {
			var frames []string
			if c.frame != "" {
				frames = []string{c.frame}
			}
			conn, ctx := open(t, c.target, c.header, frames...)
			_, got, err := conn.Read(ctx)
			var ce websocket.CloseError
			if !errors.As(err, &ce) || ce.Code != c.code || !strings.Contains(ce.Reason, c.reason) {
				t.Errorf("%s: %q, %v; want %d %q", name, got, err, c.code, c.reason)
			}
		}
		w.report(id, api.AllocClientComplete)
		conn, ctx := open(t, target, nil)
		if _, _, err := conn.Read(ctx); !strings.Contains(err.Error(), "exec not possible, client status of allocation "+id+" is complete") {
			t.Errorf("ended: %v", err)
		}
	})
}

// The node is not connected, not known, or refuses the upgrade.
func TestTunnelNoNode(t *testing.T) {
	w, _, target := tunnelled(t, false, func(c *httpapi.Config) {})
	w.config.NodeConnected = func(context.Context, string) bool { return false }
	w.serve(w.config)
	srv := httptest.NewServer(w.h)
	defer srv.Close()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	conn, ctx := open(t, srv.URL+u.RequestURI(), nil)
	var ce websocket.CloseError
	if _, _, err := conn.Read(ctx); !errors.As(err, &ce) || ce.Code != 1008 || !strings.HasPrefix(ce.Reason, "No path to node") {
		t.Errorf("not connected: %v", err)
	}

	refusing := remote(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("too busy ", 40), http.StatusServiceUnavailable)
	})
	w.config.NodeConnected = func(context.Context, string) bool { return true }
	w.config.NodeTransport = func(string) http.RoundTripper { return refusing }
	w.serve(w.config)
	busy := httptest.NewServer(w.h)
	defer busy.Close()
	conn, ctx = open(t, busy.URL+u.RequestURI(), nil)
	if _, _, err := conn.Read(ctx); !errors.As(err, &ce) || ce.Code != 1011 || !strings.HasPrefix(ce.Reason, "too busy") || len(ce.Reason) > 123 {
		t.Errorf("refused: %v", err)
	}
}

// A session ends when the right to it is lost, and not when others change.
func TestTunnelLostRight(t *testing.T) {
	places(t, func(t *testing.T, here bool) {
		w, n, target := tunnelled(t, here)
		var mu sync.Mutex
		denied := false
		w.may = func(_ string, c api.Capability) error {
			mu.Lock()
			defer mu.Unlock()
			if denied && c == api.CapAllocExec {
				return api.Errorf(api.CodeForbidden, "Permission denied: the token has expired")
			}
			return nil
		}
		change := func(deny bool) {
			next := make(chan struct{})
			mu.Lock()
			denied = deny
			mu.Unlock()
			close(*w.rights.Swap(&next))
		}
		first := make(chan struct{})
		w.rights.Store(&first)
		conn, ctx := open(t, target, http.Header{"X-Nomad-Token": {"t1"}})
		if _, _, err := conn.Read(ctx); err != nil {
			t.Fatal(err)
		}
		change(false)
		if err := conn.Write(ctx, websocket.MessageText, []byte("still")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != "still" {
			t.Fatalf("%q, %v", got, err)
		}
		change(true)
		var ce websocket.CloseError
		if _, _, err := conn.Read(ctx); !errors.As(err, &ce) || ce.Code != 1008 || ce.Reason != "Permission denied: the token has expired" {
			t.Errorf("close: %v", err)
		}
		select {
		case <-n.ended:
		case <-ctx.Done():
			t.Error("the node's side goes on")
		}
	})
}

// A session that the caller leaves ends on the node as well, and a node that
// breaks off is no end.
func TestTunnelBreaks(t *testing.T) {
	_, n, target := tunnelled(t, false)
	conn, ctx := open(t, target, nil)
	if _, _, err := conn.Read(ctx); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow()
	select {
	case <-n.ended:
	case <-ctx.Done():
		t.Error("the node's side goes on")
	}

	rt := remote(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r)
		if err != nil {
			return
		}
		_ = c.Send(ws.Text, append(make([]byte, ws.Room), "half"...))
		_ = c.Hangup()
	})
	w := newWorld(t, connected(func(string) http.RoundTripper { return rt }))
	reg := w.run("web", 1)
	id := w.place("web", reg.EvalID, 1)[0]
	w.node.id = otherID
	srv := httptest.NewServer(w.h)
	defer srv.Close()
	conn, ctx = open(t, srv.URL+"/v1/client/allocation/"+id+"/exec?task=redis&command=[]", nil)
	if _, _, err := conn.Read(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(ctx); websocket.CloseStatus(err) != websocket.StatusInternalError {
		t.Errorf("close: %v", err)
	}
}

// A pure node passes everything on to a server, the handshake too.
func TestTunnelThroughNode(t *testing.T) {
	_, _, target := tunnelled(t, false)
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	to := &http.Transport{}
	defer to.CloseIdleConnections()
	front := httptest.NewServer(httpapi.New(httpapi.Config{
		Log: quiet, Now: time.Now, Agent: fakeAgent{}, Node: &fakeNode{id: noID},
		Forward: roundTrip(func(r *http.Request) (*http.Response, error) {
			r.URL.Host = u.Host
			return to.RoundTrip(r)
		}),
	}))
	defer front.Close()
	conn, ctx := open(t, front.URL+u.RequestURI()+"&ws_handshake=true", nil, `{"version":1,"auth_token":"t1"}`, "hello")
	if _, got, err := conn.Read(ctx); err != nil || !strings.Contains(string(got), "owner of t1") {
		t.Fatalf("%q, %v", got, err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
}

// What users run is in no log, whatever becomes of the session.
func TestTunnelLogsNoCommand(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	broken := roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	w := newWorld(t, connected(func(string) http.RoundTripper { return broken }), func(c *httpapi.Config) { c.Log = logger })
	reg := w.run("web", 1)
	id := w.place("web", reg.EvalID, 1)[0]
	w.node.id = otherID
	srv := httptest.NewServer(web.Serve(web.Config{Log: logger, Now: time.Now, Guard: &web.Guard{Loopback: true}}, w.h))
	defer srv.Close()
	query := "exec?task=redis&command=" + url.QueryEscape(`["echo","s3cret-argument"]`)
	for _, id := range []string{id, noID, "x"} {
		conn, ctx := open(t, srv.URL+"/v1/client/allocation/"+id+"/"+query, http.Header{"X-Nomad-Token": {"s3cret-token"}})
		_, _, _ = conn.Read(ctx)
		resp, err := http.Get(srv.URL + "/v1/client/allocation/" + id + "/" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	if text := log.String(); !strings.Contains(text, "/exec") || strings.Contains(text, "s3cret") {
		t.Errorf("log:\n%s", text)
	}
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

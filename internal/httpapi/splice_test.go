package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/drover-org/drover/api"
)

// remote is a node behind its connection: a real server and the transport that
// reaches it whatever host is asked.
func remote(t *testing.T, h http.HandlerFunc) http.RoundTripper {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// spliced is a world whose allocation is on a node that is not here, served
// over real connections.
func spliced(t *testing.T, h http.HandlerFunc) (base, alloc string) {
	rt := remote(t, h)
	w := newWorld(t, connected(func(string) http.RoundTripper { return rt }))
	reg := w.run("web", 1)
	alloc = w.place("web", reg.EvalID, 1)[0]
	w.node.id = otherID
	srv := httptest.NewServer(w.h)
	t.Cleanup(srv.Close)
	return srv.URL, alloc
}

// An exec session goes through the server in both directions, half-close and
// close code included.
func TestSpliceWebSocket(t *testing.T) {
	base, id := spliced(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("command") != `["a b"]` || r.Header.Get("X-Nomad-Token") != "" {
			http.Error(w, "not as it was sent: "+r.URL.RawQuery, 400)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if string(data) == "bye" {
				_ = c.Close(4242, "as you wish")
				return
			}
			if err := c.Write(r.Context(), kind, append([]byte("echo "), data...)); err != nil {
				return
			}
		}
	})
	c, _, err := websocket.Dial(t.Context(), base+"/v1/client/allocation/"+id+"/exec?task=redis&command=%5B%22a%20b%22%5D", &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Nomad-Token": {"s3cret"}, "Origin": {base}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for i := range 100 {
		want := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*100))
		if err := c.Write(t.Context(), websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != "echo "+want {
			t.Fatalf("frame %d: %d bytes, %v", i, len(got), err)
		}
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4242 {
		t.Errorf("close: %v", err)
	}
}

// What a node streams arrives as it is sent, and the end of a stream that
// breaks does not look like its end.
func TestSpliceStream(t *testing.T) {
	next := make(chan bool)
	base, id := spliced(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		rc := http.NewResponseController(w)
		_, _ = io.WriteString(w, "first\n")
		_ = rc.Flush()
		<-next
		_, _ = io.WriteString(w, "second\n")
		_ = rc.Flush()
		<-next
		panic(http.ErrAbortHandler)
	})
	resp, err := http.Get(base + "/v1/client/fs/logs/" + id + "?task=redis&type=stdout&follow=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, want := range []string{"first\n", "second\n"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v", got, err)
		}
		next <- true
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a stream that broke ended as if it were whole")
	}
	if v := resp.Header.Values("Vary"); len(v) != 1 {
		t.Errorf("Vary: %q", v)
	}
}

// A node's refusal arrives as the node said it.
func TestSpliceRefusal(t *testing.T) {
	base, id := spliced(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "unknown task name \"x\"")
	})
	resp, err := http.Get(base + "/v1/client/allocation/" + id + "/exec?command=[]&task=x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || string(b) != `unknown task name "x"` {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
}

// A stream whose right is lost is cut, and does not look like one that ended.
func TestStreamLostRight(t *testing.T) {
	places(t, func(t *testing.T, here bool) {
		w, n, target := tunnelled(t, here)
		ended := make(chan struct{})
		n.plain = func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			_, _ = io.WriteString(w, "line\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
		var denied atomic.Bool
		w.may = func(string, api.Capability) error {
			if denied.Load() {
				return api.Errorf(api.CodeForbidden, "Permission denied: the token has expired")
			}
			return nil
		}
		first := make(chan struct{})
		w.rights.Store(&first)
		base, rest, _ := strings.Cut(target, "/v1/client/allocation/")
		id, _, _ := strings.Cut(rest, "/")
		resp, err := http.Get(base + "/v1/client/fs/logs/" + id + "?task=redis&type=stdout&follow=true")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.StatusCode, err)
		}
		denied.Store(true)
		close(*w.rights.Swap(new(chan struct{})))
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("the stream looks whole")
		}
		<-ended
	})
}

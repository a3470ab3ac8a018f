package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

func TestEverythingWorksOverTLS(t *testing.T) {
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS() // for its certificate of 127.0.0.1
	defer pair.Close()
	roots := pair.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	backend := newBackend()
	s := NewServer(ServerConfig{Backend: backend, Log: log})
	mux := NewMux(MuxConfig{
		Listener: ln, TLS: &tls.Config{Certificates: pair.TLS.Certificates}, Log: log, Control: s.ServeControl, DialBack: s.ServeDialBack,
	})
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "from the server") })}
	n := NewNode(NodeConfig{
		Servers: []string{ln.Addr().String()}, TLS: &tls.Config{RootCAs: roots}, Log: log, OnAssign: func(Assignment) {},
		Node:    func() *api.Node { return &api.Node{ID: nodeID} },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "from the node") }),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = mux.Run(ctx) })
	wg.Go(func() { _ = web.Serve(mux.HTTP()) })
	wg.Go(func() { _ = n.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	defer web.Close()
	defer s.CloseIdle()
	waitFor(t, func() bool { return s.Connected(nodeID) })
	for want, transport := range map[string]http.RoundTripper{"from the node": s.Transport(nodeID), "from the server": n.Transport()} {
		res, err := (&http.Client{Transport: transport}).Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if string(b) != want {
			t.Fatalf("%s", b)
		}
	}
	// A node that does not know the authority gets nowhere.
	if _, err := (Dialer{TLS: &tls.Config{}}).Dial(ctx, ln.Addr().String()); err == nil {
		t.Error("a certificate of an unknown authority was taken")
	}
}

// TestWhoMaySpeakWhat counts what comes through a mux: nothing plain where TLS
// is on, nothing that Allow refuses, nothing unknown.
func TestWhoMaySpeakWhat(t *testing.T) {
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS()
	defer pair.Close()
	secure := &tls.Config{Certificates: pair.TLS.Certificates}
	roots := pair.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	refuseRaft := func(proto byte, peer *tls.ConnectionState) error {
		if proto == ProtoRaft {
			return errors.New("no")
		}
		return nil
	}
	for name, c := range map[string]struct {
		cfg    MuxConfig
		tls    bool
		first  byte
		served bool
	}{
		"plain":                    {MuxConfig{}, false, ProtoControl, true},
		"plain http":               {MuxConfig{}, false, 'G', true},
		"tls":                      {MuxConfig{TLS: secure}, true, ProtoControl, true},
		"tls http":                 {MuxConfig{TLS: secure}, true, 'G', true},
		"plain to tls":             {MuxConfig{TLS: secure}, false, ProtoControl, false},
		"plain raft to tls":        {MuxConfig{TLS: secure}, false, ProtoRaft, false},
		"plain http to tls":        {MuxConfig{TLS: secure}, false, 'G', false},
		"plain during an upgrade":  {MuxConfig{TLS: secure, Plain: true}, false, ProtoControl, true},
		"tls during an upgrade":    {MuxConfig{TLS: secure, Plain: true}, true, ProtoControl, true},
		"tls to plain":             {MuxConfig{}, true, ProtoControl, false},
		"refused":                  {MuxConfig{TLS: secure, Allow: refuseRaft}, true, ProtoRaft, false},
		"refused plainly":          {MuxConfig{Allow: refuseRaft}, false, ProtoRaft, false},
		"allowed beside a refused": {MuxConfig{TLS: secure, Allow: refuseRaft}, true, ProtoDialBack, true},
		"unknown":                  {MuxConfig{}, false, 9, false},
		"unknown inside":           {MuxConfig{TLS: secure}, true, 9, false},
		"tls inside of tls":        {MuxConfig{TLS: secure}, true, recordTLS, false},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var served atomic.Int32
			serve := func(_ context.Context, c net.Conn) {
				served.Add(1)
				_ = c.Close()
			}
			cfg := c.cfg
			cfg.Listener, cfg.Log, cfg.Control, cfg.DialBack = ln, slog.New(slog.DiscardHandler), serve, serve
			mux := NewMux(cfg)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			wg.Go(func() { _ = mux.Run(ctx) })
			for _, l := range []net.Listener{mux.Raft(), mux.HTTP()} {
				wg.Go(func() {
					for {
						conn, err := l.Accept()
						if err != nil {
							return
						}
						serve(ctx, conn)
					}
				})
				defer l.Close()
			}
			d := Dialer{}
			if c.tls {
				d.TLS = &tls.Config{RootCAs: roots}
			}
			conn, err := d.Dial(t.Context(), ln.Addr().String())
			if err == nil { // else the other side has hung up already
				defer conn.Close()
				_, _ = conn.Write([]byte{c.first})
				_, _ = io.Copy(io.Discard, conn) // until it is closed, which both ways end in
			}
			if got := served.Load() == 1; got != c.served {
				t.Errorf("served: %v, %v", got, err)
			}
		})
	}
}

// A flood of connections that say nothing, before TLS, is bounded, and leaves
// a place to who speaks.
func TestFloodBeforeTheFirstByteLeavesOthersServed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served, full := make(chan struct{}, 1), make(chan struct{}, 1000)
	mux := NewMux(MuxConfig{
		Listener: ln, Log: slog.New(slog.DiscardHandler), MaxPending: 10, HandshakeTimeout: time.Hour,
		Control: func(_ context.Context, c net.Conn) {
			_ = c.Close()
			served <- struct{}{}
		},
		Refused: func(_ net.Addr, isFull bool, _ error) {
			if isFull {
				full <- struct{}{}
			}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = mux.Run(ctx) })
	var silent []net.Conn
	for range 100 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	for range 90 {
		<-full
	}
	if n := len(mux.pending); n != 10 {
		t.Errorf("%d are pending", n)
	}
	_ = silent[0].Close() // as a timeout would
	for len(mux.pending) == 10 && t.Context().Err() == nil {
	}
	c, err := Dialer{}.Dial(ctx, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := writeProto(c, ProtoControl); err != nil {
		t.Fatal(err)
	}
	<-served
}

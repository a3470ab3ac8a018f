package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

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
	// A peer that speaks plainly gets nowhere, and so does a node that does
	// not know the authority.
	if _, err := (Dialer{TLS: &tls.Config{}}).Dial(ctx, ln.Addr().String()); err == nil {
		t.Error("a certificate of an unknown authority was taken")
	}
	plain, err := (Dialer{}).DialRaft(ctx, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_ = plain.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, plain); err != nil && ctx.Err() != nil {
		t.Error(err)
	}
	select {
	case <-mux.raft.conns:
		t.Error("a plain connection came through")
	default:
	}
}

package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/limit"
	"github.com/drover-org/drover/internal/web"
)

// Bounds of the HTTP servers. Answers may take as long as they like: many are
// streams.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	// drainTime is what requests get that are under way when the agent ends.
	drainTime = 3 * time.Second
)

// buildHTTP adds the part that serves the API, on its own port and, for nodes
// that forward, on the rpc port.
func (d *daemon) buildHTTP() {
	cfg := httpapi.Config{Log: d.log, Now: time.Now, Agent: about{d}, Metrics: d.metrics(), Process: d.process().Handler(), Debug: d.cfg.Debug()}
	if d.server != nil {
		cfg.Server = d.server.server
		cfg.PublicKeysAge = min(d.keyThresholds().Publication()/2, maxPublicKeysAge)
		cfg.NodeTransport, cfg.NodeConnected = d.server.nodeTransport, d.server.nodeConnected
		cfg.Elsewhere = &elsewhere{daemon: d}
	} else {
		cfg.Forward = d.node.link.Transport()
	}
	if d.node != nil {
		cfg.Node = d.node.agent
	}
	routes := d.limits.Handler(httpapi.New(cfg))
	handler := func(l net.Listener) http.Handler {
		return d.audited(web.Serve(web.Config{
			Log: d.log, Now: time.Now, Headers: d.cfg.HTTPHeaders,
			TooLarge: func(remote string) { d.refused.Note(limit.LargeBody, remote) },
			Guard:    &web.Guard{Loopback: loopback(l), Hosts: []string{d.cfg.Name}},
		}, routes))
	}
	d.parts = append(d.parts, part{"http", func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			return serve(ctx, d.log, d.secured(d.limitHTTP(d.httpListener)), handler(d.httpListener), d.headerTimeout())
		})
		if d.server != nil {
			g.Go(func() error { return serve(ctx, d.log, d.server.mux.HTTP(), handler(d.rpcListener), headerTimeout) })
		}
		return g.Wait()
	}})
}

// loopback reports whether only this machine reaches a listener.
func loopback(l net.Listener) bool {
	host, _, err := net.SplitHostPort(l.Addr().String())
	return err == nil && net.ParseIP(host).IsLoopback()
}

// secured adds TLS to the listener of the API, if the configuration asks for
// it.
func (d *daemon) secured(l net.Listener) net.Listener {
	if !d.cfg.TLS.HTTP {
		return l
	}
	return tls.NewListener(l, d.certs.HTTPS(d.cfg.TLS.VerifyHTTPSClient))
}

// headerTimeout bounds how long a caller of the API takes for the headers of a
// request. An http.Server gives a handshake the same time.
func (d *daemon) headerTimeout() time.Duration {
	if d.cfg.TLS.HTTP {
		return d.cfg.Limits.HTTPSHandshakeTimeout
	}
	return headerTimeout
}

// serve runs an HTTP server until ctx ends. Requests see their context end at
// once, so that waiting ones answer; what still runs after drainTime is cut.
func serve(ctx context.Context, log *slog.Logger, l net.Listener, h http.Handler, header time.Duration) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: header, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(c net.Conn, s http.ConnState) {
			if l := limit.Of(c); l != nil && s == http.StateActive {
				l.Began()
			}
		},
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		_ = srv.Close() // cuts what did not end in time
	}
	if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// metrics are what /v1/metrics tells.
func (d *daemon) metrics() prometheus.Gatherer {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "drover", Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "drover", Name: name, Help: help}, value))
	}
	d.limitMetrics(reg)
	gauge("log_readers", "Open streams of the agent's log.", func() float64 { return float64(d.tee.Readers()) })
	if s := d.server; s != nil {
		gauge("server_leads", "1 while this server leads.", func() float64 {
			if s.cluster.Leads() {
				return 1
			}
			return 0
		})
		gauge("server_state_index", "Index of the state.", func() float64 { return float64(s.store.Snapshot().Index()) })
		gauge("server_allocations", "Allocations in the state.", func() float64 { return float64(s.store.Snapshot().AllocCount()) })
		gauge("server_nodes", "Nodes in the state.", func() float64 { return float64(s.store.Snapshot().NodeCount()) })
		gauge("server_nodes_connected", "Nodes connected to this server.", func() float64 { return float64(s.nodes.Nodes()) })
		if ring := s.events; ring != nil {
			gauge("server_event_subscribers", "Open event streams.", func() float64 { return float64(ring.Stats().Subscribers) })
			gauge("server_event_batches", "Changes whose events are kept.", func() float64 { return float64(ring.Stats().Batches) })
			reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
				Namespace: "drover", Name: "server_event_batches_missed_total", Help: "Changes whose events were dropped before a slow reader took them.",
			}, func() float64 { return float64(ring.Stats().Missed) }))
		}
		gauge("server_watched_keys", "Keys of the state that somebody waits for.", func() float64 { return float64(s.store.Waiters()) })
	}
	if k := d.certs; k != nil {
		gauge("tls_certificate_end_seconds", "When the agent's certificate ends, in Unix seconds.", func() float64 { return float64(k.NotAfter().Unix()) })
	}
	if log := d.audit; log != nil {
		for _, c := range []struct {
			name, help string
			value      func() uint64
		}{
			{"audit_records_total", "Audit records written.", log.Lines},
			{"audit_records_lost_total", "Audit records that could not be written.", log.Lost},
		} {
			reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "drover", Name: c.name, Help: c.help}, func() float64 { return float64(c.value()) }))
		}
	}
	if n := d.node; n != nil {
		gauge("client_exec_sessions", "Exec sessions and forwarded connections that are open.", func() float64 { return float64(n.agent.Sessions().Open) })
		gauge("client_exec_sessions_limit", "How many of them there may be (client.max_exec_sessions).", func() float64 { return float64(n.agent.Sessions().Limit) })
		counter("client_exec_sessions_opened_total", "Exec sessions and forwarded connections that were opened.", func() float64 { return float64(n.agent.Sessions().Opened) })
		counter("client_exec_sessions_refused_total", "Those that were refused because there were too many.", func() float64 { return float64(n.agent.Sessions().Refused) })
		gauge("client_connected", "1 while the node is connected to a server.", func() float64 {
			if n.link.Connected() {
				return 1
			}
			return 0
		})
	}
	return reg
}

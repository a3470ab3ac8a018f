package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-org/drover/internal/limit"
)

// buildLimits makes what bounds callers. Handlers and listeners of all ports
// count together.
func (d *daemon) buildLimits() {
	l := &d.cfg.Limits
	d.refused = limit.NewRefusals(d.log, time.Now)
	d.limits = limit.New(limit.Config{
		Now: time.Now, Rate: l.HTTPRequestRate, Burst: l.HTTPRequestBurst, Stall: l.HTTPStallTimeout,
		Exec: l.HTTPMaxExecPerClient, Files: l.HTTPMaxStreamsPerClient, Watches: l.HTTPMaxWatchesPerClient,
		Caller: d.accessor, Refusals: d.refused,
	})
}

// accessor returns who owns a token, as the server here knows it.
func (d *daemon) accessor(ctx context.Context, token string) string {
	if d.server == nil {
		return ""
	}
	who, err := d.server.server.Caller(ctx, token)
	if err != nil || who == nil {
		return ""
	}
	if who.AccessorID != "" {
		return who.AccessorID
	}
	return who.Name // of a workload or a node; a caller that is nobody has none
}

// tooMany is said to a client whose connection is not taken.
const tooMany = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"

// limitHTTP bounds the connections of the API.
func (d *daemon) limitHTTP(l net.Listener) net.Listener {
	c := limit.ConnsConfig{
		PerClient: d.cfg.Limits.HTTPMaxConnsPerClient, Own: true, Stall: d.cfg.Limits.HTTPStallTimeout,
		Refused: func(remote string) {
			d.refused.Note(limit.HTTPConns, remote, "key", "limits.http_max_conns_per_client")
		},
		Stalled: func(remote string) { d.refused.Note(limit.SlowReader, remote, "key", "limits.http_stall_timeout") },
	}
	if !d.cfg.TLS.HTTP { // a TLS client could not read it
		c.Refusal = tooMany
	}
	return limit.Conns(l, c)
}

// limitRPC bounds the connections of nodes and servers.
func (d *daemon) limitRPC(l net.Listener) net.Listener {
	return limit.Conns(l, limit.ConnsConfig{
		PerClient: d.cfg.Limits.RPCMaxConnsPerClient, Stall: d.cfg.Limits.HTTPStallTimeout, // of requests that nodes pass on
		Stalled: func(remote string) { d.refused.Note(limit.SlowReader, remote, "key", "limits.http_stall_timeout") },
		Refused: func(remote string) { d.refused.Note(limit.RPCConns, remote, "key", "limits.rpc_max_conns_per_client") },
	})
}

// refuseRPC notes connections that are closed unserved. One that hangs up by
// itself is a probe of a load balancer, as a rule.
func (d *daemon) refuseRPC(remote net.Addr, full bool, err error) {
	switch {
	case full:
		d.refused.Note(limit.RPCPending, remote.String(), "error", err)
	case errors.Is(err, io.EOF):
		d.log.Debug("connection to the rpc port ended before its first byte", "remote", remote)
	default:
		d.refused.Note(limit.RPCRefused, remote.String(), "error", err)
	}
}

// limitMetrics tells what was refused and what is open.
func (d *daemon) limitMetrics(reg *prometheus.Registry) {
	for _, reason := range limit.Reasons() {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "drover", Name: "limit_refused_total", Help: "Connections and requests refused because of a limit.",
			ConstLabels: prometheus.Labels{"limit": string(reason)},
		}, func() float64 { return float64(d.refused.Count(reason)) }))
	}
	for name, kind := range map[string]limit.Kind{"exec": limit.Exec, "files": limit.Files, "watches": limit.Watch} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "drover", Name: "limit_open", Help: "Sessions that are open and count against a limit.",
			ConstLabels: prometheus.Labels{"kind": name},
		}, func() float64 { return float64(d.limits.Open(kind)) }))
	}
}

package cli

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/drover-org/drover/internal/bench"
)

type benchNodesOptions struct {
	count      int
	servers    listFlag
	name       string
	datacenter string
	churn      int
	slow, dead int
	slowBy     time.Duration
	deadAfter  time.Duration
	verbose    bool
}

func benchNodesVerb() *verb {
	var o benchNodesOptions
	return &verb{
		name: "bench nodes", args: "-count N -servers ADDR", offline: true,
		short: "Simulate many nodes, to measure servers",
		long: `
Connects N simulated nodes to servers through the node protocol, until it is
interrupted. They have the resources and drivers of ordinary machines, meta.rack
of 20 values, and start what they are assigned in no time: servers can't tell
them from real ones, so point it at servers that are there for measuring.

Not all need be well: some allocations report restarts (-churn), the first
nodes report everything late (-slow), and the last ones hang after a while
without saying so (-dead): their connections stand, heartbeats end.`,
		flags: func(fs *flag.FlagSet) {
			fs.IntVar(&o.count, "count", 10, "`N` nodes")
			fs.Var(&o.servers, "servers", "`ADDR` of a server's rpc port, such as 127.0.0.1:4647 (may be repeated, or with commas)")
			fs.StringVar(&o.name, "name", "bench", "`PREFIX` of the nodes' names; the same one finds the same nodes again")
			fs.StringVar(&o.datacenter, "dc", "dc1", "`NAME` of the datacenter they are in")
			fs.IntVar(&o.churn, "churn", 0, "`N` allocations a second report that their tasks were started again")
			fs.IntVar(&o.slow, "slow", 0, "`N` nodes report late")
			fs.DurationVar(&o.slowBy, "slow-by", 5*time.Second, "how late slow nodes report")
			fs.IntVar(&o.dead, "dead", 0, "`N` nodes hang after a while")
			fs.DurationVar(&o.deadAfter, "dead-after", time.Minute, "when nodes hang, from the start")
			fs.BoolVar(&o.verbose, "verbose", false, "log what the connections do")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runBenchNodes(ctx, e, &o, args) },
	}
}

func runBenchNodes(ctx context.Context, e *env, o *benchNodesOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	level := slog.LevelError
	if o.verbose {
		level = slog.LevelDebug
	}
	var servers []string
	for _, s := range o.servers {
		servers = append(servers, strings.Split(s, ",")...)
	}
	l := newLive(e.Out, e.out)
	told := ""
	return bench.Nodes(ctx, bench.Config{
		Count: o.count, Servers: servers, Name: o.name, Datacenter: o.datacenter, Churn: o.churn,
		Slow: o.slow, SlowBy: o.slowBy, Dead: o.dead, DeadAfter: o.deadAfter,
		Log: slog.New(slog.NewTextHandler(e.Err, &slog.HandlerOptions{Level: level})),
		Progress: func(s bench.Status) {
			text := fmt.Sprintf("%d of %s connected, %s running", s.Connected, plural(s.Nodes, "node"), plural(s.Running, "allocation"))
			if s.Dead > 0 {
				text += fmt.Sprintf(", %d dead", s.Dead)
			}
			if l.st.tty {
				l.block("  " + text + e.out.dim(fmt.Sprintf("  (%d assigned, %d reported)", s.Assigned, s.Reported)))
			} else if text != told {
				l.line("%s", text)
			}
			told = text
		},
	})
}

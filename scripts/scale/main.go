// Command scale measures a server with many allocations: it starts one with
// its log on disk and simulated nodes beside it, registers jobs, waits until
// everything runs, and reports rates, latencies, memory and the size of the
// log. A small job that is registered again and again meanwhile shows what
// others notice. Everything it starts has ended when it returns, and its
// files are gone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type options struct {
	drover   string
	nodes    int
	timeout  time.Duration
	cores    int
	profiles string
	profile  time.Duration
	keep     string
	jobs     jobOptions
}

func main() {
	var o options
	flag.StringVar(&o.drover, "drover", "bin/drover", "the binary to measure")
	flag.IntVar(&o.nodes, "nodes", 1000, "simulated nodes")
	flag.IntVar(&o.jobs.jobs, "jobs", 100, "jobs")
	flag.IntVar(&o.jobs.count, "count", 100, "allocations of each job")
	flag.IntVar(&o.jobs.cpu, "cpu", 10, "MHz of each task; a node has 4000")
	flag.IntVar(&o.jobs.memory, "memory", 20, "MB of each task; a node has 8192")
	flag.IntVar(&o.jobs.ports, "ports", 1, "dynamic ports of each allocation")
	flag.BoolVar(&o.jobs.deployments, "deployments", true, "roll jobs out by deployments")
	flag.StringVar(&o.jobs.spread, "spread", "", "attribute to spread over, such as ${meta.rack}")
	flag.StringVar(&o.jobs.affinity, "affinity", "", "attribute=value to prefer, such as ${meta.rack}=r7")
	flag.DurationVar(&o.jobs.probe, "probe", 250*time.Millisecond, "pause between registrations of the small job; 0: none")
	flag.DurationVar(&o.timeout, "timeout", 15*time.Minute, "give up after this long and report what was reached")
	flag.IntVar(&o.cores, "cores", 2, "cores that server and nodes share (by taskset); 0: all")
	flag.StringVar(&o.profiles, "profiles", "", "folder for profiles of the server: CPU while it places, memory at the end")
	flag.DurationVar(&o.profile, "profile", 20*time.Second, "how long the profile of CPU takes, from the first registration")
	flag.StringVar(&o.keep, "dir", "", "folder for the server's data, kept; by default a temporary one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rep, err := run(ctx, o)
	if rep != nil {
		text, _ := json.MarshalIndent(rep, "", "  ") // plain values: can't fail
		fmt.Println(string(text))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// run returns what was reached also with an error.
func run(ctx context.Context, o options) (_ *report, err error) {
	if o.nodes < 1 || o.jobs.jobs < 1 || o.jobs.count < 1 {
		return nil, errors.New("nodes, jobs and count must be at least 1")
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "drover-scale-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return nil, err
		}
	}
	srv, err := startServer(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	nodes, err := startNodes(ctx, o, srv)
	if err != nil {
		return nil, err
	}
	defer nodes.stop()
	if err := nodes.await(ctx, func(t tally) bool { return t.connected == o.nodes }); err != nil {
		return nil, fmt.Errorf("wait for nodes: %w", err)
	}
	rep := &report{Nodes: o.nodes, Jobs: o.jobs.jobs, Count: o.jobs.count, IdleRSSMiB: srv.status().rss}
	profiled := srv.profileCPU(ctx, o.profiles, o.profile)
	err = measure(ctx, o.jobs, srv, nodes, rep)
	if perr := <-profiled; err == nil && perr != nil {
		err = perr
	}
	rep.server(srv, nodes, dir)
	if o.profiles != "" && err == nil {
		err = srv.save(ctx, "/v1/agent/pprof/heap", filepath.Join(o.profiles, "heap"))
	}
	return rep, err
}

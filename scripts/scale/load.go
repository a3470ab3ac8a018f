package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type jobOptions struct {
	jobs, count        int
	cpu, memory, ports int
	deployments        bool
	spread, affinity   string
	probe              time.Duration
}

type object = map[string]any

// body is the registration of a job of one group of one task.
func (o *jobOptions) body(id string, count int) object {
	group := object{"Name": "group", "Count": count, "Tasks": []object{{
		"Name": "main", "Driver": "raw_exec", "Config": object{"command": "/bin/sleep", "args": []string{"3600"}},
		"Resources": object{"CPU": o.cpu, "MemoryMB": o.memory},
	}}}
	if o.ports > 0 {
		var ports []object
		for i := range o.ports {
			ports = append(ports, object{"Label": fmt.Sprintf("p%d", i)})
		}
		group["Networks"] = []object{{"Mode": "host", "DynamicPorts": ports}}
	}
	job := object{"ID": id, "Name": id, "Type": "service", "Datacenters": []string{"*"}, "TaskGroups": []object{group}}
	if !o.deployments {
		job["Update"] = object{"MaxParallel": 0}
	}
	if o.spread != "" {
		job["Spreads"] = []object{{"Attribute": o.spread, "Weight": 100}}
	}
	if attr, value, ok := strings.Cut(o.affinity, "="); ok {
		job["Affinities"] = []object{{"LTarget": attr, "RTarget": value, "Operand": "=", "Weight": 50}}
	}
	return object{"Job": job}
}

func (o *jobOptions) id(i int) string { return fmt.Sprintf("scale-%05d", i) }

// registering is how many jobs are registered at a time.
const registering = 4

// pollEvery is the pause between looks at a job that is not yet done.
const pollEvery = 20 * time.Millisecond

// sayEvery is the pause between lines that tell how far it is.
const sayEvery = 5 * time.Second

// measure registers the jobs, waits until they are placed and until they run,
// and fills in rep as far as it gets.
func measure(ctx context.Context, o jobOptions, s *server, n *nodes, rep *report) error {
	began, before := time.Now(), s.status()
	saying, silence := context.WithCancel(ctx)
	defer silence()
	go say(saying, began, s, n)
	probing, end := context.WithCancel(ctx)
	defer end()
	probed := make(chan latencies, 1)
	go func() { probed <- probe(probing, o, s) }()

	registered := make(chan error, registering)
	next := make(chan int)
	var taken [registering]latencies
	for w := range registering {
		go func() {
			for i := range next {
				t := time.Now()
				if err := s.do(ctx, http.MethodPost, "/v1/jobs", o.body(o.id(i), o.count), discard); err != nil {
					registered <- err
					return
				}
				taken[w] = append(taken[w], time.Since(t))
			}
			registered <- nil
		}()
	}
	for i := range o.jobs {
		select {
		case next <- i:
		case err := <-registered:
			return fmt.Errorf("register: %w", err)
		}
	}
	close(next)
	var all latencies
	for range registering {
		if err := <-registered; err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	for _, l := range taken {
		all = append(all, l...)
	}
	rep.RegisterS, rep.Register = seconds(time.Since(began)), all.summary()

	// What is placed stays so: it is enough to look at the first job that was not.
	err := each(ctx, o, s, func(g groupSummary) bool { return g.Starting+g.Running >= o.count })
	rep.PlacedS = seconds(time.Since(began))
	end()
	rep.SmallJob = (<-probed).summary()
	rep.Placed, rep.Running = reached(o, s)
	rep.PlacedPerS = rate(rep.Placed, rep.PlacedS)
	rep.ServerCPUPlacedS = s.status().cpu - before.cpu
	if err != nil {
		return fmt.Errorf("wait until all are placed: %w", err)
	}
	err = each(ctx, o, s, func(g groupSummary) bool { return g.Running >= o.count })
	rep.RunningS = seconds(time.Since(began))
	rep.Placed, rep.Running = reached(o, s)
	rep.RunningPerS = rate(rep.Running, rep.RunningS)
	rep.ServerCPUS = s.status().cpu - before.cpu
	if err != nil {
		return fmt.Errorf("wait until all run: %w", err)
	}
	return rep.evaluations(ctx, o, s)
}

func discard(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }

type groupSummary struct{ Queued, Starting, Running int }

func summaryOf(ctx context.Context, s *server, id string) (groupSummary, error) {
	var sum struct{ Summary map[string]groupSummary }
	err := s.get(ctx, "/v1/job/"+id+"/summary", &sum)
	return sum.Summary["group"], err
}

// each waits until done says so of every job.
func each(ctx context.Context, o jobOptions, s *server, done func(groupSummary) bool) error {
	for i := range o.jobs {
		for {
			g, err := summaryOf(ctx, s, o.id(i))
			if err != nil {
				return err
			}
			if done(g) {
				break
			}
			select {
			case <-time.After(pollEvery):
			case <-s.ended:
				return fmt.Errorf("the server ended")
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// reached counts what is placed and what runs, also when time is over.
func reached(o jobOptions, s *server) (placed, running int) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for i := range o.jobs {
		g, err := summaryOf(ctx, s, o.id(i))
		if err != nil {
			return placed, running
		}
		placed, running = placed+g.Starting+g.Running, running+g.Running
	}
	return placed, running
}

// probe registers a small job again and again, and returns how long each of
// its evaluations took from the request to the outcome.
func probe(ctx context.Context, o jobOptions, s *server) (out latencies) {
	if o.probe <= 0 {
		return nil
	}
	for i := 0; ; i++ {
		select {
		case <-time.After(o.probe):
		case <-ctx.Done():
			return out
		}
		t := time.Now()
		var answer struct{ EvalID string }
		body := o.body("small-"+strconv.Itoa(i), 1)
		if err := s.do(ctx, http.MethodPost, "/v1/jobs", body, decodeTo(&answer)); err != nil {
			return out
		}
		for index := uint64(0); ; {
			var e struct {
				Status      string
				ModifyIndex uint64
			}
			if err := s.get(ctx, fmt.Sprintf("/v1/evaluation/%s?index=%d&wait=10s", answer.EvalID, index), &e); err != nil {
				return out
			}
			if e.Status == "complete" {
				break
			}
			index = e.ModifyIndex
		}
		out = append(out, time.Since(t))
	}
}

// say tells how far it is until ctx ends.
func say(ctx context.Context, began time.Time, s *server, n *nodes) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			u := s.status()
			fmt.Fprintf(os.Stderr, "%4.0f s: %d allocations running, server %.0f MiB, %.0f CPU s\n", time.Since(began).Seconds(), n.now().running, u.rss, u.cpu)
		case <-ctx.Done():
			return
		}
	}
}

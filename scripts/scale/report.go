package main

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"time"
)

// report is what is printed, in JSON.
type report struct {
	Nodes, Jobs, Count int
	Placed, Running    int

	RegisterS, PlacedS, RunningS float64 // seconds since the first registration
	PlacedPerS, RunningPerS      float64

	Register summary // of each registration, from request to answer
	Eval     summary // of each job's first evaluation, from its creation to its outcome
	SmallJob summary // of a small job meanwhile, from the request to its evaluation's outcome

	IdleRSSMiB, RSSMiB, PeakRSSMiB float64 // of the server, before the first job and after the last
	ServerCPUPlacedS, ServerCPUS   float64
	NodesCPUS                      float64 // of the simulated nodes
	LogMiB, SnapshotsMiB           float64
	BytesPerAlloc                  float64 // of the server's memory beyond what it had before
	LogBytesPerAlloc               float64
}

// server fills in what the processes took.
func (r *report) server(s *server, n *nodes, dir string) {
	u := s.status()
	r.RSSMiB, r.PeakRSSMiB, r.NodesCPUS = u.rss, u.peak, n.status().cpu
	r.LogMiB = sizeOf(filepath.Join(dir, "data"), "wal")
	r.SnapshotsMiB = sizeOf(filepath.Join(dir, "data"), "snapshots")
	if r.Running > 0 {
		r.BytesPerAlloc = math.Round((r.RSSMiB - r.IdleRSSMiB) * (1 << 20) / float64(r.Running))
		r.LogBytesPerAlloc = math.Round(r.LogMiB * (1 << 20) / float64(r.Running))
	}
}

// evaluations fills in how long the first evaluation of each job took.
func (r *report) evaluations(ctx context.Context, o jobOptions, s *server) error {
	var l latencies
	for i := range o.jobs {
		var es []struct {
			Status, TriggeredBy    string
			CreateTime, ModifyTime int64
		}
		if err := s.get(ctx, "/v1/job/"+o.id(i)+"/evaluations", &es); err != nil {
			return err
		}
		for _, e := range es {
			if e.TriggeredBy == "job-register" && e.Status == "complete" {
				l = append(l, time.Duration(e.ModifyTime-e.CreateTime))
			}
		}
	}
	r.Eval = l.summary()
	return nil
}

// sizeOf adds up the files below folders of a name, in MiB.
func sizeOf(root, name string) float64 {
	var n int64
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains(splitPath(path), name) {
			return nil // what went away meanwhile has no size
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return math.Round(float64(n)/(1<<20)*10) / 10
}

func splitPath(path string) (parts []string) {
	for dir := filepath.Dir(path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		parts = append(parts, filepath.Base(dir))
	}
	return parts
}

func decodeTo(v any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(v) }
}

type latencies []time.Duration

// summary is of latencies, in milliseconds.
type summary struct {
	N                  int
	P50, P90, P99, Max float64
}

func (l latencies) summary() summary {
	if len(l) == 0 {
		return summary{}
	}
	slices.Sort(l)
	at := func(p float64) float64 { // the least value that a part p does not exceed
		i := int(math.Ceil(p*float64(len(l)))) - 1
		return math.Round(float64(l[max(i, 0)].Microseconds())/100) / 10
	}
	return summary{len(l), at(0.5), at(0.9), at(0.99), at(1)}
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*100) / 100 }

func rate(n int, s float64) float64 {
	if s <= 0 {
		return 0
	}
	return math.Round(float64(n) / s)
}

package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type operatorDebugOptions struct {
	duration time.Duration
	level    string
	nodes    string
	output   string
}

// Bounds of an archive.
const (
	maxDebugTime = 5 * time.Minute // the longest profile
	maxDebugFile = 64 << 20        // what is longer is cut off, and that is told
	maxDebugNode = 10
)

func operatorDebugVerb() *verb {
	var o operatorDebugOptions
	return &verb{
		name: "operator debug", args: "[options]",
		short: "Collect what helps to find a fault",
		long: `
Writes an archive with the state of the region, and of the leading server and
the nodes that are named: the log of the next seconds, profiles, and a
description of the machine. It holds no tokens and no values of variables that
may be secret, but names of jobs, nodes and addresses: look through it before
you pass it on. What could not be read is listed in errors.txt.`,
		flags: func(fs *flag.FlagSet) {
			fs.DurationVar(&o.duration, "duration", 10*time.Second, "record the log and the profiles for `DURATION`")
			fs.StringVar(&o.level, "log-level", "debug", "record lines of `LEVEL` and above")
			fs.StringVar(&o.nodes, "node-id", "", "also of the agents of `NODES`, by ID or its prefix, with commas")
			fs.StringVar(&o.output, "output", ".", "write the archive into `DIR`")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runOperatorDebug(ctx, e, &o, args) },
	}
}

func runOperatorDebug(ctx context.Context, e *env, o *operatorDebugOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if o.duration < time.Second || o.duration > maxDebugTime {
		return usagef("-duration %s must be from 1s to %s", o.duration, maxDebugTime)
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	agents := []debugAgent{{dir: "leader", params: url.Values{"server_id": {"leader"}}, monitor: client.MonitorOptions{Level: o.level, ServerID: "leader"}}}
	for _, typed := range strings.FieldsFunc(o.nodes, func(r rune) bool { return r == ',' }) {
		n, err := e.findNode(ctx, c, typed)
		if err != nil {
			return err
		}
		agents = append(agents, debugAgent{dir: "node-" + short(n.ID), params: url.Values{"node_id": {n.ID}}, monitor: client.MonitorOptions{Level: o.level, NodeID: n.ID}})
	}
	if len(agents) > maxDebugNode+1 {
		return usagef("-node-id names %d nodes: at most %d", len(agents)-1, maxDebugNode)
	}
	name := "drover-debug-" + time.Now().UTC().Format("20060102T150405Z")
	path := filepath.Join(o.output, name+".tar.gz")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	d := newDebugArchive(c, f, name)
	d.collect(ctx, agents, o.duration)
	err = errors.Join(d.close(), f.Close(), ctx.Err())
	if err != nil {
		return errors.Join(fmt.Errorf("write the archive: %w", err), os.Remove(path))
	}
	if n := len(d.failed); n > 0 {
		e.warn(fmt.Sprintf("%s could not be read: see errors.txt", plural(n, "part")))
	}
	e.say("%s", path)
	return nil
}

// debugAgent is one whose process is looked into.
type debugAgent struct {
	dir     string
	params  url.Values // name it
	monitor client.MonitorOptions
}

// debugArchive is an archive that is being written.
type debugArchive struct {
	c    *client.Client
	name string

	mu     sync.Mutex // of all below
	zip    *gzip.Writer
	tar    *tar.Writer
	failed []string
	err    error // of writing
}

func newDebugArchive(c *client.Client, w io.Writer, name string) *debugArchive {
	z := gzip.NewWriter(w)
	return &debugArchive{c: c, name: name, zip: z, tar: tar.NewWriter(z)}
}

// regionFiles are about the region as a whole.
var regionFiles = []struct{ file, path string }{
	{"self.json", "/v1/agent/self"}, {"members.json", "/v1/agent/members"}, {"health.json", "/v1/agent/health"},
	{"servers.json", "/v1/operator/raft/configuration"}, {"autopilot.json", "/v1/operator/autopilot/health"},
	{"scheduler.json", "/v1/operator/scheduler/configuration"}, {"schedulers.json", "/v1/agent/schedulers"},
	{"nodes.json", "/v1/nodes?resources=true"}, {"jobs.json", "/v1/jobs?namespace=*"},
	{"evaluations.json", "/v1/evaluations?namespace=*&per_page=1000&reverse=true"}, {"deployments.json", "/v1/deployments?namespace=*&per_page=1000&reverse=true"},
	{"metrics.txt", "/v1/metrics?format=prometheus"},
}

// collect gathers everything: at once what takes time, the rest one after the
// other.
func (d *debugArchive) collect(ctx context.Context, agents []debugAgent, duration time.Duration) {
	var wg sync.WaitGroup
	seconds := strconv.Itoa(int(duration / time.Second))
	for _, a := range agents {
		wg.Go(func() { d.monitor(ctx, a, duration) })
		for _, name := range []string{"profile", "trace", "block", "mutex"} {
			wg.Go(func() {
				d.get(ctx, a.dir+"/"+name+".pprof", "/v1/agent/pprof/"+name, a.params, url.Values{"seconds": {seconds}})
			})
		}
	}
	for _, r := range regionFiles {
		path, query, _ := strings.Cut(r.path, "?")
		params, _ := url.ParseQuery(query) // ours
		d.get(ctx, "region/"+r.file, path, params)
	}
	for _, a := range agents {
		d.get(ctx, a.dir+"/host.json", "/v1/agent/host", a.params)
		d.get(ctx, a.dir+"/heap.pprof", "/v1/agent/pprof/heap", a.params)
		d.get(ctx, a.dir+"/goroutine.txt", "/v1/agent/pprof/goroutine", a.params, url.Values{"debug": {"2"}})
	}
	wg.Wait()
}

// get adds what a route answers.
func (d *debugArchive) get(ctx context.Context, file, path string, params ...url.Values) {
	all := url.Values{}
	for _, p := range params {
		for k, v := range p {
			all[k] = v
		}
	}
	resp, err := d.c.Do(ctx, http.MethodGet, path, all, http.Header{}, nil)
	if err != nil {
		d.add(file, nil, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := readBounded(resp.Body)
	if resp.StatusCode >= http.StatusBadRequest && !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		text, err = nil, &api.Error{Code: api.CodeOfStatus(resp.StatusCode), Message: resp.Status + ": " + string(text)}
	}
	d.add(file, text, err)
}

// monitor adds an agent's log.
func (d *debugArchive) monitor(ctx context.Context, a debugAgent, duration time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	s, err := d.c.Agent().Monitor(ctx, a.monitor)
	if err != nil {
		d.add(a.dir+"/monitor.log", nil, err)
		return
	}
	defer func() { _ = s.Close() }()
	text, err := readBounded(s)
	if ctx.Err() != nil {
		err = nil // that is its end
	}
	d.add(a.dir+"/monitor.log", text, err)
}

// readBounded reads to the end or the bound.
func readBounded(r io.Reader) ([]byte, error) {
	var text bytes.Buffer
	n, err := io.Copy(&text, io.LimitReader(r, maxDebugFile))
	if err == nil && n == maxDebugFile {
		err = fmt.Errorf("cut off after %d bytes", n)
	}
	return text.Bytes(), err
}

// add writes a file and notes what is missing of it.
func (d *debugArchive) add(file string, text []byte, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failed = append(d.failed, file+": "+err.Error())
	}
	if text == nil || d.err != nil {
		return
	}
	d.err = d.tar.WriteHeader(&tar.Header{Name: d.name + "/" + file, Mode: 0o600, Size: int64(len(text)), ModTime: time.Now()})
	if d.err == nil {
		_, d.err = d.tar.Write(text)
	}
}

func (d *debugArchive) close() error {
	if len(d.failed) > 0 {
		d.add("errors.txt", []byte(strings.Join(d.failed, "\n")+"\n"), nil)
	}
	return errors.Join(d.err, d.tar.Close(), d.zip.Close())
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a drover that this program started.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
}

// start runs drover on the cores that it is to have.
func start(o options, stdout, stderr io.Writer, args ...string) (*process, error) {
	name := o.drover
	if o.cores > 0 && o.cores < runtime.NumCPU() {
		name, args = "taskset", append([]string{"-c", fmt.Sprintf("0-%d", o.cores-1), o.drover}, args...)
	}
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // an interrupt is ours to pass on
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

type server struct {
	*process
	url, rpc string
	log      *os.File
}

func startServer(ctx context.Context, o options, dir string) (*server, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	data, config := filepath.Join(dir, "data"), filepath.Join(dir, "server.hcl")
	text := fmt.Sprintf("name = \"scale\"\ndata_dir = %q\nlog_level = \"WARN\"\nenable_debug = %t\nports {\n  http = %d\n  rpc = %d\n  serf = %d\n}\nserver {\n  enabled = true\n  bootstrap_expect = 1\n}\n",
		data, o.profiles != "", ports[0], ports[1], ports[2])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, err
	}
	p, err := start(o, log, log, "agent", "-config", config)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	s := &server{process: p, url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), rpc: fmt.Sprintf("127.0.0.1:%d", ports[1]), log: log}
	for {
		var leader string
		if err := s.get(ctx, "/v1/status/leader", &leader); err == nil && leader != "" {
			return s, nil
		}
		select {
		case <-p.ended:
			b, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("the server ended: %s", b)
		case <-ctx.Done():
			s.stop()
			return nil, errors.New("the server has no leader")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *server) stop() {
	s.process.stop()
	_ = s.log.Close()
}

// client keeps a connection for each of the few who ask at a time.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

func (s *server) get(ctx context.Context, path string, to any) error {
	return s.do(ctx, http.MethodGet, path, nil, decodeTo(to))
}

func (s *server) do(ctx context.Context, method, path string, body any, read func(io.Reader) error) error {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, sent)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	return read(resp.Body)
}

// save writes an answer to a file.
func (s *server) save(ctx context.Context, path, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(s.do(ctx, http.MethodGet, path, nil, func(r io.Reader) error { _, err := io.Copy(f, r); return err }), f.Close())
}

// profileCPU begins a profile, if one is wanted; the channel tells its end.
func (s *server) profileCPU(ctx context.Context, dir string, d time.Duration) <-chan error {
	done := make(chan error, 1)
	if dir == "" {
		done <- nil
		return done
	}
	go func() {
		done <- s.save(ctx, fmt.Sprintf("/v1/agent/pprof/profile?seconds=%d", int(d.Seconds())), filepath.Join(dir, "cpu"))
	}()
	return done
}

// usage is what a process takes and took.
type usage struct {
	rss, peak float64 // MiB
	cpu       float64 // seconds
}

func (p *process) status() (u usage) {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	b, _ := os.ReadFile(dir + "status") // of a process that has ended: zeros
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			u.rss = kib / 1024
		case "VmHWM":
			u.peak = kib / 1024
		}
	}
	b, _ = os.ReadFile(dir + "stat")
	if _, rest, ok := strings.Cut(string(b), ") "); ok {
		if f := strings.Fields(rest); len(f) > 12 {
			user, _ := strconv.ParseFloat(f[11], 64)
			system, _ := strconv.ParseFloat(f[12], 64)
			u.cpu = (user + system) / 100
		}
	}
	return u
}

// tally is what the simulated nodes said last.
type tally struct{ connected, running int }

type nodes struct {
	*process
	out *io.PipeWriter

	mu      sync.Mutex
	last    tally         // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced when last changes
}

func startNodes(ctx context.Context, o options, s *server) (*nodes, error) {
	r, w := io.Pipe()
	n := &nodes{out: w, changed: make(chan struct{})}
	go n.read(r)
	var err error
	if n.process, err = start(o, w, os.Stderr, "bench", "nodes", "-count", strconv.Itoa(o.nodes), "-servers", s.rpc); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return n, nil
}

func (n *nodes) stop() {
	n.process.stop()
	_ = n.out.Close()
}

func (n *nodes) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		t, ok := parseTally(lines.Text())
		if !ok {
			continue
		}
		n.mu.Lock()
		n.last = t
		close(n.changed)
		n.changed = make(chan struct{})
		n.mu.Unlock()
	}
}

// parseTally reads a line such as "10 of 10 nodes connected, 5 allocations
// running".
func parseTally(line string) (t tally, ok bool) {
	f := strings.Fields(line)
	if len(f) < 8 {
		return t, false
	}
	var err1, err2 error
	t.connected, err1 = strconv.Atoi(f[0])
	t.running, err2 = strconv.Atoi(f[5])
	return t, err1 == nil && err2 == nil
}

func (n *nodes) now() tally {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

func (n *nodes) await(ctx context.Context, done func(tally) bool) error {
	for {
		n.mu.Lock()
		t, changed := n.last, n.changed
		n.mu.Unlock()
		if done(t) {
			return nil
		}
		select {
		case <-changed:
		case <-n.ended:
			return errors.New("the simulated nodes ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// freePorts finds ports that nobody listens on now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

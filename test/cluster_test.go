package test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fleet is servers of one region and nodes, each a process.
type fleet struct {
	t       *testing.T
	servers []*diskAgent
	rpc     []string // of the servers
	joins   string   // configuration that joins them
	dir     string
}

// newFleet prepares n servers that form a region.
func newFleet(t *testing.T, n int) *fleet {
	f := &fleet{t: t, dir: t.TempDir()}
	ports := loopbackPorts(t, 3*n)
	var serf []string
	for i := range n {
		serf = append(serf, fmt.Sprintf("%q", fmt.Sprintf("127.0.0.1:%d", ports[3*i+2])))
	}
	f.joins = strings.Join(serf, ", ")
	for i := range n {
		p := ports[3*i:]
		f.rpc = append(f.rpc, fmt.Sprintf("127.0.0.1:%d", p[1]))
		f.servers = append(f.servers, f.agent(fmt.Sprintf("s%d", i), p[0], fmt.Sprintf(
			"ports {\n  http = %d\n  rpc = %d\n  serf = %d\n}\nserver {\n  enabled = true\n  bootstrap_expect = %d\n  server_join {\n    retry_join = [%s]\n    retry_interval = \"1s\"\n  }\n}\n",
			p[0], p[1], p[2], n, f.joins)))
	}
	return f
}

// node prepares a node that knows one of the servers.
func (f *fleet) node(name string, server int) *diskAgent {
	port := loopbackPorts(f.t, 1)[0]
	return f.agent(name, port, fmt.Sprintf("ports {\n  http = %d\n}\n%sclient {\n  servers = [%q]\n}\n", port, rawExecOn, f.rpc[server]))
}

func (f *fleet) agent(name string, port int, config string) *diskAgent {
	dir := filepath.Join(f.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	a := &diskAgent{
		t: f.t, data: filepath.Join(dir, "data"), config: filepath.Join(dir, "agent.hcl"), log: filepath.Join(dir, "agent.log"),
		url: fmt.Sprintf("http://127.0.0.1:%d", port),
	}
	if err := os.WriteFile(a.config, []byte(fmt.Sprintf("name = %q\ndata_dir = %q\n", name, a.data)+config), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(a.cleanup)
	return a
}

// loopbackPorts finds ports that nobody listens on now.
func loopbackPorts(t *testing.T, n int) []int {
	var ports []int
	for len(ports) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// form starts all servers and returns when they have a leader.
func (f *fleet) form() {
	for _, s := range f.servers {
		s.launch()
	}
	for _, s := range f.servers {
		s.healthy()
	}
}

// leader returns which server leads.
func (f *fleet) leader() int {
	f.t.Helper()
	found := -1
	until(f.t, "a leader", func() bool {
		for _, s := range f.servers {
			if s.cmd == nil {
				continue
			}
			var addr string
			resp, err := http.Get(s.url + "/v1/status/leader")
			if err != nil {
				continue
			}
			err = json.NewDecoder(resp.Body).Decode(&addr)
			resp.Body.Close()
			found = slices.Index(f.rpc, addr)
			if err == nil && found >= 0 && f.servers[found].cmd != nil {
				return true
			}
		}
		return false
	})
	return found
}

// voters waits until every server that runs counts n voters.
func (f *fleet) voters(n int) {
	f.t.Helper()
	for _, s := range f.servers {
		if s.cmd == nil {
			continue
		}
		until(f.t, fmt.Sprintf("%d voters", n), func() bool {
			var cfg struct{ Servers []struct{ Voter bool } }
			s.readJSON("/v1/operator/raft/configuration", &cfg)
			return len(cfg.Servers) == n
		})
	}
}

const sleeper = `{"Job": {"ID": %q, "Datacenters": ["dc1"], "Meta": {"n": "%d"}, "TaskGroups": [{"Name": "g", "Count": %d,
	"Tasks": [{"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/sh", "args": ["-c", "echo started; exec sleep 3600"]}, "Resources": {"CPU": 10, "MemoryMB": 10}}]}]}}`

// register writes a job through any server and returns whether that was
// acknowledged.
func register(s *diskAgent, id string, n, count int) bool {
	status, _, err := s.send("PUT", "/v1/jobs", fmt.Sprintf(sleeper, id, n, count))
	return err == nil && status == http.StatusOK
}

// runningAllocs returns the allocations of a job that run, by ID, as a server sees
// them.
func runningAllocs(s *diskAgent, job string) []string {
	var list []struct{ ID, ClientStatus string }
	s.readJSON("/v1/job/"+job+"/allocations", &list)
	var ids []string
	for _, a := range list {
		if a.ClientStatus == "running" {
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// Three servers: every one answers everything, the leader is killed again and
// again while jobs are written through all of them, and what was acknowledged
// is there; tasks go on and their node finds another server.
func TestServersLoseNoWriteAndNoTask(t *testing.T) {
	f := newFleet(t, 3)
	f.form()
	f.voters(3)

	node := f.node("n1", 0)
	node.launch()
	until(t, "the node to be ready", func() bool {
		var nodes []struct{ Status string }
		f.servers[1].readJSON("/v1/nodes", &nodes)
		return len(nodes) == 1 && nodes[0].Status == "ready"
	})
	// A write through each server, read at once through the next.
	for i, s := range f.servers {
		id := fmt.Sprintf("through-%d", i)
		s.mustSend("PUT", "/v1/jobs", fmt.Sprintf(sleeper, id, 0, 0))
		var job struct{ ID string }
		f.servers[(i+1)%3].readJSON("/v1/job/"+id, &job)
		if job.ID != id {
			t.Fatalf("%q", job.ID)
		}
	}
	f.servers[2].mustSend("PUT", "/v1/jobs", fmt.Sprintf(sleeper, "tasks", 0, 3))
	until(t, "tasks to run", func() bool { return len(runningAllocs(f.servers[0], "tasks")) == 3 })
	before := runningAllocs(f.servers[1], "tasks")
	for _, s := range f.servers { // their logs through any server, whoever has the node
		until(t, "the log of a task", func() bool {
			return string(s.read("/v1/client/fs/logs/"+before[0]+"?task=t&type=stdout&plain=true")) == "started\n"
		})
	}

	const writers, kills = 4, 3
	var stop atomic.Bool
	acked := make([][]string, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := fmt.Sprintf("w%d-%d", w, i)
				if register(f.servers[rand.IntN(3)], id, i, 0) {
					acked[w] = append(acked[w], id)
				}
			}
		})
	}
	for range kills {
		<-time.After(time.Duration(200+rand.IntN(300)) * time.Millisecond)
		i := f.leader()
		process := f.servers[i].cmd
		_ = process.Process.Signal(syscall.SIGKILL)
		_ = process.Wait()
		f.servers[i].cmd = nil
		f.leader()
		f.servers[i].launch()
		f.servers[i].healthy()
	}
	stop.Store(true)
	wg.Wait()
	all := 0
	for _, s := range f.servers {
		s.healthy()
		var jobs []struct{ ID string }
		s.readJSON("/v1/jobs", &jobs)
		there := map[string]bool{}
		for _, j := range jobs {
			there[j.ID] = true
		}
		all = 0
		for _, ids := range acked {
			all += len(ids)
			for _, id := range ids {
				if !there[id] {
					t.Errorf("%s was acknowledged and is lost", id)
				}
			}
		}
	}
	t.Logf("%d writes were acknowledged over %d kills", all, kills)
	if all < 10*kills {
		t.Errorf("only %d writes", all)
	}
	if after := runningAllocs(f.servers[0], "tasks"); !slices.Equal(before, after) {
		t.Errorf("tasks %v, before %v", after, before)
	}

	// All servers restarted one after the other, politely: never without one.
	for i, s := range f.servers {
		s.end(syscall.SIGTERM)
		other := f.servers[(i+1)%3]
		if !register(other, fmt.Sprintf("rolling-%d", i), 0, 0) {
			t.Errorf("no write while server %d was away", i)
		}
		s.launch()
		s.healthy()
	}
	if after := runningAllocs(f.servers[2], "tasks"); !slices.Equal(before, after) {
		t.Errorf("tasks %v after the restart, before %v", after, before)
	}
	f.servers[0].mustSend("DELETE", "/v1/job/tasks?purge=true", "")
	until(t, "the node to stop its tasks", func() bool { return len(runningAllocs(f.servers[1], "tasks")) == 0 })
}

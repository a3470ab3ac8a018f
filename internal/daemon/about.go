package daemon

import (
	"net"
	"runtime"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/config"
	"github.com/drover-org/drover/internal/diag"
	"github.com/drover-org/drover/internal/version"
)

// about tells the API of the process itself.
type about struct{ d *daemon }

// Region returns the agent's region.
func (a about) Region() string { return a.d.cfg.Region }

// Servers returns the servers the node talks to.
func (a about) Servers() ([]string, bool) {
	if a.d.node == nil {
		return nil, false
	}
	return a.d.node.link.Servers(), true
}

// Health tells whether the parts work.
func (a about) Health() *api.AgentHealth {
	h := &api.AgentHealth{}
	if s := a.d.server; s != nil {
		h.Server = &api.PartHealth{Ok: true, Message: "ok"}
		if s.cluster.Leader() == "" {
			h.Server = &api.PartHealth{Message: "No cluster leader"}
		}
	}
	if n := a.d.node; n != nil {
		h.Client = &api.PartHealth{Ok: true, Message: "ok"}
		if !n.link.Connected() {
			h.Client = &api.PartHealth{Message: "no connection to a server"}
		}
	}
	return h
}

// Self describes the agent. Plugin options are left out: they may hold
// credentials.
func (a about) Self() *api.AgentSelf {
	c := a.d.cfg.Config
	self := &api.AgentSelf{
		Config: map[string]any{
			"Region": c.Region, "Datacenter": c.Datacenter, "NodeName": c.Name, "DataDir": a.d.dirs.root, "LogLevel": c.LogLevel,
			"BindAddr": c.BindAddr, "DevMode": c.Dev,
			"Ports":          map[string]any{"HTTP": c.Ports.HTTP, "RPC": c.Ports.RPC, "Serf": serfPort(a.d.serfAddr)},
			"AdvertiseAddrs": map[string]any{"HTTP": a.d.httpAddr, "RPC": a.d.rpcAddr, "Serf": a.d.serfAddr},
			"Server":         map[string]any{"Enabled": c.Server.Enabled, "BootstrapExpect": c.Server.BootstrapExpect},
			"Client":         map[string]any{"Enabled": c.Client.Enabled, "Servers": c.ServerAddresses(), "NodeClass": c.Client.NodeClass, "NodePool": c.Client.NodePool, "Meta": c.Client.Meta},
			"ACL":            map[string]any{"Enabled": c.ACL.Enabled},
			"TLSConfig":      tlsView(&c.TLS),
			"Version": map[string]any{
				"Version": version.Number(), "Revision": version.Commit(), "BuildDate": version.Date(), "VersionPrerelease": "", "VersionMetadata": "",
			},
		},
		Member: *a.d.member(),
		Stats: map[string]map[string]string{
			"runtime": {
				"version": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
				"cpu_count": strconv.Itoa(runtime.NumCPU()), "goroutines": strconv.Itoa(runtime.NumGoroutine()),
			},
		},
	}
	if s := a.d.server; s != nil {
		self.Stats["raft"] = s.cluster.Stats()
		self.Stats["nomad"] = map[string]string{
			"server": "true", "leader": strconv.FormatBool(s.cluster.Leads()), "leader_addr": s.cluster.Leader(),
			"bootstrap": strconv.FormatBool(c.Server.BootstrapExpect == 1), "known_regions": "1",
			"nodes_connected": strconv.Itoa(s.nodes.Nodes()),
		}
	}
	if n := a.d.node; n != nil {
		self.Stats["client"] = map[string]string{
			"node_id": n.agent.NodeID(), "connected": strconv.FormatBool(n.link.Connected()), "known_servers": strconv.Itoa(len(n.link.Servers())),
		}
	}
	return self
}

// process is what is told of this process to who may know.
func (d *daemon) process() diag.Process {
	return diag.Process{Log: d.log, Tee: d.tee, Dirs: []string{d.dirs.root, d.dirs.alloc}, ID: func() string {
		if d.node != nil {
			return d.node.agent.NodeID()
		}
		return d.memberName()
	}}
}

// serfPort is the port of gossip, 0 without.
func serfPort(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

// tlsView is what the API tells of TLS: names of files, never what is in them.
func tlsView(t *config.TLS) map[string]any {
	return map[string]any{
		"EnableHTTP": t.HTTP, "EnableRPC": t.RPC, "CAFile": t.CAFile, "CertFile": t.CertFile, "KeyFile": t.KeyFile,
		"VerifyServerHostname": t.VerifyServerHostname, "VerifyHTTPSClient": t.VerifyHTTPSClient, "RPCUpgradeMode": t.RPCUpgradeMode,
		"TLSMinVersion": t.MinVersion, "TLSCipherSuites": t.CipherSuites,
	}
}

package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Validate returns everything that is wrong, each with the key and the remedy.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if !c.Server.Enabled && !c.Client.Enabled {
		bad("neither server.enabled nor client.enabled is true: nothing is to be run; try -dev")
	}
	for _, n := range []struct{ key, value string }{{"region", c.Region}, {"datacenter", c.Datacenter}, {"name", c.Name}} {
		if err := CheckName(n.value); err != nil {
			bad("%s %w", n.key, err)
		}
	}
	if _, err := ParseLevel(c.LogLevel); err != nil {
		bad("log_level: %w", err)
	}
	c.validateDirs(bad)
	c.validateNetwork(bad)
	c.Audit.validate(bad)
	c.validateTLS(bad)
	if a := c.ACL; a.MinTokenTTL <= 0 || a.MaxTokenTTL < a.MinTokenTTL {
		bad("acl.token_min_expiration_ttl %v and token_max_expiration_ttl %v must be above 0 and in this order", a.MinTokenTTL, a.MaxTokenTTL)
	}
	if c.Server.Enabled {
		c.Server.validate(bad)
		c.validateGossip(bad)
	}
	if c.Client.Enabled {
		c.validateClient(bad)
	}
	return errors.Join(errs...)
}

// CheckName refuses what can't be the name of a region, datacenter or agent.
func CheckName(name string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '/' }) {
		return fmt.Errorf("%q must be a name without spaces and slashes", name)
	}
	return nil
}

func (c *Config) validateDirs(bad func(string, ...any)) {
	if c.DataDir == "" && !c.Dev {
		bad("data_dir is required: set it to a directory that only the agent uses, such as /var/lib/drover")
	}
	for _, d := range []struct{ key, dir string }{
		{"data_dir", c.DataDir}, {"server.data_dir", c.Server.DataDir}, {"client.state_dir", c.Client.StateDir}, {"client.alloc_dir", c.Client.AllocDir},
	} {
		if d.dir != "" && !filepath.IsAbs(d.dir) {
			bad("%s %q must be an absolute path", d.key, d.dir)
		}
	}
}

func (c *Config) validateNetwork(bad func(string, ...any)) {
	for _, p := range []struct {
		key  string
		port int
	}{{"ports.http", c.Ports.HTTP}, {"ports.rpc", c.Ports.RPC}, {"ports.serf", max(c.Ports.Serf, 0)}} {
		if p.port < 0 || p.port > 65535 {
			bad("%s %d is not a port: 0 to 65535", p.key, p.port)
		}
	}
	if c.Ports.HTTP == c.Ports.RPC && c.Ports.HTTP != 0 {
		bad("ports.http and ports.rpc are both %d: they must differ", c.Ports.HTTP)
	}
	if p := c.Ports.Serf; p > 0 && (p == c.Ports.HTTP || p == c.Ports.RPC) {
		bad("ports.serf %d is another port of this agent: it must be one of its own", p)
	}
	c.validateBind(bad)
	for _, a := range []struct{ key, addr string }{{"advertise.http", c.Advertise.HTTP}, {"advertise.rpc", c.Advertise.RPC}, {"advertise.serf", c.Advertise.Serf}} {
		if host, _, err := net.SplitHostPort(a.addr); a.addr != "" && (strings.Contains(a.addr, "{{") || err == nil && host == "") {
			bad("%s %q must be a host or host:port", a.key, a.addr)
		}
	}
	c.Limits.validate(bad)
}

func (l *Limits) validate(bad func(string, ...any)) {
	if l.HTTPSHandshakeTimeout <= 0 || l.RPCHandshakeTimeout <= 0 {
		bad("limits.https_handshake_timeout and limits.rpc_handshake_timeout must be above 0: who says nothing would hold a connection for ever")
	}
	for _, n := range []struct {
		key   string
		value int
	}{
		{"http_max_conns_per_client", l.HTTPMaxConnsPerClient}, {"rpc_max_conns_per_client", l.RPCMaxConnsPerClient},
		{"http_max_exec_per_client", l.HTTPMaxExecPerClient}, {"http_max_streams_per_client", l.HTTPMaxStreamsPerClient},
		{"http_max_watches_per_client", l.HTTPMaxWatchesPerClient},
	} {
		if n.value < 0 {
			bad("limits.%s %d must not be negative: 0 is no bound", n.key, n.value)
		}
	}
	if l.HTTPRequestRate < 0 || l.HTTPRequestRate > 1e6 {
		bad("limits.http_request_rate %v must be between 0, which is no bound, and 1000000 a second", l.HTTPRequestRate)
	}
	if l.HTTPRequestBurst < 1 || l.HTTPRequestBurst > 1e6 {
		bad("limits.http_request_burst %d must be between 1 and 1000000", l.HTTPRequestBurst)
	}
	if l.HTTPStallTimeout < time.Second {
		bad("limits.http_stall_timeout %v is less than a second, in which a good connection may lose a packet", l.HTTPStallTimeout)
	}
}

// validateBind refuses to let machines elsewhere in whom nobody vouches for.
func (c *Config) validateBind(bad func(string, ...any)) {
	if net.ParseIP(c.BindAddr) == nil {
		bad("bind_addr %q must be an IP address, such as 127.0.0.1 or 0.0.0.0", c.BindAddr)
	}
	for _, a := range []struct {
		key, addr string
		safe      bool // who connects is known, or nobody can
		remedy    string
	}{
		{"addresses.http", c.Addresses.HTTP, c.ACL.Enabled || c.TLS.HTTP && c.TLS.VerifyHTTPSClient, "set acl.enabled, or tls.http and tls.verify_https_client"},
		{"addresses.rpc", c.Addresses.RPC, c.TLS.RPC && !c.TLS.RPCUpgradeMode || !c.Server.Enabled, "set tls.rpc, without tls.rpc_upgrade_mode"},
	} {
		key, addr := a.key, a.addr
		if addr == "" {
			key, addr = "bind_addr", c.BindAddr
		}
		switch ip := net.ParseIP(addr); {
		case ip == nil && a.addr != "":
			bad("%s %q must be an IP address, such as 127.0.0.1 or 0.0.0.0", key, addr)
		case ip != nil && !ip.IsLoopback() && !a.safe && !c.AllowInsecureBind:
			bad("%s %s lets everybody who reaches the port of %s run commands on this machine: %s, bind to 127.0.0.1, or set allow_insecure_bind = true if the network is private",
				key, addr, a.key, a.remedy)
		}
	}
}

// maxServers bounds the servers that form a region: each write waits for the
// greater half of them.
const maxServers = 9

// validateGossip refuses gossip that strangers could take part in.
func (c *Config) validateGossip(bad func(string, ...any)) {
	if c.Addresses.Serf != "" && c.serfHost() == nil {
		bad("addresses.serf %q must be an IP address, such as 127.0.0.1 or 0.0.0.0", c.Addresses.Serf)
	}
	if c.Server.Encrypt != "" {
		if b, err := base64.StdEncoding.DecodeString(c.Server.Encrypt); err != nil || len(b) != 16 && len(b) != 24 && len(b) != 32 {
			bad("server.encrypt must be 16, 24 or 32 bytes in base64: make a key with \"drover operator gossip keyring generate\"")
		}
	}
	if c.ACL.Enabled && c.Gossips() && !c.TLS.RPC && !c.AllowInsecureBind {
		bad("servers without tls.rpc can't tell each other from anybody else who reaches their rpc ports, whatever acl.enabled asks of callers: set tls.rpc, or allow_insecure_bind = true if nobody else does")
	}
	if c.Gossips() && !c.MayGossip() {
		bad("servers would gossip unencrypted at %s, so that everybody who reaches the port could pose as one of them: set server.encrypt on all of them, with a key from \"drover operator gossip keyring generate\", or allow_insecure_bind = true if the network is private",
			c.SerfBind())
	}
}

// maxEventBuffer bounds event_buffer_size: what is kept takes at most 16 MiB
// anyway.
const maxEventBuffer = 1 << 20

// maxTrackedVersions bounds job_tracked_versions: each is a whole job in memory.
const maxTrackedVersions = 1000

// minKeyLife leaves those who keep public keys the time to look for new ones.
const minKeyLife = time.Hour

func (s *Server) validate(bad func(string, ...any)) {
	if s.BootstrapExpect < 0 || s.BootstrapExpect > maxServers {
		bad("server.bootstrap_expect %d must be the number of servers that form the region, at most %d, or 0 for a server that joins one", s.BootstrapExpect, maxServers)
	}
	if j := s.ServerJoin; j.RetryMax < 0 || j.RetryInterval <= 0 {
		bad("server.server_join: retry_max %d must not be negative and retry_interval %v must be above 0", j.RetryMax, j.RetryInterval)
	}
	if s.EventBufferSize < 1 || s.EventBufferSize > maxEventBuffer {
		bad("server.event_buffer_size %d must be from 1 to %d", s.EventBufferSize, maxEventBuffer)
	}
	if s.MaxHeartbeatsPerSecond <= 0 {
		bad("server.max_heartbeats_per_second %v must be above 0", s.MaxHeartbeatsPerSecond)
	}
	if s.JobTrackedVersions < 1 || s.JobTrackedVersions > maxTrackedVersions {
		bad("server.job_tracked_versions %d must be from 1 to %d", s.JobTrackedVersions, maxTrackedVersions)
	}
	if s.MinHeartbeatTTL <= 0 || s.HeartbeatGrace <= 0 || s.FailoverHeartbeatTTL <= 0 {
		bad("server.min_heartbeat_ttl, heartbeat_grace and failover_heartbeat_ttl must be above 0")
	}
	if s.JobGCInterval <= 0 {
		bad("server.job_gc_interval %v must be above 0", s.JobGCInterval)
	}
	if min(s.JobGCThreshold, s.EvalGCThreshold, s.BatchEvalGCThreshold, s.NodeGCThreshold, s.DeploymentGCThreshold, s.ACLTokenGCThreshold) < 0 {
		bad("server: thresholds of collection must not be negative")
	}
	if i := s.Introduction; i.Enforcement != "none" && i.Enforcement != "warn" && i.Enforcement != "strict" {
		bad("server.client_introduction.enforcement %q must be none, warn or strict", i.Enforcement)
	}
	if i := s.Introduction; i.DefaultTTL < time.Second || i.MaxTTL < i.DefaultTTL {
		bad("server.client_introduction.default_identity_ttl %v and max_identity_ttl %v must be a second or more and in this order", i.DefaultTTL, i.MaxTTL)
	}
	if s.RootKeyRotationThreshold < minKeyLife {
		bad("server.root_key_rotation_threshold %v must be %v or more", s.RootKeyRotationThreshold, minKeyLife)
	}
	if s.RootKeyGCInterval <= 0 || s.RootKeyGCThreshold < 0 {
		bad("server.root_key_gc_interval %v must be above 0, root_key_gc_threshold %v must not be negative", s.RootKeyGCInterval, s.RootKeyGCThreshold)
	}
	if u, err := url.Parse(s.OIDCIssuer); s.OIDCIssuer != "" &&
		(err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(s.OIDCIssuer, "/")) {
		bad("server.oidc_issuer %q must be a URL like https://drover.example.com, without a slash at its end", s.OIDCIssuer)
	}
}

func (c *Config) validateClient(bad func(string, ...any)) {
	cl := &c.Client
	if !c.Server.Enabled && len(c.ServerAddresses()) == 0 {
		bad("client.servers is empty: a node without a server in the same agent needs at least one address")
	}
	if cl.MinDynamicPort < 1 || cl.MaxDynamicPort > 65535 || cl.MinDynamicPort > cl.MaxDynamicPort {
		bad("client.min_dynamic_port %d and max_dynamic_port %d must be ports in this order", cl.MinDynamicPort, cl.MaxDynamicPort)
	}
	for name, v := range cl.HostVolumes {
		if !filepath.IsAbs(v.Path) {
			bad("client.host_volume %q: path %q must be absolute", name, v.Path)
		}
	}
	for _, n := range []struct {
		key   string
		value int
	}{
		{"network_speed", cl.NetworkSpeed}, {"cpu_total_compute", cl.CPUTotalCompute}, {"memory_total_mb", cl.MemoryTotalMB},
		{"disk_total_mb", cl.DiskTotalMB}, {"disk_free_mb", cl.DiskFreeMB}, {"node_max_allocs", cl.NodeMaxAllocs},
		{"reserved.cpu", cl.Reserved.CPU}, {"reserved.memory", cl.Reserved.MemoryMB}, {"reserved.disk", cl.Reserved.DiskMB}, {"gc_max_allocs", cl.GCMaxAllocs},
		{"log_retention.max_size_mb", cl.LogRetention.MaxSizeMB}, {"log_retention.keep_failed", cl.LogRetention.KeepFailed},
	} {
		if n.value < 0 {
			bad("client.%s %d must not be negative", n.key, n.value)
		}
	}
	if cl.LogRetention.MaxAge < 0 {
		bad("client.log_retention.max_age %v must not be negative", cl.LogRetention.MaxAge)
	}
	switch rec := &cl.Recording; {
	case rec.MaxAge <= 0:
		bad("client.exec_recording.max_age %v must be above 0", rec.MaxAge)
	case rec.MaxSessionMB < 1 || rec.MaxSizeMB < rec.MaxSessionMB:
		bad("client.exec_recording: max_session_mb %d must be at least 1, and max_size_mb %d at least that", rec.MaxSessionMB, rec.MaxSizeMB)
	case rec.Dir != "" && !filepath.IsAbs(rec.Dir):
		bad("client.exec_recording.dir %q must be absolute", rec.Dir)
	}
	if cl.MaxExecSessions < 1 {
		bad("client.max_exec_sessions %d must be at least 1: disable_remote_exec refuses all", cl.MaxExecSessions)
	}
	for _, s := range []struct{ key, set string }{{"reservable_cores", cl.ReservableCores}, {"reserved.cores", cl.Reserved.Cores}} {
		if _, err := ParseCores(s.set); err != nil {
			bad("client.%s: %w", s.key, err)
		}
	}
}

// ParseLevel reads a log level: TRACE, DEBUG, INFO, WARN or ERROR, in any case.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToUpper(s) {
	case "TRACE", "DEBUG":
		return slog.LevelDebug, nil
	case "INFO":
		return slog.LevelInfo, nil
	case "WARN":
		return slog.LevelWarn, nil
	case "ERROR", "ERR":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is not a level: TRACE, DEBUG, INFO, WARN or ERROR", s)
}

// maxCore bounds the numbers of ParseCores.
const maxCore = 4095

// ParseCores reads a set of cores like "0-3,8".
func ParseCores(s string) ([]uint16, error) {
	var out []uint16
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from < 0 || to < from || to > maxCore {
			return nil, fmt.Errorf("%q is not a set of cores: write it like \"0-3,8\"", s)
		}
		for i := from; i <= to; i++ {
			out = append(out, uint16(i))
		}
	}
	return out, nil
}

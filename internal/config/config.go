package config

import (
	"cmp"
	"net"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// Config is how an agent runs. The key tags name the keys of files; what the
// keys mean stands in keys.go.
type Config struct {
	Dev bool // not a key: server and node in memory and a temporary directory

	Region     string `key:"region"`
	Datacenter string `key:"datacenter"`
	Name       string `key:"name"` // empty: the host's name
	DataDir    string `key:"data_dir"`
	LogLevel   string `key:"log_level"`
	LogJSON    bool   `key:"log_json"`

	EnableDebug bool `key:"enable_debug"` // profiles also where there is no access control

	BindAddr          string    `key:"bind_addr"`
	AllowInsecureBind bool      `key:"allow_insecure_bind"`
	LeaveOnInterrupt  bool      `key:"leave_on_interrupt"` // a server that SIGINT ends leaves its region
	LeaveOnTerminate  bool      `key:"leave_on_terminate"` // the same for SIGTERM
	Ports             Ports     `key:"ports"`
	Addresses         Addresses `key:"addresses"`
	Advertise         Addresses `key:"advertise"`

	Server  Server            `key:"server"`
	Client  Client            `key:"client"`
	ACL     ACL               `key:"acl"`
	Limits  Limits            `key:"limits"`
	Audit   Audit             `key:"audit"`
	TLS     TLS               `key:"tls"`
	Plugins map[string]Plugin `key:"plugin"`

	HTTPHeaders map[string]string `key:"http_api_response_headers"`
}

// Ports of this agent; 0 takes any that is free.
type Ports struct {
	HTTP int `key:"http"`
	RPC  int `key:"rpc"`
	Serf int `key:"serf"` // unset: see SerfBind
}

// unset is a port that nobody has chosen.
const unset = -1

// Addresses are per port: where to listen (instead of Config.BindAddr), or
// what to tell others, with or without a port.
type Addresses struct {
	HTTP string `key:"http"`
	RPC  string `key:"rpc"`
	Serf string `key:"serf"`
}

// Server is the server part.
type Server struct {
	Enabled         bool   `key:"enabled"`
	BootstrapExpect int    `key:"bootstrap_expect"` // servers that form the region; 0: waits to be joined
	DataDir         string `key:"data_dir"`         // empty: <data_dir>/server

	Encrypt          string   `key:"encrypt"` // of gossip: a key in base64
	ServerJoin       Join     `key:"server_join"`
	StartJoin        []string `key:"start_join"` // an older place of the same
	RetryJoin        []string `key:"retry_join"`
	RejoinAfterLeave bool     `key:"rejoin_after_leave"`

	EnableEventBroker bool `key:"enable_event_broker"`
	EventBufferSize   int  `key:"event_buffer_size"` // commands whose events are kept

	NumSchedulers     int      `key:"num_schedulers"`     // evaluations that are processed at a time
	EnabledSchedulers []string `key:"enabled_schedulers"` // of which types

	JobTrackedVersions int `key:"job_tracked_versions"` // without a name, per job

	HeartbeatGrace         time.Duration `key:"heartbeat_grace"`
	MinHeartbeatTTL        time.Duration `key:"min_heartbeat_ttl"`
	MaxHeartbeatsPerSecond float64       `key:"max_heartbeats_per_second"`
	FailoverHeartbeatTTL   time.Duration `key:"failover_heartbeat_ttl"`

	JobGCInterval         time.Duration `key:"job_gc_interval"`
	JobGCThreshold        time.Duration `key:"job_gc_threshold"`
	EvalGCThreshold       time.Duration `key:"eval_gc_threshold"`
	BatchEvalGCThreshold  time.Duration `key:"batch_eval_gc_threshold"`
	NodeGCThreshold       time.Duration `key:"node_gc_threshold"`
	DeploymentGCThreshold time.Duration `key:"deployment_gc_threshold"`
	ACLTokenGCThreshold   time.Duration `key:"acl_token_gc_threshold"`

	Introduction Introduction `key:"client_introduction"`

	RootKeyRotationThreshold time.Duration `key:"root_key_rotation_threshold"`
	RootKeyGCInterval        time.Duration `key:"root_key_gc_interval"`
	RootKeyGCThreshold       time.Duration `key:"root_key_gc_threshold"`
	OIDCIssuer               string        `key:"oidc_issuer"` // URL
}

// Introduction says what new nodes have to show.
type Introduction struct {
	Enforcement string        `key:"enforcement"`          // none, warn or strict
	DefaultTTL  time.Duration `key:"default_identity_ttl"` // of a token
	MaxTTL      time.Duration `key:"max_identity_ttl"`
}

// ACL is access control.
type ACL struct {
	Enabled     bool          `key:"enabled"`
	MinTokenTTL time.Duration `key:"token_min_expiration_ttl"`
	MaxTokenTTL time.Duration `key:"token_max_expiration_ttl"`
}

// Client is the node part.
type Client struct {
	Enabled    bool              `key:"enabled"`
	StateDir   string            `key:"state_dir"` // empty: <data_dir>/client
	AllocDir   string            `key:"alloc_dir"` // empty: <data_dir>/alloc
	Servers    []string          `key:"servers"`   // rpc addresses
	ServerJoin ServerJoin        `key:"server_join"`
	NodeClass  string            `key:"node_class"`
	NodePool   string            `key:"node_pool"`
	Meta       map[string]string `key:"meta"`

	NetworkInterface string `key:"network_interface"`
	NetworkSpeed     int    `key:"network_speed"` // Mbit/s
	CPUTotalCompute  int    `key:"cpu_total_compute"`
	MemoryTotalMB    int    `key:"memory_total_mb"`
	DiskTotalMB      int    `key:"disk_total_mb"`
	DiskFreeMB       int    `key:"disk_free_mb"`
	ReservableCores  string `key:"reservable_cores"` // like "0-3,8"
	MinDynamicPort   int    `key:"min_dynamic_port"`
	MaxDynamicPort   int    `key:"max_dynamic_port"`
	NodeMaxAllocs    int    `key:"node_max_allocs"`
	CgroupParent     string `key:"cgroup_parent"`

	Reserved     Reserved               `key:"reserved"`
	HostVolumes  map[string]HostVolume  `key:"host_volume"`
	HostNetworks map[string]HostNetwork `key:"host_network"`
	LogRetention LogRetention           `key:"log_retention"`
	Recording    Recording              `key:"exec_recording"`

	MaxKillTimeout    time.Duration `key:"max_kill_timeout"`
	DisableRemoteExec bool          `key:"disable_remote_exec"`
	MaxExecSessions   int           `key:"max_exec_sessions"` // exec and port forwarding, at the same time
	GCInterval        time.Duration `key:"gc_interval"`
	GCDiskThreshold   float64       `key:"gc_disk_usage_threshold"`
	GCInodeThreshold  float64       `key:"gc_inode_usage_threshold"`
	GCMaxAllocs       int           `key:"gc_max_allocs"`
}

// LogRetention says how long logs outlive their allocation's directory.
type LogRetention struct {
	MaxAge     time.Duration `key:"max_age"`     // since the allocation ended
	MaxSizeMB  int           `key:"max_size_mb"` // of all of them; 0: none are kept
	KeepFailed int           `key:"keep_failed"` // the last failed ones of each job stay beyond max_age
}

// Recording says which exec sessions must be recorded, and how long recordings
// are kept.
type Recording struct {
	Namespaces   []string      `key:"namespaces"` // * stands for any text; none: nothing is recorded
	Jobs         []string      `key:"jobs"`       // none: all
	Input        bool          `key:"input"`      // what is typed as well
	Dir          string        `key:"dir"`        // empty: <data_dir>/recordings
	MaxAge       time.Duration `key:"max_age"`
	MaxSizeMB    int           `key:"max_size_mb"`    // of all; the oldest go first
	MaxSessionMB int           `key:"max_session_mb"` // of one; the session ends there
}

// ServerJoin names servers like Client.Servers does.
type ServerJoin struct {
	StartJoin []string `key:"start_join"`
	RetryJoin []string `key:"retry_join"`
}

// Join names servers by the addresses of their serf ports.
type Join struct {
	StartJoin     []string      `key:"start_join"` // once, at the start; one must answer
	RetryJoin     []string      `key:"retry_join"` // again and again, until one answers
	RetryMax      int           `key:"retry_max"`  // attempts; 0: for ever
	RetryInterval time.Duration `key:"retry_interval"`
}

// Reserved is what tasks do not get.
type Reserved struct {
	CPU      int    `key:"cpu"`            // MHz
	MemoryMB int    `key:"memory"`         // MiB
	DiskMB   int    `key:"disk"`           // MiB
	Cores    string `key:"cores"`          // like "0-1"
	Ports    string `key:"reserved_ports"` // like "22,8000-8100"
}

// HostVolume is a directory offered to tasks.
type HostVolume struct {
	Path     string `key:"path"`
	ReadOnly bool   `key:"read_only"`
}

// HostNetwork is a network offered for ports.
type HostNetwork struct {
	CIDR          string `key:"cidr"`
	Interface     string `key:"interface"`
	ReservedPorts string `key:"reserved_ports"`
}

// Limits bound what callers may take.
// A bound of 0 is none.
type Limits struct {
	HTTPMaxConnsPerClient int           `key:"http_max_conns_per_client"`
	HTTPSHandshakeTimeout time.Duration `key:"https_handshake_timeout"`
	RPCMaxConnsPerClient  int           `key:"rpc_max_conns_per_client"`
	RPCHandshakeTimeout   time.Duration `key:"rpc_handshake_timeout"`

	HTTPRequestRate  float64       `key:"http_request_rate"` // per second and caller
	HTTPRequestBurst int           `key:"http_request_burst"`
	HTTPStallTimeout time.Duration `key:"http_stall_timeout"`

	HTTPMaxExecPerClient    int `key:"http_max_exec_per_client"`
	HTTPMaxStreamsPerClient int `key:"http_max_streams_per_client"`
	HTTPMaxWatchesPerClient int `key:"http_max_watches_per_client"`
}

// TLS encrypts the ports and says who may use them.
type TLS struct {
	HTTP bool `key:"http"` // the API is https
	RPC  bool `key:"rpc"`  // servers and nodes show each other certificates

	CAFile   string `key:"ca_file"`
	CertFile string `key:"cert_file"`
	KeyFile  string `key:"key_file"`

	VerifyServerHostname bool `key:"verify_server_hostname"` // always: see Validate
	VerifyHTTPSClient    bool `key:"verify_https_client"`    // callers of the API need a certificate
	RPCUpgradeMode       bool `key:"rpc_upgrade_mode"`       // the rpc port takes plain connections as well

	MinVersion   string `key:"tls_min_version"`   // tls12 or tls13
	CipherSuites string `key:"tls_cipher_suites"` // names, with commas; empty: the library's choice
}

// Plugin is a driver's configuration, which the driver checks.
type Plugin struct {
	Config map[string]any `key:"config"`
}

// Default returns the configuration of an agent that is told nothing.
func Default() *Config {
	return &Config{
		Region: "global", Datacenter: "dc1", LogLevel: "INFO",
		BindAddr: "127.0.0.1",
		Ports:    Ports{HTTP: 4646, RPC: 4647, Serf: unset},
		Server: Server{
			NumSchedulers: runtime.GOMAXPROCS(0), JobTrackedVersions: 6, EnabledSchedulers: []string{"service", "batch", "system", "sysbatch", "_core"},
			BootstrapExpect: 1, ServerJoin: Join{RetryInterval: 30 * time.Second}, EnableEventBroker: true, EventBufferSize: 4096,
			HeartbeatGrace: 10 * time.Second, MinHeartbeatTTL: 10 * time.Second, MaxHeartbeatsPerSecond: 50,
			FailoverHeartbeatTTL: 5 * time.Minute,
			JobGCInterval:        5 * time.Minute, JobGCThreshold: 4 * time.Hour, EvalGCThreshold: time.Hour,
			BatchEvalGCThreshold: 24 * time.Hour, NodeGCThreshold: 24 * time.Hour, DeploymentGCThreshold: time.Hour,
			ACLTokenGCThreshold:      time.Hour,
			Introduction:             Introduction{Enforcement: "warn", DefaultTTL: 5 * time.Minute, MaxTTL: 30 * time.Minute},
			RootKeyRotationThreshold: 720 * time.Hour, RootKeyGCInterval: 10 * time.Minute, RootKeyGCThreshold: time.Hour,
		},
		ACL: ACL{MinTokenTTL: time.Minute, MaxTokenTTL: 24 * time.Hour},
		Client: Client{
			NodePool: "default", MinDynamicPort: 20000, MaxDynamicPort: 32000,
			MaxKillTimeout: 30 * time.Second,
			GCInterval:     time.Minute, GCDiskThreshold: 80, GCInodeThreshold: 70, GCMaxAllocs: 50,
			MaxExecSessions: 1024,
			Recording:       Recording{MaxAge: 30 * 24 * time.Hour, MaxSizeMB: 1024, MaxSessionMB: 64},
			LogRetention:    LogRetention{MaxAge: 72 * time.Hour, MaxSizeMB: 512, KeepFailed: 3},
		},
		Limits: Limits{
			HTTPMaxConnsPerClient: 100, HTTPSHandshakeTimeout: 5 * time.Second,
			RPCMaxConnsPerClient: 100, RPCHandshakeTimeout: 5 * time.Second,
			HTTPRequestRate: 5000, HTTPRequestBurst: 10000, HTTPStallTimeout: 30 * time.Second,
			HTTPMaxExecPerClient: 100, HTTPMaxStreamsPerClient: 200, HTTPMaxWatchesPerClient: 5000,
		},
		TLS: TLS{VerifyServerHostname: true, MinVersion: "tls12"},
	}
}

// Dev returns the configuration of a dev agent: server and node in one
// process, on the loopback interface, with raw_exec, and no bounds per caller,
// because there is only one.
func Dev() *Config {
	c := Default()
	c.Dev = true
	c.Server.Enabled, c.Client.Enabled = true, true
	l := &c.Limits
	l.HTTPMaxConnsPerClient, l.RPCMaxConnsPerClient, l.HTTPRequestRate = 0, 0, 0
	l.HTTPMaxExecPerClient, l.HTTPMaxStreamsPerClient, l.HTTPMaxWatchesPerClient = 0, 0, 0
	c.Plugins = map[string]Plugin{"raw_exec": {Config: map[string]any{"enabled": true}}}
	return c
}

// Debug reports whether profiles are served where there is no access control.
func (c *Config) Debug() bool { return c.EnableDebug || c.Dev }

// HTTPBind is where to listen for the API, host:port.
func (c *Config) HTTPBind() string { return join(c.Addresses.HTTP, c.BindAddr, c.Ports.HTTP) }

// RPCBind is where to listen for nodes and servers, host:port.
func (c *Config) RPCBind() string { return join(c.Addresses.RPC, c.BindAddr, c.Ports.RPC) }

// defaultSerf is the serf port beside the usual rpc port.
const defaultSerf = 4648

// SerfBind is where to listen for gossip, host:port. Beside an rpc port of
// one's own choice it is any free one unless it was chosen as well.
func (c *Config) SerfBind() string {
	port := c.Ports.Serf
	if port == unset {
		port = 0
		if c.Ports.RPC == Default().Ports.RPC {
			port = defaultSerf
		}
	}
	return join(c.Addresses.Serf, c.BindAddr, port)
}

// Gossips reports whether the configuration is of a server among others, so
// that it is to gossip from the beginning.
func (c *Config) Gossips() bool {
	s := &c.Server
	start, retry := s.Joins()
	return s.BootstrapExpect != 1 || s.Encrypt != "" || len(start)+len(retry) > 0
}

// Joins returns the serf addresses that a server joins once, and those that it
// joins again and again until one answers.
func (s *Server) Joins() (start, retry []string) {
	return slices.Concat(s.StartJoin, s.ServerJoin.StartJoin), slices.Concat(s.RetryJoin, s.ServerJoin.RetryJoin)
}

// MayGossip reports whether the serf port is open: strangers who reach it
// unencrypted could tell of servers that are none. A server alone keeps it
// closed then.
func (c *Config) MayGossip() bool {
	return c.Server.Encrypt != "" || c.AllowInsecureBind || c.serfHost().IsLoopback()
}

func (c *Config) serfHost() net.IP { return net.ParseIP(cmp.Or(c.Addresses.Serf, c.BindAddr)) }

// ServerAddresses returns where a node finds servers, host:port.
func (c *Config) ServerAddresses() []string {
	var out []string
	for _, list := range [][]string{c.Client.Servers, c.Client.ServerJoin.RetryJoin, c.Client.ServerJoin.StartJoin} {
		for _, s := range list {
			if _, _, err := net.SplitHostPort(s); err != nil {
				s = net.JoinHostPort(s, strconv.Itoa(Default().Ports.RPC))
			}
			out = append(out, s)
		}
	}
	return out
}

func join(host, other string, port int) string {
	if host == "" {
		host = other
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Reloadable is what a running agent takes from a changed configuration.
type Reloadable struct {
	LogLevel                  string
	CAFile, CertFile, KeyFile string // of tls; their contents are read again, too
}

// Reloadable returns the part that can change without a restart.
func (c *Config) Reloadable() Reloadable {
	return Reloadable{LogLevel: c.LogLevel, CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile}
}

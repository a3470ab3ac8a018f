package docker

import (
	"time"

	"github.com/drover-org/drover/api"
)

// taskConfig is a task's config block. Where a pointer is used, leaving the
// key out differs from its zero.
type taskConfig struct {
	Image            string        `config:"image"`
	ForcePull        bool          `config:"force_pull"`
	ImagePullTimeout time.Duration `config:"image_pull_timeout"`
	Load             string        `config:"load"` // a tar of images in the task's directory
	Auth             *taskAuth     `config:"auth"`
	AuthSoftFail     bool          `config:"auth_soft_fail"`
	ExistsAttempts   int           `config:"container_exists_attempts"`

	Entrypoint  []string `config:"entrypoint"`
	Command     string   `config:"command"`
	Args        []string `config:"args"`
	WorkDir     string   `config:"work_dir"`
	Interactive bool     `config:"interactive"`
	TTY         bool     `config:"tty"`
	Init        *bool    `config:"init"`

	Labels       map[string]string `config:"labels"`
	Logging      *LoggingConfig    `config:"logging"`
	Healthchecks struct {
		Disable bool `config:"disable"`
	} `config:"healthchecks"`

	NetworkMode    string           `config:"network_mode"`
	NetworkAliases []string         `config:"network_aliases"`
	IPv4Address    string           `config:"ipv4_address"`
	IPv6Address    string           `config:"ipv6_address"`
	AdvertiseIPv6  bool             `config:"advertise_ipv6_address"`
	MACAddress     string           `config:"mac_address"`
	Hostname       string           `config:"hostname"`
	DNSServers     []string         `config:"dns_servers"`
	DNSSearch      []string         `config:"dns_search_domains"`
	DNSOptions     []string         `config:"dns_options"`
	ExtraHosts     []string         `config:"extra_hosts"`
	Ports          []string         `config:"ports"`
	PortMap        map[string]int64 `config:"port_map"`

	Volumes      []string      `config:"volumes"` // source:target[:ro]
	VolumeDriver string        `config:"volume_driver"`
	Mount        []mountConfig `config:"mount"`
	Mounts       []mountConfig `config:"mounts"`
	Devices      []device      `config:"devices"`

	Privileged     bool              `config:"privileged"`
	CapAdd         []string          `config:"cap_add"`
	CapDrop        []string          `config:"cap_drop"`
	SecurityOpt    []string          `config:"security_opt"`
	Runtime        string            `config:"runtime"`
	PIDMode        string            `config:"pid_mode"`
	IPCMode        string            `config:"ipc_mode"`
	UserNSMode     string            `config:"userns_mode"`
	UTSMode        string            `config:"uts_mode"`
	CgroupNS       string            `config:"cgroupns"`
	GroupAdd       []string          `config:"group_add"`
	ReadonlyRootfs bool              `config:"readonly_rootfs"`
	Sysctl         map[string]string `config:"sysctl"`
	StorageOpt     map[string]string `config:"storage_opt"`
	Isolation      string            `config:"isolation"` // of Windows containers

	CPUHardLimit    bool              `config:"cpu_hard_limit"`
	CPUPeriod       int64             `config:"cpu_cfs_period"` // microseconds
	CPUSet          string            `config:"cpuset_cpus"`
	MemoryHardLimit int64             `config:"memory_hard_limit"` // MiB
	PidsLimit       int64             `config:"pids_limit"`
	OOMScoreAdj     *int              `config:"oom_score_adj"`
	ShmSize         int64             `config:"shm_size"` // bytes
	Ulimit          map[string]string `config:"ulimit"`
}

type taskAuth struct {
	Username      string `config:"username"`
	Password      string `config:"password"`
	Email         string `config:"email"`
	ServerAddress string `config:"server_address"`
}

type mountConfig struct {
	Type     string `config:"type"` // volume (the default), bind or tmpfs
	Target   string `config:"target"`
	Source   string `config:"source"`
	ReadOnly bool   `config:"readonly"`
	Bind     *struct {
		Propagation string `config:"propagation"`
	} `config:"bind_options"`
	Volume *struct {
		NoCopy bool              `config:"no_copy"`
		Labels map[string]string `config:"labels"`
		Driver *struct {
			Name    string            `config:"name"`
			Options map[string]string `config:"options"`
		} `config:"driver_config"`
	} `config:"volume_options"`
	Tmpfs *struct {
		Mode int64 `config:"mode"`
		Size int64 `config:"size"` // bytes
	} `config:"tmpfs_options"`
}

type device struct {
	HostPath      string `config:"host_path"`
	ContainerPath string `config:"container_path"`
	Permissions   string `config:"cgroup_permissions"`
}

const defaultCPUPeriod = 100000 // microseconds, the kernel's default

// parse decodes and checks a task's config block against what the operator
// allows. With references set, values that still hold ${…} are let pass.
func (c *Config) parse(config map[string]any, references bool) (*taskConfig, error) {
	tc := &taskConfig{CPUPeriod: defaultCPUPeriod}
	if err := (decoder{references: references}).decode("config", config, tc); err != nil {
		return nil, err
	}
	p := policy{Config: c, references: references}
	for _, check := range []func(*taskConfig) error{
		p.image, p.container, p.network, p.privileges, p.modes, p.storage, p.limits,
	} {
		if err := check(tc); err != nil {
			return nil, err
		}
	}
	return tc, nil
}

// invalid makes the error for a key of a task's config block.
func invalid(key, format string, args ...any) error {
	return api.Errorf(api.CodeInvalid, "config."+key+": "+format, args...)
}

// forbidden makes the error for a key that the operator has to allow.
func forbidden(key, format string, args ...any) error {
	return api.Errorf(api.CodeForbidden, "config."+key+": "+format, args...)
}

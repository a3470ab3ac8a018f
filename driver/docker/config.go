package docker

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// Config says how to reach the Engine and what tasks may do. Fields with a
// config tag come from the operator (see ParseConfig), the others from the
// agent.
type Config struct {
	Endpoint string     `config:"endpoint"` // unix:///… or tcp://…
	TLS      TLSConfig  `config:"tls"`
	Auth     AuthConfig `config:"auth"`

	// ExtraLabels names further labels of containers: job_id, job_name,
	// namespace, node_id, task_group_name, task_name; "task*" stands for
	// several.
	ExtraLabels []string      `config:"extra_labels"`
	Logging     LoggingConfig `config:"logging"` // default of a task's logging block
	GC          GCConfig      `config:"gc"`
	Volumes     VolumesConfig `config:"volumes"`

	AllowPrivileged bool         `config:"allow_privileged"`
	AllowCaps       []string     `config:"allow_caps"`     // "all" allows every one
	AllowRuntimes   []string     `config:"allow_runtimes"` // of the Engine
	AllowDevices    []string     `config:"allow_devices"`  // patterns of host paths, as of path.Match
	AllowedModes    AllowedModes `config:"allowed_modes"`

	PidsLimit   int64 `config:"pids_limit"`    // processes of a task at most; 0 is no bound
	OOMScoreAdj int   `config:"oom_score_adj"` // default of tasks; 0 to 1000

	ImagePullTimeout        time.Duration `config:"image_pull_timeout"`    // of a whole pull
	PullActivityTimeout     time.Duration `config:"pull_activity_timeout"` // without progress
	ContainerExistsAttempts int           `config:"container_exists_attempts"`

	// DisableLogCollection leaves output with the Engine: nothing is copied
	// to the allocation's log files.
	DisableLogCollection bool `config:"disable_log_collection"`

	// NodeID marks this node's containers. Containers are removed as dangling
	// only when it is set.
	NodeID string
	// StateDir holds what the driver remembers of the images it pulled. Empty:
	// they are forgotten, and so kept, when the agent ends.
	StateDir string
	// CoreMHz is the speed of one core, for ticks and cpu_hard_limit. 0: as
	// the machine says.
	CoreMHz float64
	Log     *slog.Logger
}

// TLSConfig names PEM files for a tcp endpoint.
type TLSConfig struct {
	Cert string `config:"cert"`
	Key  string `config:"key"`
	CA   string `config:"ca"`
}

// AuthConfig says where credentials of registries come from when a task has
// none of its own.
type AuthConfig struct {
	Config string `config:"config"` // path of a config.json as docker login writes it
	Helper string `config:"helper"` // program docker-credential-<helper>
}

// LoggingConfig is the Engine's log driver of a container.
type LoggingConfig struct {
	Type   string            `config:"type"`
	Driver string            `config:"driver"` // the same as Type
	Config map[string]string `config:"config"`
}

// GCConfig says what is removed when nobody uses it any more.
type GCConfig struct {
	Image      bool           `config:"image"`
	ImageDelay time.Duration  `config:"image_delay"`
	Container  bool           `config:"container"`
	Dangling   DanglingConfig `config:"dangling_containers"`
}

// DanglingConfig is about containers of this node that no task owns.
type DanglingConfig struct {
	Enabled       bool          `config:"enabled"`
	Period        time.Duration `config:"period"`
	CreationGrace time.Duration `config:"creation_grace"` // since their creation, and the driver's start
	DryRun        bool          `config:"dry_run"`        // only log them
}

// VolumesConfig says what of the host tasks may mount.
type VolumesConfig struct {
	Enabled      bool   `config:"enabled"` // any path, and volume drivers
	SELinuxLabel string `config:"selinuxlabel"`
}

// AllowedModes lists the values that a task's pid_mode, ipc_mode, userns_mode
// and uts_mode may have: "host", or "container" for another container's.
type AllowedModes struct {
	PID    []string `config:"pid"`
	IPC    []string `config:"ipc"`
	UserNS []string `config:"userns"`
	UTS    []string `config:"uts"`
}

// defaultCaps are the capabilities a task has, as far as they are allowed.
var defaultCaps = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
	"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

// DefaultConfig is what holds where the operator says nothing.
func DefaultConfig() Config {
	return Config{
		Endpoint: "unix:///var/run/docker.sock",
		GC: GCConfig{
			Image: true, ImageDelay: 3 * time.Minute, Container: true,
			Dangling: DanglingConfig{Enabled: true, Period: 5 * time.Minute, CreationGrace: 5 * time.Minute},
		},
		AllowCaps:               slices.Clone(defaultCaps),
		AllowRuntimes:           []string{"runc", "nvidia"},
		ImagePullTimeout:        5 * time.Minute,
		PullActivityTimeout:     2 * time.Minute,
		ContainerExistsAttempts: 5,
	}
}

// refusedOptions are options that other agents know and this driver has no
// use for, with the reason.
var refusedOptions = map[string]string{
	"infra_image":                            "no helper container is used; remove it",
	"infra_image_pull_timeout":               "no helper container is used; remove it",
	"nvidia_runtime":                         "GPUs are given by the Engine's runtime: list it in allow_runtimes and set the task's runtime",
	"windows_allow_insecure_container_admin": "Windows containers are not supported; remove it",
}

// ParseConfig decodes the operator's options onto the defaults. The error
// names the option.
func ParseConfig(options map[string]any) (Config, error) {
	cfg := DefaultConfig()
	for name, why := range refusedOptions {
		if _, ok := options[name]; ok {
			return cfg, api.Errorf(api.CodeUnsupported, "docker.%s: %s", name, why)
		}
	}
	if err := (decoder{}).decode("docker", options, &cfg); err != nil {
		return cfg, err
	}
	return cfg, cfg.validate()
}

func (c *Config) validate() error {
	refuse := func(format string, args ...any) error {
		return api.Errorf(api.CodeInvalid, "docker."+format, args...)
	}
	if c.Endpoint == "" {
		return refuse("endpoint: it must not be empty")
	}
	if c.TLS != (TLSConfig{}) && (!strings.HasPrefix(c.Endpoint, "tcp://") || c.TLS.Cert == "" || c.TLS.Key == "" || c.TLS.CA == "") {
		return refuse("tls: needs cert, key and ca, and an endpoint with tcp://, not %q", c.Endpoint)
	}
	if l := c.Logging; l.Type != "" && l.Driver != "" && l.Type != l.Driver {
		return refuse("logging: type %q and driver %q mean the same; give one", l.Type, l.Driver)
	}
	if c.PidsLimit < 0 {
		return refuse("pids_limit: %d is negative", c.PidsLimit)
	}
	if c.OOMScoreAdj < 0 || c.OOMScoreAdj > 1000 {
		return refuse("oom_score_adj: %d is not within 0 and 1000", c.OOMScoreAdj)
	}
	if c.ImagePullTimeout <= 0 || c.PullActivityTimeout <= 0 {
		return refuse("image_pull_timeout and pull_activity_timeout must be more than 0")
	}
	if c.ContainerExistsAttempts < 1 {
		return refuse("container_exists_attempts: %d is less than 1", c.ContainerExistsAttempts)
	}
	if d := c.GC.Dangling; d.Enabled && d.Period <= 0 {
		return refuse("gc.dangling_containers.period: it must be more than 0")
	}
	for _, pattern := range c.AllowDevices {
		if _, err := path.Match(pattern, ""); err != nil {
			return refuse("allow_devices: %q: %w", pattern, err)
		}
	}
	for _, pattern := range c.ExtraLabels {
		if len(matchLabels(pattern)) == 0 {
			return refuse("extra_labels: %q is none of %s", pattern, strings.Join(extraLabels, ", "))
		}
	}
	for _, name := range c.AllowCaps {
		if _, err := capability(name); err != nil && !strings.EqualFold(name, "all") {
			return refuse("allow_caps: %w", err)
		}
	}
	return c.AllowedModes.validate()
}

func (m AllowedModes) validate() error {
	for name, modes := range map[string][]string{"pid": m.PID, "ipc": m.IPC, "userns": m.UserNS, "uts": m.UTS} {
		for _, mode := range modes {
			if mode != "host" && mode != "container" {
				return api.Errorf(api.CodeInvalid, `docker.allowed_modes.%s: %q is neither "host" nor "container"`, name, mode)
			}
		}
	}
	return nil
}

// capability returns the name without CAP_ and in capitals.
func capability(name string) (string, error) {
	s := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	if s == "" || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return "", fmt.Errorf("%q is no name of a capability", name)
	}
	return s, nil
}

// errNotRunning is for calls that need Run.
var errNotRunning = errors.New("the docker driver is not running")

package docker

import (
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"github.com/drover-org/drover/api"
)

// policy judges a task's configuration by the operator's.
type policy struct {
	*Config
	references bool // values with ${…} are judged later
}

// open reports that a value can't be judged yet.
func (p policy) open(value string) bool { return p.references && isReference(value) }

func (p policy) image(tc *taskConfig) error {
	if tc.Image == "" {
		return invalid("image", "it is missing; name the image to run, for example \"redis:7\"")
	}
	if !p.open(tc.Image) {
		if _, err := reference.ParseAnyReference(tc.Image); err != nil {
			return invalid("image", "%q: %w", tc.Image, err)
		}
	}
	if tc.ForcePull && tc.Load != "" {
		return invalid("load", "an image is either loaded from %q or pulled with force_pull; drop one", tc.Load)
	}
	if tc.ExistsAttempts < 0 {
		return invalid("container_exists_attempts", "%d is negative", tc.ExistsAttempts)
	}
	return nil
}

func (p policy) container(tc *taskConfig) error {
	if tc.Isolation != "" && !p.open(tc.Isolation) {
		return api.Errorf(api.CodeUnsupported, "config.isolation: %q is for Windows containers, which are not supported; remove it", tc.Isolation)
	}
	if l := tc.Logging; l != nil && l.Type != "" && l.Driver != "" && l.Type != l.Driver {
		return invalid("logging", "type %q and driver %q mean the same; give one", l.Type, l.Driver)
	}
	for label := range tc.Labels {
		if strings.HasPrefix(label, labelPrefix) {
			return invalid("labels", "%q: labels beginning with %s are the agent's own", label, labelPrefix)
		}
	}
	if tc.WorkDir != "" && !p.open(tc.WorkDir) && !path.IsAbs(tc.WorkDir) {
		return invalid("work_dir", "%q is not absolute", tc.WorkDir)
	}
	return nil
}

func (p policy) network(tc *taskConfig) error {
	for key, value := range map[string]string{"ipv4_address": tc.IPv4Address, "ipv6_address": tc.IPv6Address} {
		if value == "" || p.open(value) {
			continue
		}
		if ip, err := netip.ParseAddr(value); err != nil || ip.Is4() != (key == "ipv4_address") {
			return invalid(key, "%q is no such address", value)
		}
	}
	if tc.MACAddress != "" && !p.open(tc.MACAddress) {
		if _, err := net.ParseMAC(tc.MACAddress); err != nil {
			return invalid("mac_address", "%w", err)
		}
	}
	own := len(tc.NetworkAliases) > 0 || tc.IPv4Address != "" || tc.IPv6Address != ""
	if own && !p.open(tc.NetworkMode) && !userNetwork(tc.NetworkMode) {
		return invalid("network_mode", "network_aliases, ipv4_address and ipv6_address need a network made with docker network create, not %q", tc.NetworkMode)
	}
	for _, server := range tc.DNSServers {
		if _, err := netip.ParseAddr(server); err != nil && !p.open(server) {
			return invalid("dns_servers", "%q is no IP address", server)
		}
	}
	for _, host := range tc.ExtraHosts {
		if name, addr, ok := strings.Cut(host, ":"); !p.open(host) && (!ok || name == "" || addr == "") {
			return invalid("extra_hosts", "%q is not of the form name:address", host)
		}
	}
	for label, port := range tc.PortMap {
		if port < 0 || port > 65535 {
			return invalid("port_map."+label, "%d is no port", port)
		}
	}
	return nil
}

// userNetwork reports whether mode names a network that somebody made.
func userNetwork(mode string) bool {
	return !slices.Contains([]string{"", "default", "bridge", "host", "none"}, mode) && !strings.HasPrefix(mode, "container:")
}

func (p policy) privileges(tc *taskConfig) error {
	if tc.Privileged && !p.AllowPrivileged {
		return forbidden("privileged", "the operator has to set allow_privileged")
	}
	for key, caps := range map[string][]string{"cap_add": tc.CapAdd, "cap_drop": tc.CapDrop} {
		for _, name := range caps {
			if p.open(name) {
				continue
			}
			name, err := capability(name)
			if err != nil {
				return invalid(key, "%w", err)
			}
			if key == "cap_add" && !p.allowsCap(name) {
				return forbidden(key, "%s is not in the operator's allow_caps", name)
			}
		}
	}
	if tc.Runtime != "" && !p.open(tc.Runtime) && !slices.Contains(p.AllowRuntimes, tc.Runtime) {
		return forbidden("runtime", "%q is not in the operator's allow_runtimes", tc.Runtime)
	}
	for _, opt := range tc.SecurityOpt {
		if err := p.securityOpt(opt); err != nil {
			return err
		}
	}
	for _, d := range tc.Devices {
		if d.HostPath == "" {
			return invalid("devices", "host_path is missing")
		}
		if strings.Trim(d.Permissions, "rwm") != "" {
			return invalid("devices", "cgroup_permissions %q holds more than r, w and m", d.Permissions)
		}
		if !p.open(d.HostPath) && !p.allowsDevice(d.HostPath) {
			return forbidden("devices", "%q: the operator has to list it in allow_devices, or set allow_privileged", d.HostPath)
		}
	}
	return nil
}

// allowsCap judges a normalised name. "ALL" can only be added where all are
// allowed.
func (p policy) allowsCap(name string) bool {
	return slices.ContainsFunc(p.AllowCaps, func(allowed string) bool {
		allowed, _ = capability(allowed)
		return allowed == "ALL" || allowed == name
	})
}

func (p policy) allowsDevice(host string) bool {
	return p.AllowPrivileged || path.Clean(host) == host && slices.ContainsFunc(p.AllowDevices, func(pattern string) bool {
		ok, _ := path.Match(pattern, host) // the pattern was checked by Config.validate
		return ok
	})
}

// securityOpt lets options pass that tighten; those that switch a protection
// off need allow_privileged.
func (p policy) securityOpt(opt string) error {
	if p.open(opt) {
		return nil
	}
	name, value, _ := strings.Cut(strings.Replace(opt, ":", "=", 1), "=")
	switch name {
	case "no-new-privileges":
		return nil
	case "apparmor":
		if value == "unconfined" && !p.AllowPrivileged {
			return forbidden("security_opt", "%q: the operator has to set allow_privileged", opt)
		}
		return nil
	case "seccomp", "label": // a profile of one's own may as well allow everything
		if !p.AllowPrivileged {
			return forbidden("security_opt", "%q: the operator has to set allow_privileged", opt)
		}
		return nil
	}
	return invalid("security_opt", "%q is none of no-new-privileges, seccomp, apparmor and label", opt)
}

func (p policy) modes(tc *taskConfig) error {
	for _, m := range []struct {
		key, value string
		allowed    []string
		harmless   []string
	}{
		{"pid_mode", tc.PIDMode, p.AllowedModes.PID, []string{"", "private"}},
		{"ipc_mode", tc.IPCMode, p.AllowedModes.IPC, []string{"", "none", "private", "shareable"}},
		{"userns_mode", tc.UserNSMode, p.AllowedModes.UserNS, []string{""}},
		{"uts_mode", tc.UTSMode, p.AllowedModes.UTS, []string{""}},
	} {
		if p.open(m.value) || slices.Contains(m.harmless, m.value) {
			continue
		}
		mode, other, _ := strings.Cut(m.value, ":")
		if mode != "host" && (mode != "container" || other == "") {
			return invalid(m.key, "%q is no mode", m.value)
		}
		if !slices.Contains(m.allowed, mode) {
			return forbidden(m.key, "%q: the operator has to list %q in allowed_modes.%s", m.value, mode, strings.TrimSuffix(m.key, "_mode"))
		}
	}
	if !p.open(tc.CgroupNS) && !slices.Contains([]string{"", "private", "host"}, tc.CgroupNS) {
		return invalid("cgroupns", `%q is neither "private" nor "host"`, tc.CgroupNS)
	}
	return nil
}

func (p policy) storage(tc *taskConfig) error {
	if tc.VolumeDriver != "" && !p.Volumes.Enabled {
		return forbidden("volume_driver", "the operator has to set volumes.enabled")
	}
	for _, volume := range tc.Volumes {
		if p.open(volume) {
			continue
		}
		if _, err := parseVolume(volume); err != nil {
			return err
		}
	}
	for _, m := range slices.Concat(tc.Mount, tc.Mounts) {
		if err := p.mount(m); err != nil {
			return err
		}
	}
	return nil
}

func (p policy) mount(m mountConfig) error {
	if !path.IsAbs(m.Target) && !p.open(m.Target) {
		return invalid("mount", "target %q is not an absolute path", m.Target)
	}
	kind := m.kind()
	if p.open(kind) {
		return nil
	}
	if !slices.Contains([]string{"bind", "volume", "tmpfs"}, kind) {
		return invalid("mount", "type %q is none of bind, volume and tmpfs", m.Type)
	}
	if kind == "bind" && m.Source == "" || kind == "tmpfs" && m.Source != "" {
		return invalid("mount", "%s: a bind mount needs a source, a tmpfs mount has none", m.Target)
	}
	for option, given := range map[string]bool{"bind": m.Bind != nil, "volume": m.Volume != nil, "tmpfs": m.Tmpfs != nil} {
		if given && option != kind {
			return invalid("mount", "%s: %s_options with type %s", m.Target, option, kind)
		}
	}
	if m.Volume != nil && m.Volume.Driver != nil && !p.Volumes.Enabled {
		return forbidden("mount", "%s: volume_options.driver_config: the operator has to set volumes.enabled", m.Target)
	}
	return nil
}

func (m *mountConfig) kind() string {
	if m.Type == "" {
		return "volume"
	}
	return m.Type
}

func (p policy) limits(tc *taskConfig) error {
	if tc.CPUPeriod < 1000 || tc.CPUPeriod > 1000000 {
		return invalid("cpu_cfs_period", "%d is not within 1000 and 1000000 microseconds", tc.CPUPeriod)
	}
	if tc.PidsLimit < 0 || p.PidsLimit > 0 && tc.PidsLimit > p.PidsLimit {
		return invalid("pids_limit", "%d is not within 0 and the operator's bound, %d", tc.PidsLimit, p.PidsLimit)
	}
	if tc.OOMScoreAdj != nil && (*tc.OOMScoreAdj < 0 || *tc.OOMScoreAdj > 1000) {
		return invalid("oom_score_adj", "%d is not within 0 and 1000", *tc.OOMScoreAdj)
	}
	if tc.MemoryHardLimit < 0 || tc.ShmSize < 0 {
		return invalid("memory_hard_limit", "it and shm_size must not be negative")
	}
	for name, limit := range tc.Ulimit {
		if !p.open(limit) {
			if _, _, err := parseUlimit(limit); err != nil {
				return invalid("ulimit."+name, "%q is not of the form soft:hard", limit)
			}
		}
	}
	return nil
}

// parseUlimit reads "soft:hard" or one number for both.
func parseUlimit(s string) (soft, hard int64, err error) {
	first, second, two := strings.Cut(s, ":")
	if !two {
		second = first
	}
	if soft, err = strconv.ParseInt(first, 10, 64); err != nil {
		return 0, 0, err
	}
	hard, err = strconv.ParseInt(second, 10, 64)
	return soft, hard, err
}

package docker

import (
	"cmp"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// Labels of every container. They tell whose it is after everything else is
// forgotten.
const (
	labelPrefix = "org.drover."
	LabelNode   = labelPrefix + "node_id"
	LabelAlloc  = labelPrefix + "alloc_id"
	LabelTask   = labelPrefix + "task"
)

// extraLabels are what extra_labels may ask for.
var extraLabels = []string{"job_id", "job_name", "namespace", "node_id", "task_group_name", "task_name"}

func matchLabels(pattern string) (names []string) {
	for _, name := range extraLabels {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			names = append(names, name)
		}
	}
	return names
}

// containerName is what people see in docker ps.
func containerName(cfg *driver.TaskConfig) string { return cfg.Task + "-" + cfg.AllocID }

// containerSpec turns a task into what the Engine is asked to create.
// engineAPI is the version of the API that is spoken with it, for tasks with a
// mac_address.
func (d *Driver) containerSpec(cfg *driver.TaskConfig, tc *taskConfig, engineAPI string) (client.ContainerCreateOptions, error) {
	var opts client.ContainerCreateOptions
	ports, err := publish(cfg, tc)
	if err != nil {
		return opts, err
	}
	host, err := d.hostConfig(cfg, tc)
	if err != nil {
		return opts, err
	}
	networking, err := networking(tc, engineAPI)
	if err != nil {
		return opts, err
	}
	host.PortBindings = ports
	exposed := network.PortSet{}
	for port := range ports {
		exposed[port] = struct{}{}
	}
	return client.ContainerCreateOptions{
		Name: containerName(cfg),
		Config: &container.Config{
			Image:        tc.Image,
			Hostname:     tc.Hostname,
			User:         cfg.User,
			ExposedPorts: exposed,
			Tty:          tc.TTY,
			OpenStdin:    tc.Interactive,
			Env:          environment(cfg),
			Entrypoint:   tc.Entrypoint,
			Cmd:          command(tc),
			WorkingDir:   tc.WorkDir,
			Labels:       d.labels(cfg, tc),
			Healthcheck:  healthcheck(tc),
		},
		HostConfig:       host,
		NetworkingConfig: networking,
	}, nil
}

func command(tc *taskConfig) []string {
	if tc.Command == "" {
		return tc.Args
	}
	return append([]string{tc.Command}, tc.Args...)
}

func healthcheck(tc *taskConfig) *container.HealthConfig {
	if !tc.Healthchecks.Disable {
		return nil
	}
	return &container.HealthConfig{Test: []string{"NONE"}}
}

// environment is the task's, with the directories as the container sees them.
func environment(cfg *driver.TaskConfig) []string {
	inside := map[string]string{cfg.SharedDir: sharedPath, cfg.LocalDir: localPath, cfg.SecretsDir: secretsPath}
	env := make([]string, 0, len(cfg.Env))
	for key, value := range cfg.Env {
		if dir, ok := inside[value]; ok && value != "" {
			value = dir
		}
		env = append(env, key+"="+value)
	}
	slices.Sort(env)
	return env
}

func (d *Driver) labels(cfg *driver.TaskConfig, tc *taskConfig) map[string]string {
	labels := map[string]string{
		LabelNode:  cmp.Or(d.cfg.NodeID, cfg.NodeID),
		LabelAlloc: cfg.AllocID,
		LabelTask:  cfg.Task,
	}
	values := map[string]string{
		"job_id": cfg.JobID, "job_name": cfg.JobName, "namespace": cfg.Namespace,
		"node_id": cfg.NodeID, "task_group_name": cfg.Group, "task_name": cfg.Task,
	}
	for _, pattern := range d.cfg.ExtraLabels {
		for _, name := range matchLabels(pattern) {
			labels[labelPrefix+name] = values[name]
		}
	}
	for key, value := range tc.Labels {
		labels[key] = value
	}
	return labels
}

func (d *Driver) hostConfig(cfg *driver.TaskConfig, tc *taskConfig) (*container.HostConfig, error) {
	m, err := d.cfg.mounts(cfg, tc)
	if err != nil {
		return nil, err
	}
	security, err := securityOpt(cfg, tc)
	if err != nil {
		return nil, err
	}
	resources, err := d.resources(cfg, tc)
	if err != nil {
		return nil, err
	}
	host := &container.HostConfig{
		Binds:          m.binds,
		Mounts:         m.mounts,
		VolumeDriver:   tc.VolumeDriver,
		LogConfig:      d.cfg.logConfig(cfg, tc),
		NetworkMode:    container.NetworkMode(tc.NetworkMode),
		ExtraHosts:     tc.ExtraHosts,
		Privileged:     tc.Privileged,
		CgroupnsMode:   container.CgroupnsMode(tc.CgroupNS),
		PidMode:        container.PidMode(tc.PIDMode),
		IpcMode:        container.IpcMode(tc.IPCMode),
		UsernsMode:     container.UsernsMode(tc.UserNSMode),
		UTSMode:        container.UTSMode(tc.UTSMode),
		GroupAdd:       tc.GroupAdd,
		ReadonlyRootfs: tc.ReadonlyRootfs,
		SecurityOpt:    security,
		StorageOpt:     tc.StorageOpt,
		Sysctls:        tc.Sysctl,
		Runtime:        tc.Runtime,
		ShmSize:        tc.ShmSize,
		Init:           tc.Init,
		OomScoreAdj:    d.cfg.OOMScoreAdj,
		Resources:      resources,
	}
	if tc.PIDMode == "private" { // the Engine's name for it is empty
		host.PidMode = ""
	}
	if tc.OOMScoreAdj != nil {
		host.OomScoreAdj = *tc.OOMScoreAdj
	}
	if !tc.Privileged {
		host.CapDrop = []string{"ALL"}
		host.CapAdd = d.cfg.capabilities(tc)
	}
	return host, resolvers(host, cfg, tc)
}

// resolvers sets the name servers: the task's, else the network's.
func resolvers(host *container.HostConfig, cfg *driver.TaskConfig, tc *taskConfig) error {
	servers := tc.DNSServers
	host.DNSSearch, host.DNSOptions = tc.DNSSearch, tc.DNSOptions
	if dns := cfg.DNS; dns != nil && len(servers)+len(host.DNSSearch)+len(host.DNSOptions) == 0 {
		servers, host.DNSSearch, host.DNSOptions = dns.Servers, dns.Searches, dns.Options
	}
	for _, server := range servers {
		addr, err := netip.ParseAddr(server)
		if err != nil {
			return invalid("dns_servers", "%q is no IP address", server)
		}
		host.DNS = append(host.DNS, addr)
	}
	return nil
}

// capabilities returns all that the task has: the default ones that are
// allowed and what it adds, without what it drops.
func (c *Config) capabilities(tc *taskConfig) []string {
	p := policy{Config: c}
	dropped := map[string]bool{}
	for _, name := range tc.CapDrop {
		name, _ = capability(name) // parse has checked it
		dropped[name] = true
	}
	var caps []string
	for _, name := range defaultCaps {
		if p.allowsCap(name) && !dropped["ALL"] && !dropped[name] {
			caps = append(caps, name)
		}
	}
	for _, name := range tc.CapAdd {
		if name, _ = capability(name); !dropped[name] {
			caps = append(caps, name)
		}
	}
	slices.Sort(caps)
	return slices.Compact(caps)
}

// securityOpt reads seccomp profiles, which the Engine wants inline, from the
// task's directory.
func securityOpt(cfg *driver.TaskConfig, tc *taskConfig) ([]string, error) {
	opts := slices.Clone(tc.SecurityOpt)
	for i, opt := range opts {
		file, ok := strings.CutPrefix(strings.Replace(opt, ":", "=", 1), "seccomp=")
		if !ok || file == "unconfined" || file == "builtin" || strings.HasPrefix(file, "{") {
			continue
		}
		root, err := os.OpenRoot(cfg.TaskDir)
		if err != nil {
			return nil, err
		}
		profile, err := root.ReadFile(filepath.Clean(file))
		root.Close()
		if err != nil {
			return nil, invalid("security_opt", "%q: the profile is read from the task's directory: %w", opt, err)
		}
		if !json.Valid(profile) {
			return nil, invalid("security_opt", "%q is not JSON", file)
		}
		opts[i] = "seccomp=" + string(profile)
	}
	return opts, nil
}

func (d *Driver) resources(cfg *driver.TaskConfig, tc *taskConfig) (container.Resources, error) {
	r := container.Resources{CpusetCpus: tc.CPUSet}
	if limit := max(tc.PidsLimit, 0); limit > 0 || d.cfg.PidsLimit > 0 {
		limit = cmp.Or(limit, d.cfg.PidsLimit)
		r.PidsLimit = &limit
	}
	for name, value := range tc.Ulimit {
		soft, hard, err := parseUlimit(value)
		if err != nil {
			return r, invalid("ulimit."+name, "%q is not of the form soft:hard", value)
		}
		r.Ulimits = append(r.Ulimits, &container.Ulimit{Name: name, Soft: soft, Hard: hard})
	}
	for _, dev := range tc.Devices {
		r.Devices = append(r.Devices, container.DeviceMapping{
			PathOnHost:        dev.HostPath,
			PathInContainer:   cmp.Or(dev.ContainerPath, dev.HostPath),
			CgroupPermissions: cmp.Or(dev.Permissions, "rwm"),
		})
	}
	if cfg.Resources == nil {
		return r, nil
	}
	cpu, memory := cfg.Resources.Cpu, cfg.Resources.Memory
	if cpu.CpuShares > 0 {
		r.CPUShares = min(max(cpu.CpuShares, 2), 262144) // what the kernel takes
	}
	if len(cpu.ReservedCores) > 0 {
		cores := make([]string, len(cpu.ReservedCores))
		for i, core := range cpu.ReservedCores {
			cores[i] = strconv.Itoa(int(core))
		}
		r.CpusetCpus = strings.Join(cores, ",")
	}
	if tc.CPUHardLimit && cpu.CpuShares > 0 {
		if d.cfg.CoreMHz <= 0 {
			return r, invalid("cpu_hard_limit", "the speed of this machine's processors is not known")
		}
		r.CPUPeriod = tc.CPUPeriod
		r.CPUQuota = max(int64(float64(cpu.CpuShares)/d.cfg.CoreMHz*float64(tc.CPUPeriod)), 1000)
	}
	return r, memoryLimits(&r, memory, tc.MemoryHardLimit)
}

// memoryLimits sets the hard limit: what the task asks for, or a larger one
// that it may reach while there is memory to spare.
func memoryLimits(r *container.Resources, memory api.AllocatedMemory, hard int64) error {
	limit := max(memory.MemoryMB, memory.MemoryMaxMB)
	if hard > 0 {
		if hard < memory.MemoryMB {
			return invalid("memory_hard_limit", "%d MiB is less than the %d MiB of the task's resources", hard, memory.MemoryMB)
		}
		limit = hard
	}
	if limit > memory.MemoryMB && memory.MemoryMB > 0 {
		r.MemoryReservation = memory.MemoryMB * units.MiB
	}
	if limit > 0 {
		r.Memory = limit * units.MiB
		r.MemorySwap = r.Memory // no swap on top
	}
	return nil
}

// publish maps the container's ports to the host's: those the ports key names,
// those in port_map, and those of the task's own network.
func publish(cfg *driver.TaskConfig, tc *taskConfig) (network.PortMap, error) {
	granted := map[string]api.PortMapping{}
	for _, port := range cfg.Ports {
		granted[port.Label] = port
	}
	wanted := map[string]int64{} // label → port in the container; 0 as granted
	if cfg.Resources != nil {
		for _, n := range cfg.Resources.Networks {
			for _, port := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
				wanted[port.Label] = 0
			}
		}
	}
	for _, label := range tc.Ports {
		wanted[label] = 0
	}
	for label, port := range tc.PortMap {
		wanted[label] = port
	}
	if mode := tc.NetworkMode; mode == "host" || mode == "none" || strings.HasPrefix(mode, "container:") {
		return nil, nil
	}
	ports := network.PortMap{}
	for label, inside := range wanted {
		port, ok := granted[label]
		if !ok {
			return nil, invalid("ports", "%q is no port of the group's network", label)
		}
		if inside == 0 {
			inside = int64(port.To)
		}
		if inside <= 0 {
			inside = int64(port.Value)
		}
		binding := network.PortBinding{HostPort: strconv.Itoa(port.Value)}
		if port.HostIP != "" {
			addr, err := netip.ParseAddr(port.HostIP)
			if err != nil {
				return nil, invalid("ports", "%q: the host's address %q is no IP address", label, port.HostIP)
			}
			binding.HostIP = addr
		}
		for _, protocol := range []network.IPProtocol{network.TCP, network.UDP} {
			if key, ok := network.PortFrom(uint16(inside), protocol); ok {
				ports[key] = append(ports[key], binding)
			}
		}
	}
	return ports, nil
}

// networking gives the container's own addresses and names in a network.
func networking(tc *taskConfig, engineAPI string) (*network.NetworkingConfig, error) {
	if len(tc.NetworkAliases) == 0 && tc.IPv4Address == "" && tc.IPv6Address == "" && tc.MACAddress == "" {
		return nil, nil
	}
	endpoint := &network.EndpointSettings{Aliases: tc.NetworkAliases}
	if tc.IPv4Address != "" || tc.IPv6Address != "" {
		endpoint.IPAMConfig = &network.EndpointIPAMConfig{}
		// The zero Addr means none; policy.network has checked the others.
		endpoint.IPAMConfig.IPv4Address, _ = netip.ParseAddr(tc.IPv4Address)
		endpoint.IPAMConfig.IPv6Address, _ = netip.ParseAddr(tc.IPv6Address)
	}
	if tc.MACAddress != "" {
		if versions.LessThan(engineAPI, "1.44") {
			return nil, api.Errorf(api.CodeUnsupported, "config.mac_address: it needs Docker Engine 25 or newer (API 1.44, this one speaks %s)", engineAPI)
		}
		mac, err := net.ParseMAC(tc.MACAddress)
		if err != nil {
			return nil, invalid("mac_address", "%w", err)
		}
		endpoint.MacAddress = network.HardwareAddr(mac)
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{cmp.Or(tc.NetworkMode, "bridge"): endpoint}}, nil
}

// logConfig chooses the Engine's log driver: the task's, the operator's, else
// the compact one, with room for twice what the task's own files may hold:
// only a copier that is behind by all of it loses lines. With a terminal the
// ends of messages are only found in what json-file keeps.
func (c *Config) logConfig(cfg *driver.TaskConfig, tc *taskConfig) container.LogConfig {
	for _, l := range []*LoggingConfig{tc.Logging, &c.Logging} {
		if l != nil && l.Type+l.Driver != "" {
			return container.LogConfig{Type: cmp.Or(l.Type, l.Driver), Config: l.Config}
		}
	}
	if cfg.Logs.Disabled {
		return container.LogConfig{Type: "none"}
	}
	total := 4 * int64(max(cfg.Logs.MaxFiles, 1)) * cfg.Logs.MaxFileSize // for each of two streams
	size := max(2*cfg.Logs.MaxFileSize, leastRecordFile)
	kind := "local"
	if tc.TTY {
		kind = "json-file"
	}
	return container.LogConfig{Type: kind, Config: map[string]string{
		"compress": "false", // it is read again soon, or never
		"max-file": strconv.FormatInt((total+size-1)/size+2, 10),
		"max-size": strconv.FormatInt(size, 10),
	}}
}

// leastRecordFile is the least size of a file of the Engine's record: no
// container prints as much while a copier is not late. See behind.
const leastRecordFile = 20 * units.MiB

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/docker"
	"github.com/drover-org/drover/driver/fake"
	"github.com/drover-org/drover/driver/rawexec"
	"github.com/drover-org/drover/driver/taskconfig"
	"github.com/drover-org/drover/internal/agent"
	"github.com/drover-org/drover/internal/agent/fingerprint"
	"github.com/drover-org/drover/internal/agent/localdb"
	"github.com/drover-org/drover/internal/config"
	"github.com/drover-org/drover/internal/link"
	"github.com/drover-org/drover/internal/shim"
	"github.com/drover-org/drover/internal/version"
)

// dockerName is what the docker driver calls itself.
const dockerName = "docker"

// nodePart is the node side.
type nodePart struct {
	agent *agent.Agent
	link  *link.Node
}

// buildNode opens the node's state and adds the parts: drivers, link, agent.
func (d *daemon) buildNode() error {
	drivers, err := d.buildDrivers()
	if err != nil {
		return err
	}
	c := &d.cfg.Client
	fp, err := d.fingerprint()
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Config{
		Log: d.log, Now: time.Now, Drivers: drivers.all, StateDir: d.dirs.client, AllocDir: d.dirs.alloc, Region: d.cfg.Region,
		Fingerprint: fp, MaxKillTimeout: c.MaxKillTimeout, KillOnExit: d.cfg.Dev, HostEnv: agent.FilterEnv(os.Environ()),
		GCMaxAllocs: c.GCMaxAllocs, GCDiskThreshold: c.GCDiskThreshold, GCInodeThreshold: c.GCInodeThreshold, GCInterval: c.GCInterval,
		DisableRemoteExec: c.DisableRemoteExec, MaxExecSessions: c.MaxExecSessions,
		LogRetention: agent.LogRetention{MaxAge: c.LogRetention.MaxAge, MaxSize: int64(c.LogRetention.MaxSizeMB) << 20, KeepFailed: c.LogRetention.KeepFailed},
		Recording: agent.Recording{
			Namespaces: c.Recording.Namespaces, Jobs: c.Recording.Jobs, Input: c.Recording.Input, Dir: d.dirs.recordings,
			MaxAge: c.Recording.MaxAge, MaxSize: int64(c.Recording.MaxSizeMB) << 20, MaxSession: int64(c.Recording.MaxSessionMB) << 20,
		},
	})
	if err != nil {
		return errors.Join(err, drivers.close())
	}
	introduction, err := d.introduction(a)
	if err != nil {
		return errors.Join(err, drivers.close())
	}
	servers := d.cfg.ServerAddresses()
	if d.rpcAddr != "" {
		// Its own server, through the same door as any other node.
		servers = append([]string{d.rpcListener.Addr().String()}, servers...)
	}
	n := link.NewNode(link.NodeConfig{
		Servers: servers, TLS: d.dialer().TLS, Log: d.log, Node: a.Node, Handler: d.process().Beside(a.Handler()),
		Introduction: introduction, Identity: localdb.IdentityToken{Dir: d.dirs.client},
		OnAssign: func(as link.Assignment) { a.Assign(as.Full, as.Allocs, as.Gone) },
	})
	a.Connect(n)
	d.node = &nodePart{agent: a, link: n}
	d.parts = append(d.parts,
		part{"drivers", func(ctx context.Context) error {
			<-ctx.Done()
			return drivers.close()
		}},
		part{"docker", drivers.docker.Run},
		part{"link", n.Run},
		part{"agent", a.Run},
	)
	return nil
}

// introductionVar is where a node that starts finds the token by which it
// joins. It goes no further than the servers.
const introductionVar = "NOMAD_CLIENT_INTRO_TOKEN"

// introduction is how the node joins when it is new: with a token that
// somebody gave it, or by the server in its own process.
func (d *daemon) introduction(a *agent.Agent) (func(context.Context) string, error) {
	token := strings.TrimSpace(os.Getenv(introductionVar))
	if token == "" {
		var err error
		if token, err = localdb.LoadIntroduction(d.dirs.client); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) string {
		if token != "" || d.server == nil {
			return token
		}
		own, err := d.server.server.OwnIntroduction(ctx, a.Node())
		if err != nil {
			d.log.Debug("the node is not introduced", "error", err) // tried again with the next connection
		}
		return own
	}, nil
}

// drivers are those of this node.
type drivers struct {
	all     map[string]driver.Driver
	docker  *docker.Driver
	closers []io.Closer
}

func (d *drivers) close() error {
	var err error
	for _, c := range d.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

func (d *daemon) buildDrivers() (*drivers, error) {
	known := []string{dockerName, rawexec.Name, fake.Name}
	for name := range d.cfg.Plugins {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("plugin %q: there is no such driver: %s", name, strings.Join(known, ", "))
		}
	}
	identity, err := localdb.LoadIdentity(d.dirs.client)
	if err != nil {
		return nil, err
	}
	raw, err := d.rawExec()
	if err != nil {
		return nil, err
	}
	dockerConfig, err := docker.ParseConfig(d.cfg.Plugins[dockerName].Config)
	if err != nil {
		return nil, err
	}
	dockerConfig.NodeID, dockerConfig.StateDir, dockerConfig.Log = identity.ID, d.dirs.client, d.log
	dk, err := docker.New(dockerConfig)
	if err != nil {
		return nil, err
	}
	if c := d.cfg.Plugins[fake.Name].Config; len(c) > 0 {
		return nil, fmt.Errorf("plugin %q has no options: remove its config block", fake.Name)
	}
	mock := fake.New(fake.Config{})
	return &drivers{
		all:    map[string]driver.Driver{dockerName: dk, rawexec.Name: raw, fake.Name: mock},
		docker: dk, closers: []io.Closer{raw, mock},
	}, nil
}

func (d *daemon) rawExec() (*rawexec.Driver, error) {
	r := taskconfig.New("plugin raw_exec", d.cfg.Plugins[rawexec.Name].Config)
	cfg := rawexec.Config{
		Enabled: r.Bool("enabled"), DeniedHostUIDs: r.String("denied_host_uids"), DeniedHostGIDs: r.String("denied_host_gids"),
		DeniedEnvvars: r.Strings("denied_envvars"), CgroupParent: d.cfg.Client.CgroupParent, Log: d.log, Now: time.Now,
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	var err error
	if cfg.Program, err = shim.Install(d.dirs.bin); err != nil {
		return nil, err
	}
	return rawexec.New(cfg)
}

// fingerprint says what the configuration knows better than the machine.
func (d *daemon) fingerprint() (fingerprint.Config, error) {
	c := &d.cfg.Client
	f := fingerprint.Config{
		Name: d.cfg.Name, Region: d.cfg.Region, Datacenter: d.cfg.Datacenter, NodeClass: c.NodeClass, NodePool: c.NodePool,
		HTTPAddr: d.httpAddr, TLSEnabled: d.cfg.TLS.HTTP, Version: version.Number(), Revision: version.Commit(), Meta: maps.Clone(c.Meta),
		HostVolumes: map[string]*api.HostVolumeInfo{}, HostNetworks: map[string]*api.HostNetworkInfo{}, MaxAllocs: c.NodeMaxAllocs,
		NetworkInterface: c.NetworkInterface, NetworkSpeed: c.NetworkSpeed, CPUTotalCompute: c.CPUTotalCompute,
		MemoryTotalMB: c.MemoryTotalMB, DiskTotalMB: c.DiskTotalMB, DiskFreeMB: c.DiskFreeMB,
		MinDynamicPort: c.MinDynamicPort, MaxDynamicPort: c.MaxDynamicPort, CgroupParent: c.CgroupParent,
	}
	f.Reserved.Cpu.CpuShares = uint64(c.Reserved.CPU)
	f.Reserved.Memory.MemoryMB = uint64(c.Reserved.MemoryMB)
	f.Reserved.Disk.DiskMB = uint64(c.Reserved.DiskMB)
	f.Reserved.Networks.ReservedHostPorts = c.Reserved.Ports
	var err error
	if f.ReservableCores, err = config.ParseCores(c.ReservableCores); err != nil {
		return f, fmt.Errorf("reservable_cores: %w", err)
	}
	if f.Reserved.Cpu.ReservedCpuCores, err = config.ParseCores(c.Reserved.Cores); err != nil {
		return f, fmt.Errorf("reserved.cores: %w", err)
	}
	for name, v := range c.HostVolumes {
		f.HostVolumes[name] = &api.HostVolumeInfo{Path: v.Path, ReadOnly: v.ReadOnly}
	}
	for name, n := range c.HostNetworks {
		f.HostNetworks[name] = &api.HostNetworkInfo{Name: name, CIDR: n.CIDR, Interface: n.Interface, ReservedPorts: n.ReservedPorts}
	}
	return f, nil
}

package bench

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/drover-org/drover/api"
)

// What a simulated node has.
const (
	cpuMHz   = 4000
	cores    = 4
	memoryMB = 8192
	diskMB   = 100 * 1024
)

// attributes are those that all simulated nodes share.
var attributes = map[string]string{
	"arch": "amd64", "os.name": "debian", "os.version": "12", "os.signals": "SIGTERM,SIGINT,SIGKILL,SIGHUP,SIGUSR1,SIGUSR2",
	"kernel.name": "linux", "kernel.arch": "x86_64", "kernel.version": "6.1.0",
	"cpu.arch": "amd64", "cpu.modelname": "simulated", "cpu.numcores": "4", "cpu.frequency": "1000",
	"cpu.totalcompute": "4000", "cpu.usablecompute": "4000", "cpu.reservablecores": "4",
	"memory.totalbytes":     "8589934592",
	"driver.raw_exec":       "1",
	"driver.docker":         "1",
	"driver.docker.version": "27.0.0",
	"driver.mock_driver":    "1",
	"nomad.version":         "1.10.0",
}

// idOf derives a UUID from text, so that a run finds its nodes again.
func idOf(text string) string {
	sum := sha256.Sum256([]byte("drover bench " + text))
	return api.ID(sum[:16]).String()
}

// describe makes the node number of its name.
func describe(name, datacenter string, number int) *api.Node {
	attrs := make(map[string]string, len(attributes)+3)
	for k, v := range attributes {
		attrs[k] = v
	}
	ip := fmt.Sprintf("10.%d.%d.%d", number>>16&255, number>>8&255, number&255)
	attrs["unique.hostname"] = name
	attrs["unique.network.ip-address"] = ip
	attrs["unique.storage.bytesfree"] = fmt.Sprint(diskMB << 20)
	n := &api.Node{
		ID: idOf("node " + name), SecretID: idOf("secret " + name), Name: name, Datacenter: datacenter,
		HTTPAddr: ip + ":4646", NodePool: api.DefaultNodePool, Attributes: attrs,
		Meta:    map[string]string{"rack": fmt.Sprintf("r%d", number%Racks)},
		Status:  api.NodeReady,
		Drivers: map[string]*api.DriverInfo{},
		NodeResources: &api.NodeResources{
			Cpu:            api.NodeCPU{CpuShares: cpuMHz, TotalCpuCores: cores},
			Memory:         api.NodeMemory{MemoryMB: memoryMB},
			Disk:           api.NodeDisk{DiskMB: diskMB},
			Networks:       []*api.NetworkResource{{Mode: "host", Device: "eth0", IP: ip, CIDR: ip + "/32", MBits: new(1000)}},
			NodeNetworks:   []*api.NodeNetworkResource{{Mode: "host", Device: "eth0", Speed: 1000, Addresses: []api.NodeNetworkAddress{{Family: "ipv4", Alias: "default", Address: ip}}}},
			MinDynamicPort: api.DefaultMinDynamicPort,
			MaxDynamicPort: api.DefaultMaxDynamicPort,
		},
		ReservedResources: &api.NodeReservedResources{},
	}
	for i := range cores {
		n.NodeResources.Cpu.ReservableCpuCores = append(n.NodeResources.Cpu.ReservableCpuCores, uint16(i))
	}
	for _, d := range []string{"raw_exec", "docker", "mock_driver"} {
		n.Drivers[d] = &api.DriverInfo{Attributes: map[string]string{"driver." + d: "1"}, Detected: true, Healthy: true, HealthDescription: "Healthy"}
	}
	return n
}

// started is the report of an allocation whose tasks run.
func started(a *api.Allocation, now time.Time) *api.AllocUpdate {
	u := &api.AllocUpdate{
		ID: a.ID, ClientStatus: api.AllocClientRunning, ClientDescription: api.AllocClientTasksRun, TaskStates: map[string]*api.TaskState{},
	}
	for _, name := range tasksOf(a.Group()) {
		u.TaskStates[name] = &api.TaskState{
			State: api.TaskStateRunning, StartedAt: now,
			Events: []*api.TaskEvent{
				api.NewTaskEvent(api.EventReceived, now),
				api.NewTaskEvent(api.EventTaskSetup, now, api.DetailMessage, "Building Task Directory"),
				api.NewTaskEvent(api.EventStarted, now),
			},
		}
	}
	if a.DeploymentID != "" {
		u.DeploymentHealthy, u.HealthTimestamp = new(true), now
	}
	return u
}

// restarted is the report of a running allocation whose tasks were started
// again.
func restarted(id string, h held, now time.Time) *api.AllocUpdate {
	u := &api.AllocUpdate{
		ID: id, ClientStatus: api.AllocClientRunning, ClientDescription: api.AllocClientTasksRun, TaskStates: map[string]*api.TaskState{},
	}
	for _, name := range tasksOf(h.group) {
		u.TaskStates[name] = &api.TaskState{
			State: api.TaskStateRunning, StartedAt: now, LastRestart: now, Restarts: h.restarts,
			Events: []*api.TaskEvent{
				api.NewTaskEvent(api.EventReceived, now),
				api.NewTaskEvent(api.EventRestartSignaled, now),
				api.NewTaskEvent(api.EventStarted, now),
			},
		}
	}
	return u
}

// stopped is the report of an allocation that was asked to stop.
func stopped(a *api.Allocation, now time.Time) *api.AllocUpdate {
	u := started(a, now)
	u.ClientStatus, u.ClientDescription = api.AllocClientComplete, api.AllocClientTasksDone
	for _, s := range u.TaskStates {
		s.State, s.FinishedAt = api.TaskStateDead, now
		s.Events = append(s.Events, api.NewTaskEvent(api.EventKilling, now),
			api.NewTaskEvent(api.EventTerminated, now, api.DetailExitCode, "0"), api.NewTaskEvent(api.EventKilled, now))
	}
	return u
}

func tasksOf(g *api.TaskGroup) []string {
	if g == nil {
		return nil
	}
	names := make([]string, len(g.Tasks))
	for i, t := range g.Tasks {
		names[i] = t.Name
	}
	return names
}

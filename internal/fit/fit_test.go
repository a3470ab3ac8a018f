package fit

import (
	"slices"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func node() *api.Node {
	return &api.Node{
		NodeResources: &api.NodeResources{
			Cpu:    api.NodeCPU{CpuShares: 4000, TotalCpuCores: 4, ReservableCpuCores: []uint16{0, 1, 2, 3}},
			Memory: api.NodeMemory{MemoryMB: 8192}, Disk: api.NodeDisk{DiskMB: 10000},
			MinDynamicPort: 30000, MaxDynamicPort: 30003,
			NodeNetworks: []*api.NodeNetworkResource{
				{Device: "eth0", Addresses: []api.NodeNetworkAddress{{Family: "ipv4", Alias: "default", Address: "10.0.0.1"}}},
				{Device: "eth1", Addresses: []api.NodeNetworkAddress{{Family: "ipv6", Alias: "private", Address: "fd00::1"}, {Family: "ipv4", Alias: "private", Address: "192.168.0.1"}}},
			},
		},
		ReservedResources: &api.NodeReservedResources{
			Cpu: api.NodeReservedCPU{CpuShares: 500, ReservedCpuCores: []uint16{0}}, Memory: api.NodeReservedMemory{MemoryMB: 192},
			Networks: api.NodeReservedNetworks{ReservedHostPorts: "22, 80,8000-8002"},
		},
	}
}

func TestCapacityIsWhatTheOperatorLeaves(t *testing.T) {
	want := Capacity{
		CPU: 3500, MemoryMB: 8000, DiskMB: 10000, Cores: []uint16{1, 2, 3}, CoreMHz: 1000,
		MinPort: 30000, MaxPort: 30003, Reserved: []uint16{22, 80, 8000, 8001, 8002},
	}
	if d := cmp.Diff(want, CapacityOf(node())); d != "" {
		t.Error(d)
	}
}

func TestParsePortsRefusesWhatIsNoPort(t *testing.T) {
	for _, bad := range []string{"x", "70000", "9-8", "1-x", "-1"} {
		if _, err := ParsePorts(bad); api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("ParsePorts(%q): %v", bad, err)
		}
	}
}

func TestSumCountsPhasesOnce(t *testing.T) {
	task := func(cpu int64) *api.AllocatedTaskResources {
		return &api.AllocatedTaskResources{Cpu: api.AllocatedCPU{CpuShares: cpu}, Memory: api.AllocatedMemory{MemoryMB: cpu}}
	}
	r := &api.AllocatedResources{
		Tasks: map[string]*api.AllocatedTaskResources{"init": task(500), "main": task(300), "side": task(10), "late": task(50), "end": task(100)},
		TaskLifecycles: map[string]*api.TaskLifecycle{
			"init": {Hook: api.HookPrestart}, "side": {Hook: api.HookPrestart, Sidecar: true}, "main": nil,
			"late": {Hook: api.HookPoststart}, "end": {Hook: api.HookPoststop},
		},
	}
	if d := Sum(r); d.CPU != 510 || d.MemoryMB != 510 || d.MemoryMaxMB != 510 {
		t.Errorf("sum %+v, want 510 of each: prestart 500 and the sidecar", d)
	}
	r.Tasks["main"] = task(600)
	if d := Sum(r); d.CPU != 660 {
		t.Errorf("cpu %d, want 660: main, poststart and the sidecar", d.CPU)
	}
}

func asking(ports ...api.Port) *api.TaskGroup {
	n := &api.NetworkResource{Mode: "host"}
	for _, p := range ports {
		if p.Value > 0 {
			n.ReservedPorts = append(n.ReservedPorts, p)
		} else {
			n.DynamicPorts = append(n.DynamicPorts, p)
		}
	}
	return &api.TaskGroup{Networks: []*api.NetworkResource{n}}
}

func TestOfferMapsPorts(t *testing.T) {
	n := node()
	c := CapacityOf(n)
	ask := AskOf(asking(api.Port{Label: "web", Value: 443, To: 8443}, api.Port{Label: "rpc", To: -1, HostNetwork: "private"}))
	o, ok := ask.Offer(n, &c, &Usage{Ports: []uint16{30000, 30001, 30003}}, 7)
	if !ok {
		t.Fatal("no offer")
	}
	want := []api.PortMapping{
		{Label: "web", Value: 443, To: 8443, HostIP: "10.0.0.1"},
		{Label: "rpc", Value: 30002, To: 30002, HostIP: "192.168.0.1"},
	}
	if d := cmp.Diff(want, o.Ports); d != "" {
		t.Error(d)
	}
	if net := o.Networks[0]; net.IP != "10.0.0.1" || net.Device != "eth0" || net.DynamicPorts[0].Value != 30002 {
		t.Errorf("network %+v", net)
	}
	if ask.group.DynamicPorts[0].Value != 0 || ask.group.DynamicPorts[0].To != -1 {
		t.Error("the offer changed the job")
	}
}

func TestOfferRefusesCollisions(t *testing.T) {
	n := node()
	c := CapacityOf(n)
	used := &Usage{Ports: []uint16{443}}
	for _, tc := range []struct {
		name string
		port api.Port
		ok   bool
	}{
		{"free", api.Port{Value: 444}, true},
		{"in use", api.Port{Value: 443}, false},
		{"in use, collisions ignored", api.Port{Value: 443, IgnoreCollision: true}, true},
		{"kept back", api.Port{Value: 8001}, false},
	} {
		if _, ok := AskOf(asking(tc.port)).Offer(n, &c, used, 1); ok != tc.ok {
			t.Errorf("%s: offer %v, want %v", tc.name, ok, tc.ok)
		}
	}
	if _, ok := AskOf(asking(api.Port{}, api.Port{}, api.Port{}, api.Port{}, api.Port{})).Offer(n, &c, &Usage{}, 1); ok {
		t.Error("five dynamic ports out of a range of four")
	}
}

func TestOfferOfATaskNetwork(t *testing.T) {
	g := &api.TaskGroup{Tasks: []*api.Task{{Name: "redis", Resources: &api.Resources{
		Networks: []*api.NetworkResource{{MBits: new(int), DynamicPorts: []api.Port{{Label: "db"}}}},
	}}}}
	n := node()
	c := CapacityOf(n)
	o, ok := AskOf(g).Offer(n, &c, &Usage{}, 3)
	if !ok || len(o.TaskNetwork["redis"]) != 1 || len(o.Networks) != 0 {
		t.Fatalf("offer %+v", o)
	}
	net := o.TaskNetwork["redis"][0]
	if p := net.DynamicPorts[0].Value; p < 30000 || p > 30003 || net.IP != "10.0.0.1" || net.MBits == nil {
		t.Errorf("network %+v", net)
	}
}

func TestMissing(t *testing.T) {
	g := asking(api.Port{Label: "web", HostNetwork: "public"})
	if got := AskOf(g).Missing(node()); got != `missing host network "public" for port "web"` {
		t.Error(got)
	}
	g.Networks[0].Mode = "bridge"
	if got := AskOf(g).Missing(node()); got != "missing network" {
		t.Error(got)
	}
}

// Whatever is asked, no port is granted twice and With and Without cancel out.
func TestOffersNeverShareAPort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := node()
		n.NodeResources.MaxDynamicPort = 30020
		c := CapacityOf(n)
		used := &Usage{}
		before := []*Usage{used}
		var granted []*api.AllocatedResources
		for range rapid.IntRange(1, 12).Draw(t, "allocs") {
			var ports []api.Port
			for range rapid.IntRange(1, 4).Draw(t, "ports") {
				ports = append(ports, api.Port{Value: rapid.SampledFrom([]int{0, 0, 0, 30005, 443, 22}).Draw(t, "port")})
			}
			o, ok := AskOf(asking(ports...)).Offer(n, &c, used, rapid.Uint64().Draw(t, "seed"))
			if !ok {
				continue
			}
			r := Grant(&api.AllocatedResources{}, &api.Placement{Networks: o.Networks, Ports: o.Ports}, n)
			if !Fits(n, used, Sum(r)) {
				t.Fatalf("the offer %+v does not fit beside %v", o.Ports, used.Ports)
			}
			used = used.With(r)
			granted, before = append(granted, r), append(before, used)
			if !slices.IsSorted(used.Ports) || len(slices.Compact(slices.Clone(used.Ports))) != len(used.Ports) {
				t.Fatalf("a port is in use twice: %v", used.Ports)
			}
		}
		for i := len(granted) - 1; i >= 0; i-- {
			used = used.Without(granted[i])
			if d := cmp.Diff(before[i].Ports, used.Ports); d != "" && len(used.Ports) > 0 {
				t.Fatal(d)
			}
		}
	})
}

func TestGrantOfCores(t *testing.T) {
	n := node()
	c := CapacityOf(n)
	group := OfGroup(&api.TaskGroup{Tasks: []*api.Task{{Name: "a", Resources: &api.Resources{Cores: 2, MemoryMB: 64}}}}, false)
	cores := c.FreeCores(&Usage{Cores: []uint16{2}}, 2)
	if d := cmp.Diff([]uint16{1, 3}, cores); d != "" {
		t.Fatal(d)
	}
	r := Grant(group, &api.Placement{TaskCores: map[string][]uint16{"a": cores}}, n)
	if got := r.Tasks["a"].Cpu.CpuShares; got != 2000 {
		t.Errorf("two cores are worth %d MHz, want 2000", got)
	}
	if Fits(n, &Usage{Cores: []uint16{3}}, Sum(r)) {
		t.Error("a core was granted twice")
	}
	if c.FreeCores(&Usage{Cores: []uint16{2}}, 3) != nil {
		t.Error("three free cores of two")
	}
}

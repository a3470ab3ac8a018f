package fingerprint

import (
	"net"
	"strconv"
	"testing"

	"github.com/drover-org/drover/api"
)

func TestNode(t *testing.T) {
	n, err := Node(Config{
		ID: "id", SecretID: "secret", Datacenter: "dc1", NodePool: "default", NodeClass: "big", Version: "1.2.3", AllocDir: t.TempDir(),
		Meta: map[string]string{"rack": "r1"}, Attributes: map[string]string{"os.name": "override"},
		Reserved: api.NodeReservedResources{Cpu: api.NodeReservedCPU{CpuShares: 100}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"cpu.arch", "cpu.numcores", "cpu.totalcompute", "memory.totalbytes", "kernel.name", "kernel.version", "kernel.arch",
		"os.name", "unique.hostname", "unique.network.ip-address", "unique.storage.volume", "unique.storage.bytestotal",
		"unique.storage.bytesfree", "nomad.version",
	} {
		if n.Attributes[key] == "" {
			t.Errorf("attribute %s is missing", key)
		}
	}
	r := n.NodeResources
	if r.Cpu.CpuShares <= 0 || r.Memory.MemoryMB <= 0 || r.Disk.DiskMB <= 0 || len(r.Networks) == 0 || r.Networks[0].IP == "" {
		t.Errorf("resources = %+v", r)
	}
	if n.Name == "" || n.NodeClass != "big" || n.Meta["rack"] != "r1" || n.Attributes["os.name"] != "override" {
		t.Errorf("node = %+v", n)
	}
	if n.Resources.CPU != int(r.Cpu.CpuShares) || n.Reserved.CPU != 100 || r.MaxDynamicPort != api.DefaultMaxDynamicPort {
		t.Errorf("legacy resources = %+v, %+v", n.Resources, n.Reserved)
	}
}

func TestOverrides(t *testing.T) {
	n, err := Node(Config{
		AllocDir: t.TempDir(), NetworkInterface: loopback(t), NetworkSpeed: 42, CPUTotalCompute: 1234, MemoryTotalMB: 56, DiskTotalMB: 78,
		ReservableCores: []uint16{1}, MinDynamicPort: 1000, MaxDynamicPort: 2000,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := n.NodeResources
	if r.Cpu.CpuShares != 1234 || n.Attributes["cpu.totalcompute"] != strconv.Itoa(1234) || r.Memory.MemoryMB != 56 || r.Disk.DiskMB > 78 {
		t.Errorf("resources = %+v", r)
	}
	if *r.Networks[0].MBits != 42 || r.NodeNetworks[0].Addresses[0].Address != "127.0.0.1" || r.MinDynamicPort != 1000 || len(r.Cpu.ReservableCpuCores) != 1 {
		t.Errorf("network = %+v", r.NodeNetworks[0])
	}
	if _, err := Node(Config{AllocDir: t.TempDir(), NetworkInterface: "nope0"}); err == nil {
		t.Error("a missing interface was accepted")
	}
}

func loopback(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("no loopback interface")
	return ""
}

func TestUsable(t *testing.T) {
	addr := func(s string) net.Addr { return &net.IPNet{IP: net.ParseIP(s)} }
	got := usable([]net.Addr{addr("fe80::1"), addr("fd00::1"), addr("10.0.0.1"), addr("169.254.0.1")})
	if len(got) != 2 || got[0].String() != "10.0.0.1" || got[1].String() != "fd00::1" {
		t.Errorf("usable = %v", got)
	}
}

func BenchmarkNode(b *testing.B) {
	c := Config{AllocDir: b.TempDir()}
	for b.Loop() {
		if _, err := Node(c); err != nil {
			b.Fatal(err)
		}
	}
}

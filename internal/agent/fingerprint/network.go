package fingerprint

import (
	"cmp"
	"fmt"
	"net"
	"slices"

	"github.com/drover-org/drover/api"
)

// defaultSpeed is that of interfaces which don't tell theirs, in Mbit/s.
const defaultSpeed = 1000

// network describes the interface that allocations use.
func network(n *api.Node, c Config) error {
	dev, err := pickInterface(c.NetworkInterface)
	if err != nil {
		return err
	}
	addrs, err := dev.Addrs()
	if err != nil {
		return fmt.Errorf("addresses of network interface %s: %w", dev.Name, err)
	}
	speed := c.NetworkSpeed
	if speed == 0 {
		speed = cmp.Or(linkSpeed(dev.Name), defaultSpeed)
	}
	node := &api.NodeNetworkResource{Mode: "host", Device: dev.Name, MacAddress: dev.HardwareAddr.String(), Speed: speed}
	for _, ip := range usable(addrs) {
		family, bits := "ipv4", 32
		if ip.To4() == nil {
			family, bits = "ipv6", 128
		}
		node.Addresses = append(node.Addresses, api.NodeNetworkAddress{
			Family: family, Alias: "default", Address: ip.String(), ReservedPorts: c.Reserved.Networks.ReservedHostPorts,
		})
		mbits := speed
		n.NodeResources.Networks = append(n.NodeResources.Networks, &api.NetworkResource{
			Mode: "host", Device: dev.Name, CIDR: fmt.Sprintf("%s/%d", ip, bits), IP: ip.String(), MBits: &mbits,
		})
	}
	if len(node.Addresses) == 0 {
		return fmt.Errorf("network interface %q has no usable address: name another in client.network_interface", dev.Name)
	}
	n.NodeResources.NodeNetworks = []*api.NodeNetworkResource{node}
	n.Attributes["unique.network.ip-address"] = node.Addresses[0].Address
	return nil
}

// pickInterface returns the named interface, that of the default route, or
// the first that is up, the loopback last.
func pickInterface(name string) (*net.Interface, error) {
	if name != "" {
		dev, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("client.network_interface %q: %w", name, err)
		}
		return dev, nil
	}
	if name := defaultRoute(); name != "" {
		if dev, err := net.InterfaceByName(name); err == nil {
			return dev, nil
		}
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("network interfaces: %w", err)
	}
	all = slices.DeleteFunc(all, func(i net.Interface) bool {
		addrs, err := i.Addrs()
		return i.Flags&net.FlagUp == 0 || err != nil || len(usable(addrs)) == 0
	})
	if len(all) == 0 {
		return nil, fmt.Errorf("no network interface is up: name one in client.network_interface")
	}
	slices.SortStableFunc(all, func(a, b net.Interface) int {
		return cmp.Compare(a.Flags&net.FlagLoopback, b.Flags&net.FlagLoopback)
	})
	return &all[0], nil
}

// usable returns the addresses tasks can be reached at, IPv4 first.
func usable(addrs []net.Addr) []net.IP {
	var v4, v6 []net.IP
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		switch {
		case !ok || n.IP.IsLinkLocalUnicast():
		case n.IP.To4() != nil:
			v4 = append(v4, n.IP)
		default:
			v6 = append(v6, n.IP)
		}
	}
	return append(v4, v6...)
}

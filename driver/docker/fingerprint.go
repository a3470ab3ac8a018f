package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/drover-org/drover/driver"
)

// fingerprintTime bounds a fingerprint.
const fingerprintTime = 5 * time.Second

// Fingerprint asks the Engine who it is. An Engine that has answered once
// stays detected.
func (d *Driver) Fingerprint(ctx context.Context) driver.Fingerprint {
	ctx, cancel := context.WithTimeout(ctx, fingerprintTime)
	defer cancel()
	found, err := d.cli().Info(ctx, client.InfoOptions{})
	if err != nil {
		return d.unreachable(err)
	}
	info := found.Info
	d.mu.Lock()
	d.detected = true
	d.mu.Unlock()
	attributes := map[string]string{
		"driver.docker":         "1",
		"driver.docker.version": info.ServerVersion,
		"driver.docker.os_type": info.OSType,
	}
	runtimes := make([]string, 0, len(info.Runtimes))
	for name := range info.Runtimes {
		runtimes = append(runtimes, name)
	}
	slices.Sort(runtimes)
	attributes["driver.docker.runtimes"] = strings.Join(runtimes, ",")
	if d.cfg.Volumes.Enabled {
		attributes["driver.docker.volumes.enabled"] = "true"
	}
	if d.cfg.AllowPrivileged {
		attributes["driver.docker.privileged.enabled"] = "true"
	}
	if ip := d.bridgeIP(ctx); ip != "" {
		attributes["driver.docker.bridge_ip"] = ip
	}
	fp := driver.Fingerprint{Detected: true, Healthy: true, Description: "Healthy", Attributes: attributes}
	if info.OSType != "linux" {
		fp.Healthy = false
		fp.Description = fmt.Sprintf("the Engine runs %s containers; only linux ones are supported", info.OSType)
	}
	return fp
}

func (d *Driver) unreachable(err error) driver.Fingerprint {
	d.mu.Lock()
	detected := d.detected
	d.mu.Unlock()
	fp := driver.Fingerprint{Detected: detected, Attributes: map[string]string{}}
	switch {
	case errors.Is(err, fs.ErrPermission):
		fp.Detected = true
		fp.Description = fmt.Sprintf("no permission to use the Docker Engine at %s: run the agent as root or in the group of the socket", d.cfg.Endpoint)
	case errors.Is(err, fs.ErrNotExist):
		fp.Description = fmt.Sprintf("no Docker Engine at %s: install one, or set docker.endpoint", d.cfg.Endpoint)
	default:
		fp.Description = fmt.Sprintf("the Docker Engine at %s does not answer; start it: %v", d.cfg.Endpoint, err)
	}
	return fp
}

// bridgeIP returns the host's address in the default network.
func (d *Driver) bridgeIP(ctx context.Context) string {
	found, err := d.cli().NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{})
	if err != nil {
		return "" // an Engine may be told to have none
	}
	for _, pool := range found.Network.IPAM.Config {
		switch {
		case pool.Gateway.Is4():
			return pool.Gateway.String()
		case pool.Subnet.Addr().Is4(): // its first address is what the Engine takes
			return pool.Subnet.Masked().Addr().Next().String()
		}
	}
	return ""
}

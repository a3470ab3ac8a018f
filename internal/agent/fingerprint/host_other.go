//go:build !linux

package fingerprint

import "github.com/shirou/gopsutil/v4/host"

func osRelease() (name, version string) {
	name, _, version, err := host.PlatformInformation()
	if err != nil {
		return "", ""
	}
	return name, version
}

func cgroupVersion() string { return "" }

func defaultRoute() string { return "" }

func linkSpeed(string) int { return 0 }

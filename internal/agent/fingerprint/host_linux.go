package fingerprint

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// osRelease reads the distribution from os-release(5).
func osRelease() (name, version string) {
	for _, file := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		defer func() { _ = f.Close() }()
		for s := bufio.NewScanner(f); s.Scan(); {
			key, value, _ := strings.Cut(s.Text(), "=")
			switch value = strings.Trim(value, `"'`); key {
			case "ID":
				name = value
			case "VERSION_ID":
				version = value
			}
		}
		return name, version
	}
	return "linux", ""
}

func cgroupVersion() string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return "2"
	}
	if _, err := os.Stat("/sys/fs/cgroup/cpu"); err == nil {
		return "1"
	}
	return ""
}

// defaultRoute returns the interface of the IPv4 default route with the
// lowest metric, or "".
func defaultRoute() string {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	name, best := "", -1
	for s := bufio.NewScanner(f); s.Scan(); {
		col := strings.Fields(s.Text()) // Iface Destination Gateway Flags RefCnt Use Metric Mask …
		if len(col) < 8 || col[1] != "00000000" || col[7] != "00000000" {
			continue
		}
		if metric, err := strconv.Atoi(col[6]); err == nil && (best < 0 || metric < best) {
			name, best = col[0], metric
		}
	}
	return name
}

// linkSpeed returns an interface's speed in Mbit/s, 0 when it does not tell.
func linkSpeed(device string) int {
	b, err := os.ReadFile("/sys/class/net/" + device + "/speed")
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

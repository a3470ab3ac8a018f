package diag

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"

	"github.com/drover-org/drover/api"
)

// maxHostFile bounds what is read of a file of the machine.
const maxHostFile = 64 << 10

// host describes the machine. What other machines are called (/etc/hosts) is
// not told, and of the environment only what is known to hold no secret.
func (p Process) host(r *http.Request) (any, error) {
	info, err := host.InfoWithContext(r.Context())
	if err != nil {
		return nil, fmt.Errorf("describe the machine: %w", err)
	}
	data := &api.HostData{
		OS:          strings.Join([]string{info.OS, info.Platform, info.PlatformVersion, "kernel", info.KernelVersion, info.KernelArch}, " "),
		Network:     networks(),
		ResolvConf:  readStart("/etc/resolv.conf"),
		Environment: environment(os.Environ()),
		Disk:        map[string]api.DiskUsage{},
	}
	for _, dir := range p.Dirs {
		if u, err := disk.UsageWithContext(r.Context(), dir); err == nil { // it may not be there yet
			data.Disk[dir] = api.DiskUsage{DiskMB: int64(u.Total >> 20), UsedMB: int64(u.Used >> 20)}
		}
	}
	return &api.HostDataResponse{AgentID: p.ID(), HostData: data}, nil
}

// networks lists the addresses of the interfaces.
func networks() []map[string]string {
	out := []map[string]string{}
	all, _ := net.Interfaces() // what can't be listed is not told
	for _, i := range all {
		row := map[string]string{"name": i.Name, "hardware": i.HardwareAddr.String(), "flags": i.Flags.String()}
		if addrs, err := i.Addrs(); err == nil {
			var texts []string
			for _, a := range addrs {
				texts = append(texts, a.String())
			}
			row["addresses"] = strings.Join(texts, " ")
		}
		out = append(out, row)
	}
	return out
}

// readStart returns the beginning of a file, empty when there is none.
func readStart(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	text, _ := io.ReadAll(io.LimitReader(f, maxHostFile))
	return string(text)
}

// plain are the variables that are told with their values. Anything else may
// hold a token, a password or a URL with one.
var plain = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TERM", "TZ", "LANG", "LANGUAGE", "LC_ALL", "HOSTNAME", "TMPDIR", "INVOCATION_ID",
	"GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GODEBUG", "GOTRACEBACK",
	"NOMAD_ADDR", "NOMAD_REGION", "NOMAD_NAMESPACE", "DOCKER_HOST",
}

// Hidden stands for the value of a variable.
const Hidden = "<hidden>"

func environment(list []string) map[string]string {
	out := make(map[string]string, len(list))
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		if !slices.Contains(plain, name) || strings.Contains(value, "@") { // a URL may hold a password
			value = Hidden
		}
		out[name] = value
	}
	return out
}

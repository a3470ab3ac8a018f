package sched

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/drover-org/drover/api"
)

// ComputeClass returns a name that equal nodes share: equal in everything that
// a constraint can ask for, except what is unique by name. Feasibility is
// decided once per class.
func ComputeClass(n *api.Node) string {
	plain := func(m map[string]string) map[string]string {
		out := make(map[string]string, len(m))
		for k, v := range m {
			if !strings.HasPrefix(k, "unique.") {
				out[k] = v
			}
		}
		return out
	}
	drivers := map[string]bool{}
	for name, d := range n.Drivers {
		drivers[name] = d.Detected && d.Healthy
	}
	volumes := map[string]bool{}
	for name, v := range n.HostVolumes {
		volumes[name] = v.ReadOnly
	}
	networks := map[string]bool{}
	for name := range n.HostNetworks {
		networks[name] = true
	}
	b, err := json.Marshal([]any{n.Datacenter, n.NodeClass, n.NodePool, plain(n.Attributes), plain(n.Meta), drivers, volumes, networks})
	if err != nil {
		panic(err) // strings and booleans always marshal
	}
	sum := sha256.Sum256(b)
	return "v1:" + hex.EncodeToString(sum[:8])
}

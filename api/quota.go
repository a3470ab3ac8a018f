package api

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// QuotaSpec bounds what the namespaces that name it use together.
type QuotaSpec struct {
	Name        string
	Description string
	Limits      []*QuotaLimit // at most one: of the region
	CreateIndex uint64
	ModifyIndex uint64
}

// QuotaLimit is what a quota allows in a region, or what is used of it.
type QuotaLimit struct {
	Region         string // empty: the one that is asked
	RegionLimit    *QuotaResources
	VariablesLimit *int // older name of RegionLimit.Storage.VariablesMB
	Hash           []byte
}

// QuotaResources are amounts. As limits, nil and 0 mean no bound, and a
// negative one that nothing is allowed.
type QuotaResources struct {
	CPU         *int // MHz, without those of reserved cores
	Cores       *int // reserved ones
	MemoryMB    *int
	MemoryMaxMB *int // with what tasks may use beyond what they reserve
	Allocations *int // that run, or are to
	Jobs        *int // that are not stopped, without instances of other jobs

	Devices   []*RequestedDevice     // refused: no node offers any
	NUMA      any                    // refused: nothing is placed by it
	SecretsMB *int                   // refused: counts as memory
	Storage   *QuotaStorageResources // refused as far as there is nothing to bound
	NodePools []any                  // refused: limits hold for the region
}

// QuotaStorageResources are amounts of what is stored.
type QuotaStorageResources struct {
	VariablesMB   int
	HostVolumesMB int // refused: servers provision no volumes
}

// QuotaUsage is what the namespaces of a quota use.
type QuotaUsage struct {
	Name        string
	Used        map[string]*QuotaLimit // by the hash of the limit, in Base64
	CreateIndex uint64
	ModifyIndex uint64
}

// MaxQuotaDescription bounds the text for people.
const MaxQuotaDescription = 256

var quotaName = regexp.MustCompile(`^[a-zA-Z0-9-]{1,128}$`)

// IsQuotaName reports whether a quota can have that name.
func IsQuotaName(s string) bool { return quotaName.MatchString(s) }

// Copy returns a deep copy.
func (q *QuotaSpec) Copy() *QuotaSpec {
	if q == nil {
		return nil
	}
	return deepCopy(q)
}

// Limit returns what a quota allows, nil for everything.
func (q *QuotaSpec) Limit() *QuotaResources {
	if q == nil || len(q.Limits) == 0 {
		return nil
	}
	return q.Limits[0].RegionLimit
}

// Canonicalize fills in what a spec that was written for a region leaves out.
func (q *QuotaSpec) Canonicalize(region string) {
	for _, l := range q.Limits {
		if l == nil {
			continue
		}
		if l.Region == "" {
			l.Region = region
		}
		l.Hash = nil
		text, _ := json.Marshal(l) // of numbers and names, which always can be written
		sum := sha256.Sum256(text)
		l.Hash = sum[:]
	}
}

// Validate returns everything that is wrong with a quota of a region.
func (q *QuotaSpec) Validate(region string) error {
	if !IsQuotaName(q.Name) {
		return Errorf(CodeInvalid, "invalid name %q. A quota's name has 1 to 128 letters, digits and hyphens", clip(q.Name))
	}
	r := &report{}
	at := spot{r, ""}
	if len(q.Description) > MaxQuotaDescription {
		at.bad("Description", "it has %d bytes, at most %d are kept", len(q.Description), MaxQuotaDescription)
	}
	if len(q.Limits) > 1 {
		at.bad("Limits", "there are %d: give one, for this region", len(q.Limits))
	}
	for i, l := range q.Limits {
		at := at.in("Limits[%d]", i)
		if l == nil {
			at.bad("Region", "the limit is empty: leave it out")
			continue
		}
		if l.Region != "" && l.Region != region {
			at.bad("Region", "%q is not this region, %q: make the quota there", clip(l.Region), region)
		}
		if l.VariablesLimit != nil && *l.VariablesLimit != 0 {
			at.bad("VariablesLimit", "variables have no quota: leave it out")
		}
		l.RegionLimit.validate(at.in("RegionLimit"))
	}
	return r.err("quota")
}

func (l *QuotaResources) validate(at spot) {
	if l == nil {
		return
	}
	if len(l.Devices) > 0 {
		at.bad("Devices", "no node offers devices: leave it out")
	}
	if l.NUMA != nil {
		at.bad("NUMA", "nothing is placed by NUMA nodes: leave it out")
	}
	if l.SecretsMB != nil && *l.SecretsMB != 0 {
		at.bad("SecretsMB", "what secrets take counts as memory: set MemoryMB")
	}
	if len(l.NodePools) > 0 {
		at.bad("NodePools", "a quota holds for all pools of the region together: leave it out, or give namespaces of one pool a quota of their own")
	}
	if s := l.Storage; s != nil {
		if s.HostVolumesMB != 0 {
			at.bad("Storage.HostVolumesMB", "servers provision no volumes: leave it out")
		}
		if s.VariablesMB != 0 {
			at.bad("Storage.VariablesMB", "variables have no quota: leave it out")
		}
	}
}

// Charge is what allocations cost a quota.
type Charge struct {
	CPU, Cores, MemoryMB, MemoryMaxMB, Allocations int64
}

// Plus returns the sum of two charges.
func (c Charge) Plus(d Charge) Charge { return c.plus(d, 1) }

// Minus returns the difference of two charges.
func (c Charge) Minus(d Charge) Charge { return c.plus(d, -1) }

// Times returns n such charges.
func (c Charge) Times(n int64) Charge { return Charge{}.plus(c, n) }

func (c Charge) plus(d Charge, n int64) Charge {
	return Charge{c.CPU + n*d.CPU, c.Cores + n*d.Cores, c.MemoryMB + n*d.MemoryMB, c.MemoryMaxMB + n*d.MemoryMaxMB, c.Allocations + n*d.Allocations}
}

// Exceeds says what of a limit, nil for none, would be exceeded if more came to
// what is used, a line each. What is asked nothing of is not looked at.
func (l *QuotaResources) Exceeds(used, more Charge) []string {
	if l == nil {
		return nil
	}
	var out []string
	for _, d := range [...]struct {
		name, unit string
		limit      *int
		used, more int64
	}{
		{"cpu", " MHz", l.CPU, used.CPU, more.CPU},
		{"cores", "", l.Cores, used.Cores, more.Cores},
		{"memory", " MiB", l.MemoryMB, used.MemoryMB, more.MemoryMB},
		{"memory_max", " MiB", l.MemoryMaxMB, used.MemoryMaxMB, more.MemoryMaxMB},
		{"allocations", "", l.Allocations, used.Allocations, more.Allocations},
	} {
		most, bounded := bound(d.limit)
		if bounded && d.more > 0 && d.used+d.more > most {
			out = append(out, fmt.Sprintf("%s: %d%s needed, %d of %d are left", d.name, d.more, d.unit, max(most-d.used, 0), most))
		}
	}
	return out
}

// bound returns how much a limit allows, and whether it is a bound at all.
func bound(limit *int) (most int64, bounded bool) {
	if limit == nil || *limit == 0 {
		return 0, false
	}
	return max(int64(*limit), 0), true
}

// MostJobs returns how many jobs a limit allows, and false for no bound.
func (l *QuotaResources) MostJobs() (int, bool) {
	if l == nil {
		return 0, false
	}
	most, bounded := bound(l.Jobs)
	return int(most), bounded
}

// QuotaError refuses what a quota can never hold.
func QuotaError(field, quota, namespace string, why []string) error {
	return Errorf(CodeInvalid, "%s: quota %q of namespace %q is too small: %s", field, quota, namespace, strings.Join(why, "; "))
}

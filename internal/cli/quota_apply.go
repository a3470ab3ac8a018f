package cli

import (
	"context"
	_ "embed"
	"flag"

	"github.com/drover-org/drover/api"
)

//go:embed example-quota.nomad.hcl
var exampleQuota string

// quotaFile is a quota as files write it.
type quotaFile struct {
	Name        string       `hcl:"name"`
	Description string       `hcl:"description,optional"`
	Limits      []*limitSpec `hcl:"limit,block"`
}

type limitSpec struct {
	Region         string         `hcl:"region,optional"`
	RegionLimit    *resourcesSpec `hcl:"region_limit,block"`
	VariablesLimit *int           `hcl:"variables_limit,optional"`
}

type resourcesSpec struct {
	CPU         *int `hcl:"cpu,optional"`
	Cores       *int `hcl:"cores,optional"`
	MemoryMB    *int `hcl:"memory,optional"`
	MemoryMaxMB *int `hcl:"memory_max,optional"`
	Allocations *int `hcl:"allocations,optional"`
	Jobs        *int `hcl:"jobs,optional"`
	SecretsMB   *int `hcl:"secrets,optional"`
	Storage     *struct {
		Variables   int `hcl:"variables,optional"`
		HostVolumes int `hcl:"host_volumes,optional"`
	} `hcl:"storage,block"`
}

// quota returns what the file describes.
func (f *quotaFile) quota() *api.QuotaSpec {
	q := &api.QuotaSpec{Name: f.Name, Description: f.Description}
	for _, l := range f.Limits {
		limit := &api.QuotaLimit{Region: l.Region, VariablesLimit: l.VariablesLimit}
		if r := l.RegionLimit; r != nil {
			limit.RegionLimit = &api.QuotaResources{
				CPU: r.CPU, Cores: r.Cores, MemoryMB: r.MemoryMB, MemoryMaxMB: r.MemoryMaxMB, Allocations: r.Allocations, Jobs: r.Jobs, SecretsMB: r.SecretsMB,
			}
			if s := r.Storage; s != nil {
				limit.RegionLimit.Storage = &api.QuotaStorageResources{VariablesMB: s.Variables, HostVolumesMB: s.HostVolumes}
			}
		}
		q.Limits = append(q.Limits, limit)
	}
	return q
}

func quotaApplyVerb() *verb {
	var isJSON bool
	return &verb{
		name: "quota apply", args: "[options] FILE", argKind: "file",
		short: "Create a quota or replace what it allows",
		long: `
Makes a quota as FILE (or - for standard input) says: what the file does not
name has no bound. "drover quota init" writes an example. Namespaces come under
it with "drover namespace apply -quota NAME NAMESPACE".

What runs already stays when a quota is lowered; nothing new is placed until
there is room.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&isJSON, "json", false, "the file is JSON, as the HTTP API takes it")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			path, err := one(args, "file")
			if err != nil {
				return err
			}
			q := &api.QuotaSpec{}
			text, done, err := e.readNoun(path, "quota", isJSON, q)
			if err != nil {
				return err
			}
			if !done {
				var file quotaFile
				if err := decodeSpec(path, text, &file); err != nil {
					return err
				}
				q = file.quota()
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			if err := c.Quotas().Register(ctx, q); err != nil {
				return err
			}
			e.say("Quota %q is applied.", q.Name)
			return nil
		},
	}
}

func quotaInitVerb() *verb {
	return initVerb("quota", "quota.nomad.hcl", func() string { return exampleQuota })
}

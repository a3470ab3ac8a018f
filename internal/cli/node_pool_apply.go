package cli

import (
	"context"
	_ "embed"
	"flag"
	"maps"
	"time"

	"github.com/drover-org/drover/api"
)

//go:embed example-pool.nomad.hcl
var examplePool string

// nodePoolFile is a node pool as files write it.
type nodePoolFile struct {
	Pool *nodePoolSpec `hcl:"node_pool,block"`
}

type nodePoolSpec struct {
	Name            string            `hcl:"name,label"`
	Description     string            `hcl:"description,optional"`
	Meta            map[string]string `hcl:"meta,optional"`
	MetaBlocks      []metaSpec        `hcl:"meta,block"`
	NodeIdentityTTL string            `hcl:"node_identity_ttl,optional"`
	Scheduler       *struct {
		Algorithm        string `hcl:"scheduler_algorithm,optional"`
		Oversubscription *bool  `hcl:"memory_oversubscription_enabled,optional"`
	} `hcl:"scheduler_config,block"`
}

// pool returns what the file at path describes.
func (s *nodePoolSpec) pool(path string) (*api.NodePool, error) {
	p := &api.NodePool{Name: s.Name, Description: s.Description}
	var err error
	if p.Meta, err = withBlocks(path, maps.Clone(s.Meta), s.MetaBlocks); err != nil {
		return nil, err
	}
	if s.NodeIdentityTTL != "" {
		ttl, err := time.ParseDuration(s.NodeIdentityTTL)
		if err != nil {
			return nil, api.Errorf(api.CodeInvalid, "%s: node_identity_ttl is %q: write it like \"24h\"", path, s.NodeIdentityTTL)
		}
		p.NodeIdentityTTL = api.TextDuration(ttl)
	}
	if c := s.Scheduler; c != nil {
		p.SchedulerConfiguration = &api.NodePoolSchedulerConfiguration{SchedulerAlgorithm: c.Algorithm, MemoryOversubscriptionEnabled: c.Oversubscription}
	}
	return p, nil
}

func nodePoolApplyVerb() *verb {
	var isJSON bool
	return &verb{
		name: "node pool apply", args: "[options] FILE", argKind: "file",
		short: "Create a node pool or replace its settings",
		long: `
Makes a node pool as FILE (or - for standard input) says: what the file does not
name is emptied. "drover node pool init" writes an example. A pool is also made
when the first node that belongs to it registers.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&isJSON, "json", false, "the file is JSON, as the HTTP API takes it")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			path, err := one(args, "file")
			if err != nil {
				return err
			}
			p, err := e.readNodePool(path, isJSON)
			if err != nil {
				return err
			}
			if err := p.Validate(); err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			if err := c.NodePools().Register(ctx, p); err != nil {
				return err
			}
			e.say("Node pool %q is applied.", p.Name)
			return nil
		},
	}
}

// readNodePool reads a node pool from a file, HCL or JSON.
func (e *env) readNodePool(path string, isJSON bool) (*api.NodePool, error) {
	p := &api.NodePool{}
	text, done, err := e.readNoun(path, "node pool", isJSON, p)
	if err != nil || done {
		return p, err
	}
	var file nodePoolFile
	if err := decodeSpec(path, text, &file); err != nil {
		return nil, err
	}
	if file.Pool == nil {
		return nil, api.Errorf(api.CodeInvalid, "%s holds no node_pool block: \"drover node pool init\" writes an example", path)
	}
	return file.Pool.pool(path)
}

func nodePoolInitVerb() *verb {
	return initVerb("node pool", "pool.nomad.hcl", func() string { return examplePool })
}

// initVerb makes a verb that writes an example of a noun for its apply verb.
func initVerb(noun, file string, text func() string) *verb {
	return &verb{
		name: noun + " init", args: "[FILE]", offline: true, argKind: "file",
		short: "Write an example file of a " + noun,
		long:  "Writes an example with comments to FILE, by default " + file + ". A file that exists is left alone.",
		run: func(_ context.Context, e *env, args []string) error {
			path, err := optional(args, "file")
			if err != nil {
				return err
			}
			if path == "" {
				path = file
			}
			if err := writeExample(path, text()); err != nil {
				return err
			}
			e.say("%s %s written: \"drover %s apply %s\" makes it so", e.out.green("✓"), path, noun, path)
			return nil
		},
	}
}

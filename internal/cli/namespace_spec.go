package cli

import (
	"errors"
	"maps"

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// decodeSpec reads a file of settings, strictly, into a struct with hcl tags.
func decodeSpec(path string, text []byte, into any) error {
	file, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
	if !diags.HasErrors() {
		diags = gohcl.DecodeBody(file.Body, nil, into)
	}
	return specError(path, diags)
}

// specError is the first error of a file, with its line.
func specError(path string, diags hcl.Diagnostics) error {
	if !diags.HasErrors() {
		return nil
	}
	var d *hcl.Diagnostic
	if !errors.As(diags.Errs()[0], &d) || d.Subject == nil {
		return api.Errorf(api.CodeInvalid, "%s: %w", path, diags)
	}
	return api.Errorf(api.CodeInvalid, "%s:%d: %s: %s", path, d.Subject.Start.Line, d.Summary, d.Detail)
}

// namespaceSpec is a namespace as files write it.
type namespaceSpec struct {
	Name         string            `hcl:"name"`
	Description  string            `hcl:"description,optional"`
	Quota        string            `hcl:"quota,optional"`
	Meta         map[string]string `hcl:"meta,optional"`
	MetaBlocks   []metaSpec        `hcl:"meta,block"`
	Capabilities *struct {
		EnabledTaskDrivers   []string `hcl:"enabled_task_drivers,optional"`
		DisabledTaskDrivers  []string `hcl:"disabled_task_drivers,optional"`
		EnabledNetworkModes  []string `hcl:"enabled_network_modes,optional"`
		DisabledNetworkModes []string `hcl:"disabled_network_modes,optional"`
	} `hcl:"capabilities,block"`
	NodePools *poolSpec `hcl:"node_pool_config,block"`
	Vault     *poolSpec `hcl:"vault,block"`
	Consul    *poolSpec `hcl:"consul,block"`
}

// metaSpec is a block whose attributes are names with values.
type metaSpec struct {
	Body hcl.Body `hcl:",remain"`
}

type poolSpec struct {
	Default string   `hcl:"default,optional"`
	Allowed []string `hcl:"allowed,optional"`
	Denied  []string `hcl:"denied,optional"`
}

// namespace returns what the file at path describes.
func (s *namespaceSpec) namespace(path string) (*api.Namespace, error) {
	ns := &api.Namespace{Name: s.Name, Description: s.Description, Quota: s.Quota, Meta: maps.Clone(s.Meta)}
	var err error
	if ns.Meta, err = withBlocks(path, ns.Meta, s.MetaBlocks); err != nil {
		return nil, err
	}
	if c := s.Capabilities; c != nil {
		v := api.NamespaceCapabilities(*c)
		ns.Capabilities = &v
	}
	if p := s.NodePools; p != nil {
		ns.NodePoolConfiguration = &api.NamespaceNodePools{Default: p.Default, Allowed: p.Allowed, Denied: p.Denied}
	}
	ns.VaultConfiguration, ns.ConsulConfiguration = s.Vault.clusters(), s.Consul.clusters()
	return ns, nil
}

func (p *poolSpec) clusters() *api.NamespaceClusters {
	if p == nil {
		return nil
	}
	return &api.NamespaceClusters{Default: p.Default, Allowed: p.Allowed, Denied: p.Denied}
}

// withBlocks adds what blocks of the file at path say to meta, and returns it.
func withBlocks(path string, meta map[string]string, blocks []metaSpec) (map[string]string, error) {
	for _, b := range blocks {
		attrs, diags := b.Body.JustAttributes()
		if meta == nil {
			meta = map[string]string{}
		}
		for name, attr := range attrs {
			var value string
			diags = append(diags, gohcl.DecodeExpression(attr.Expr, nil, &value)...)
			meta[name] = value
		}
		if err := specError(path, diags); err != nil {
			return nil, err
		}
	}
	return meta, nil
}

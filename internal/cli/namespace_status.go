package cli

import (
	"context"
	"flag"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

func namespaceStatusVerb() *verb {
	var o machine
	return &verb{
		name: "namespace status", args: "[options] NAME", argKind: "namespace",
		short: "Show a namespace",
		long:  "Shows what a namespace is for and what its jobs may use.",
		flags: o.flags,
		run: func(ctx context.Context, e *env, args []string) error {
			n, err := e.namespaceOf(ctx, args)
			switch {
			case err != nil:
				return err
			case o.wanted():
				return o.write(e.Out, n)
			}
			e.showNamespace(n)
			return nil
		},
	}
}

func namespaceInspectVerb() *verb {
	var o machine
	return &verb{
		name: "namespace inspect", args: "[options] NAME", argKind: "namespace",
		short: "Show a namespace as JSON",
		long:  "Shows a namespace as the HTTP API does; \"namespace apply -json\" takes it back.",
		flags: func(fs *flag.FlagSet) { o.flags(fs) },
		run: func(ctx context.Context, e *env, args []string) error {
			n, err := e.namespaceOf(ctx, args)
			if err != nil {
				return err
			}
			return o.write(e.Out, n)
		},
	}
}

func namespaceDeleteVerb() *verb {
	return &verb{
		name: "namespace delete", args: "NAME", argKind: "namespace",
		short: "Delete a namespace in which nothing runs",
		long: `
Deletes a namespace. It is refused while jobs of it are not stopped, or
allocations of it have not ended.`,
		run: func(ctx context.Context, e *env, args []string) error {
			name, err := one(args, "namespace")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			if err := c.Namespaces().Delete(ctx, name); err != nil {
				return err
			}
			e.say("Namespace %q is deleted.", name)
			return nil
		},
	}
}

// namespaceOf reads the namespace that the only argument names.
func (e *env) namespaceOf(ctx context.Context, args []string) (*api.Namespace, error) {
	name, err := one(args, "namespace")
	if err != nil {
		return nil, err
	}
	c, err := e.client()
	if err != nil {
		return nil, err
	}
	return e.findNamespace(ctx, c, name)
}

// findNamespace returns the namespace of that name, or the one whose name
// starts with it.
func (e *env) findNamespace(ctx context.Context, c *client.Client, typed string) (*api.Namespace, error) {
	list, _, err := c.Namespaces().List(ctx, api.ListOptions{Prefix: typed})
	if err != nil {
		return nil, err
	}
	t := newTable("Name", "Description")
	for _, n := range list {
		if n.Name == typed {
			return n, nil
		}
		t.row(n.Name, orDash(visible(n.Description)))
	}
	switch len(list) {
	case 0:
		return nil, api.Errorf(api.CodeNotFound, "there is no namespace %q", typed)
	case 1:
		return list[0], nil
	}
	return nil, e.ambiguous("namespace", typed, len(list), t)
}

func (e *env) showNamespace(n *api.Namespace) {
	f := &facts{}
	f.add("Name", n.Name)
	f.add("Description", orDash(visible(n.Description)))
	f.addIf("Quota", n.Quota)
	if c := n.Capabilities; c != nil {
		f.addIf("Enabled drivers", strings.Join(c.EnabledTaskDrivers, ", "))
		f.addIf("Disabled drivers", strings.Join(c.DisabledTaskDrivers, ", "))
		f.addIf("Enabled network modes", strings.Join(c.EnabledNetworkModes, ", "))
		f.addIf("Disabled network modes", strings.Join(c.DisabledNetworkModes, ", "))
	}
	if p := n.NodePoolConfiguration; p != nil {
		f.addIf("Default node pool", p.Default)
		f.addIf("Allowed node pools", strings.Join(p.Allowed, ", "))
		f.addIf("Denied node pools", strings.Join(p.Denied, ", "))
	}
	e.show(f)
	e.showMeta(n.Meta)
}

// showMeta shows names with text for people, if there are any.
func (e *env) showMeta(meta map[string]string) {
	if len(meta) > 0 {
		e.heading("Metadata")
		m := &facts{}
		for _, k := range keys(meta) {
			m.add(visible(k), visible(meta[k]))
		}
		e.show(m)
	}
}

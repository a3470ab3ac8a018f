package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type namespaceListOptions struct {
	machine machine
	quiet   bool
	filter  string
}

func namespaceListVerb() *verb {
	var o namespaceListOptions
	return &verb{
		name: "namespace list", args: "[options]",
		short: "List namespaces",
		long:  "Lists the namespaces that the token may see.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.quiet, "quiet", false, "names only")
			fs.StringVar(&o.filter, "filter", "", "only those for which `EXPRESSION` holds")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runNamespaceList(ctx, e, &o, args) },
	}
}

func runNamespaceList(ctx context.Context, e *env, o *namespaceListOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	list, _, err := c.Namespaces().List(ctx, api.ListOptions{Filter: o.filter})
	switch {
	case err != nil:
		return err
	case o.machine.wanted():
		return o.machine.write(e.Out, list)
	case o.quiet:
		for _, n := range list {
			e.say("%s", n.Name)
		}
	case len(list) == 0:
		e.say("No namespaces.")
	default:
		t := newTable("Name", "Description")
		for _, n := range list {
			t.row(n.Name, orDash(visible(n.Description)))
		}
		e.show(t)
	}
	return nil
}

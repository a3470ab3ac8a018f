package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"

	"github.com/drover-org/drover/api"
)

type namespaceApplyOptions struct {
	json               bool
	description, quota flagText
}

// flagText is text with whether it was given.
type flagText struct {
	text string
	set  bool
}

// String returns the text.
func (f *flagText) String() string { return f.text }

// Set notes the text.
func (f *flagText) Set(s string) error {
	f.text, f.set = s, true
	return nil
}

func namespaceApplyVerb() *verb {
	var o namespaceApplyOptions
	return &verb{
		name: "namespace apply", args: "[options] FILE|NAME", argKind: "file",
		short: "Create a namespace or change its settings",
		long: `
With FILE (or - for standard input) the namespace is as the file says: what the
file does not name is emptied. A file that does not exist is taken as the NAME
of a namespace, of which only what flags say is changed.

A file:

    name        = "payments"
    description = "card and invoice services"
    capabilities {
      enabled_task_drivers   = ["docker"]
      disabled_network_modes = ["host"]
    }
    node_pool_config {
      default = "pci"
      allowed = ["pci-*"]
    }
    meta {
      owner = "team-payments"
    }`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.json, "json", false, "the file is JSON, as the HTTP API takes it")
			fs.Var(&o.description, "description", "`TEXT` for people")
			fs.Var(&o.quota, "quota", "`NAME` of the quota that bounds it; empty: none")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runNamespaceApply(ctx, e, &o, args) },
	}
}

func runNamespaceApply(ctx context.Context, e *env, o *namespaceApplyOptions, args []string) error {
	arg, err := one(args, "file or name")
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	var ns *api.Namespace
	if isFile(arg) {
		if o.description.set || o.quota.set {
			return usagef("-description and -quota go with a NAME: the file says what the namespace is")
		}
		if ns, err = e.readNamespace(arg, o.json); err != nil {
			return err
		}
	} else {
		if o.json {
			return usagef("-json needs a file: there is no %q", arg)
		}
		ns, _, err = c.Namespaces().Info(ctx, arg, api.ListOptions{})
		if api.IsNotFound(err) {
			ns, err = &api.Namespace{Name: arg}, nil
		}
		if err != nil {
			return err
		}
		if o.description.set {
			ns.Description = o.description.text
		}
		if o.quota.set {
			ns.Quota = o.quota.text
		}
	}
	if err := ns.Validate(); err != nil {
		return err
	}
	if err := c.Namespaces().Register(ctx, ns); err != nil {
		return err
	}
	e.say("Namespace %q is applied.", ns.Name)
	return nil
}

// isFile reports whether an argument names something to read.
func isFile(arg string) bool {
	_, err := os.Stat(arg)
	return arg == "-" || !errors.Is(err, fs.ErrNotExist)
}

// readNamespace reads a namespace from a file, HCL or JSON.
func (e *env) readNamespace(path string, isJSON bool) (*api.Namespace, error) {
	ns := &api.Namespace{}
	text, done, err := e.readNoun(path, "namespace", isJSON, ns)
	if err != nil || done {
		return ns, err
	}
	var spec namespaceSpec
	if err := decodeSpec(path, text, &spec); err != nil {
		return nil, err
	}
	return spec.namespace(path)
}

// readNoun reads a file, and into too when it is the JSON of a noun; then done
// is true.
func (e *env) readNoun(path, noun string, isJSON bool, into any) (text []byte, done bool, err error) {
	if text, err = e.readSource(path); err != nil {
		return nil, false, err
	}
	if !isJSON && !strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		return text, false, nil
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return nil, false, api.Errorf(api.CodeInvalid, "%s is not the JSON of a %s: %w", path, noun, err)
	}
	return text, true, nil
}

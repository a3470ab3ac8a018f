package cli

import (
	"context"
	"flag"
	"strings"
)

func aclBootstrapVerb() *verb {
	var m machine
	return &verb{
		name: "acl bootstrap", args: "[options] [FILE]", argKind: "file",
		short: "Make the first management token",
		long: `
Makes the first token, which may do everything, once. FILE, or - for standard
input, holds its secret, a UUID; without it the servers choose one.

When it has been done before, the error names the reset index: written to the
file acl-bootstrap-reset in the leader's server directory it allows one more.`,
		flags: m.flags,
		run:   func(ctx context.Context, e *env, args []string) error { return runACLBootstrap(ctx, e, &m, args) },
	}
}

func runACLBootstrap(ctx context.Context, e *env, m *machine, args []string) error {
	path, err := optional(args, "file")
	if err != nil {
		return err
	}
	secret := ""
	if path != "" {
		text, err := e.readSource(path)
		if err != nil {
			return err
		}
		if secret = strings.TrimSpace(string(text)); secret == "" {
			return usagef("%s holds no secret", path)
		}
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	t, err := c.ACL().Bootstrap(ctx, secret)
	switch {
	case err != nil:
		return err
	case m.wanted():
		return m.write(e.Out, t)
	}
	e.tokenFacts(t)
	return nil
}

// listVerb makes a verb that lists things: it has the flags of machine and
// takes no argument.
func listVerb(name, short, long string, run func(ctx context.Context, e *env, m *machine) error) *verb {
	var m machine
	return &verb{
		name: name, args: "[options]", short: short, long: long, flags: m.flags,
		run: func(ctx context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return run(ctx, e, &m)
		},
	}
}

// infoVerb makes a verb that shows one thing.
func infoVerb(name, what, short, long string, run func(ctx context.Context, e *env, m *machine, id string) error) *verb {
	var m machine
	return &verb{
		name: name, args: "[options] " + strings.ToUpper(what), short: short, long: long, flags: m.flags,
		run: func(ctx context.Context, e *env, args []string) error {
			id, err := one(args, what)
			if err != nil {
				return err
			}
			return run(ctx, e, &m, id)
		},
	}
}

// removeVerb makes a verb that deletes one thing.
func removeVerb(name, what, short string, run func(ctx context.Context, e *env, id string) error) *verb {
	return &verb{
		name: name, args: strings.ToUpper(what), short: short, long: short + ".",
		run: func(ctx context.Context, e *env, args []string) error {
			id, err := one(args, what)
			if err != nil {
				return err
			}
			return run(ctx, e, id)
		},
	}
}

// give tells what was asked for as data or as text.
func give[T any](e *env, m *machine, v T, err error, text func(T)) error {
	switch {
	case err != nil:
		return err
	case m.wanted():
		return m.write(e.Out, v)
	}
	text(v)
	return nil
}

// listed splits values that came by commas or by repeated flags.
func listed(values listFlag) (out []string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// given tells which flags stood on the command line.
func given(fs *flag.FlagSet) map[string]bool {
	set := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	return set
}

package cli

import (
	"context"
	"flag"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type keyringListOptions struct {
	machine machine
	verbose bool
}

func keyringListVerb() *verb {
	var o keyringListOptions
	return &verb{
		name: "operator root keyring list", args: "[options]",
		short: "List the root keys",
		long:  "Lists the keys that seal secrets in the state and sign identities, the newest first. No key material is shown.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runKeyringList(ctx, e, &o, args) },
	}
}

func runKeyringList(ctx context.Context, e *env, o *keyringListOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	list, _, err := c.Operator().RootKeys(ctx, api.ListOptions{})
	switch {
	case err != nil:
		return err
	case o.machine.wanted():
		return o.machine.write(e.Out, list)
	}
	e.show(e.rootKeyTable(list, o.verbose))
	return nil
}

func (e *env) rootKeyTable(list []*api.RootKey, verbose bool) *table {
	t := newTable("Key", "State", "Signs", "Created", "Published for")
	for _, k := range list {
		published := ""
		if k.PublishTime != 0 {
			published = when(time.Unix(0, k.PublishTime))
		}
		t.row(idText(k.KeyID, verbose), e.out.state(string(k.State)), k.SigningAlgorithm, ago(k.CreateTime, time.Now(), verbose), orDash(published))
	}
	return t
}

type keyringRotateOptions struct {
	full       bool
	prepublish time.Duration
	signing    string
	verbose    bool
}

func keyringRotateVerb() *verb {
	var o keyringRotateOptions
	return &verb{
		name: "operator root keyring rotate", args: "[options]",
		short: "Make a new root key the active one",
		long: `
Makes a root key that seals and signs from now on. Older keys stay as long as
something needs them: tokens and identities go on to work.

With -full what older keys sealed is sealed again with the new one. With
-prepublish the new key is only published for a while, so that others who keep
the public keys know it when it begins to sign.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.full, "full", false, "also seal again what older keys sealed")
			fs.DurationVar(&o.prepublish, "prepublish", 0, "publish the key for `DURATION` before it is active")
			fs.StringVar(&o.signing, "signing", "", "`ALGORITHM` it signs with: EdDSA or RS256 (default: that of the active key)")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runKeyringRotate(ctx, e, &o, args) },
	}
}

func runKeyringRotate(ctx context.Context, e *env, o *keyringRotateOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	req := &api.RootKeyRotation{Full: o.full, SigningAlgorithm: o.signing}
	switch {
	case o.prepublish < 0:
		return usagef("-prepublish %s must not be negative", o.prepublish)
	case o.prepublish > 0:
		req.PublishTime = time.Now().Add(o.prepublish).UnixNano()
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	res, err := c.Operator().RotateRootKey(ctx, req)
	if err != nil {
		return err
	}
	e.show(e.rootKeyTable([]*api.RootKey{res.Key}, o.verbose))
	return nil
}

func keyringRemoveVerb() *verb {
	var force bool
	return &verb{
		name: "operator root keyring remove", args: "[options] KEY",
		short: "Remove a root key that is not active",
		long: `
Removes a root key for good. A key that something was sealed or signed with is
refused; -force removes it all the same, and what it sealed is lost.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&force, "force", false, "even if something needs the key")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			typed, err := one(args, "key")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			k, err := e.findRootKey(ctx, c, typed)
			if err != nil {
				return err
			}
			if err := c.Operator().DeleteRootKey(ctx, k.KeyID, force); err != nil {
				return err
			}
			e.say("Root key %s is removed.", k.KeyID)
			return nil
		},
	}
}

// findRootKey returns the one root key whose ID starts with typed.
func (e *env) findRootKey(ctx context.Context, c *client.Client, typed string) (*api.RootKey, error) {
	if _, err := prefixOf(typed, "root key"); err != nil {
		return nil, err
	}
	list, _, err := c.Operator().RootKeys(ctx, api.ListOptions{})
	if err != nil {
		return nil, err
	}
	switch found := matches(list, typed, func(k *api.RootKey) string { return k.KeyID }); len(found) {
	case 0:
		return nil, api.Errorf(api.CodeNotFound, "no root key %q", typed)
	case 1:
		return found[0], nil
	default:
		return nil, e.ambiguous("root key", typed, len(found), e.rootKeyTable(found, true))
	}
}

package cli

import (
	"context"
	"flag"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

type aclTokenOptions struct {
	machine        machine
	name, kind     string
	policies       listFlag
	roleIDs, roles listFlag
	global         bool
	ttl            time.Duration
	given          func() map[string]bool
}

func (o *aclTokenOptions) flags(fs *flag.FlagSet) {
	o.machine.flags(fs)
	fs.StringVar(&o.name, "name", "", "`TEXT` for people")
	fs.Var(&o.policies, "policy", "`NAME` of a policy (may be repeated)")
	fs.Var(&o.roleIDs, "role-id", "`ID` of a role (may be repeated)")
	fs.Var(&o.roles, "role-name", "`NAME` of a role (may be repeated)")
	o.given = func() map[string]bool { return given(fs) }
}

// links are the roles that the flags name.
func (o *aclTokenOptions) links() (out []*api.ACLTokenRoleLink) {
	for _, id := range listed(o.roleIDs) {
		out = append(out, &api.ACLTokenRoleLink{ID: id})
	}
	for _, name := range listed(o.roles) {
		out = append(out, &api.ACLTokenRoleLink{Name: name})
	}
	return out
}

func aclTokenCreateVerb() *verb {
	var o aclTokenOptions
	return &verb{
		name: "acl token create", args: "[options]",
		short: "Create an ACL token",
		long: `
Creates a token with policies and roles, or with -type management one that may
do everything, and prints its secret. With -ttl it expires.`,
		flags: func(fs *flag.FlagSet) {
			o.flags(fs)
			fs.StringVar(&o.kind, "type", api.ACLTokenClient, "`TYPE`: client or management")
			fs.BoolVar(&o.global, "global", false, "counts in every region")
			fs.DurationVar(&o.ttl, "ttl", 0, "`DURATION` until it expires, such as 8h")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return putToken(ctx, e, &o, &api.ACLToken{
				Name: o.name, Type: o.kind, Global: o.global, ExpirationTTL: api.DurationText(o.ttl), Policies: listed(o.policies), Roles: o.links(),
			})
		},
	}
}

func aclTokenUpdateVerb() *verb {
	var o aclTokenOptions
	return &verb{
		name: "acl token update", args: "[options] ACCESSOR",
		short: "Change name, policies and roles of an ACL token",
		long: `
Changes a token. What is given replaces what was there: -policy all its
policies, -role-id and -role-name all its roles.`,
		flags: o.flags,
		run:   func(ctx context.Context, e *env, args []string) error { return runACLTokenUpdate(ctx, e, &o, args) },
	}
}

func runACLTokenUpdate(ctx context.Context, e *env, o *aclTokenOptions, args []string) error {
	id, err := one(args, "accessor")
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	t, _, err := c.ACL().Token(ctx, id, api.ListOptions{})
	if err != nil {
		return err
	}
	set := o.given()
	if set["name"] {
		t.Name = o.name
	}
	if set["policy"] {
		t.Policies = listed(o.policies)
	}
	if set["role-id"] || set["role-name"] {
		t.Roles = o.links()
	}
	return putToken(ctx, e, o, t)
}

func putToken(ctx context.Context, e *env, o *aclTokenOptions, t *api.ACLToken) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	out, err := c.ACL().PutToken(ctx, t)
	return give(e, &o.machine, out, err, e.tokenFacts)
}

// tokenFacts shows a token with its secret.
func (e *env) tokenFacts(t *api.ACLToken) {
	f := &facts{}
	f.add("Accessor ID", t.AccessorID)
	f.add("Secret ID", t.SecretID)
	f.add("Name", orDash(visible(t.Name)))
	f.add("Type", t.Type)
	f.add("Global", strconv.FormatBool(t.Global))
	f.add("Created", when(t.CreateTime))
	f.add("Expires", expiryText(t.ExpirationTime))
	f.addIf("Policies", visible(strings.Join(t.Policies, ", ")))
	f.addIf("Roles", rolesText(t.Roles))
	e.show(f)
}

func expiryText(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return when(*t)
}

func rolesText(links []*api.ACLTokenRoleLink) string {
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	return visible(strings.Join(names, ", "))
}

func aclTokenListVerb() *verb {
	return listVerb("acl token list", "List ACL tokens", "Lists the tokens, without their secrets. A management token is needed.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list, _, err := c.ACL().Tokens(ctx, api.ListOptions{})
			return give(e, m, list, err, func(list []*api.ACLTokenListStub) {
				if len(list) == 0 {
					e.say("No tokens.")
					return
				}
				t := newTable("Accessor ID", "Name", "Type", "Global", "Expires", "Policies", "Roles")
				for _, k := range list {
					t.row(k.AccessorID, orDash(visible(k.Name)), k.Type, strconv.FormatBool(k.Global), expiryText(k.ExpirationTime),
						orDash(visible(strings.Join(k.Policies, ","))), orDash(rolesText(k.Roles)))
				}
				e.show(t)
			})
		})
}

func aclTokenInfoVerb() *verb {
	return infoVerb("acl token info", "accessor", "Show an ACL token", "Shows a token with its secret: the own one, or any to a management token.", showToken)
}

func aclTokenSelfVerb() *verb {
	return listVerb("acl token self", "Show the token in use", "Shows the token in use.",
		func(ctx context.Context, e *env, m *machine) error { return showToken(ctx, e, m, "self") })
}

func showToken(ctx context.Context, e *env, m *machine, accessor string) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	t, _, err := c.ACL().Token(ctx, accessor, api.ListOptions{})
	return give(e, m, t, err, e.tokenFacts)
}

func aclTokenDeleteVerb() *verb {
	return removeVerb("acl token delete", "accessor", "Delete an ACL token", func(ctx context.Context, e *env, id string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		if err := c.ACL().DeleteToken(ctx, id); err != nil {
			return err
		}
		e.say("Token %s is deleted.", id)
		return nil
	})
}

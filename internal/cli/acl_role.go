package cli

import (
	"context"
	"flag"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type aclRoleOptions struct {
	machine           machine
	name, description string
	policies          listFlag
	given             func() map[string]bool
}

func (o *aclRoleOptions) flags(fs *flag.FlagSet) {
	o.machine.flags(fs)
	fs.StringVar(&o.name, "name", "", "`NAME` of the role")
	fs.StringVar(&o.description, "description", "", "`TEXT` for people")
	fs.Var(&o.policies, "policy", "`NAME` of a policy (may be repeated)")
	o.given = func() map[string]bool { return given(fs) }
}

func (o *aclRoleOptions) links() (out []*api.ACLRolePolicyLink) {
	for _, name := range listed(o.policies) {
		out = append(out, &api.ACLRolePolicyLink{Name: name})
	}
	return out
}

func aclRoleCreateVerb() *verb {
	var o aclRoleOptions
	return &verb{
		name: "acl role create", args: "[options]",
		short: "Create an ACL role",
		long:  "Creates a role: a named set of policies that tokens link to.",
		flags: o.flags,
		run: func(ctx context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return putRole(ctx, e, &o, &api.ACLRole{Name: o.name, Description: o.description, Policies: o.links()})
		},
	}
}

func aclRoleUpdateVerb() *verb {
	var o aclRoleOptions
	return &verb{
		name: "acl role update", args: "[options] ROLE",
		short: "Change an ACL role",
		long:  "Changes a role, named by its name or ID. What is given replaces what was there: -policy all its policies.",
		flags: o.flags,
		run: func(ctx context.Context, e *env, args []string) error {
			typed, err := one(args, "role")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			r, err := findRole(ctx, c, typed)
			if err != nil {
				return err
			}
			set := o.given()
			if set["name"] {
				r.Name = o.name
			}
			if set["description"] {
				r.Description = o.description
			}
			if set["policy"] {
				r.Policies = o.links()
			}
			return putRole(ctx, e, &o, r)
		},
	}
}

func putRole(ctx context.Context, e *env, o *aclRoleOptions, r *api.ACLRole) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	out, err := c.ACL().PutRole(ctx, r)
	return give(e, &o.machine, out, err, e.roleFacts)
}

// findRole reads the role that a user typed the name or ID of.
func findRole(ctx context.Context, c *client.Client, typed string) (*api.ACLRole, error) {
	_, isID := api.ParseID(typed)
	r, _, err := c.ACL().Role(ctx, typed, !isID, api.ListOptions{})
	return r, err
}

func (e *env) roleFacts(r *api.ACLRole) {
	f := &facts{}
	f.add("ID", r.ID)
	f.add("Name", r.Name)
	f.addIf("Description", visible(r.Description))
	f.add("Policies", policiesText(r.Policies))
	e.show(f)
}

func policiesText(links []*api.ACLRolePolicyLink) string {
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}

func aclRoleListVerb() *verb {
	return listVerb("acl role list", "List ACL roles", "Lists the roles: all for a management token, else those of the token.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list, _, err := c.ACL().Roles(ctx, api.ListOptions{})
			return give(e, m, list, err, func(list []*api.ACLRole) {
				if len(list) == 0 {
					e.say("No roles.")
					return
				}
				t := newTable("ID", "Name", "Policies", "Description")
				for _, r := range list {
					t.row(r.ID, r.Name, policiesText(r.Policies), visible(r.Description))
				}
				e.show(t)
			})
		})
}

func aclRoleInfoVerb() *verb {
	return infoVerb("acl role info", "role", "Show an ACL role", "Shows a role, named by its name or ID.",
		func(ctx context.Context, e *env, m *machine, typed string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			r, err := findRole(ctx, c, typed)
			return give(e, m, r, err, e.roleFacts)
		})
}

func aclRoleDeleteVerb() *verb {
	return removeVerb("acl role delete", "role", "Delete an ACL role", func(ctx context.Context, e *env, typed string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		r, err := findRole(ctx, c, typed)
		if err != nil {
			return err
		}
		if err := c.ACL().DeleteRole(ctx, r.ID); err != nil {
			return err
		}
		e.say("Role %s is deleted.", r.Name)
		return nil
	})
}

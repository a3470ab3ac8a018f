package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
)

type aclBindingRuleOptions struct {
	machine              machine
	method, description  string
	selector, kind, name string
	given                func() map[string]bool
}

func (o *aclBindingRuleOptions) flags(fs *flag.FlagSet) {
	o.machine.flags(fs)
	fs.StringVar(&o.description, "description", "", "`TEXT` for people")
	fs.StringVar(&o.selector, "selector", "", "`EXPRESSION` over value.NAME and list.NAME; empty: everybody")
	fs.StringVar(&o.kind, "bind-type", "", "`TYPE` of what is given: role, policy or management")
	fs.StringVar(&o.name, "bind-name", "", "`NAME` of the role or policy, may hold ${value.NAME}")
	o.given = func() map[string]bool { return given(fs) }
}

func aclBindingRuleCreateVerb() *verb {
	var o aclBindingRuleOptions
	return &verb{
		name: "acl binding-rule create", args: "[options]",
		short: "Create a binding rule",
		long: `
Creates a rule that gives a role, a policy or management to who logs in by an
auth method and fits the selector.`,
		flags: func(fs *flag.FlagSet) {
			o.flags(fs)
			fs.StringVar(&o.method, "auth-method", "", "`NAME` of the auth method")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			return putBindingRule(ctx, e, &o, &api.ACLBindingRule{
				AuthMethod: o.method, Description: o.description, Selector: o.selector, BindType: o.kind, BindName: o.name,
			})
		},
	}
}

func aclBindingRuleUpdateVerb() *verb {
	var o aclBindingRuleOptions
	return &verb{
		name: "acl binding-rule update", args: "[options] ID",
		short: "Change a binding rule",
		long:  "Changes a binding rule. What is given replaces what was there.",
		flags: o.flags,
		run: func(ctx context.Context, e *env, args []string) error {
			id, err := one(args, "id")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			r, _, err := c.ACL().BindingRule(ctx, id, api.ListOptions{})
			if err != nil {
				return err
			}
			set := o.given()
			if set["description"] {
				r.Description = o.description
			}
			if set["selector"] {
				r.Selector = o.selector
			}
			if set["bind-type"] {
				r.BindType = o.kind
			}
			if set["bind-name"] {
				r.BindName = o.name
			}
			return putBindingRule(ctx, e, &o, r)
		},
	}
}

func putBindingRule(ctx context.Context, e *env, o *aclBindingRuleOptions, r *api.ACLBindingRule) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	out, err := c.ACL().PutBindingRule(ctx, r)
	return give(e, &o.machine, out, err, e.bindingRuleFacts)
}

func (e *env) bindingRuleFacts(r *api.ACLBindingRule) {
	f := &facts{}
	f.add("ID", r.ID)
	f.addIf("Description", visible(r.Description))
	f.add("Auth method", r.AuthMethod)
	f.add("Selector", orDash(visible(r.Selector)))
	f.add("Bind type", r.BindType)
	f.addIf("Bind name", visible(r.BindName))
	f.add("Created", when(r.CreateTime))
	f.add("Modified", when(r.ModifyTime))
	e.show(f)
}

func aclBindingRuleListVerb() *verb {
	return listVerb("acl binding-rule list", "List binding rules", "Lists the binding rules. A management token is needed.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list, _, err := c.ACL().BindingRules(ctx, api.ListOptions{})
			return give(e, m, list, err, func(list []*api.ACLBindingRuleListStub) {
				if len(list) == 0 {
					e.say("No binding rules.")
					return
				}
				t := newTable("ID", "Auth method", "Description")
				for _, r := range list {
					t.row(r.ID, r.AuthMethod, orDash(visible(r.Description)))
				}
				e.show(t)
			})
		})
}

func aclBindingRuleInfoVerb() *verb {
	return infoVerb("acl binding-rule info", "id", "Show a binding rule", "Shows a binding rule.",
		func(ctx context.Context, e *env, m *machine, id string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			r, _, err := c.ACL().BindingRule(ctx, id, api.ListOptions{})
			return give(e, m, r, err, e.bindingRuleFacts)
		})
}

func aclBindingRuleDeleteVerb() *verb {
	return removeVerb("acl binding-rule delete", "id", "Delete a binding rule", func(ctx context.Context, e *env, id string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		if err := c.ACL().DeleteBindingRule(ctx, id); err != nil {
			return err
		}
		e.say("Binding rule %s is deleted.", id)
		return nil
	})
}

package cli

import (
	"context"
	"flag"
	"strings"

	"github.com/drover-org/drover/api"
)

type aclPolicyApplyOptions struct {
	description string
	job         api.JobACL
}

func aclPolicyApplyVerb() *verb {
	var o aclPolicyApplyOptions
	return &verb{
		name: "acl policy apply", args: "[options] NAME FILE", argKind: "file",
		short: "Write an ACL policy",
		long: `
Adds the policy NAME or replaces it by the rules in FILE, or - for standard
input. With -namespace, -job, -group and -task it belongs to the identities of
those tasks as well.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.description, "description", "", "`TEXT` for people")
			fs.StringVar(&o.job.JobID, "job", "", "`ID` of the job in -namespace whose tasks have it, too")
			fs.StringVar(&o.job.Group, "group", "", "`NAME` of the job's group")
			fs.StringVar(&o.job.Task, "task", "", "`NAME` of the group's task")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runACLPolicyApply(ctx, e, &o, args) },
	}
}

func runACLPolicyApply(ctx context.Context, e *env, o *aclPolicyApplyOptions, args []string) error {
	if len(args) != 2 {
		return usagef("a name and a file are expected")
	}
	rules, err := e.readSource(args[1])
	if err != nil {
		return err
	}
	p := &api.ACLPolicy{Name: args[0], Description: o.description, Rules: string(rules)}
	c, err := e.client()
	if err != nil {
		return err
	}
	switch {
	case o.job.JobID != "":
		o.job.Namespace = c.Namespace()
		p.JobACL = &o.job
	case o.job.Group != "" || o.job.Task != "":
		return usagef("-group and -task need -job")
	}
	if err := c.ACL().PutPolicy(ctx, p); err != nil {
		return err
	}
	e.say("Policy %s is written.", p.Name)
	return nil
}

func aclPolicyListVerb() *verb {
	return listVerb("acl policy list", "List ACL policies", "Lists the policies: all for a management token, else those of the token.",
		func(ctx context.Context, e *env, m *machine) error { return listPolicies(ctx, e, m, false) })
}

func aclPolicySelfVerb() *verb {
	return listVerb("acl policy self", "List the policies of the token in use", "Lists the policies that the token in use has, those of its roles included.",
		func(ctx context.Context, e *env, m *machine) error { return listPolicies(ctx, e, m, true) })
}

func listPolicies(ctx context.Context, e *env, m *machine, own bool) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	list, _, err := c.ACL().Policies(ctx, own, api.ListOptions{})
	return give(e, m, list, err, func(list []*api.ACLPolicyListStub) {
		if len(list) == 0 {
			e.say("No policies.")
			return
		}
		t := newTable("Name", "Job", "Description")
		for _, p := range list {
			t.row(p.Name, orDash(jobACLText(p.JobACL)), visible(p.Description))
		}
		e.show(t)
	})
}

// jobACLText is namespace/job/group/task as far as they are given.
func jobACLText(j *api.JobACL) string {
	if j == nil {
		return ""
	}
	return visible(strings.TrimRight(strings.Join([]string{j.Namespace, j.JobID, j.Group, j.Task}, "/"), "/"))
}

func aclPolicyInfoVerb() *verb {
	return infoVerb("acl policy info", "name", "Show an ACL policy with its rules", "Shows a policy with its rules.",
		func(ctx context.Context, e *env, m *machine, name string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			p, _, err := c.ACL().Policy(ctx, name, api.ListOptions{})
			return give(e, m, p, err, func(p *api.ACLPolicy) {
				f := &facts{}
				f.add("Name", p.Name)
				f.addIf("Description", visible(p.Description))
				f.addIf("Job", jobACLText(p.JobACL))
				e.show(f)
				e.heading("Rules")
				e.say("%s", visible(strings.TrimRight(p.Rules, "\n")))
			})
		})
}

func aclPolicyDeleteVerb() *verb {
	return removeVerb("acl policy delete", "name", "Delete an ACL policy", func(ctx context.Context, e *env, name string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		if err := c.ACL().DeletePolicy(ctx, name); err != nil {
			return err
		}
		e.say("Policy %s is deleted.", name)
		return nil
	})
}

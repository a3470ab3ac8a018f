package cli

import (
	"context"
	"strings"

	"github.com/drover-org/drover/api"
)

func serviceListVerb() *verb {
	return listVerb("service list", "List services", "Lists the services that are registered, with the tags of their instances.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list, _, err := c.Services().List(ctx, api.ListOptions{})
			return give(e, m, list, err, func(list []*api.ServiceListStub) {
				t := newTable("Namespace", "Service", "Tags")
				for _, ns := range list {
					for _, s := range ns.Services {
						t.row(ns.Namespace, visible(s.ServiceName), orDash(visible(strings.Join(s.Tags, ", "))))
					}
				}
				if len(t.rows) == 0 {
					e.say("No services.")
					return
				}
				e.show(t)
			})
		})
}

func serviceInfoVerb() *verb {
	return infoVerb("service info", "service", "Show the instances of a service", "Shows where a service is: address, tags and allocation of each instance.",
		func(ctx context.Context, e *env, m *machine, name string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list, _, err := c.Services().Get(ctx, name, "", api.ListOptions{})
			return give(e, m, list, err, func(list []*api.ServiceRegistration) {
				if len(list) == 0 {
					e.say("Service %q has no instances.", name)
					return
				}
				t := newTable("Job", "Address", "Tags", "Node", "Alloc", "ID")
				for _, r := range list {
					t.row(visible(r.JobID), visible(r.HostPort()), orDash(visible(strings.Join(r.Tags, ", "))), short(r.NodeID), short(r.AllocID), visible(r.ID))
				}
				e.show(withNamespaces(t, list, func(r *api.ServiceRegistration) string { return r.Namespace }))
			})
		})
}

func serviceDeleteVerb() *verb {
	return &verb{
		name: "service delete", args: "SERVICE ID",
		short: "Take an instance of a service out of the catalogue",
		long: `
Takes one instance out, which "service info" lists with its ID. It comes back when
its task starts again.`,
		run: func(ctx context.Context, e *env, args []string) error {
			if len(args) != 2 {
				return usagef("the name of a service and the ID of an instance are expected")
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			if err := c.Services().Delete(ctx, "", args[0], args[1]); err != nil {
				return err
			}
			e.say("Instance %s of service %q was taken out", visible(args[1]), args[0])
			return nil
		},
	}
}

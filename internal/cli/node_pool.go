package cli

import (
	"context"
	"flag"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

func nodePoolListVerb() *verb {
	var m machine
	var filter string
	return &verb{
		name: "node pool list", args: "[options]",
		short: "List node pools",
		long:  "Lists the node pools that the token may read.",
		flags: func(fs *flag.FlagSet) {
			m.flags(fs)
			fs.StringVar(&filter, "filter", "", "only those for which `EXPRESSION` holds")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			list, _, err := c.NodePools().List(ctx, api.ListOptions{Filter: filter})
			return give(e, &m, list, err, func(list []*api.NodePool) {
				if len(list) == 0 {
					e.say("No node pools.")
					return
				}
				t := newTable("Name", "Description")
				for _, p := range list {
					t.row(p.Name, orDash(visible(p.Description)))
				}
				e.show(t)
			})
		},
	}
}

// nodePoolVerb makes a verb about one pool, with more flags of its own.
func nodePoolVerb(name, short, long string, more func(fs *flag.FlagSet), run func(ctx context.Context, e *env, m *machine, c *client.Client, name string) error) *verb {
	var m machine
	return &verb{
		name: name, args: "[options] POOL", argKind: "pool", short: short, long: long,
		flags: func(fs *flag.FlagSet) {
			m.flags(fs)
			if more != nil {
				more(fs)
			}
		},
		run: func(ctx context.Context, e *env, args []string) error {
			name, err := one(args, "node pool")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			return run(ctx, e, &m, c, name)
		},
	}
}

func nodePoolInfoVerb() *verb {
	return nodePoolVerb("node pool info", "Show a node pool", "Shows what a node pool is for and what the scheduler does in it.", nil,
		func(ctx context.Context, e *env, m *machine, c *client.Client, name string) error {
			p, _, err := c.NodePools().Info(ctx, name, api.ListOptions{})
			return give(e, m, p, err, e.showNodePool)
		})
}

func (e *env) showNodePool(p *api.NodePool) {
	f := &facts{}
	f.add("Name", p.Name)
	f.add("Description", orDash(visible(p.Description)))
	if ttl := p.NodeIdentityTTL.D(); ttl > 0 {
		f.add("Node identities last", ttl.String())
	}
	e.show(f)
	e.heading("Scheduler")
	f = &facts{}
	algorithm, memory := "as the region", "as the region"
	if c := p.SchedulerConfiguration; c != nil {
		if c.SchedulerAlgorithm != "" {
			algorithm = c.SchedulerAlgorithm
		}
		if c.MemoryOversubscriptionEnabled != nil {
			memory = strconv.FormatBool(*c.MemoryOversubscriptionEnabled)
		}
	}
	f.add("Algorithm", algorithm)
	f.add("Memory oversubscription", memory)
	e.show(f)
	e.showMeta(p.Meta)
}

func nodePoolNodesVerb() *verb {
	var verbose bool
	var filter string
	return nodePoolVerb("node pool nodes", "List the nodes of a pool", "Lists the nodes that belong to a pool.", func(fs *flag.FlagSet) {
		fs.BoolVar(&verbose, "verbose", false, "full IDs")
		fs.StringVar(&filter, "filter", "", "only nodes for which `EXPRESSION` holds")
	}, func(ctx context.Context, e *env, m *machine, c *client.Client, name string) error {
		list, _, err := c.NodePools().Nodes(ctx, name, api.ListOptions{Filter: filter})
		return give(e, m, list, err, func(list []*api.NodeListStub) {
			if len(list) == 0 {
				e.say("Node pool %q has no nodes.", name)
				return
			}
			e.show(e.nodeTable(list, verbose))
		})
	})
}

func nodePoolJobsVerb() *verb {
	var filter string
	return nodePoolVerb("node pool jobs", "List the jobs of a pool", "Lists the jobs of the namespace that run in a pool; -namespace '*' for those of all.", func(fs *flag.FlagSet) {
		fs.StringVar(&filter, "filter", "", "only jobs for which `EXPRESSION` holds")
	}, func(ctx context.Context, e *env, m *machine, c *client.Client, name string) error {
		list, _, err := c.NodePools().Jobs(ctx, name, api.ListOptions{Filter: filter})
		return give(e, m, list, err, func(list []*api.JobListStub) {
			if len(list) == 0 {
				e.say("Node pool %q has no jobs here.", name)
				return
			}
			e.show(e.jobTable(list))
		})
	})
}

func nodePoolDeleteVerb() *verb {
	return &verb{
		name: "node pool delete", args: "POOL", argKind: "pool",
		short: "Delete a node pool that nothing uses",
		long:  "Deletes a node pool. It is refused while it has nodes, or jobs that are not stopped.",
		run: func(ctx context.Context, e *env, args []string) error {
			name, err := one(args, "node pool")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			if err := c.NodePools().Delete(ctx, name); err != nil {
				return err
			}
			e.say("Node pool %q is deleted.", name)
			return nil
		},
	}
}

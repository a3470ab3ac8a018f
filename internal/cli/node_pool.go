package cli

import (
	"context"
	"flag"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

func nodePoolListVerb() *verb {
	var filter string
	return listVerb("node pool list", "List node pools", "Lists the node pools that the token may read.", func(ctx context.Context, e *env, m *machine) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		list, _, err := c.NodePools().List(ctx, api.ListOptions{Filter: filter})
		return give(e, m, list, err, func(list []*api.NodePool) {
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
	}).with(func(fs *flag.FlagSet) {
		fs.StringVar(&filter, "filter", "", "only those for which `EXPRESSION` holds")
	})
}

// nodePoolVerb makes a verb about one pool.
func nodePoolVerb(name, short, long string, run func(ctx context.Context, e *env, m *machine, c *client.Client, name string) error) *verb {
	v := infoVerb(name, "node pool", short, long, func(ctx context.Context, e *env, m *machine, name string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		return run(ctx, e, m, c, name)
	})
	v.args, v.argKind = "[options] POOL", "pool"
	return v
}

func nodePoolInfoVerb() *verb {
	return nodePoolVerb("node pool info", "Show a node pool", "Shows what a node pool is for and what the scheduler does in it.",
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
	return nodePoolVerb("node pool nodes", "List the nodes of a pool", "Lists the nodes that belong to a pool.", func(ctx context.Context, e *env, m *machine, c *client.Client, name string) error {
		list, _, err := c.NodePools().Nodes(ctx, name, api.ListOptions{Filter: filter})
		return give(e, m, list, err, func(list []*api.NodeListStub) {
			if len(list) == 0 {
				e.say("Node pool %q has no nodes.", name)
				return
			}
			e.show(e.nodeTable(list, verbose))
		})
	}).with(func(fs *flag.FlagSet) {
		fs.BoolVar(&verbose, "verbose", false, "full IDs")
		fs.StringVar(&filter, "filter", "", "only nodes for which `EXPRESSION` holds")
	})
}

func nodePoolJobsVerb() *verb {
	var filter string
	return nodePoolVerb("node pool jobs", "List the jobs of a pool", "Lists the jobs of the namespace that run in a pool; -namespace '*' for those of all.", func(ctx context.Context, e *env, m *machine, c *client.Client, name string) error {
		list, _, err := c.NodePools().Jobs(ctx, name, api.ListOptions{Filter: filter})
		return give(e, m, list, err, func(list []*api.JobListStub) {
			if len(list) == 0 {
				e.say("Node pool %q has no jobs here.", name)
				return
			}
			e.show(e.jobTable(list))
		})
	}).with(func(fs *flag.FlagSet) {
		fs.StringVar(&filter, "filter", "", "only jobs for which `EXPRESSION` holds")
	})
}

func nodePoolDeleteVerb() *verb {
	v := removeVerb("node pool delete", "node pool", "Delete a node pool that nothing uses", func(ctx context.Context, e *env, name string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		if err := c.NodePools().Delete(ctx, name); err != nil {
			return err
		}
		e.say("Node pool %q is deleted.", name)
		return nil
	})
	v.args, v.argKind = "POOL", "pool"
	v.long = "Deletes a node pool. It is refused while it has nodes, or jobs that are not stopped."
	return v
}

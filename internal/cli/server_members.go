package cli

import (
	"context"
	"flag"
	"net"
	"sort"
	"strconv"

	"github.com/drover-org/drover/api"
)

type serverMembersOptions struct {
	machine           machine
	verbose, detailed bool
}

func serverMembersVerb() *verb {
	var o serverMembersOptions
	return &verb{
		name: "server members", args: "[options]",
		short: "List the servers and which of them leads",
		long:  "Lists the servers that the agent knows, with the leader of its region.",
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.verbose, "verbose", false, "with all tags")
			fs.BoolVar(&o.detailed, "detailed", false, "the same as -verbose")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runServerMembers(ctx, e, &o, args) },
	}
}

func runServerMembers(ctx context.Context, e *env, o *serverMembersOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	m, err := c.Agent().Members(ctx)
	if err != nil {
		return err
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, m)
	}
	leader, err := c.Status().Leader(ctx)
	if err != nil {
		e.warn("no leader: " + err.Error())
	}
	sort.Slice(m.Members, func(i, j int) bool { return m.Members[i].Name < m.Members[j].Name })
	head := []string{"Name", "Address", "Port", "Status", "Leader", "Build", "Datacenter", "Region"}
	verbose := o.verbose || o.detailed
	if verbose {
		head = append(head, "Tags")
	}
	t := newTable(head...)
	for _, s := range m.Members {
		row := []string{s.Name, s.Addr, strconv.Itoa(int(s.Port)), e.out.state(s.Status), strconv.FormatBool(leads(s, leader)),
			s.Tags["build"], s.Tags["dc"], s.Tags["region"]}
		if verbose {
			row = append(row, tagText(s.Tags))
		}
		t.row(row...)
	}
	e.show(t)
	return nil
}

// leads reports whether a server's rpc address is the leader's.
func leads(s *api.AgentMember, leader string) bool {
	return leader != "" && net.JoinHostPort(s.Tags["rpc_addr"], s.Tags["port"]) == leader
}

func tagText(tags map[string]string) string {
	text := ""
	for _, k := range keys(tags) {
		if text != "" {
			text += ","
		}
		text += k + "=" + tags[k]
	}
	return text
}

package cli

import (
	"context"
	"flag"
	"strconv"

	"github.com/drover-org/drover/api"
)

func operatorAutopilotHealthVerb() *verb {
	var m machine
	return &verb{
		name: "operator autopilot health", args: "[options]",
		short: "Show how the servers of the region are",
		long: `
Shows the servers of the region's log as the one that is asked sees them, and
how many of them may fail. Exits with 1 when one is not healthy.`,
		flags: func(fs *flag.FlagSet) { m.flags(fs) },
		run: func(ctx context.Context, e *env, args []string) error {
			c, err := e.clientAlone(args)
			if err != nil {
				return err
			}
			h, err := c.Operator().Health(ctx)
			switch {
			case err != nil:
				return err
			case m.wanted():
				return m.write(e.Out, h)
			}
			e.say("Healthy           = %v", h.Healthy)
			e.say("Failure tolerance = %d", h.FailureTolerance)
			t := newTable("Name", "Address", "Serf", "Leader", "Voter", "Healthy", "Version")
			for _, s := range h.Servers {
				t.row(s.Name, s.Address, e.out.state(s.SerfStatus), strconv.FormatBool(s.Leader), strconv.FormatBool(s.Voter), strconv.FormatBool(s.Healthy), orDash(s.Version))
			}
			e.show(t)
			if !h.Healthy {
				return api.Errorf(api.CodeUnavailable, "not all servers are healthy")
			}
			return nil
		},
	}
}

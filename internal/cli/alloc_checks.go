package cli

import (
	"cmp"
	"context"
	"flag"
	"slices"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

func allocChecksVerb() *verb {
	var m machine
	return &verb{
		name: "alloc checks", args: "[options] ALLOC", argKind: "alloc",
		short: "Show whether the services of an allocation work",
		long:  "Shows the latest answer to each check of an allocation's services. ALLOC is the beginning of its ID.",
		flags: func(fs *flag.FlagSet) { m.flags(fs) },
		run: func(ctx context.Context, e *env, args []string) error {
			c, a, err := named(ctx, e, args, "allocation", e.findAlloc)
			if err != nil {
				return err
			}
			checks, err := c.Allocs().Checks(ctx, a.ID)
			return give(e, &m, checks, err, func(checks map[string]*api.CheckResult) {
				if len(checks) == 0 {
					e.say("Allocation %s has no checks.", short(a.ID))
					return
				}
				e.show(e.checkTable(checks))
			})
		},
	}
}

func (e *env) checkTable(checks map[string]*api.CheckResult) *table {
	list := make([]*api.CheckResult, 0, len(checks))
	for _, c := range checks {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *api.CheckResult) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Check, b.Check), strings.Compare(a.ID, b.ID))
	})
	t := newTable("Service", "Check", "Mode", "Status", "Answered", "Output")
	now := time.Now()
	for _, c := range list {
		answered := "-"
		if c.Timestamp > 0 {
			answered = ago(c.Timestamp*int64(time.Second), now, false)
		}
		output := strings.Join(strings.Fields(c.Output), " ")
		if r := []rune(output); len(r) > 80 {
			output = string(r[:80]) + "…"
		}
		t.row(visible(c.Service), visible(c.Check), c.Mode, e.out.state(c.Status), answered, orDash(visible(output)))
	}
	return t
}

// showChecks shows the checks of an allocation that runs, if it has any; a node
// that can't be reached is only noted.
func (e *env) showChecks(ctx context.Context, a *api.Allocation) {
	if a.ClientStatus != api.AllocClientRunning || !hasChecks(a.Group()) {
		return
	}
	c, err := e.client()
	if err != nil {
		return
	}
	checks, err := c.Allocs().Checks(ctx, a.ID)
	switch {
	case err != nil:
		e.note("The checks can't be read: %s", visible(err.Error()))
	case len(checks) > 0:
		e.heading("Checks")
		e.show(e.checkTable(checks))
	}
}

func hasChecks(g *api.TaskGroup) bool {
	if g == nil {
		return false
	}
	has := func(list []*api.Service) bool {
		return slices.ContainsFunc(list, func(s *api.Service) bool { return s != nil && len(s.Checks) > 0 })
	}
	return has(g.Services) || slices.ContainsFunc(g.Tasks, func(t *api.Task) bool { return t != nil && has(t.Services) })
}

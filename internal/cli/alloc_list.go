package cli

import (
	"context"
	"flag"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type allocListOptions struct {
	machine      machine
	all, verbose bool
	job, group   string
	node         string
	status       string
	filter       string
	perPage      int
	pageToken    string
}

func allocListVerb() *verb {
	var o allocListOptions
	return &verb{
		name: "alloc list", args: "[options]",
		short: "List allocations",
		long: `
Lists the allocations that run or should, newest first; -all lists those that
have ended, too. -filter takes an expression over the fields of an allocation,
such as 'ClientStatus == "failed"'.`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.BoolVar(&o.all, "all", false, "with allocations that have ended")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and times")
			fs.StringVar(&o.job, "job", "", "only of `JOB`")
			fs.StringVar(&o.group, "group", "", "only of the task group `GROUP`")
			fs.StringVar(&o.node, "node", "", "only on `NODE`, an ID or name")
			fs.StringVar(&o.status, "status", "", "only with this client `STATUS` (implies -all)")
			fs.StringVar(&o.filter, "filter", "", "only those for which `EXPRESSION` holds (implies -all)")
			fs.IntVar(&o.perPage, "per-page", 0, "at most `N`, with a token for the next page")
			fs.StringVar(&o.pageToken, "page-token", "", "`TOKEN` of the page")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocList(ctx, e, &o, args) },
	}
}

func runAllocList(ctx context.Context, e *env, o *allocListOptions, args []string) error {
	c, err := e.clientAlone(args)
	if err != nil {
		return err
	}
	filter, err := o.expression(ctx, e, c)
	if err != nil {
		return err
	}
	list, meta, err := c.Allocs().List(ctx, client.AllocListOptions{},
		api.ListOptions{Filter: filter, PerPage: o.perPage, NextToken: o.pageToken})
	if err != nil {
		return err
	}
	all := o.all || o.status != "" || o.filter != ""
	kept := list[:0]
	for _, a := range list {
		ended := a.ClientStatus == api.AllocClientComplete || a.ClientStatus == api.AllocClientFailed || a.ClientStatus == api.AllocClientLost
		if !ended || all {
			kept = append(kept, a)
		}
	}
	if o.machine.wanted() {
		return o.machine.write(e.Out, kept)
	}
	switch {
	case len(kept) > 0:
		e.show(e.allocTable(kept, o.verbose))
	case len(list) > 0:
		e.say("No such allocations; -all shows %d more.", len(list))
	default:
		e.say("No allocations.")
	}
	if meta.NextToken != "" {
		e.note("More: -page-token %s", meta.NextToken)
	}
	return nil
}

// expression is the filter that the flags make together: servers apply it, so
// that pages hold what was asked for.
func (o *allocListOptions) expression(ctx context.Context, e *env, c *client.Client) (string, error) {
	var parts []string
	is := func(selector, value string) {
		if value != "" {
			parts = append(parts, selector+" == "+strconv.Quote(value))
		}
	}
	is("JobID", o.job)
	is("TaskGroup", o.group)
	is("ClientStatus", o.status)
	if o.node != "" {
		n, err := e.findNode(ctx, c, o.node)
		if err != nil {
			return "", err
		}
		is("NodeID", n.ID)
	}
	if o.filter != "" {
		parts = append(parts, "("+o.filter+")")
	}
	return strings.Join(parts, " and "), nil
}

package cli

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

// defaultDrainDeadline is how long a drain waits when nothing else is said.
const defaultDrainDeadline = time.Hour

type nodeDrainOptions struct {
	enable, disable, monitor                   bool
	force, noDeadline, ignoreSystem            bool
	keepIneligible, detach, yes, self, verbose bool
	deadline                                   time.Duration
	message                                    string
	meta                                       listFlag
}

func nodeDrainVerb() *verb {
	var o nodeDrainOptions
	return &verb{
		name: "node drain", args: "-enable|-disable|-monitor NODE", argKind: "node",
		short: "Move everything off a node",
		long: `
-enable keeps new allocations away from a node and moves those that run there:
services a few at a time, as their migrate blocks say; batch jobs may end by
themselves until the deadline (an hour unless -deadline says otherwise); jobs
that run on every node go last. After the deadline the rest goes at once. The
command shows what happens until the node is empty; it stays closed to new
allocations until "drover node eligibility -enable".

-disable ends a drain and opens the node again. -monitor shows a drain that is
under way.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.enable, "enable", false, "start a drain, or change the one under way")
			fs.BoolVar(&o.disable, "disable", false, "end a drain")
			fs.BoolVar(&o.monitor, "monitor", false, "show a drain that is under way")
			fs.DurationVar(&o.deadline, "deadline", defaultDrainDeadline, "when what is left moves at once, such as 30m")
			fs.BoolVar(&o.force, "force", false, "everything moves at once")
			fs.BoolVar(&o.noDeadline, "no-deadline", false, "wait for as long as it takes")
			fs.BoolVar(&o.ignoreSystem, "ignore-system", false, "leave the jobs that run on every node")
			fs.BoolVar(&o.keepIneligible, "keep-ineligible", false, "with -disable: the node stays closed to new allocations")
			fs.BoolVar(&o.detach, "detach", false, "don't wait for the end")
			fs.BoolVar(&o.yes, "yes", false, "ask nothing")
			fs.BoolVar(&o.self, "self", false, "the node of the agent that answers")
			fs.BoolVar(&o.verbose, "verbose", false, "whole IDs")
			fs.StringVar(&o.message, "m", "", "why, kept with the node")
			fs.Var(&o.meta, "meta", "KEY=VALUE, kept with the node; may be repeated")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runNodeDrain(ctx, e, &o, args) },
	}
}

func runNodeDrain(ctx context.Context, e *env, o *nodeDrainOptions, args []string) error {
	req, err := o.request()
	if err != nil {
		return err
	}
	c, n, typed, err := e.nodeOrSelf(ctx, args, o.self)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s (%s)", n.Name, idText(n.ID, o.verbose))
	if req != nil {
		if o.enable && !o.yes && typed != n.ID && typed != n.Name && !e.confirm(fmt.Sprintf("Drain node %s?", name)) {
			return usagef("%q is the beginning of node %s: type the whole ID or name, or -yes", typed, n.ID)
		}
		if _, err := c.Nodes().Drain(ctx, n.ID, req); err != nil {
			return err
		}
		if o.disable {
			e.say("The drain of node %s is ended; the node is %s.", name, map[bool]string{true: "eligible", false: "ineligible"}[req.MarkEligible])
			return nil
		}
		e.say("%s draining node %s, deadline: %s", e.out.cyan("==>"), name, drainDeadline(req.DrainSpec.Strategy(time.Now())))
		if o.detach {
			return nil
		}
	}
	return e.watchDrain(ctx, c, n.ID, name, o.verbose)
}

// request checks the flags and returns what to ask of servers, nil for nothing.
func (o *nodeDrainOptions) request() (*api.NodeDrainRequest, error) {
	ways := 0
	for _, b := range []bool{o.enable, o.disable, o.monitor} {
		if b {
			ways++
		}
	}
	limits := 0
	for _, b := range []bool{o.force, o.noDeadline, o.deadline != defaultDrainDeadline} {
		if b {
			limits++
		}
	}
	switch {
	case ways != 1:
		return nil, usagef("one of -enable, -disable and -monitor is expected")
	case limits > 1:
		return nil, usagef("only one of -deadline, -force and -no-deadline makes sense")
	case !o.enable && (limits > 0 || o.ignoreSystem):
		return nil, usagef("-deadline, -force, -no-deadline and -ignore-system go with -enable")
	case o.keepIneligible && !o.disable:
		return nil, usagef("-keep-ineligible goes with -disable: a drain always leaves its node ineligible")
	case o.deadline <= 0:
		return nil, usagef("-deadline %v must be positive: use -force for at once, -no-deadline for never", o.deadline)
	case o.monitor:
		return nil, nil
	}
	req := &api.NodeDrainRequest{MarkEligible: o.disable && !o.keepIneligible}
	meta, err := keyValues(o.meta)
	if err != nil {
		return nil, err
	}
	if o.message != "" {
		meta = cloneWith(meta, "message", o.message)
	}
	req.Meta = meta
	if o.enable {
		req.DrainSpec = &api.DrainSpec{Deadline: api.Duration(o.deadline), IgnoreSystemJobs: o.ignoreSystem}
		switch {
		case o.force:
			req.DrainSpec.Deadline = api.DrainForce
		case o.noDeadline:
			req.DrainSpec.Deadline = api.DrainNoDeadline
		}
	}
	return req, nil
}

// keyValues reads KEY=VALUE arguments.
func keyValues(list []string) (map[string]string, error) {
	var out map[string]string
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return nil, usagef("-meta %q is not of the form KEY=VALUE", s)
		}
		out = cloneWith(out, k, v)
	}
	return out, nil
}

func cloneWith(m map[string]string, k, v string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[k] = v
	return m
}

func drainDeadline(d *api.DrainStrategy) string {
	switch {
	case d.Deadline < 0:
		return "at once"
	case d.ForceDeadline.IsZero():
		return "none"
	}
	return when(d.ForceDeadline)
}

// watchDrain shows what becomes of a node's allocations until its drain is
// over.
func (e *env) watchDrain(ctx context.Context, c *client.Client, id, name string, verbose bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := map[string]string{} // allocation → what was said of it
	tell := func(list []*api.Allocation) {
		for _, a := range list {
			state := a.ClientStatus
			if a.DesiredTransition.ShouldMigrate() && !a.ClientTerminal() {
				state = "moving"
			}
			was, known := seen[a.ID]
			if seen[a.ID] = state; known && was != state {
				e.say("    allocation %s (%s) %s", idText(a.ID, verbose), a.Name, e.out.state(state))
			}
		}
	}
	allocs := make(chan []*api.Allocation)
	node := make(chan *api.Node)
	failed := make(chan error, 2)
	go func() {
		failed <- client.Follow(ctx, api.ListOptions{}, func(ctx context.Context, o api.ListOptions) ([]*api.Allocation, api.Meta, error) {
			return c.Nodes().Allocations(ctx, id, o)
		}, func(list []*api.Allocation, _ api.Meta) bool { return pass(ctx, allocs, list) })
	}()
	go func() {
		failed <- client.Follow(ctx, api.ListOptions{}, func(ctx context.Context, o api.ListOptions) (*api.Node, api.Meta, error) {
			return c.Nodes().Info(ctx, id, o)
		}, func(n *api.Node, _ api.Meta) bool { return pass(ctx, node, n) })
	}()
	for {
		select {
		case list := <-allocs:
			tell(list)
		case n := <-node:
			if n.DrainStrategy != nil {
				continue
			}
			if list, _, err := c.Nodes().Allocations(ctx, id, api.ListOptions{}); err == nil {
				tell(list)
			}
			if n.LastDrain == nil {
				e.say("Node %s is not being drained.", name)
			} else {
				e.say("%s drain of node %s %s", e.out.cyan("==>"), name, e.out.state(n.LastDrain.Status))
			}
			return nil
		case err := <-failed:
			return err
		}
	}
}

// pass hands a value on unless ctx ends.
func pass[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

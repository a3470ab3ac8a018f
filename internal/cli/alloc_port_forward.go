package cli

import (
	"context"
	"errors"
	"flag"
	"net"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

// maxForwarded bounds the connections of one command: a browser opens a few
// dozen.
const maxForwarded = 256

func allocPortForwardVerb() *verb {
	address := "127.0.0.1"
	return &verb{
		name: "alloc port-forward", args: "[options] ALLOC [LOCAL:]PORT…", argKind: "alloc",
		short: "Reach ports of an allocation from here",
		long: `
Listens on LOCAL here and passes each connection on to PORT of the allocation,
through the API, until it is interrupted. PORT is a label or a number; only
ports that were granted to the allocation can be reached. Without LOCAL, or with
0, any free port is used and printed.

  drover alloc port-forward 5fc1 8080:http db

It takes the capability alloc-port-forward.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&address, "bind", "127.0.0.1", "listen on `ADDRESS`; another than a loopback one lets others in")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runPortForward(ctx, e, address, args) },
	}
}

// forwarding is one port here and where it leads.
type forwarding struct{ local, port string }

func parseForwarding(arg string) (forwarding, error) {
	local, port, ok := strings.Cut(arg, ":")
	if !ok {
		local, port = "0", arg
	}
	if local == "" {
		local = "0"
	}
	if _, err := strconv.ParseUint(local, 10, 16); err != nil || port == "" || strings.Contains(port, ":") {
		return forwarding{}, usagef("%q is not [LOCAL:]PORT, such as 8080:http", arg)
	}
	return forwarding{local, port}, nil
}

func runPortForward(ctx context.Context, e *env, address string, args []string) error {
	if len(args) < 2 {
		return usagef("an allocation and a port are expected")
	}
	var list []forwarding
	for _, arg := range args[1:] {
		f, err := parseForwarding(arg)
		if err != nil {
			return err
		}
		list = append(list, f)
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	a, _, err := e.chooseAlloc(ctx, c, false, "", args[:1])
	if err != nil {
		return err
	}
	for _, f := range list {
		if err := checkPort(a, f.port); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	places := make(chan struct{}, maxForwarded)
	for _, f := range list {
		l, err := net.Listen("tcp", net.JoinHostPort(address, f.local))
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		e.say("%s → port %s of allocation %s", l.Addr(), f.port, short(a.ID))
		g.Go(func() error { return e.accept(ctx, c, l, a, f.port, places) })
	}
	return g.Wait()
}

// checkPort refuses what the node would refuse for every connection.
func checkPort(a *api.Allocation, port string) error {
	var known []string
	for _, p := range a.AllocatedResources.AllPorts() {
		if p.Matches(port) {
			return nil
		}
		known = append(known, p.Label+" ("+strconv.Itoa(p.Value)+")")
	}
	if len(known) == 0 {
		return usagef("allocation %s has no ports: ask for them in a network block of its group", short(a.ID))
	}
	return usagef("allocation %s has no port %q: it has %s", short(a.ID), port, strings.Join(known, ", "))
}

// accept passes connections on until ctx ends.
func (e *env) accept(ctx context.Context, c *client.Client, l net.Listener, a *api.Allocation, port string, places chan struct{}) error {
	var open sync.WaitGroup
	defer open.Wait()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		select {
		case places <- struct{}{}:
		default:
			e.note("a connection from %s is refused: %d are open", conn.RemoteAddr(), maxForwarded)
			_ = conn.Close()
			continue
		}
		open.Go(func() {
			defer func() { <-places }()
			defer func() { _ = conn.Close() }()
			end := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer end()
			if err := c.Allocs().Forward(ctx, a.ID, port, conn); err != nil && !errors.Is(err, context.Canceled) {
				e.note("%s: %s", conn.RemoteAddr(), visible(err.Error()))
			}
		})
	}
}

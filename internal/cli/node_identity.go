package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"
)

func nodeIdentityGetVerb() *verb {
	var m machine
	return &verb{
		name: "node identity get", args: "[options] NODE", argKind: "node",
		short: "Show what a node's identity says",
		long: `
Shows the claims of the signed identity that servers gave a node: who it is and
how long that holds. The token itself stays on the node.`,
		flags: func(fs *flag.FlagSet) { m.flags(fs) },
		run: func(ctx context.Context, e *env, args []string) error {
			typed, err := one(args, "node")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			n, err := e.findNode(ctx, c, typed)
			if err != nil {
				return err
			}
			out, err := c.Nodes().Identity(ctx, n.ID)
			switch {
			case err != nil:
				return err
			case m.wanted():
				return m.write(e.Out, out)
			}
			t := newTable("Claim", "Value")
			for _, name := range keys(out.Claims) {
				t.row(name, claimText(name, out.Claims[name]))
			}
			e.show(t)
			return nil
		},
	}
}

// claimText shows times as such.
func claimText(name string, v any) string {
	if seconds, ok := v.(float64); ok && (name == "exp" || name == "iat" || name == "nbf") {
		return time.Unix(int64(seconds), 0).Format(time.RFC3339)
	}
	if list, ok := v.([]any); ok {
		texts := make([]string, len(list))
		for i, item := range list {
			texts[i] = fmt.Sprint(item)
		}
		return strings.Join(texts, " ")
	}
	return fmt.Sprint(v)
}

func nodeIdentityRenewVerb() *verb {
	return &verb{
		name: "node identity renew", args: "NODE", argKind: "node",
		short: "Make a node ask for a new identity",
		long:  "Nodes renew their identity by themselves when half of its time has passed. This makes one do so now.",
		run: func(ctx context.Context, e *env, args []string) error {
			typed, err := one(args, "node")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			n, err := e.findNode(ctx, c, typed)
			if err != nil {
				return err
			}
			if err := c.Nodes().RenewIdentity(ctx, n.ID); err != nil {
				return err
			}
			e.say("Node %s (%s) asks for a new identity.", n.Name, short(n.ID))
			return nil
		},
	}
}

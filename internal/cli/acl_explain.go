package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

func aclExplainVerb() *verb {
	var m machine
	return &verb{
		name: "acl explain", args: "[options] TOKEN VERB PATH", failure: exitDenied,
		short: "Say which rule allows or forbids a request",
		long: `
Says whether a token may make a request, and which rule of which policy decides.
TOKEN is an accessor ID, "self" for the token in use or "anonymous" for none;
VERB a method of HTTP and PATH like /v1/jobs?namespace=web. VERB may also be a
capability, like submit-job or node:read, and PATH what it is asked for: a
namespace, node pool or host volume ("-" for none).

The exit code is 0 when it is allowed and 2 when it is not.`,
		flags: m.flags,
		run:   func(ctx context.Context, e *env, args []string) error { return runACLExplain(ctx, e, &m, args) },
	}
}

// exitDenied is the exit code of what is not allowed, or can't be told.
const exitDenied = 2

func runACLExplain(ctx context.Context, e *env, m *machine, args []string) error {
	if len(args) != 3 {
		return usagef("a token, a verb and a path are expected")
	}
	req := &api.ACLExplainRequest{AccessorID: args[0]}
	if req.AccessorID == "self" {
		req.AccessorID = ""
	}
	if strings.HasPrefix(args[2], "/") {
		req.Method, req.Path = args[1], args[2]
	} else {
		req.Capability = api.Capability(args[1])
		if args[2] != "-" {
			req.Object = args[2]
		}
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	out, err := c.ACL().Explain(ctx, req)
	if err := give(e, m, out, err, e.explainAccess); err != nil {
		return err
	}
	if !out.Allowed {
		return &exit{code: exitDenied}
	}
	return nil
}

func (e *env) explainAccess(x *api.ACLExplanation) {
	verdict := e.out.green("allowed")
	if !x.Allowed {
		verdict = e.out.red("forbidden")
	}
	e.say("%s: %s", verdict, visible(x.Summary))
	if len(x.Decisions) == 0 {
		return
	}
	e.say("")
	t := newTable("Capability", "Allowed", "Policy", "Rule", "Line")
	for _, d := range x.Decisions {
		line := "-"
		if d.Line > 0 {
			line = strconv.Itoa(d.Line)
		}
		t.row(string(d.Capability), map[bool]string{true: "yes", false: "no"}[d.Allowed], orDash(d.Policy), orDash(visible(d.Rule)), line)
	}
	e.show(t)
	if len(x.Policies) > 0 {
		e.say("\n%s", e.out.dim(fmt.Sprintf("The token has the policies %s.", strings.Join(x.Policies, ", "))))
	}
}

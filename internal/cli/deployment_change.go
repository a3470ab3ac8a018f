package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type deploymentChangeOptions struct {
	groups          listFlag
	detach, verbose bool
}

// deploymentChange is a verb that changes one deployment.
type deploymentChange struct {
	verb, short, long, done string
	groups                  bool // takes -group
	change                  func(ctx context.Context, d client.Deployments, id string, o *deploymentChangeOptions) (*api.DeploymentUpdateResponse, error)
}

func deploymentPromoteVerb() *verb {
	return deploymentChange{
		verb: "promote", short: "Replace the old version by the healthy canaries", done: "promoted", groups: true,
		long: "Lets a deployment whose canaries are healthy replace the old version, and watches it.",
		change: func(ctx context.Context, d client.Deployments, id string, o *deploymentChangeOptions) (*api.DeploymentUpdateResponse, error) {
			return d.Promote(ctx, id, o.groups...)
		},
	}.make()
}

func deploymentFailVerb() *verb {
	return deploymentChange{
		verb: "fail", short: "End a deployment as failed", done: "failed",
		long: "Ends a deployment as failed; a job that asks for it goes back to its last stable version.",
		change: func(ctx context.Context, d client.Deployments, id string, _ *deploymentChangeOptions) (*api.DeploymentUpdateResponse, error) {
			return d.Fail(ctx, id)
		},
	}.make()
}

func deploymentPauseVerb() *verb {
	return deploymentChange{
		verb: "pause", short: "Hold a deployment", done: "paused",
		long: "Keeps a deployment from going on until \"drover deployment resume\".",
		change: func(ctx context.Context, d client.Deployments, id string, _ *deploymentChangeOptions) (*api.DeploymentUpdateResponse, error) {
			return d.Pause(ctx, id, true)
		},
	}.make()
}

func deploymentResumeVerb() *verb {
	return deploymentChange{
		verb: "resume", short: "Let a paused deployment go on", done: "resumed",
		long: "Lets a paused deployment go on, and watches it.",
		change: func(ctx context.Context, d client.Deployments, id string, _ *deploymentChangeOptions) (*api.DeploymentUpdateResponse, error) {
			return d.Pause(ctx, id, false)
		},
	}.make()
}

func deploymentUnblockVerb() *verb {
	return deploymentChange{
		verb: "unblock", short: "Let a deployment go on that waits for other regions", done: "unblocked",
		long: "Lets a deployment go on that waits for those of the same job in other regions.",
		change: func(ctx context.Context, d client.Deployments, id string, _ *deploymentChangeOptions) (*api.DeploymentUpdateResponse, error) {
			return d.Unblock(ctx, id)
		},
	}.make()
}

func (d deploymentChange) make() *verb {
	var o deploymentChangeOptions
	return &verb{
		name: "deployment " + d.verb, args: "[options] DEPLOYMENT", argKind: "deployment", short: d.short, long: d.long,
		flags: func(fs *flag.FlagSet) {
			if d.groups {
				fs.Var(&o.groups, "group", "only `GROUP` (may be repeated)")
			}
			fs.BoolVar(&o.detach, "detach", false, "do not watch")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs and every event")
		},
		run: func(ctx context.Context, e *env, args []string) error { return d.run(ctx, e, &o, args) },
	}
}

func (d deploymentChange) run(ctx context.Context, e *env, o *deploymentChangeOptions, args []string) error {
	c, id, err := named(ctx, e, args, "deployment", e.findDeployment)
	if err != nil {
		return err
	}
	resp, err := d.change(ctx, c.Deployments(), id, o)
	if err != nil {
		return err
	}
	if resp.RevertedJobVersion != nil {
		e.say("The job goes back to version %d.", *resp.RevertedJobVersion)
	}
	said := "deployment " + idText(id, o.verbose) + " " + d.done
	if d.verb == "pause" || d.verb == "fail" {
		o.detach = true // what follows is not what was asked for
	}
	return e.follow(ctx, c, resp.EvalID, o.detach, o.verbose, said)
}

package cli

import (
	"context"

	"github.com/drover-org/drover/api/client"
)

// follow reports on the evaluation that a change made: only its ID with
// detach, otherwise everything until the outcome is known.
func (e *env) follow(ctx context.Context, c *client.Client, evalID string, detach, verbose bool, done string) error {
	if evalID == "" {
		e.say("%s %s; it makes no evaluation now", e.out.green("==>"), done)
		return nil
	}
	if detach {
		e.say("%s %s\nEvaluation %s", e.out.green("==>"), done, evalID)
		return nil
	}
	e.say("%s %s", e.out.cyan("==>"), done)
	return e.newMonitor(c, verbose).watch(ctx, evalID)
}

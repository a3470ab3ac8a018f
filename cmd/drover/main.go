// Command drover is the orchestrator: agent, command line and, under a hidden
// first word, the supervisor of an allocation.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/drover-org/drover/internal/cli"
	"github.com/drover-org/drover/internal/shim"
)

func main() {
	shim.Intercept() // does not return in a supervisor
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.OS())
	stop()
	os.Exit(code)
}

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
	ctx, stop := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { stop(cli.Interrupted{Signal: <-signals}) }()
	os.Exit(cli.Run(ctx, os.Args[1:], cli.OS()))
}

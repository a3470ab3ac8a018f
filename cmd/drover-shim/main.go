// Command drover-shim is the supervisor of one allocation's tasks. It is
// started by a node's agent, never by hand; see internal/shim/supervisor.
package main

import (
	"os"

	"github.com/drover-org/drover/internal/shim/supervisor"
)

func main() { os.Exit(supervisor.Main(os.Args[1:])) }

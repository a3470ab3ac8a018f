// Package httpapi is the route table of the HTTP API on port 4646. Every agent
// serves the whole of it: a request that this agent can't answer itself is
// spliced, byte for byte, to the one that can.
//
// The table is data, one file per noun: routes.go collects the rows. A handler
// decodes with package web, calls one use case, and returns the value; rights,
// validation, blocking queries and paging are the use cases' business. They
// are the interfaces in deps.go, which *server.Server satisfies.
//
// # Who answers
//
//   - A server answers from its own state.
//   - What happens on a node (exec, logs, files, signals, stats) is answered by
//     the node, once a server has authorised it: in process when the node is
//     this agent, otherwise through the connection that the node keeps to this
//     server (splice.go, tunnel.go).
//   - A pure node forwards everything to a server, even what it will be asked
//     itself then: it can't tell who may what.
//
// # Encoding
//
// Lists are streamed (web.List). The list of allocations, which is the hot
// one, has a hand-written encoder (stub.go) whose output a test compares with
// encoding/json. A full allocation is shown with the members that older
// clients read, computed from the newer ones (api.Allocation.View).
package httpapi

// Package daemon is the composition root: it makes an agent out of its
// configuration. It is the one package that knows all others.
//
// [Run] opens listeners and state, builds the server part (server.go), the
// node part (node.go) and the API (http.go), and runs them as a list of parts
// (parts.go) that start in order and end in reverse order:
//
//	gossip     what servers tell of each other
//	cluster    the log; everything else of a server proposes to it
//	leader     loops that exist while this server leads
//	rpc        connections of nodes and servers
//	peers      what other servers ask
//	leave      forms the log at first, hands leadership on at last
//	docker     watches the Engine
//	link       the node's connection to a server, over loopback in one process
//	agent      the node: allocations and tasks
//	http       the API
//
// So at the end no request comes in any more; then the node ends, or lets go
// of its tasks, while it can still report; then the leader's loops, while they
// can still propose; and the log is closed last.
package daemon

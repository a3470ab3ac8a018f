// Package link connects nodes with servers over the servers' rpc port.
//
// The first byte of a connection says what it carries (see [Mux]): raft, a
// node's control stream, a connection that a node dialed back, or plain HTTP.
//
// # Control stream
//
// A [Node] holds one stream to one server. It says hello with its [api.Node],
// and from then on frames go both ways: heartbeats and reports of allocations
// up, assignments and requests to dial back down. A frame is a length, a kind
// and a body in a generated codec (wire.go); jobs inside are sent once per
// stream and referred to afterwards.
//
// Reports: the newest of an allocation wins, one batch is in flight, the next
// batch is everything that changed meanwhile. A batch is acknowledged after it
// is committed and sent again on another stream if it was not. So nothing
// waits for a timer and nothing is lost.
//
// # Dialing back
//
// Nodes need not be reachable. To talk to one, a server asks it over the
// control stream to dial a fresh connection, named by a token of one use, and
// speaks HTTP on it: [Server.Transport] is an http.RoundTripper that does so,
// keeps idle connections for the next request and carries upgraded protocols
// as well.
//
// # Cost
//
// An idle node costs a server two parked goroutines and no buffers: buffers
// come from a pool for the duration of one frame.
package link

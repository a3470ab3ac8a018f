// Package peer is what the servers of a region ask each other beside raft:
// HTTP over connections of their own to the rpc port, which only servers may
// open.
//
//	GET  /hello                who are you
//	POST /consent/{id}         may this server form the region's log
//	POST /leave/{id}           take this server out of the log
//	POST /propose              put a command into the log; the leader's
//	GET  /index                the index a consistent read must have seen; the leader's
//	POST /beat/{node}          a node of mine lives; the leader's
//	POST /gone/{node}          a node of mine has hung up; the leader's
//	GET  /node/{node}          204 if the node is connected to you
//	*    /node/{node}/…        pass this on to the node
//
// A request for the leader is refused with api.CodeNotLeader by any other
// server and never passed on, so that no request goes in circles. Errors are
// JSON with code and message, so that they cross as what they are.
package peer

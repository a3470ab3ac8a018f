// Package gossip tells servers of each other: which servers there are, of
// which regions, and which of them live. It is hashicorp/serf on the serf port.
//
// [Open] prepares a [Gossip] and [Gossip.Run] keeps it. What members say of
// themselves is a hint and proves nothing: who becomes a server of the log is
// asked over the rpc port, where certificates count.
//
// # Decisions and trade-offs
//
//   - A server that knows of no other does not gossip: the port is open and
//     costs one parked goroutine. The first join, by this server or by another
//     one that calls, starts serf with its timers.
//   - Packets and streams go through a transport of our own (transport.go) over
//     sockets that are opened with the agent's other ports, so that a port in
//     use is told before anything else happens.
//   - Members that are not Drover's are refused, whatever their role says:
//     other software gossips in the same words.
//   - A member that left or was removed is remembered as departed until it
//     comes back, because serf forgets it.
package gossip

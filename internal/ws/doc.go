// Package ws is the server's side of a websocket (RFC 6455), as exec and port
// forwarding need it and a general library does not give it:
//
//   - A server in front of a node reads the one frame that holds the token and
//     then passes the other frames on without looking into them ([Conn.Relay],
//     [Conn.CopyTo]), and can still end the session between two frames.
//   - An idle session holds no buffers, and there may be thousands of them.
//   - A frame is built in place around its data and leaves in one write; what
//     came in is unmasked where it was read.
//   - No context and no deadline tears a connection down on which a slow
//     caller still reads.
//
// There are no extensions and no subprotocols. A message that came in pieces
// is put together; messages are bounded by the reader.
//
// Fuzz tests hold the parser; the tests of the packages above talk to it with
// an independent client.
package ws

// Package wire is what a node's agent and a supervisor say to each other: the
// frames on their socket, the messages in them, and the record that the
// supervisor keeps of each task.
//
// Frames travel on a unix stream socket in both directions. Each carries a
// kind, the number of the call it belongs to, a body, and up to [MaxFiles]
// file descriptors. Every call has exactly one answer, [KindOK] or
// [KindError]; calls may be answered in any order.
//
// The supervisor links this package, so it must stay small: neither fmt, net
// nor encoding/json. Fields are only ever added, at the end of a message; a
// decoder gives zero for what an older peer did not send.
package wire

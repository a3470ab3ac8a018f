// Package limit bounds what one caller may take, so that a flood from one
// leaves the agent answering the others.
//
// # Whom a request is counted for
//
// The owner of a valid token; else the address it comes from, of IPv6 its /64,
// which one machine has as a whole. A token that nobody knows is counted for
// the address, so that inventing tokens gains nothing. Requests without a
// token from this machine itself are not counted: whoever makes them could
// take more than answers.
//
// # What is bounded
//
//   - connections by address: [Conns], before a byte is read
//   - requests in time: [Rate], a token bucket per caller in a table of fixed
//     size
//   - sessions at a time: [Sessions], of each [Kind], per caller
//   - time without progress: of a caller that does not read its answer, by
//     [Conns], or does not send its body, by [Handler]
//
// What was refused is counted and told to the log, now and then, by
// [Refusals].
package limit

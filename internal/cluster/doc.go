// Package cluster puts the commands of a store into a replicated log:
// hashicorp/raft with a write-ahead log and snapshots on disk, or in memory
// for a dev agent.
//
// [Open] makes a [Cluster], Run keeps it until its context ends. Propose puts
// a command into the log and returns when this server has applied it;
// proposals that wait together share one append and one fsync, and a batch
// that was committed together is applied and published together.
//
// Leadership is a context: [Cluster.Lead] calls a function while this server
// leads and has applied everything that earlier leaders committed, and ends
// the function's context when it no longer does.
//
// # Decisions and trade-offs
//
//   - raft-wal rather than a B-tree file: one fsync per append instead of two,
//     and cheap truncation. Its records carry a checksum.
//   - The indexes of the state are those of the log. So an answer's index
//     survives a restart.
//   - A command is decoded from its entry even on the server that proposed it:
//     what readers see is then what a restart or another server would make of
//     the entry.
//   - A single server has nobody to wait for, so its election timeouts are as
//     short as raft allows and it leads within some 50 ms of opening its log.
//   - A command that this version does not know stops the server: skipping it
//     would make the state differ from other servers', silently and for good.
package cluster

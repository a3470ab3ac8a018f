// Package store holds the state of a region: jobs, evaluations, allocations,
// nodes, deployments and settings.
//
// # Model
//
// A [Store] has one writer and any number of readers. The writer applies
// [Command] values, which come out of the replicated log in order; Apply is
// pure: time and IDs travel inside the command, so every server reaches the
// same state. A reader takes a [Snapshot], which costs one atomic load, never
// changes and shares its rows read-only with everybody else.
//
// Rows live in copy-on-write B-trees (tables.go), one file per noun holds the
// rows, indexes, queries and commands of that noun. The writer copies the
// trees in O(1), changes its copy and publishes it whole; a command that is
// refused leaves nothing behind, because its copy is dropped.
//
// # Watching
//
// Leader loops, nodes and blocking queries learn of changes from [Store.Watch].
// A waiter names the keys it depends on, takes a snapshot, and parks until a
// commit touches one of them. Registering before reading makes lost wake-ups
// impossible.
//
// # Durability
//
// The package knows no log. [Proposer] is all it asks of one; command.go
// encodes commands and snapshot.go writes and reads the whole state.
package store

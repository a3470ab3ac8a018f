// Package driver is the contract between a node and what runs its tasks.
//
// A [Driver] turns a [TaskConfig] into a running [Task]. A node has one Driver
// value per kind (raw_exec, docker …) for its whole life; drivers don't know
// each other, the scheduler or the API, and several of their methods run at
// the same time.
//
// # Life of a task
//
// Start makes a Task that runs. Its Handle, a few hundred bytes, is stored by
// the node; after a restart of the node's agent Recover makes a Task from the
// Handle again: the same processes, nothing started twice. Wait returns when
// the task has ended by itself or by Stop. Destroy removes what is left of
// it and may be called at any time, more than once.
//
// Output goes to rotated files under [TaskConfig.LogDir]; a driver never
// splits a line over two files and never loses one over a restart of the
// agent.
//
// Every implementation passes driver/drivertest.
package driver

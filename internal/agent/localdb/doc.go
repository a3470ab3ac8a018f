// Package localdb remembers on disk what a node was running, so that an agent
// that was killed at any moment finds its tasks again, starts none twice and
// leaves none behind.
//
// It keeps the node's identity, its dynamic metadata, and for each allocation
// the allocation as servers assigned it and one [TaskRecord] per task. An
// allocation is durable before its first task starts; a task's record is
// cleared of its handle before each further start. Whatever has no handle is
// asked of the driver by name.
//
// Writers that meet share one commit and one fsync: a write that finds another
// in flight waits for it and is then committed together with all that waited.
package localdb

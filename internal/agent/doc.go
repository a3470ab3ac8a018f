// Package agent is one node: it runs the allocations that servers assign to
// this machine and serves what only the machine itself can tell.
//
// # Flow
//
// Whoever holds the connection to the servers calls [Agent.Assign] with what
// they want; [Agent.Run] compares it with what there is (reconcile, a pure
// function) and starts, updates, stops or removes allocations. Each has a
// runner: one goroutine that orders the tasks of the group (order, pure),
// derives the client status (status, pure) and the deployment health (health,
// pure), reports every change at once through [Link], and afterwards keeps the
// local database up to date. Package task does what concerns one task.
//
// # What survives
//
// An allocation is in the local database before its first task starts. When
// the agent ends, tasks live on, and the next agent asks the drivers for them;
// with Config.KillOnExit they end with it. A terminal allocation keeps its
// directory until servers forget it or the node needs the room; what was
// removed leaves a note that it must never run here again, and its logs for as
// long as the retention policy says (retain.go).
//
// # API
//
// [Agent.Handler] serves exec, files, logs, stats, signal, restart and garbage
// collection for the allocations of this node. Who may do so was decided
// before, by a server; for sessions its verdict comes along with the request
// (web.Verdict) and must cover what the task at hand demands.
package agent

// Package supervisor is the program that stays with the tasks of one
// allocation while the agent comes and goes: it starts them, owns the pipes of
// their output and rotates it into files, collects their exit codes, and keeps
// a record of each on disk. internal/shim is its client.
//
// It is one process per allocation, so it is built for size: a program of its
// own (cmd/drover-shim) without fmt, net and encoding/json.
//
// # One goroutine decides
//
// All state belongs to the goroutine of [Main]. Others only wait for input: one
// per connection, one per stream of output, one for signals; each hands what
// it got to Main as a function to run. No lock is needed, and a child's exit
// is never seen before its start.
//
// Main keeps its operating system thread for good and makes every child on it.
// That matters twice: the kernel kills a task when the thread that made it
// ends (so no task outlives a supervisor that was killed), and a version 1
// control group is entered by the thread before it makes the child.
//
// # Life of a task
//
// A task has ended when its main process has ended, everything else it started
// has been killed, and its output has been read to the end. Only then is the
// record written, synced, and whoever waits answered. What belongs to a task
// is told by its control group where it has one of its own, else by descent:
// the supervisor adopts orphans (PR_SET_CHILD_SUBREAPER) and finds whose they
// are by session or by the variable DROVER_TASK in their environment.
//
// # Upgrade
//
// A newer agent replaces the program of a living supervisor by exec(2): the
// process and its children stay, the pipes and the socket are kept open, and
// what Main knew goes along in a memory file (upgrade.go). Protocol and records
// only ever gain fields, so either side may be the newer one.
//
// The supervisor exits when no task runs and no client is connected. The
// records stay, and a client reads them without it.
package supervisor

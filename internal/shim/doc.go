// Package shim is the agent's side of the supervisor: the small process, one
// per allocation, that runs tasks and outlives the agent. The other side is
// internal/shim/supervisor, what they say to each other internal/shim/wire.
//
// [Open] takes an allocation's state directory, in which there may be a living
// supervisor, the records of one that is gone, or nothing. The [Supervisor] it
// returns works the same in all three cases: StartTask starts the process if
// there is none, and what has ended is answered from the records. Whoever
// starts a task with it can therefore die at any moment, Open the directory
// again, and find the task, running or ended, with its exit code.
//
// A supervisor that is killed takes its tasks with it; the next use finds out,
// kills what may be left of them in their control groups or sessions, and
// records the end with a message.
//
// The process has its own session and gets no signal meant for the agent. It
// stays in the agent's control group, so a service manager must end only the
// agent's main process (systemd: KillMode=process).
package shim

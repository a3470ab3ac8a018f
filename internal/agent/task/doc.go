// Package task runs one task of an allocation: it waits for the task's turn,
// prepares directories and environment, starts the task with its driver,
// watches it, restarts it as its policy says, and kills it on demand.
//
// [Task.Run] is one switch over a few phases; each phase is a method that
// returns the next one. A task's State goes from pending to running to dead,
// back to pending only for another start, and every step on the way is an
// event. States are immutable: [Task.State] hands out the current one and
// Config.Changed tells that there is a newer.
//
// When Run's context ends the task itself lives on, unless it is to end with
// the agent; [Task.Record] is what another agent needs to find it again. The
// order between the tasks of an allocation is not decided here: whoever owns
// them calls [Task.Begin] and [Task.Kill].
package task

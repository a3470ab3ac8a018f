// Package sched decides where allocations run. It is pure: it reads a [State],
// returns data, and knows no clock, no randomness of its own, no I/O and no
// goroutine.
//
// A decision has two halves.
//
//   - [Reconcile] compares what a job wants with the allocations it has, and
//     returns [Work]: what to stop, what to update in place, and what to
//     place. It needs no nodes' usage and runs for many jobs in parallel.
//   - [Placer.Place] chooses nodes for that work and returns an [api.Plan]. A
//     region has one placer. It adds the plans that are still on their way
//     into the log to what the state shows, so that plans don't reject each
//     other.
//
// [Plan] does both without a trace, for dry runs.
//
// # Reconciling
//
// reconcile.go sorts a group's allocations by what happened to them
// (classify.go), and decides who stays, who goes and what is missing
// (group.go, update.go, reconnect.go). reschedule.go holds the policies for
// failed allocations, system.go the jobs that run on every node.
//
// # Placing
//
// nodes.go lists the nodes with what they have and use. feasible.go rules
// nodes out, once per computed class where possible (constraint.go). rank.go
// scores what is left: every feasible node once, then the best comes from a
// heap and only the chosen node is scored again (queue.go). Spread changes the
// score of all nodes with one attribute value at once, so there is one heap
// per combination of values and number of score terms (spread.go). n nodes and
// k placements cost O(n + k log n), with the quality of a full scan.
// preempt.go makes room at the expense of jobs of lower priority. What is told
// to stop leaves no room before its end is reported, except for its own
// replacement and for those that displace it, which wait for it on their node. explain.go
// says why, for what was placed and for what was not.
//
// Everything that looks random follows from the evaluation's ID, so that a
// decision can be repeated, and jobs don't all start on the same node.
package sched

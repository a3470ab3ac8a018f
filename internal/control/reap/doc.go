// Package reap is the leader loop that deletes what is over: jobs, their
// allocations and evaluations, deployments and nodes.
//
// find.go decides from a snapshot what may go, without side effects; reap.go
// does it on a schedule or when asked. What goes is spread over commands of a
// bounded size, a job before what belongs to it: if the rest does not follow,
// it has no job any more and goes next time, whereas a job without its
// allocations would be run again.
package reap

// Package evals is the leader loop that turns pending evaluations into work
// for the placer.
//
// It watches the store's open evaluations and, for one evaluation per job at a
// time and in order of priority, has a worker (see [Workers]) compare what the
// job wants with what there is (sched.Reconcile) and hands the result to a
// [Planner]. Older pending evaluations of the same job are cancelled with it:
// one comparison answers all of them. A waiting evaluation starts when its time
// comes, a blocked one when a node of a class that may help gains room; both
// are decided from the store alone, so a new leader goes on where the old one
// was.
package evals

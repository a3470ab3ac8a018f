// Package check finds out whether services of an allocation work.
//
// A [Spec] is one check with everything resolved; its [Probe] asks once. What
// follows from the answers is a pure function, [State.Next]: how many successes
// or failures in a row change the state. A [Set] runs the checks of one
// allocation, each in a goroutine of its own from the time it is wanted until it
// is not; a new start is pending again. It calls back when a state changes and
// when a check has failed as often as its check_restart allows. Probes of all
// allocations share places, so that a node with many checks asks few at a time.
package check

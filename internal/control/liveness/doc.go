// Package liveness is the leader's memory of which nodes live.
//
// A node's sign of life moves its deadline; only a change of status becomes a
// command. So heartbeats cost no log entry, and a new leader grants every node
// a generous first deadline, because it has heard of none.
//
// A silent node is down, unless allocations on it may be out of touch for some
// time (their disconnect blocks): then it is disconnected until the longest of
// those times is over. decide.go says which.
//
// The time to live grows with the number of nodes, so that heartbeats come at
// a bounded rate however many there are. All deadlines share one timer.
package liveness

// Package bench simulates nodes: many in one process, through the real node
// protocol, so that servers can be measured with clusters nobody has at hand.
//
// A simulated node registers with the resources, drivers and attributes of an
// ordinary machine. It starts what it is assigned in no time: tasks are
// running and, in a deployment, healthy at once; what is to stop is complete
// at once. It keeps some 100 bytes an allocation and shares decoded jobs with
// its siblings, so that a node costs about 20 KiB.
//
// Some can be unwell: report restarts, report late, or hang for good.
package bench

// Package fit is the arithmetic of capacity: what a node has, what its
// allocations use, and whether one more fits.
//
// The store keeps a [Usage] per node, the scheduler adds plans in flight to
// it, and both ask the same functions, so that they never disagree.
package fit

// Package fit is the arithmetic of capacity: what a node has, what its
// allocations use, and whether one more fits.
//
// The store keeps a [Usage] per node, the scheduler adds plans in flight to
// it, and both ask the same functions, so that they never disagree.
//
// [OfGroup] is what each allocation of a group takes, [PortAsk] adds the
// ports of one node, and [Grant] puts both together to what the allocation is
// given. [Usage.Beyond] is what one that waits for others to end adds to what
// they hold. A host port is in use once per node, whatever its address.
package fit

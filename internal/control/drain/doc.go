// Package drain is the leader loop that empties nodes which operators drain.
//
// A drain moves allocations by asking for it in their desired transition; the
// scheduler then stops them and places their replacements elsewhere. Services
// go a few at a time, as the migrate blocks of their groups allow: the next
// ones when replacements have settled. Batch jobs may end by themselves until
// the drain's deadline. Jobs that run on every node go last, when nothing else
// is left, because the others may need them. After the deadline everything
// goes at once. A node is drained when nothing runs on it any more.
//
// decide.go is pure: a snapshot and a time in, commands out. drain.go watches
// and proposes.
package drain

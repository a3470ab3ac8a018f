// Package api holds the nouns of Drover: [Job], [TaskGroup], [Task], [Node],
// [Allocation], [Evaluation], [Deployment] and what belongs to them.
//
// There is one type for each noun, from the job file to the wire to the store:
// a user's JSON decodes into the same struct that the scheduler reads and that
// a list prints. The package imports the standard library only and does
// nothing that needs a server; it defines, validates, defaults, copies and
// compares.
//
// Field names are those of the HTTP API. A pointer marks an optional setting
// whose zero value is a real choice; after [Job.Canonicalize] none of them is
// nil. Values handed out by the store are shared and must not be changed;
// whoever changes one works on a Copy.
//
// Errors that a caller can act on are of type [Error] and carry a [Code] that
// survives the wire.
package api

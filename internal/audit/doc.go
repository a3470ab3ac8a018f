// Package audit writes down who did what: every request that changes
// something, looks into an allocation (exec, files, logs) or reads secrets,
// and every request that was denied.
//
// # How a record comes about
//
// [Handler] wraps the whole HTTP API. It decides which requests are recorded
// (routes.go), writes a record when one arrives and another when it is over
// (record.go). In between the request's context carries a note, on which
// [Authorizer] marks the rights that were asked for and who asked, and
// handlers what else only they know ([SetObject], [Failed], [Exited]). A token
// never gets into a record: of a query only known parameters are kept, of
// headers and bodies nothing, and the token itself is looked for and taken out
// of what is left.
//
// # The file
//
// [Log] appends lines of JSON. Records that wait together are written and
// synced together by the goroutine of Run, outside of any lock that requests
// hold. With a hash chain each line holds the hash of the line before it, over
// rotation and restart, so that [Verify] finds what was changed, removed or put
// in between.
//
// # When the log can't be written
//
// Enforced: a request whose first record is not on disk is refused before it
// does anything. Best effort: it goes on, and the loss is counted.
package audit

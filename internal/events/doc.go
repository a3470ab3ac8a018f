// Package events keeps the latest changes of the state for the readers of the
// event stream.
//
// The store says which rows a command changed ([Change]: a topic, a type and
// the row itself, which is immutable). A [Ring] keeps those of the latest
// commands, bounded in number and in bytes. That is all the writer pays:
// which events a change amounts to, their keys and their JSON are worked out
// when a reader asks, once for all readers (event.go).
//
// # Readers
//
// A [Subscription] is a place in the ring and nothing more: there is no queue
// per reader, so that one who is slow costs nothing and is never waited for.
// When the ring has moved on beneath it, Take says so with an api.EventGap
// and goes on with the oldest batch that is kept.
//
// Indexes are exact: all events of one command are one [Batch] with the
// command's index, so a reader that took index N and comes back with N+1 sees
// every later event once, or a gap. After a restart the ring holds what the
// log brought back; a restored snapshot empties it.
package events

// Package voters decides which servers keep the log of a region.
//
// A [Former] runs on a server without a log until it has one: as soon as as
// many servers as the configuration expects are there and none of them belongs
// to a log, the one with the smallest ID asks all others for their consent and
// forms the log with all of them. Everybody consents to one server only, so
// that a region gets one log, whoever sees whom when.
//
// A [Keeper] is the leader's loop: servers of the region that come in become
// voters, those that leave or are removed are taken out; one that merely fails
// stays, because it comes back. What members say of themselves by gossip is a
// hint: before a server becomes a voter it is asked over its rpc port, where
// certificates count.
//
// decide.go says what is to change, without side effects.
package voters

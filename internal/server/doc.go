// Package server holds the use cases of the server side, one file per noun:
// each authorises, validates, and then either reads a snapshot of the store or
// proposes a command. It knows neither HTTP nor the log; the one who proposes
// (store.Proposer), the cluster, the heartbeats and the rights are interfaces
// declared here.
//
// # Reads
//
// Whoever calls has made sure that the state is new enough for a consistent
// answer (Cluster.CheckRead). Every read goes through read (read.go): it parks on the finest watch keys the query has until the result's
// index is greater than the caller's, and returns the value with its api.Meta.
// What a read returns is shared with the store and must not be changed.
//
// Lists are pages (page.go): filter expressions run on the full objects, the
// next token names the first item of the next page, and a list without filter
// and page size is never gathered but handed on as an iterator.
//
// # Writes
//
// A write that makes work adds the evaluation in the same command, so that
// both are in the log or neither is. Time and IDs are put in here.
//
// # Rights
//
// Every use case asks the Authorizer. An object that the caller may not see
// and one that does not exist give the same answer.
//
// # Nodes
//
// nodelink.go is what nodes talk to: registration, heartbeats, status reports
// and the stream of their own allocations.
package server
